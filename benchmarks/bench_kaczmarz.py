"""Regularized Kaczmarz, 3000 x 841 complex64, three non-negative sweeps, against row loops in NumPy and numba.

python -m benchmarks.bench_kaczmarz [--rounds 9] [--json FILE] [--blocks]

Ends with an error only if the iterates differ. ``--blocks`` compares block sizes instead.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numba
import numpy as np

from benchmarks.common import Target, interleave, options, ratio, report
from mpijax.reconstruction import kaczmarz, kaczmarz_factor, kaczmarz_solve, relative_lambda

ROWS, VOXELS, SWEEPS, FRAMES = 3000, 841, 3, 64


def numpy_rows(matrix, data, lam, sweeps):
    """The textbook loop."""
    energy = np.linalg.norm(matrix, axis=1) ** 2
    x, v, root = np.zeros(matrix.shape[1], matrix.dtype), np.zeros_like(data), np.sqrt(lam)
    for _ in range(sweeps):
        for k in range(len(data)):
            alpha = (data[k] - matrix[k] @ x - root * v[k]) / (energy[k] + lam)
            x += alpha * np.conj(matrix[k])
            v[k] += root * alpha
        x = np.maximum(x.real, 0).astype(matrix.dtype)
    return x.real


def numpy_rows_prepared(matrix, conjugate, energy, data, lam, sweeps):
    """The loop a careful user writes: single precision, conjugate and energies made once."""
    x, v, root = np.zeros(matrix.shape[1], matrix.dtype), np.zeros_like(data), np.sqrt(lam)
    for _ in range(sweeps):
        for a, c, e, k in zip(matrix, conjugate, energy, range(len(data)), strict=True):
            alpha = (data[k] - a @ x - root * v[k]) / (e + lam)
            x += alpha * c
            v[k] += root * alpha
        x = np.maximum(x.real, 0).astype(matrix.dtype)
    return x.real


@numba.njit(fastmath=True)
def numba_frame(real, imag, energy, data, lam, sweeps, xr, xi):
    m, n = real.shape
    v = np.zeros(m, np.complex64)
    xr[:] = 0
    for _ in range(sweeps):
        xi[:] = 0
        for k in range(m):
            sr = np.float32(0)
            si = np.float32(0)
            for j in range(n):
                sr += real[k, j] * xr[j] - imag[k, j] * xi[j]
                si += real[k, j] * xi[j] + imag[k, j] * xr[j]
            alpha = (data[k] - np.complex64(complex(sr, si)) - v[k]) / (energy[k] + lam)
            v[k] += lam * alpha
            ar, ai = alpha.real, alpha.imag
            for j in range(n):
                xr[j] += ar * real[k, j] + ai * imag[k, j]
                xi[j] += ai * real[k, j] - ar * imag[k, j]
        for j in range(n):
            xr[j] = max(xr[j], np.float32(0))


def numba_rows(real, imag, energy, frames, lam, sweeps):
    """Frame after frame."""
    out = np.empty((len(frames), real.shape[1]), np.float32)
    for f in range(len(frames)):
        numba_frame(real, imag, energy, frames[f], lam, sweeps, out[f], np.empty(real.shape[1], np.float32))
    return out


def problem(rows=ROWS, voxels=VOXELS, frames=FRAMES, seed=0):
    """A matrix with decaying rows, as MPI has, and noisy frames of non-negative images."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, voxels)) + 1j * rng.normal(size=(rows, voxels))
    matrix *= np.logspace(0, -2, rows)[:, None]
    images = np.maximum(rng.normal(size=(frames, voxels)), 0)
    noise = rng.normal(size=(frames, rows)) + 1j * rng.normal(size=(frames, rows))
    return matrix.astype(np.complex64), (images @ matrix.T + 0.1 * noise).astype(np.complex64)


def distance(value, reference):
    return float(np.linalg.norm(np.asarray(value) - reference) / np.linalg.norm(reference))


def compare(args):
    matrix, frames = problem()
    lam = np.float32(relative_lambda(matrix, 1e-3))
    conjugate, energy = matrix.conj(), np.square(np.linalg.norm(matrix, axis=1))
    real, imag = np.ascontiguousarray(matrix.real), np.ascontiguousarray(matrix.imag)
    double, double_frame = matrix.astype(np.complex128), frames[0].astype(np.complex128)
    device_matrix, device_frames = jax.device_put(matrix), jax.device_put(frames)
    device_frame = device_frames[0]
    few = partial(kaczmarz_factor, device_matrix, lam, block_size=32)  # what kaczmarz takes for few frames
    factors = few()
    candidates = {
        "mpijax total, 1 frame": lambda: kaczmarz(device_matrix, device_frame, lam, sweeps=SWEEPS).value,
        "mpijax factor": few,
        "mpijax solve, 1 frame": lambda: kaczmarz_solve(factors, device_frame, sweeps=SWEEPS).value,
        "numpy rows complex128, 1 frame": lambda: numpy_rows(double, double_frame, float(lam), SWEEPS),
        "numpy rows complex64 prepared, 1 frame": lambda: numpy_rows_prepared(
            matrix, conjugate, energy, frames[0], lam, SWEEPS
        ),
        "numba rows, 1 frame": lambda: numba_rows(real, imag, energy, frames[:1], lam, SWEEPS),
        f"mpijax total, {FRAMES} frames": lambda: kaczmarz(device_matrix, device_frames, lam, sweeps=SWEEPS).value,
        f"numba rows, {FRAMES} frames": lambda: numba_rows(real, imag, energy, frames, lam, SWEEPS),
    }
    jax.clear_caches()  # the first calls below compile
    timings = interleave(candidates, args.rounds)
    total, _, solve, naive, prepared, numba_one, total_all, numba_all = timings.values()

    reference = candidates["numpy rows complex128, 1 frame"]()
    reference_all = np.stack([numpy_rows(double, f.astype(np.complex128), float(lam), SWEEPS) for f in frames])
    errors = {
        name: distance(np.atleast_2d(call()), reference_all if f"{FRAMES} frames" in name else reference[None])
        for name, call in candidates.items()
        if name != "mpijax factor"
    }
    targets = [
        Target("total against numpy rows complex128, 1 frame", ratio(naive, total), 3),
        Target("solve against numpy rows complex64 prepared, 1 frame", ratio(prepared, solve), 1.5),
        Target("solve against numba rows, 1 frame", ratio(numba_one, solve), 0.3),
        Target(f"total against numba rows, {FRAMES} frames", ratio(numba_all, total_all), 2),
    ]
    report(f"Kaczmarz {ROWS} x {VOXELS}, {SWEEPS} sweeps, non-negative", list(timings.values()), targets, args.json)
    for name, error in errors.items():
        print(f"{name}: {error:.1e} from the complex128 rows")
    return max(errors.values()) < 1e-4


def block_sizes(args):
    for voxels, frames in ((VOXELS, 1), (VOXELS, 16), (VOXELS, FRAMES), (6859, 1), (6859, 16)):
        matrix, data = map(jnp.asarray, problem(ROWS, voxels, frames))
        factor = partial(kaczmarz_factor, matrix, relative_lambda(matrix, 1e-3))
        solve = partial(kaczmarz_solve, data=data, sweeps=SWEEPS)
        candidates = {}
        for size in (32, 64, 96, 128, 192, 256):
            candidates[f"factor {size}"] = partial(factor, block_size=size)
            candidates[f"solve {size}"] = partial(solve, factor(block_size=size))
        report(f"{ROWS} x {voxels}, {frames} frames", list(interleave(candidates, args.rounds).values()), [])
    return True


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--blocks", action="store_true", help="compare block sizes")
    arguments = parser.parse_args()
    sys.exit(0 if (block_sizes if arguments.blocks else compare)(arguments) else 1)
