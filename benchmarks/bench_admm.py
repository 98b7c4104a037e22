"""ADMM with L1 and total variation, 3000 x 841 complex64, 5000 iterations, against the same steps in NumPy and SciPy.

python -m benchmarks.bench_admm [--rounds 3] [--json FILE] [--iterations 5000]

All candidates make the same iterates with a fixed rho. Ends with an error only if those differ.
"""

import sys
from functools import partial

import jax
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from benchmarks.common import Ratio, interleave, options, ratio, report
from mpijax.reconstruction import admm, admm_factor, admm_solve, penalty_scale
from mpijax.reconstruction.solvers.admm.iteration import RELAXATION

ROWS, SHAPE, FRAMES, RHO = 3000, (29, 29, 1), 16, 0.02


def problem(frames=FRAMES, noise=0.02, seed=0):
    """Rows like those of a two-dimensional Lissajous scan, products of Chebyshev functions whose size falls with order."""
    rng = np.random.default_rng(seed)
    nx, ny, _ = SHAPE
    x, y = np.linspace(-1, 1, nx + 2)[1:-1], np.linspace(-1, 1, ny + 2)[1:-1]
    along_x, along_y = rng.integers(1, 25, ROWS), rng.integers(1, 25, ROWS)
    rows = np.sin(np.outer(along_y, np.arccos(y)))[:, :, None] * np.sin(np.outer(along_x, np.arccos(x)))[:, None]
    size = np.exp(-0.12 * (along_x + along_y) + 2j * np.pi * rng.random(ROWS))
    matrix = rows.reshape(ROWS, -1) * size[:, None]
    center, radius = rng.uniform(-0.5, 0.5, (2, frames, 1, 1)), rng.uniform(0.2, 0.5, (frames, 1, 1))
    disks = ((x - center[0]) ** 2 + (y[:, None] - center[1]) ** 2 < radius**2).reshape(frames, -1)
    data = disks @ matrix.T
    disturbance = rng.normal(size=data.shape) + 1j * rng.normal(size=data.shape)
    disturbance *= noise * np.linalg.norm(data, axis=1, keepdims=True) / np.linalg.norm(disturbance, axis=1)[:, None]
    return matrix.astype(np.complex64), (data + disturbance).astype(np.complex64), np.linalg.norm(disturbance, axis=1)


def numpy_steps(solve, back, l1, tv, rho, iterations):
    """The iterates of ``admm`` for frames (f, n): z = prox(v), x = solve(A^T b / rho + H^T (2z - v)), v += a (Hx - z)."""
    nx, ny, _ = SHAPE
    frames = len(back)
    data, image = (back / rho).reshape(frames, ny, nx), np.zeros((frames, ny, nx), back.dtype)
    gx, gy, px, py = (np.zeros_like(image) for _ in range(4))

    def prox():
        z = np.maximum(image - l1 / rho, 0)
        shrink = np.maximum(1 - (tv / rho) / np.maximum(np.sqrt(gx * gx + gy * gy), np.float32(1e-30)), 0)
        return z, gx * shrink, gy * shrink

    for _ in range(iterations):
        z, zx, zy = prox()
        np.subtract(2 * zx, gx, out=px)
        np.subtract(2 * zy, gy, out=py)
        pull = data + 2 * z - image
        pull[:, :, 1:] += px[:, :, :-1]
        pull[:, :, :-1] -= px[:, :, :-1]
        pull[:, 1:] += py[:, :-1]
        pull[:, :-1] -= py[:, :-1]
        x = solve(pull.reshape(frames, -1)).reshape(image.shape)
        image += RELAXATION * (x - z)
        gx -= RELAXATION * zx
        gy -= RELAXATION * zy
        gx[:, :, :-1] += RELAXATION * (x[:, :, 1:] - x[:, :, :-1])
        gy[:, :-1] += RELAXATION * (x[:, 1:] - x[:, :-1])
    return prox()[0].reshape(frames, -1)


def compare(args):
    matrix, frames, epsilon = problem()
    weight = np.float32(0.5e-3 * np.max(penalty_scale(matrix, frames)))
    device_matrix, device_frames, device_frame = map(jax.device_put, (matrix, frames, frames[0]))
    fixed = {"tolerance": None, "rho": RHO, "iterations": args.iterations}
    sparse = {"l1": weight, "tv": weight} | fixed
    bound = {"l1": 0.95, "tv": 0.05} | fixed | {"rho": 5.0}
    factor = partial(admm_factor, device_matrix, SHAPE, rho=RHO)
    factors, bounded = factor(), admm_factor(device_matrix, SHAPE, bounded=True)

    # the peers' problem in the same units, prepared once
    scale, parts = np.exp2(np.float32(factors.exponent)), np.asarray(factors.parts)
    unit = np.exp2(np.ceil(np.log2(np.linalg.norm(frames, axis=1)))).astype(np.float32)[:, None, None]
    back = np.stack([frames.real, frames.imag], -1).reshape(len(frames), -1) @ parts / unit[:, 0]
    lam = weight / scale / unit
    n = parts.shape[1]
    smooth = np.eye(n, dtype=np.float32) + np.asarray(factors.operator.matrix())

    def prepare(kind):
        """What admm_factor does: real parts of the matrix, their Gram matrix, the factor."""
        stacked = np.concatenate([matrix.real, matrix.imag]) / scale
        return kind(stacked.T @ stacked / np.float32(RHO) + smooth)

    cholesky, inverse = prepare(cho_factor), prepare(np.linalg.inv)

    def peer(solve, count):
        steps = numpy_steps(solve, back[:count], lam[:count], lam[:count], np.float32(RHO), args.iterations)
        return steps * unit[:count, 0] / scale

    def by_inverse(rhs, inverse=inverse):
        return rhs @ inverse

    def by_cholesky(rhs, cholesky=cholesky):
        return cho_solve(cholesky, rhs.T, check_finite=False).T

    candidates = {
        "mpijax total, 1 frame": lambda: admm(device_matrix, device_frame, SHAPE, **sparse).value,
        "mpijax factor": factor,
        "mpijax solve, 1 frame": lambda: admm_solve(factors, device_frame, **sparse).value,
        "numpy explicit inverse, factor": lambda: prepare(np.linalg.inv),
        "numpy explicit inverse, solve, 1 frame": lambda: peer(by_inverse, 1),
        "numpy explicit inverse, total, 1 frame": lambda: peer(partial(by_inverse, inverse=prepare(np.linalg.inv)), 1),
        "scipy cho_solve, factor": lambda: prepare(cho_factor),
        "scipy cho_solve, solve, 1 frame": lambda: peer(by_cholesky, 1),
        "scipy cho_solve, total, 1 frame": lambda: peer(partial(by_cholesky, cholesky=prepare(cho_factor)), 1),
        f"mpijax solve, {FRAMES} frames": lambda: admm_solve(factors, device_frames, **sparse).value,
        f"numpy explicit inverse, solve, {FRAMES} frames": lambda: peer(by_inverse, FRAMES),
        "mpijax bounded solve, 1 frame": lambda: admm_solve(bounded, device_frame, epsilon=epsilon[0], **bound).value,
        f"mpijax bounded solve, {FRAMES} frames": lambda: (
            admm_solve(bounded, device_frames, epsilon=epsilon, **bound).value
        ),
        "mpijax to tolerance 1e-4, 1 frame": lambda: admm_solve(factors, device_frame, l1=weight, tv=weight).value,
    }
    jax.clear_caches()  # the first calls below compile
    timings = interleave(candidates, args.rounds)
    total, _, solve, _, numpy_solve, numpy_total, _, scipy_solve, scipy_total, solve_all, numpy_all, *_ = (
        timings.values()
    )
    ratios = [
        Ratio("total against scipy cho_solve, 1 frame", ratio(scipy_total, total), 15),
        Ratio("solve against scipy cho_solve, 1 frame", ratio(scipy_solve, solve), 10),
        Ratio("total against numpy with explicit inverse, 1 frame", ratio(numpy_total, total), 2.5),
        Ratio("solve against numpy with explicit inverse, 1 frame", ratio(numpy_solve, solve), 2),
        Ratio(f"solve against numpy with explicit inverse, {FRAMES} frames", ratio(numpy_all, solve_all), 1),
    ]
    report(f"ADMM {ROWS} x {n}, {args.iterations} iterations", list(timings.values()), ratios, args.json)

    def distance(value, expected):
        return float(np.linalg.norm(np.asarray(value) - expected) / np.linalg.norm(expected))

    reference = peer(by_inverse, FRAMES)
    errors = {
        "mpijax, 1 frame": distance(candidates["mpijax total, 1 frame"](), reference[0]),
        "scipy cho_solve, 1 frame": distance(candidates["scipy cho_solve, solve, 1 frame"](), reference[:1]),
        f"mpijax, {FRAMES} frames": distance(candidates[f"mpijax solve, {FRAMES} frames"](), reference),
    }
    for name, error in errors.items():
        print(f"{name}: {error:.1e} from the iterates of NumPy")
    free = admm_solve(factors, device_frame, l1=weight, tv=weight).stats
    print(f"to tolerance 1e-4: {int(free['iterations'])} iterations, rho {float(free['rho']):.2g}")
    return max(errors.values()) < 1e-3


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--iterations", type=int, default=5000)
    parser.set_defaults(rounds=3)
    sys.exit(0 if compare(parser.parse_args()) else 1)
