"""What the recovery experiments train and test on: simulated matrices, or a copy of the Open MPI data set."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support.upsampling import Case
from mpijax.datasets import (
    CoarseMeasurement,
    LissajousPrior,
    SuperResolutionPrior,
    TrainingRows,
    noise_for_peak_snr,
    open_mpi_pool,
    simulated_source,
    usable_rows,
    z_slice,
)
from mpijax.datasets.open_mpi import WhitenedCalibration
from mpijax.datasets.samplers.super_resolution import N_VOXELS
from mpijax.datasets.stream import PEAK_SNR

TEST_PRIOR = LissajousPrior(core_diameter=(25e-9, 26e-9), gradient=(1.2, 1.3), amplitude=(14e-3, 15e-3))
"""Test matrices lie outside the training ranges: sharper patterns than any seen."""

LOW_BAND = "rows below 80 kHz, which scanners filter"


@dataclass(frozen=True)
class SimulatedScan:
    """A scanner in which the phantom is measured by simulation; ``key`` draws the noise of the data."""

    scanner: mj.Scanner
    sequence: mj.LissajousSequence
    particle: mj.system.ParticleModel
    key: jax.Array


@dataclass(frozen=True)
class MeasuredScan:
    """A measured phantom.

    Attributes:
        case: the calibration with all its slices.
        sigma: what the rows of the calibration, and so those of the measurement, are divided by (m,).
        measurement: its file.
    """

    case: Case
    sigma: np.ndarray
    measurement: Path


@dataclass(frozen=True)
class Source:
    """Training rows and test matrices of one experiment.

    Attributes:
        training: rows to train on.
        description: one paragraph for the report.
        tests: test matrices.
        apart: further cases that the report shows separately, by reason.
        scans: what the phantom images are made from, see :mod:`experiments.support.images`; simulated ones belong to the first
            test matrices, one each.
    """

    training: TrainingRows
    description: str
    tests: list[Case]
    apart: dict[str, list[Case]] = field(default_factory=dict)
    scans: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For the report."""
        return self.training.name


def lissajous_source(task: CoarseMeasurement, tests: int, snr_threshold: float, seed: int) -> Source:
    """Planar Lissajous matrices simulated on the fly; the test set is drawn from outside the training ranges."""
    cases, low, scans = [], [], []
    for i in range(tests):
        draw_key, noise_key = jax.random.split(jax.random.fold_in(jax.random.key(seed + 1000), i))
        parameters = TEST_PRIOR.draw(draw_key)
        matrix = mj.simulate_system_matrix(*parameters, TEST_PRIOR.grid)
        scans.append(SimulatedScan(*parameters, jax.random.fold_in(noise_key, 1)))
        cases.append(simulated_case(f"test {i + 1}", matrix, snr_threshold, task, noise_key))
        low.append(simulated_case(f"test {i + 1}", matrix, snr_threshold, task, noise_key, in_band=False))
    return Source(
        training=simulated_source("lissajous", task.scale, seed=seed, snr_threshold=snr_threshold),
        description=(
            "2-D Lissajous field-free point (2.5 MHz/102, 2.5 MHz/96), 32 x 32 voxels over 30 mm, gradient diag(-G, -G, 2G), "
            "Langevin particles, one receive channel per drive direction with relative sensitivity 0.5-1. Training: d 18-25 nm, "
            "G 0.8-1.2 T/m, A 10-14 mT; test: d 25-26 nm, G 1.2-1.3 T/m, A 14-15 mT. One white complex noise level per matrix, "
            "the strongest row at SNR 1000, added before the degradation; rows with SNR >= "
            f"{snr_threshold:g} and 80 kHz <= f <= 0.9 bandwidth; the reference is the clean row."
        ),
        tests=cases,
        apart={LOW_BAND: low},
        scans=scans,
    )


def coil_source(scan: int, task: CoarseMeasurement, tests: int, snr_threshold: float, seed: int) -> Source:
    """The simulated scans of the VRF-Net paper: slices of 3-D matrices that differ in their receive coils.

    The first test matrix is the slice next to the middle, the others are drawn; the phantom is measured in the slice.
    """
    prior = SuperResolutionPrior(scan=scan)
    cases, low, scans = [], [], []
    for i in range(tests):
        draw_key, slice_key, noise_key = jax.random.split(jax.random.fold_in(jax.random.key(seed + 3000 + scan), i), 3)
        number = N_VOXELS // 2 if i == 0 else int(jax.random.randint(slice_key, (), 0, N_VOXELS))
        setup = z_slice(prior.draw(draw_key), number)
        matrix = mj.simulate_system_matrix(setup.scanner, setup.sequence, setup.particle, setup.grid())
        name = f"slice {number + 1}, coils {i + 1}"
        scans.append(SimulatedScan(setup.scanner, setup.sequence, setup.particle, jax.random.fold_in(noise_key, 1)))
        cases.append(simulated_case(name, matrix, snr_threshold, task, noise_key))
        low.append(simulated_case(name, matrix, snr_threshold, task, noise_key, in_band=False))
    return Source(
        training=simulated_source(f"vrfnet-{scan}", task.scale, seed=seed, snr_threshold=snr_threshold),
        description=(
            f"{prior.describe()}\n\nSlices z = const; one white complex noise level per slice, the strongest row at SNR 1000; rows "
            f"with SNR >= {snr_threshold:g} and 80 kHz <= f <= 0.9 bandwidth; the reference is the clean row. The field of a loop "
            "scales with its sensitivity as a whole, so matrices of one scan differ by one factor per receive channel and by the "
            "slice: networks, which scale every row, are tested on rows that they have seen in training up to the noise."
        ),
        tests=cases,
        apart={LOW_BAND: low},
        scans=scans[:1],
    )


def simulated_case(
    name: str,
    matrix: mj.SystemMatrix,
    threshold: float,
    task: CoarseMeasurement,
    key: jax.Array,
    *,
    in_band: bool = True,
) -> Case:
    """The usable rows of a clean matrix, with the noise at which the strongest row has SNR 1000.

    Raises:
        ValueError: the threshold keeps no row.
    """
    sigma = noise_for_peak_snr(matrix)
    keep = np.asarray(usable_rows(matrix, sigma, threshold, in_band))
    if not keep.any():
        raise ValueError(
            f"snr_threshold = {threshold:g} keeps no row of {name}, whose strongest row has an SNR of {PEAK_SNR:g}; choose a "
            "lower threshold."
        )
    selected = replace(matrix, row_mask=keep).select()
    return Case(name, selected, np.full(len(selected.rows()), float(sigma), np.float32), task, key)


def open_mpi_source(root: Path, task: CoarseMeasurement, snr_threshold: float, seed: int) -> Source:
    """Calibrations 9 and 10 to train, 3 to test, 8 apart; central slices, cropped to multiples of the scale."""
    pool = open_mpi_pool(root, "vrfnet", scale=task.scale, snr_threshold=snr_threshold)
    test, neighbor = pool.tests
    training = pool.source()
    measured = replace(task, sample=training.sample, target=training.target)
    data = mj.io.OpenMPIDataset(root)
    scans = [
        MeasuredScan(_measured_case(test, measured, seed, None), test.sigma, m.path)
        for m in data.measurements
        if m.phantom == "resolution" and any(c.number == test.number for c in data.calibrations_for(m))
    ]
    return Source(
        training=training,
        description=training.description
        + " Rows are cropped to 32 x 32 voxels, those of calibration 3 to a multiple of the scale.",
        tests=[_measured_case(test, measured, seed, 1)],
        apart={
            "calibration 8: same session and tracer as 9 and 10, a neighboring patch": [
                _measured_case(neighbor, measured, seed, 1)
            ]
        },
        scans=scans[:1],
    )


def _measured_case(calibration: WhitenedCalibration, task: CoarseMeasurement, seed: int, slices: int | None) -> Case:
    """Whitened rows: the central slices, None = all."""
    nx, ny, nz = calibration.matrix.grid.shape
    matrix = calibration.matrix.crop((nx, ny, slices or nz))
    sigma = np.ones(len(calibration.sigma), np.float32)
    return Case(f"calibration {calibration.number}", matrix, sigma, task, jax.random.key(seed), measured=True)
