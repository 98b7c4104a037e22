"""The Open MPI calibrations that published super-resolution networks were trained and tested on, in units of their noise."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice, check_count, check_finite, check_range
from mpijax.core.frames import frame_std
from mpijax.core.typing import Array, Complex, Float
from mpijax.datasets.measured import measured_images
from mpijax.datasets.sources import TrainingRows
from mpijax.datasets.stream import MAX_FREQUENCY_FRACTION, MIN_FREQUENCY, RowPool
from mpijax.io import MDFError, OpenMPIDataset, SystemMatrixFile, open_system_matrix
from mpijax.io.snr import PEAK_FRACTION
from mpijax.system import SystemMatrix

STORED_MARGIN = 1.5
"""A stored SNR compares the strongest voxels with the mean modulus of the noise, or of its differences: the rms of a row over
the standard deviation of its noise is at most 1.26 times as large. Rows stored with less than threshold / 1.5 are not read."""


@dataclass(frozen=True)
class OpenMPIProtocol:
    """Which whole calibrations train and which test.

    Attributes:
        train, test: their numbers in the data set.
        snr_threshold: least SNR of a row, its rms over the standard deviation of its noise.
        slices: central z slices that train, None = all.
        source: where it was published.
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    snr_threshold: float
    slices: int | None
    source: str


OPEN_MPI_PROTOCOLS = {
    "temporal": OpenMPIProtocol((8, 9), (10,), 5.0, None, "TranSMS paper, Table V: another time and field of view"),
    "tracer": OpenMPIProtocol((7,), (10,), 5.0, None, "TranSMS paper, Table VI: another tracer and gradient"),
    "vrfnet": OpenMPIProtocol((9, 10), (3, 8), 10.0, 1, "VRF-Net paper, Table 4"),
}
"""Name -> :class:`OpenMPIProtocol`: which calibrations of the Open MPI data set train and which test, as published."""


@dataclass(frozen=True, eq=False)
class WhitenedCalibration:
    """A calibration whose rows are divided by the standard deviation of their noise.

    Attributes:
        number: in the data set; ``path``: its file.
        matrix: kept rows, x and y cropped; the noise of every entry has the complex standard deviation sqrt(E|n|^2) = 1.
        sigma: what the kept rows (m,) were divided by, in the order of ``matrix.rows()``: rows of a measurement divided by the
            same belong to this matrix.

    Source: TranSMS paper, section IV-A2.
    """

    number: int
    path: Path
    matrix: SystemMatrix
    sigma: Float[np.ndarray, " m"]

    @property
    def noise_floor(self) -> float:
        """What the noise of the reference alone adds to the nRMSE of recovered rows: sqrt(m n) / |A|_F."""
        rows = np.asarray(self.matrix.rows())
        return math.sqrt(rows.size) / float(np.linalg.norm(rows.astype(np.complex128)))


@dataclass(frozen=True, eq=False)
class OpenMPIPool:
    """Training images and test matrices of a protocol.

    Attributes:
        protocol: its name.
        images: slices of the training calibrations' rows (p, size, size), complex64.
        sigma: complex standard deviation of their noise (p,): ones.
        tests: the test calibrations.
        facts: plain values for reports: rows, images and noise floors.

    Source: TranSMS paper, section IV-A2.
    """

    protocol: str
    images: Complex[np.ndarray, "p y x"]
    sigma: Float[np.ndarray, " p"]
    tests: tuple[WhitenedCalibration, ...]
    facts: dict[str, Any]

    def source(self, batch_size: int = 64) -> TrainingRows:
        """What a network is trained on: block means of measured rows, the measured rows as targets, nothing held out."""
        protocol = OPEN_MPI_PROTOCOLS[self.protocol]
        train, test = (_numbers(numbers) for numbers in (protocol.train, protocol.test))
        rows = RowPool(jnp.asarray(self.images), jnp.asarray(self.sigma), measured=True, batch_size=batch_size)
        return TrainingRows(
            name=f"Open MPI, {self.protocol}",
            description=(
                f"{protocol.source}. Calibration {train} to train ({len(self.images)} slices), {test} to test; rows of SNR >= "
                f"{self.facts['snr_threshold']:g} in units of their noise. The targets are measured rows, their noise included."
            ),
            facts=self.facts,
            rows=rows,
            validation=None,
            sample="retrospective",
            target="noisy",
        )


def open_mpi_pool(
    root: str | Path, protocol: str, *, scale: int, snr_threshold: float | None = None, size: int = 32
) -> OpenMPIPool:
    """Read a protocol's calibrations: whole ones train, whole others test; rows or slices are never split.

    Of every file only rows of 80 kHz to 0.9 bandwidth whose SNR may suffice are read, and memory is some three times these rows.
    The mean of the background frames is subtracted. A row's noise sigma is the standard deviation of its background frames; in
    files with fewer than two it follows from the stored SNR (see :func:`noise_from_snr`). Kept rows have an rms over the cropped
    voxels of at least ``snr_threshold`` sigma, and are divided by sigma. x and y are cropped centrally to ``size`` voxels, a test
    grid that is smaller (calibration 3) to the largest multiple of ``scale``; every z slice of a row is an image.

    Args:
        root: folder with the Open MPI files.
        protocol: "temporal" (8 and 9 train, 10 tests), "tracer" (7 trains, 10 tests) or "vrfnet" (the central slices of 9 and 10
            train, 3 and 8 test).
        scale: upsampling factor, a divisor of ``size``.
        snr_threshold: least SNR; None = that of the protocol, 5, 5 and 10.
        size: voxels along x and y.

    Returns:
        Images, test matrices and facts.

    Raises:
        FileNotFoundError: no such folder.
        MDFError: calibrations of the protocol are missing, or the noise of one is not known.
        ValueError: another protocol, a size that the scale does not divide, a training grid smaller than ``size``, or no row of
            sufficient SNR.

    Source: A. Gungor et al., IEEE TMI 41(12):3562 (2022), section IV-A2. The authors' code applies the threshold to every slice.
    """
    check_choice("protocol", protocol, tuple(OPEN_MPI_PROTOCOLS))
    check_count("scale", scale)
    check_count("size", size)
    if size % scale:
        raise ValueError(
            f"size = {size} is not a multiple of scale = {scale}; {size // scale * scale or scale} would be."
        )
    parts = OPEN_MPI_PROTOCOLS[protocol]
    threshold = parts.snr_threshold if snr_threshold is None else snr_threshold
    check_range("snr_threshold", threshold, 0, math.inf, "")
    files = _files(root, protocol)
    for number in parts.train:
        nx, ny, _ = files[number].grid.shape
        if min(nx, ny) < size:
            raise ValueError(
                f"calibration {number} has {nx} x {ny} voxels along x and y, fewer than size = {size}; choose a smaller size."
            )
    rows, grids, images, tests = {}, {}, [], []
    for number in (*parts.train, *parts.test):
        calibration = _whitened(number, files[number], threshold, size, scale)
        shape = calibration.matrix.grid.shape
        rows[f"calibration {number}"], grids[f"calibration {number}"] = len(calibration.sigma), list(shape)
        if number in parts.test:
            tests.append(calibration)
        else:
            images.append(measured_images([calibration.matrix], scale, slices=parts.slices or shape[2], minimum=1))
    pool = np.concatenate(images, dtype=np.complex64)
    facts = {
        "source": "open_mpi",
        "protocol": protocol,
        "snr_threshold": float(threshold),
        "images": len(pool),
        "rows": rows,
        "grids": grids,
        "noise_floor": {f"calibration {test.number}": test.noise_floor for test in tests},
    }
    return OpenMPIPool(protocol, pool, np.ones(len(pool), np.float32), tuple(tests), facts)


def open_mpi_source(
    root: str | Path,
    protocol: str,
    scale: int,
    *,
    snr_threshold: float | None = None,
    size: int = 32,
    batch_size: int = 64,
) -> TrainingRows:
    """The training rows of a protocol; see :func:`open_mpi_pool`, whose ``source`` this is.

    Source: TranSMS paper, section IV-A2.
    """
    return open_mpi_pool(root, protocol, scale=scale, snr_threshold=snr_threshold, size=size).source(batch_size)


def noise_from_snr(values: Complex[Array, "c f n"], snr: Float[Array, "c f"]) -> Float[np.ndarray, "c f"]:
    """Complex standard deviation of the noise of rows from their stored SNR.

    sigma = (2/sqrt(pi)) level / SNR, with level the median modulus of the voxels above 90 % of the row's largest, and the mean
    modulus of noise sqrt(pi)/2 sigma: the rule of :func:`mpijax.io.system_matrix_snr` for rows of SNR above 3.5.

    Args:
        values: rows, background subtracted [their unit].
        snr: of each row.

    Returns:
        [unit of the rows]; NaN where the SNR is not a positive number, or no value of the row is.
    """
    snr = np.asarray(snr, np.float64)
    level = np.empty(snr.shape)
    for index in np.ndindex(snr.shape):
        modulus = np.abs(np.asarray(values[index]))
        modulus = modulus[np.isfinite(modulus)]
        level[index] = np.median(modulus[modulus >= PEAK_FRACTION * modulus.max()]) if len(modulus) else np.nan
    known = np.isfinite(snr) & (snr > 0)
    return 2 / math.sqrt(math.pi) * np.divide(level, snr, out=np.full(snr.shape, np.nan), where=known)


def _files(root: str | Path, protocol: str) -> dict[int, SystemMatrixFile]:
    """The protocol's calibrations by number, opened."""
    parts = OPEN_MPI_PROTOCOLS[protocol]
    wanted = (*parts.train, *parts.test)
    data = OpenMPIDataset(root)
    present = sorted({entry.number for entry in data.calibrations if entry.number is not None})
    missing = [number for number in wanted if number not in present]
    if missing:
        doubtful = [e for e in data.calibrations if e.number is None and set(e.candidates) & set(missing)]
        hint = "".join(
            f" {entry.path} may be {_numbers(entry.candidates, 'or')}: put the number into the file name."
            for entry in doubtful
        )
        raise MDFError(
            f"protocol {protocol!r} trains on calibration {_numbers(parts.train)} and tests on {_numbers(parts.test)}; "
            f"{_numbers(missing)} {'is' if len(missing) == 1 else 'are'} missing from {data.root}, which holds "
            f"{_numbers(present) if present else 'no identified calibration'}.{hint}"
        )
    return {number: open_system_matrix(data.calibration(number).path) for number in wanted}


def _whitened(number: int, file: SystemMatrixFile, threshold: float, size: int, scale: int) -> WhitenedCalibration:
    info = file.info
    if file.snr is None and info.n_background_frames < 2:
        raise MDFError(
            f"{info.path} (calibration {number}) holds neither an SNR nor two background frames, so the noise of its rows is not "
            "known."
        )
    nx, ny, nz = file.grid.shape
    shape = (min(size, nx // scale * scale), min(size, ny // scale * scale), nz)
    chosen = file.select(
        snr_threshold=threshold / STORED_MARGIN,
        min_frequency=MIN_FREQUENCY,
        max_frequency=MAX_FREQUENCY_FRACTION * file.bandwidth,
    )
    matrix = chosen.read(background="mean" if info.n_background_frames else "none")
    noise = _noise(matrix)
    known = np.isfinite(noise) & (noise > 0)
    divisor = np.where(known, noise, np.inf)
    matrix = matrix.crop(shape)
    values = np.asarray(matrix.values)
    check_finite(f"{info.path} (calibration {number})", values)
    values /= divisor[..., None].astype(values.real.dtype)
    snr = np.stack([np.linalg.norm(rows, axis=-1) for rows in values]) / math.sqrt(matrix.grid.size)
    keep = known & (snr >= threshold)
    if matrix.row_mask is not None:
        keep &= np.asarray(matrix.row_mask)
    if not keep.any():
        raise ValueError(
            f"snr_threshold = {threshold:g} keeps no row of {info.path} (calibration {number}), whose largest SNR is "
            f"{snr.max():.3g}; choose a lower threshold."
        )
    background = None if matrix.background is None else np.asarray(matrix.background) / divisor.astype(snr.dtype)
    matrix = replace(matrix, values=values, background=background, row_mask=keep)
    return WhitenedCalibration(number, info.path, matrix.select(), noise[keep])


def _noise(matrix: SystemMatrix) -> np.ndarray:
    """Complex standard deviation of the noise of all rows (c, f)."""
    if matrix.background is not None and matrix.background.shape[0] > 1:
        return frame_std(matrix.background)
    return noise_from_snr(matrix.values, np.asarray(matrix.snr))


def _numbers(numbers: Iterable[int], word: str = "and") -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} {word} {last}" if first else last
