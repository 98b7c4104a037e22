"""Regularized Kaczmarz, 3000 rows complex64, three non-negative sweeps, against row loops in NumPy and numba.

python -m benchmarks.bench_kaczmarz [--voxels 841] [--frames 64] [--rounds 9] [--json FILE] [--blocks]

Factor, solve and total (both) apart; the numba rows get their split matrix and row energies ready made, so that "solve"
is what compares with them. Ends with an error only if the iterates differ. ``--blocks`` compares block sizes instead.
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numba
import numpy as np

from benchmarks.common import Ratio, interleave, options, ratio, report
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
    count = args.frames
    matrix, frames = problem(voxels=args.voxels, frames=count)
    lam = np.float32(relative_lambda(matrix, 1e-3))
    conjugate, energy = matrix.conj(), np.square(np.linalg.norm(matrix, axis=1))
    real, imag = np.ascontiguousarray(matrix.real), np.ascontiguousarray(matrix.imag)
    device_matrix, device_frames = jax.device_put(matrix), jax.device_put(frames)
    device_frame = device_frames[0]
    factors = kaczmarz_factor(device_matrix, lam)
    candidates = {
        "factor": lambda: kaczmarz_factor(device_matrix, lam),
        "solve, 1 frame": lambda: kaczmarz_solve(factors, device_frame, sweeps=SWEEPS).value,
        "total, 1 frame": lambda: kaczmarz(device_matrix, device_frame, lam, sweeps=SWEEPS).value,
        f"solve, {count} frames": lambda: kaczmarz_solve(factors, device_frames, sweeps=SWEEPS).value,
        f"total, {count} frames": lambda: kaczmarz(device_matrix, device_frames, lam, sweeps=SWEEPS).value,
        "numba rows, 1 frame": lambda: numba_rows(real, imag, energy, frames[:1], lam, SWEEPS),
        f"numba rows, {count} frames": lambda: numba_rows(real, imag, energy, frames, lam, SWEEPS),
        "numpy rows complex64 prepared, 1 frame": lambda: numpy_rows_prepared(
            matrix, conjugate, energy, frames[0], lam, SWEEPS
        ),
        "numpy rows complex128, 1 frame": lambda: numpy_rows(
            matrix.astype(np.complex128), frames[0].astype(np.complex128), float(lam), SWEEPS
        ),
    }
    jax.clear_caches()  # the first calls below compile
    timings = interleave(candidates, args.rounds)
    _, solve, total, solve_all, total_all, numba_one, numba_all, prepared, naive = timings.values()

    reference = np.stack(
        [numpy_rows(matrix.astype(np.complex128), f.astype(np.complex128), float(lam), SWEEPS) for f in frames]
    )
    errors = {
        name: distance(np.atleast_2d(call()), reference if f"{count} frames" in name else reference[:1])
        for name, call in candidates.items()
        if name != "factor"
    }
    small = args.voxels <= 1000
    enough = (5 if small else 3.5) if count >= FRAMES else None
    ratios = [
        Ratio("solve against numba rows, 1 frame", ratio(numba_one, solve), 0.8),
        Ratio("total against numba rows, 1 frame", ratio(numba_one, total)),
        Ratio(f"solve against numba rows, {count} frames", ratio(numba_all, solve_all)),
        Ratio(f"total against numba rows, {count} frames", ratio(numba_all, total_all), enough),
        Ratio("total against numpy rows complex128, 1 frame", ratio(naive, total), 5 if small else None),
        Ratio("solve against numpy rows complex64 prepared, 1 frame", ratio(prepared, solve), 1.5),
    ]
    title = f"Kaczmarz {ROWS} x {args.voxels}, {SWEEPS} sweeps, non-negative"
    report(title, list(timings.values()), ratios, args.json)
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
    parser.add_argument("--voxels", type=int, default=VOXELS)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--blocks", action="store_true", help="compare block sizes")
    arguments = parser.parse_args()
    sys.exit(0 if (block_sizes if arguments.blocks else compare)(arguments) else 1)
