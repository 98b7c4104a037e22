"""The TranSMS paper's tests on simulated field-free-line matrices: cases, tube phantoms, images."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support.competitors import bicubic_methods
from experiments.support.images import scaled_psnr
from experiments.support.upsampling import Case, evaluate, stacked
from mpijax.datasets import CoarseMeasurement, fine_sigma
from mpijax.datasets.phantoms.volumes import box_shares
from mpijax.identification import fitted_matrix
from mpijax.physics import complex_normal

REFINEMENT = 3
"""Phantoms are measured on a grid this many times finer per axis."""

DATA_SNR_DB = 30.0
"""Mean power of the phantom's data over the power of their noise [dB]."""

SWEEPS = 10
RELATIVE_LAMBDA = 1e-3
PENALTY = 1e-3
"""Weight of L1 and TV over the weight at which the true matrix' image vanishes; 0.95 of it L1 and 0.05 TV, as in the paper."""

CONCENTRATION = 50.0
"""[mmol(Fe)/L]"""


@dataclass(frozen=True)
class Matrices:
    """Test matrices, all divided by their root mean square, and what they are simulated from."""

    items: tuple[Any, ...]
    matrices: tuple[mj.SystemMatrix, ...]
    rms: tuple[float, ...]

    @staticmethod
    def of(items: Iterable[Any]) -> "Matrices":
        """Simulate items of `FieldFreeLineSet` or `InHouseSet`."""
        items = tuple(items)
        raw = [item.simulate() for item in items]
        rms = [float(np.sqrt(np.mean(np.abs(np.asarray(m.values)) ** 2))) for m in raw]
        return Matrices(
            items, tuple(replace(m, values=np.asarray(m.values) / r) for m, r in zip(raw, rms, strict=True)), tuple(rms)
        )

    def cases(self, task: CoarseMeasurement, sigma: float, key: jax.Array) -> list[Case]:
        """One case per matrix, with noise of ``sigma`` in units of its root mean square."""
        return [
            Case(
                f"{item.gradient:.3f} T/m, {item.core_diameter * 1e9:.2f} nm",
                matrix,
                np.full(len(matrix.rows()), sigma, np.float32),
                task,
                jax.random.fold_in(key, i),
            )
            for i, (item, matrix) in enumerate(zip(self.items, self.matrices, strict=True))
        ]


def simulated_cases(
    matrices: Matrices, task: CoarseMeasurement, snr_db: float | None, snr_of: str, seed: int
) -> list[Case]:
    """Cases of the paper's simulated set: noise such that the coarse (or fine) matrix has this SNR; None = no noise."""
    sigma = 0.0 if snr_db is None else fine_sigma(task.scale, snr_db, snr_of)
    return matrices.cases(task, sigma, jax.random.key(seed + 500))


def two_tubes(grid: mj.Grid, left_width: float, spacing: float) -> np.ndarray:
    """Two tubes along y, 22 mm long: the right one 6 mm wide, a gap, the left one; centered together [mmol(Fe)/L].

    Source: TranSMS paper, Fig. 7 (left width 2 to 6 mm, spacing 8 to 12 mm).
    """
    right_width, length = 6e-3, 22e-3
    whole = left_width + spacing + right_width
    half = np.array([0, length / 2, 1.0])
    shares = np.zeros(grid.size)
    for low, high in ((-whole / 2, -whole / 2 + left_width), (whole / 2 - right_width, whole / 2)):
        shares += box_shares(grid, np.array([low, 0, 0]) - half, np.array([high, 0, 0]) + half, np.zeros(3))
    return CONCENTRATION * shares


PHANTOMS = tuple((width * 1e-3, spacing * 1e-3) for width, spacing in ((2, 8), (4, 10), (6, 12)))
"""Left width and spacing [m] of the tubes."""


def tube_phantoms(grid: mj.Grid) -> np.ndarray:
    """All phantoms (p, n)."""
    return np.stack([two_tubes(grid, *sizes) for sizes in PHANTOMS])


def phantom_data(
    item: Any, truth: mj.SystemMatrix, rms: float, phantoms: Callable[[mj.Grid], np.ndarray], key: jax.Array
) -> np.ndarray:
    """Noisy data (p, m) of phantoms measured on a finer grid, for the kept rows of a matrix and in its unit."""
    fine_grid = truth.grid.refine((REFINEMENT, REFINEMENT, 1))
    fine = np.asarray(item.simulate(fine_grid).values) / rms
    clean = np.moveaxis(fine @ np.asarray(phantoms(fine_grid), np.float32).T, -1, 0)
    clean = np.asarray(truth.row_values(clean), np.complex64)
    sigma = np.sqrt(np.mean(np.abs(clean) ** 2, axis=1, keepdims=True)) * 10 ** (-DATA_SNR_DB / 20)
    return clean + np.asarray(complex_normal(clean.shape, sigma, key=key, dtype=clean.dtype))


def reconstruct(
    rows: Mapping[str, np.ndarray], data: np.ndarray, shape: tuple[int, int, int]
) -> dict[str, dict[str, np.ndarray]]:
    """Images of every matrix: method -> solver -> (p, n), with the same parameters for all, those of "true matrix".

    Kaczmarz: 10 sweeps, non-negative. ADMM: the penalized form, because no image meets the paper's bound sqrt(M) with a matrix
    whose error is above the noise.
    """
    true = rows["true matrix"]
    regularization = mj.reconstruction.relative_lambda(true, RELATIVE_LAMBDA)
    weight = PENALTY * float(np.median(mj.reconstruction.penalty_scale(true, data)))
    images = {}
    for name, matrix in rows.items():
        kaczmarz = mj.reconstruction.kaczmarz(matrix, data, regularization, sweeps=SWEEPS)
        admm = mj.reconstruction.admm(matrix, data, shape, l1=0.95 * weight, tv=0.05 * weight)
        images[name] = {
            "Kaczmarz": np.real(np.asarray(kaczmarz.value)),
            "ADMM": np.asarray(admm.value),
        }
    return images


def image_records(
    case: str, images: Mapping[str, Mapping[str, np.ndarray]], phantoms: np.ndarray
) -> list[dict[str, Any]]:
    """pSNR [dB] of every image to the true matrix' image and to the phantom, each after the one best scale."""
    records = []
    for name, solved in images.items():
        for solver, stack in solved.items():
            for i, image in enumerate(stack):
                reference = images["true matrix"][solver][i]
                records.append(
                    {
                        "case": case,
                        "phantom": i,
                        "solver": solver,
                        "method": name,
                        "psnr_to_true_matrix": None if name == "true matrix" else scaled_psnr(image, reference),
                        "psnr_to_phantom": scaled_psnr(image, phantoms[i]),
                    }
                )
    return records


def fitted_simulator(case: Case) -> np.ndarray:
    """The fine matrix of the simulator fitted to the coarse one: what is reached where the physics is known (inverse crime)."""
    coarse, _ = case.sampled("box")
    scale = case.task.scale
    truth = case.truth
    fitted = fitted_matrix(
        truth.with_rows(coarse.reshape(len(coarse), -1), truth.grid.coarsen((scale, scale, 1))), scale
    )
    return np.asarray(fitted.grid.to_image(fitted.rows()))[:, 0]


def interpolation(matrices: Matrices) -> dict[str, dict[str, float]]:
    """Errors of bicubic interpolation without noise at 2x, 4x and 8x: method -> scale -> nRMSE of all matrices together."""
    found: dict[str, dict[str, float]] = {}
    for scale in (2, 4, 8):
        task = CoarseMeasurement(scale, sample="large")
        methods = bicubic_methods(task)
        cases = simulated_cases(matrices, task, None, "coarse", 0)
        records, _ = evaluate(cases, methods, keep=0)
        for name in methods:
            found.setdefault(name, {})[str(scale)] = stacked([r for r in records if r["method"] == name])
    return found


def images_of(
    matrices: Matrices, cases: list[Case], recovered: Mapping[str, list[np.ndarray]], key: jax.Array
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Records of the phantom images of every case and method; the images of the first case for the figure."""
    records: list[dict[str, Any]] = []
    first: dict[str, Any] = {}
    for i, case in enumerate(cases):
        grid, true = case.truth.grid, np.asarray(case.truth.rows())
        data = phantom_data(matrices.items[i], case.truth, matrices.rms[i], tube_phantoms, jax.random.fold_in(key, i))
        rows = {name: estimates[i].reshape(true.shape) for name, estimates in recovered.items()}
        images = reconstruct({"true matrix": true} | rows, data, grid.shape)
        phantoms = tube_phantoms(grid)
        records += image_records(case.name, images, phantoms)
        if not first:
            first = {"images": images, "phantoms": phantoms}
    return records, first
