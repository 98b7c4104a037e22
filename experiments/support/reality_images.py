"""Images by the true matrix of a case, and by the equilibrium matrix of the same particles and the file's geometry.

The data are those of the true matrix and white noise. Matrices: "true"; "equilibrium", in the units of the true one; "equilibrium,
a factor per row", each of its rows times the complex factor that is nearest the true row, what a transfer function fitted to a few
positions would give. Rows: the strongest of the true matrix, at most `ROWS`, weighted by one over the norm of the matrix in use.
Solvers: Tikhonov among real images, cut at zero; Kaczmarz, non-negative. Their lambda has the least error on the development half,
for each kind of matrix and family.
"""

from typing import Any

import numpy as np

from experiments.support.reality_families import Case, Family
from experiments.support.reality_truths import told_rows, true_rows
from mpijax.reconstruction import kaczmarz

ROWS, SNR = 200, 5.0
NOISE = 2e-4
"""Noise of the data over the largest of them."""

LARGEST = 400
"""Voxels of the largest grid."""

LAMBDAS = 10.0 ** np.arange(-4, 2.1, 0.5)
KACZMARZ_LAMBDAS, SWEEPS = (1e-2, 1e-1, 1.0, 10.0), 30
MATRICES = ("true", "equilibrium", "equilibrium, a factor per row")
SOLVERS = ("Tikhonov", "Kaczmarz")


def phantom(case: Case, rng: np.random.Generator) -> np.ndarray:
    """Two discs, a ring and a bar of concentrations 0.5 to 1 in random places, smooth edges, (n,)."""
    nx, ny, _ = (int(n) for n in np.asarray(case.told.extent))
    y, x = np.meshgrid((np.arange(ny) + 0.5) / ny * 2 - 1, (np.arange(nx) + 0.5) / nx * 2 - 1, indexing="ij")
    image = np.zeros((ny, nx))
    for radius, hole in ((0.3, 0.0), (0.22, 0.0), (0.45, 0.2)):
        cx, cy = rng.uniform(-0.5, 0.5, 2)
        r = np.hypot(x - cx, y - cy)
        shape = _step(radius - r) * (_step(r - hole) if hole else 1)
        image = np.maximum(image, rng.uniform(0.5, 1) * shape)
    turn, offset = rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4)
    across, along = x * np.sin(turn) - y * np.cos(turn) - offset, x * np.cos(turn) + y * np.sin(turn)
    bar = _step(0.13 - np.abs(across)) * _step(0.7 - np.abs(along))
    return np.maximum(image, rng.uniform(0.5, 1) * bar).ravel()


def _step(distance: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-20 * distance))


def image_scores(family: Family, half: str, matrices: int, seed: int) -> dict[str, dict[str, Any]]:
    """ "Solver, matrix" -> nRMSE and PSNR [dB] of every matrix of a half, lambda chosen on the first two of the other half."""
    other = "development" if half == "test" else "test"
    tuning = [_scan(family, other, i, seed) for i in range(min(matrices, 2))]
    judged = [_scan(family, half, i, seed) for i in range(matrices)]
    found: dict[str, dict[str, Any]] = {}
    for solver in SOLVERS:
        for kind in MATRICES:
            values = LAMBDAS if solver == "Tikhonov" else KACZMARZ_LAMBDAS
            errors = [np.mean([_error(_image(solver, s, kind, v), s["truth"]) for s in tuning]) for v in values]
            best = float(values[int(np.argmin(errors))])
            error = np.array([_error(_image(solver, s, kind, best), s["truth"]) for s in judged])
            peak = [s["truth"].max() / np.linalg.norm(s["truth"]) * np.sqrt(s["truth"].size) for s in judged]
            psnr = 20 * np.log10(np.array(peak) / np.maximum(error, 1e-6))
            found[f"{solver}, {kind}"] = {"nrmse": error.tolist(), "psnr": psnr.tolist(), "lambda": best}
    return found


def _scan(family: Family, half: str, index: int, seed: int) -> dict[str, Any]:
    """Matrices (m, n), data (m,) and phantom of a case."""
    _, case = family.draw(half, index)
    bins = np.arange(1, (case.told.sequence.n_samples - 1) // 2 + 1)
    truth, told = true_rows(case, bins, False)[0], told_rows(case, bins)
    truth, told = (rows.reshape(-1, rows.shape[-1]) for rows in (truth, told))
    rng = np.random.default_rng([seed, index, len(half)])
    image = phantom(case, rng)
    data = truth @ image
    sigma = NOISE * np.abs(data).max()
    strength = np.linalg.norm(truth, axis=1) / np.sqrt(truth.shape[1])
    chosen = np.argsort(-strength)[:ROWS]
    chosen = np.sort(chosen[strength[chosen] >= SNR * sigma / np.sqrt(truth.shape[1])])
    noise = rng.standard_normal((2, len(chosen))) * sigma / np.sqrt(2)
    truth, told = truth[chosen], told[chosen]
    power = np.maximum(np.sum(np.abs(told) ** 2, axis=1), 1e-300)
    factor = np.sum(told.conj() * truth, axis=1) / power
    kinds = dict(zip(MATRICES, (truth, told, told * factor[:, None]), strict=True))
    return {"matrices": kinds, "data": data[chosen] + noise[0] + 1j * noise[1], "truth": image}


def _image(solver: str, scan: dict[str, Any], kind: str, value: float) -> np.ndarray:
    matrix, data = scan["matrices"][kind], scan["data"]
    norms = np.linalg.norm(matrix, axis=1)
    use = norms > 1e-6 * norms.max()  # rows that equilibrium does not have
    matrix, data = matrix[use] / norms[use, None], data[use] / norms[use]
    if solver == "Kaczmarz":
        rows, right = np.zeros((ROWS, LARGEST), np.complex64), np.zeros(ROWS, np.complex64)
        rows[: len(matrix), : matrix.shape[1]], right[: len(data)] = matrix, data  # one shape is compiled once
        return np.asarray(kaczmarz(rows, right, np.float32(value), sweeps=SWEEPS).value, float)[: matrix.shape[1]]
    real, right = np.concatenate([matrix.real, matrix.imag]), np.concatenate([data.real, data.imag])
    normal = real.T @ real
    shift = value * np.trace(normal) / len(normal)
    return np.maximum(np.linalg.solve(normal + shift * np.eye(len(normal)), real.T @ right), 0)


def _error(image: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(image - truth) / np.linalg.norm(truth))
