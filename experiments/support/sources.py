"""Where the rows of the recovery experiments come from: simulated matrices, or a copy of the Open MPI data set."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mpijax as mj
from experiments.support.recovery import Case, make_case
from mpijax.datasets import (
    LissajousPrior,
    MeasuredRows,
    RecoveryTask,
    Rows,
    SimulatedRows,
    measured_images,
    noise_for_peak_snr,
    split_rows,
    usable_rows,
)
from mpijax.datasets.stream import MAX_FREQUENCY_FRACTION, MIN_FREQUENCY, PEAK_SNR, RowSource

TEST_PRIOR = LissajousPrior(core_diameter=(25e-9, 26e-9), gradient=(1.2, 1.3), amplitude=(14e-3, 15e-3))
"""Test matrices lie outside the training ranges: sharper patterns than any seen."""


@dataclass(frozen=True)
class SimulatedScan:
    """A scanner in which the phantom is measured by simulation; ``key`` draws the noise of the data."""

    scanner: mj.Scanner
    sequence: mj.LissajousSequence
    particle: mj.Particle
    key: jax.Array


@dataclass(frozen=True)
class MeasuredScan:
    """A measured phantom: the calibration with all its slices and the path of the measurement."""

    matrix: mj.SystemMatrix
    measurement: Path


@dataclass(frozen=True)
class Source:
    """Training rows, validation rows and test matrices of one experiment.

    Attributes:
        name: for the report.
        description: one paragraph for the report.
        facts: plain values that define the data, kept in the run directory.
        rows: training rows from a key.
        validation: rows held out of training.
        tests: test matrices.
        apart: further cases that the report shows separately, by reason.
        scans: what the phantom images are made from, see :mod:`experiments.support.images`.
    """

    name: str
    description: str
    facts: dict[str, Any]
    rows: RowSource
    validation: Rows
    tests: list[Case]
    apart: dict[str, list[Case]] = field(default_factory=dict)
    scans: list[Any] = field(default_factory=list)


def simulated_source(config: Any, task: RecoveryTask) -> Source:
    """Matrices simulated on the fly; the test set is drawn from outside the training ranges."""
    prior = LissajousPrior()
    rows = SimulatedRows(prior=prior, snr_threshold=config.snr_threshold)
    tests, low, scans = [], [], []
    for i in range(config.test_matrices):
        draw_key, noise_key = jax.random.split(jax.random.fold_in(jax.random.key(config.seed + 1000), i))
        parameters = TEST_PRIOR.draw(draw_key)
        matrix = mj.simulate_system_matrix(*parameters, TEST_PRIOR.grid)
        sigma = noise_for_peak_snr(matrix)
        scans.append(SimulatedScan(*parameters, jax.random.fold_in(noise_key, 1)))
        tests.append(_simulated_case(f"test {i + 1}", matrix, sigma, config.snr_threshold, True, task, noise_key))
        low.append(_simulated_case(f"test {i + 1}", matrix, sigma, config.snr_threshold, False, task, noise_key))
    validation_key = jax.random.key(config.seed + 2000)
    validation = SimulatedRows(prior=prior, matrices=8, snr_threshold=config.snr_threshold)(validation_key)
    return Source(
        name="simulated 2-D Lissajous matrices",
        description=(
            "2-D Lissajous field-free point (2.5 MHz/102, 2.5 MHz/96), 32 x 32 voxels over 30 mm, gradient diag(-G, -G, 2G), "
            "Langevin particles, one receive channel per drive direction with relative sensitivity 0.5-1. Training: d 18-25 nm, "
            "G 0.8-1.2 T/m, A 10-14 mT; test: d 25-26 nm, G 1.2-1.3 T/m, A 14-15 mT. One white complex noise level per matrix, "
            "the strongest row at SNR 1000, added before the degradation; rows with SNR >= "
            f"{config.snr_threshold:g} and 80 kHz <= f <= 0.9 bandwidth; the reference is the clean row."
        ),
        facts={"source": "simulated", "snr_threshold": config.snr_threshold},
        rows=rows,
        validation=validation,
        tests=tests,
        apart={"rows below 80 kHz, which scanners filter": low},
        scans=scans,
    )


def _simulated_case(
    name: str, matrix: mj.SystemMatrix, sigma: Any, threshold: float, in_band: bool, task: RecoveryTask, key: jax.Array
) -> Case:
    keep = np.asarray(usable_rows(matrix, sigma, threshold, in_band))
    if not keep.any():
        raise ValueError(
            f"snr_threshold = {threshold:g} keeps no row of {name}, whose strongest row has an SNR of {PEAK_SNR:g}; choose a "
            "lower threshold."
        )
    selected = replace(matrix, row_mask=keep).select()
    return make_case(name, selected, float(sigma), task, key)


def open_mpi_source(config: Any, task: RecoveryTask) -> Source:
    """Calibrations 9 and 10 to train, 3 to test, 8 apart; central slices, cropped to multiples of the scale."""
    data = mj.io.OpenMPIDataset(Path(config.data_root))

    def read(number: int) -> mj.SystemMatrix:
        file = mj.io.open_system_matrix(data.calibration(number).path)
        top = MAX_FREQUENCY_FRACTION * file.bandwidth
        return file.select(snr_threshold=config.snr_threshold, min_frequency=MIN_FREQUENCY, max_frequency=top).read(
            background="mean" if file.info.n_background_frames else "none"
        )

    train_rows, held_out = split_rows(measured_images([read(9), read(10)], 8))
    test = read(3)
    tests = [_measured_case(f"calibration {n}", m, task, config.seed) for n, m in ((3, test), (8, read(8)))]
    return Source(
        name="Open MPI data set",
        description=(
            f"Open MPI calibrations 9 and 10 to train ({len(train_rows)} central slices), calibration 3 to test. The fine rows "
            "are the measured ones, their noise included, so no method can reach zero error."
        ),
        facts={"source": "open_mpi", "snr_threshold": config.snr_threshold, "pool": len(train_rows)},
        rows=MeasuredRows(images=jnp.asarray(train_rows)),
        validation=Rows(held_out, np.zeros(len(held_out), np.float32)),
        tests=tests[:1],
        apart={"calibration 8: same session and tracer as 9 and 10, a neighbouring patch": tests[1:]},
        scans=[
            MeasuredScan(test, m.path)
            for m in data.measurements
            if m.phantom == "resolution" and any(c.number == 3 for c in data.calibrations_for(m))
        ][:1],
    )


def _measured_case(name: str, matrix: mj.SystemMatrix, task: RecoveryTask, seed: int) -> Case:
    nx, ny = (n // task.scale * task.scale for n in matrix.grid.shape[:2])
    central = matrix.crop((nx, ny, 1))
    return make_case(name, central, 0.0, task, jax.random.key(seed))
