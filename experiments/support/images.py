"""Reconstructing the resolution phantom with every recovered matrix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import mpijax as mj
from experiments.support.recovery import Case
from experiments.support.sources import MeasuredScan, SimulatedScan, Source
from mpijax.datasets import RecoveryTask
from mpijax.datasets.degrade import degrade
from mpijax.datasets.phantoms import resolution_phantom
from mpijax.physics import complex_normal
from mpijax.restoration.upsample import Upsampler

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
    source: Source, upsamplers: Mapping[str, Upsampler], recovered: Mapping[str, list[np.ndarray]], task: RecoveryTask
) -> PhantomImages:
    """Kaczmarz images of the phantom with the true and every recovered matrix, one lambda for all of a case."""
    result = PhantomImages()
    for i, scan in enumerate(source.scans):
        if isinstance(scan, SimulatedScan):
            case = source.tests[i]
            matrices = {name: estimates[i] for name, estimates in recovered.items()}
            images, phantom = _simulated(case, scan, matrices)
            grid = case.truth.grid
        else:
            images, grid = _measured(scan, upsamplers, task)
            phantom = None
        result.records += _figures_of_merit(source.tests[min(i, len(source.tests) - 1)].name, images, phantom)
        if not result.first:
            result.first = {name: np.asarray(grid.to_image(image)) for name, image in images.items()}
            if phantom is not None:
                result.first = {"phantom": np.asarray(grid.to_image(phantom)), **result.first}
            result.grid = grid
    return result


def _simulated(
    case: Case, scan: SimulatedScan, recovered: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Measure on a finer grid, reconstruct on the matrix's own: no inverse crime."""
    truth = case.truth
    fine_grid = truth.grid.refine((REFINEMENT, REFINEMENT, 1))
    fine = mj.simulate_system_matrix(scan.scanner, scan.sequence, scan.particle, fine_grid, truth.frequency_indices)
    index = truth.row_index()
    position = np.searchsorted(np.asarray(truth.frequency_indices), index.frequency_index)
    data = np.asarray(fine.values)[index.channel, position] @ np.asarray(resolution_phantom(fine_grid), np.float32)
    sigma = np.abs(data).max() / DATA_SNR
    data = data + np.asarray(complex_normal(data.shape, sigma, key=scan.key, dtype=data.dtype))
    rows = np.asarray(truth.rows())
    regularization = mj.reconstruction.relative_lambda(rows, RELATIVE_LAMBDA)
    images = {}
    for name, matrix in {"true matrix": rows, **recovered}.items():
        matrix = matrix.reshape(rows.shape)
        solution = mj.reconstruction.kaczmarz(matrix, data, regularization, sweeps=SWEEPS)
        images[name] = np.asarray(truth.to_concentration(np.real(np.asarray(solution.value))))
    return images, np.asarray(resolution_phantom(truth.grid))


def _measured(
    scan: MeasuredScan, upsamplers: Mapping[str, Upsampler], task: RecoveryTask
) -> tuple[dict[str, np.ndarray], mj.Grid]:
    """The measured phantom with all slices of the matrix recovered."""
    shape = scan.matrix.grid.shape
    cropped = scan.matrix.crop((shape[0] // task.scale * task.scale, shape[1] // task.scale * task.scale, shape[2]))
    nx, ny, _ = cropped.grid.shape
    rows = np.asarray(cropped.rows())
    coarse = np.asarray(degrade(np.asarray(cropped.grid.to_image(rows)).reshape(-1, ny, nx), task.scale, task.method))
    index = cropped.row_index()
    info = mj.io.read_info(scan.measurement)
    frames = min(AVERAGED_FRAMES, info.n_frames - info.n_background_frames)
    background = "mean" if info.n_background_frames else "none"
    measurement = mj.io.read_measurement(scan.measurement, background=background, average_frames=frames)
    mj.reconstruction.check_compatible(cropped, measurement)
    data = measurement.rows(index)[0]
    regularization = mj.reconstruction.relative_lambda(rows, RELATIVE_LAMBDA)
    images = {}
    for name, upsampler in {"true matrix": None, **upsamplers}.items():
        matrix = rows if upsampler is None else np.asarray(upsampler(coarse)).reshape(rows.shape)
        solution = mj.reconstruction.kaczmarz(matrix, data, regularization, sweeps=SWEEPS)
        images[name] = np.asarray(cropped.to_concentration(np.real(np.asarray(solution.value))))
    return images, cropped.grid


def _figures_of_merit(case: str, images: Mapping[str, np.ndarray], phantom: np.ndarray | None) -> list[dict[str, Any]]:
    """pSNR to the true matrix's image and to the phantom, each after the one best scale."""
    records = []
    for name, image in images.items():
        record: dict[str, Any] = {"case": case, "method": name}
        for against, reference in (("psnr_to_true_matrix", images["true matrix"]), ("psnr_to_phantom", phantom)):
            if reference is None or (name == "true matrix" and against == "psnr_to_true_matrix"):
                record[against] = None
                continue
            scaled = mj.metrics.best_scale(image, reference) * image
            record[against] = float(mj.metrics.psnr(scaled, reference))
        records.append(record)
    return records
