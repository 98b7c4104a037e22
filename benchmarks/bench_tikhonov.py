"""Tikhonov, 3000 rows complex64, lambda 1e-2 of the mean eigenvalue: factor and solve apart, against SciPy's Cholesky.

python -m benchmarks.bench_tikhonov [--rounds 5] [--voxels 841 6859] [--json FILE]

Distances to the complex128 minimizer (841 voxels) or to SciPy's complex64 one are printed below the table; the script ends
with an error if mpijax's factored solutions are further away than 1e-4. The random matrix has no low rank: the compressed
solutions show the time only, their accuracy is tested on a simulated matrix (tests/reconstruction/test_low_rank.py).
"""

import sys

import jax
import numpy as np
import scipy.linalg

from benchmarks.bench_kaczmarz import distance, problem
from benchmarks.common import Ratio, interleave, options, ratio, report
from mpijax.reconstruction import randomized_svd, relative_lambda, tikhonov, tikhonov_factor, tikhonov_solve

ROWS, FRAMES, RANK, RELATIVE = 3000, 64, 200, 1e-2


def scipy_factor(matrix, lam):
    """Cholesky factor of the smaller normal matrix."""
    adjoint = matrix.conj().T
    normal = adjoint @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ adjoint
    normal[np.diag_indices_from(normal)] += normal.dtype.type(lam)
    return scipy.linalg.cho_factor(normal, lower=True, overwrite_a=True, check_finite=False)


def scipy_solve(factor, matrix, frames):
    """Minimizers (frames, n)."""
    tall = matrix.shape[0] >= matrix.shape[1]
    right = matrix.conj().T @ frames.T if tall else frames.T
    solution = scipy.linalg.cho_solve(factor, right, check_finite=False)
    return (solution if tall else matrix.conj().T @ solution).T


def compare(voxels, args):
    matrix, frames = problem(ROWS, voxels, FRAMES)
    lam = float(relative_lambda(matrix, RELATIVE))
    on_device, data = jax.device_put(matrix), jax.device_put(frames)
    factors, peer = tikhonov_factor(on_device, lam), scipy_factor(matrix, lam)
    iterative = tikhonov_factor(on_device, lam, method="cgnr")
    low = randomized_svd(on_device, RANK, key=jax.random.key(0))
    compressed, small = tikhonov_factor(low.matrix, lam), low.compress(data)
    factoring = {
        "mpijax factor": lambda: tikhonov_factor(on_device, lam),
        "scipy factor": lambda: scipy_factor(matrix, lam),
        f"mpijax randomized SVD, rank {RANK}": lambda: randomized_svd(on_device, RANK, key=jax.random.key(0)),
    }
    solving = {}
    for name, part in (("1 frame", slice(0, 1)), (f"{FRAMES} frames", slice(None))):
        solving |= {
            f"mpijax solve, {name}": lambda d=data[part]: tikhonov_solve(factors, d).value,
            f"mpijax solve, unrefined, {name}": lambda d=data[part]: tikhonov_solve(factors, d, max_iterations=0).value,
            f"scipy solve, {name}": lambda d=frames[part]: scipy_solve(peer, matrix, d),
            f"mpijax low-rank solve, {name}": lambda d=small[part]: tikhonov_solve(compressed, d).value,
        }
    solving["mpijax CGNR, tolerance 1e-4, 1 frame"] = lambda: tikhonov_solve(iterative, data[:1], tolerance=1e-4).value
    jax.clear_caches()
    timings = interleave(factoring, min(args.rounds, 3)) | interleave(solving, args.rounds)
    ratios = [
        Ratio(text, ratio(timings[f"scipy {what}"], timings[f"mpijax {what}"]), must)
        for text, what, must in (
            ("factor against scipy", "factor", None),
            ("solve, refined, against scipy, 1 frame", "solve, 1 frame", 0.8),
            (f"solve, refined, against scipy, {FRAMES} frames", f"solve, {FRAMES} frames", 0.8),
        )
    ] + [
        Ratio(
            f"solve, unrefined, against scipy, {n}",
            ratio(timings[f"scipy solve, {n}"], timings[f"mpijax solve, unrefined, {n}"]),
        )
        for n in ("1 frame", f"{FRAMES} frames")
    ]
    if voxels <= ROWS:
        double = matrix.astype(np.complex128)
        reference = scipy_solve(scipy_factor(double, lam), double, frames.astype(np.complex128))
    else:
        reference = scipy_solve(peer, matrix, frames)
    errors = {
        name: distance(call(), reference[:1] if "1 frame" in name else reference)
        for name, call in solving.items()
        if "low" not in name
    }
    if voxels <= ROWS:
        ratios += [
            Ratio(f"refined, {n}: relative distance to the minimizer", errors[f"mpijax solve, {n}"], most=1e-6, unit="")
            for n in ("1 frame", f"{FRAMES} frames")
        ]
    report(f"Tikhonov {ROWS} x {voxels}, lambda {RELATIVE:g}", list(timings.values()), ratios, args.json)
    for name, error in errors.items():
        print(f"{name}: {error:.1e} from the {'complex128' if voxels <= ROWS else 'scipy'} minimizer")
    counts = [
        int(tikhonov(on_device, data[0], lam, method=m, tolerance=t).stats["iterations"])
        for m, t in (("auto", None), ("cgnr", 1e-4))
    ]
    print(f"iterations: {counts[0]} with the factor, {counts[1]} of CGNR")
    return max(error for name, error in errors.items() if name.startswith("mpijax solve")) < 1e-4


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--voxels", type=int, nargs="+", default=[841, 6859])
    arguments = parser.parse_args()
    sys.exit(0 if all([compare(voxels, arguments) for voxels in arguments.voxels]) else 1)
