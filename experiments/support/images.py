"""Reconstructing the resolution phantom with every recovered matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import mpijax as mj
from experiments.support.sources import MeasuredScan, SimulatedScan, Source
from experiments.support.upsampling import Case, Method
from mpijax.datasets.phantoms import resolution_phantom
from mpijax.physics import complex_normal

SWEEPS = 3
RELATIVE_LAMBDA = 1e-3
REFINEMENT = 3
"""The phantom is measured on a grid this many times finer per axis than the one it is reconstructed on."""

AVERAGED_FRAMES = 1000
"""Measured frames averaged into one image."""

DATA_SNR = 1000.0
"""Largest entry of the simulated data over the noise's complex standard deviation."""


@dataclass
class PhantomImages:
    """Figures of merit per case and method, and the images of the first case for the figure (mmol(Fe)/L, (z, y, x))."""

    records: list[dict[str, Any]] = field(default_factory=list)
    first: dict[str, np.ndarray] = field(default_factory=dict)
    grid: mj.Grid | None = None


def phantom_images(
    source: Source, methods: Mapping[str, Method], recovered: Mapping[str, list[np.ndarray]]
) -> PhantomImages:
    """Kaczmarz images of the phantom with the true and every recovered matrix, one lambda for all of a case.

    Args:
        source: test matrices and scans.
        methods: recover the matrix of a measured scan.
        recovered: images of the test matrices that simulated scans belong to; a method may have those of the first ones alone.
    """
    result = PhantomImages()
    for i, scan in enumerate(source.scans):
        if isinstance(scan, SimulatedScan):
            case = source.tests[i]
            images, phantom = _simulated(case, scan, {n: rows[i] for n, rows in recovered.items() if i < len(rows)})
        else:
            case = scan.case
            images, phantom = _measured(scan, methods), None
        result.records += _figures_of_merit(case.name, images, phantom, case.truth.grid)
        if not result.first:
            grid = result.grid = case.truth.grid
            result.first = {name: np.asarray(grid.to_image(image)) for name, image in images.items()}
            if phantom is not None:
                result.first = {"phantom": np.asarray(grid.to_image(phantom)), **result.first}
    return result


def _simulated(
    case: Case, scan: SimulatedScan, recovered: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Measure on a finer grid, reconstruct on the matrix's own: no inverse crime. The phantom is centered on the grid's slice."""
    truth = case.truth
    fine_grid = truth.grid.refine((REFINEMENT, REFINEMENT, 1))
    center = np.asarray(truth.grid.center)
    fine = mj.simulate_system_matrix(
        scan.scanner, scan.sequence, scan.particle, fine_grid, truth.frequency_indices, engine="time"
    )
    object_ = np.asarray(resolution_phantom(fine_grid, center=center), np.float32)
    data = np.asarray(fine.rows_like(truth)) @ object_
    sigma = float(np.abs(data).max()) / DATA_SNR
    data = data + np.asarray(complex_normal(data.shape, sigma, key=scan.key, dtype=data.dtype))
    images = kaczmarz_images(truth, data, recovered)
    return images, np.asarray(resolution_phantom(truth.grid, center=center))


def _measured(scan: MeasuredScan, methods: Mapping[str, Method]) -> dict[str, np.ndarray]:
    """The measured phantom with all slices of the matrix recovered."""
    truth = scan.case.truth
    info = mj.io.read_info(scan.measurement)
    frames = min(AVERAGED_FRAMES, info.n_frames - info.n_background_frames)
    background = "mean" if info.n_background_frames else "none"
    measurement = mj.io.read_measurement(scan.measurement, background=background, average_frames=frames)
    mj.reconstruction.check_compatible(truth, measurement)
    data = np.asarray(measurement.rows(truth.row_index())[0])
    data = data / scan.sigma.astype(data.real.dtype)
    return kaczmarz_images(truth, data, {name: method(scan.case) for name, method in methods.items()})


def kaczmarz_images(
    truth: mj.SystemMatrix, data: np.ndarray, recovered: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Non-negative images (n,) with the true and the recovered matrices [mmol(Fe)/L]; lambda is that of the true one."""
    rows = np.asarray(truth.rows())
    regularization = mj.reconstruction.relative_lambda(rows, RELATIVE_LAMBDA)
    images = {}
    for name, matrix in {"true matrix": rows, **recovered}.items():
        solution = mj.reconstruction.kaczmarz(matrix.reshape(rows.shape), data, regularization, sweeps=SWEEPS)
        images[name] = np.asarray(truth.to_concentration(np.real(np.asarray(solution.value))))
    return images


def _figures_of_merit(
    case: str, images: Mapping[str, np.ndarray], phantom: np.ndarray | None, grid: mj.Grid
) -> list[dict[str, Any]]:
    """pSNR to the true matrix's image and to the phantom, nRMSE and SSIM to the former, each after the one best scale."""
    records = []
    for name, image in images.items():
        record: dict[str, Any] = {"case": case, "method": name}
        for against, reference in (("psnr_to_true_matrix", images["true matrix"]), ("psnr_to_phantom", phantom)):
            if reference is None or (name == "true matrix" and against == "psnr_to_true_matrix"):
                record[against] = None
                continue
            record[against] = scaled_psnr(image, reference)
        records.append(record | _error(image, images["true matrix"], grid))
    return records


def scaled_psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """pSNR [dB] after the one best scale."""
    return float(mj.metrics.psnr(mj.metrics.best_scale(image, reference) * image, reference))


def _error(image: np.ndarray, true: np.ndarray, grid: mj.Grid) -> dict[str, float]:
    scaled = np.asarray(grid.to_image(mj.metrics.best_scale(image, true) * image))
    reference = np.asarray(grid.to_image(true))
    return {
        "nrmse_to_true_matrix": float(mj.metrics.nrmse(scaled, reference)),
        "ssim_to_true_matrix": float(mj.metrics.ssim(scaled, reference, float(np.ptp(reference)) or 1.0)),
    }
