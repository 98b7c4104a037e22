"""The two files of ``mpijax reconstruct``: which rows, which frames, which background, and how many frames at a time."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import mpijax as mj
from mpijax.cli.paths import by, check_input
from mpijax.core.checks import check_choice, check_count
from mpijax.core.sharding import row_sharding
from mpijax.reconstruction import Problem, patch_problem
from mpijax.system.facts.compare import COMPARED

WEIGHTS = ("none", "row_norm", "whitening")
BACKGROUNDS = ("auto", "none", "mean", "interpolate")
SNR = 2.0
"""Least SNR of a row where the file has one and none is asked for: that of the Open MPI reference reconstructions."""

BLOCK_BYTES = 2**26
"""Measured data of a block, at most where its size is not given."""
MOST_IMAGES = 512
"""Images of a block, at most where its size is not given: more would not be faster, and less would be lost."""


@dataclass(frozen=True)
class RowOptions:
    """Which rows of the system matrix are used.

    Attributes:
        snr_threshold: least SNR of a row; not given = 2 where the file has SNR or background frames; 0 = all rows.
        min_frequency: least frequency [kHz]; keeps out the filtered fundamental.
        max_frequency: largest frequency [kHz].
        max_order: largest mixing order.
        channels: receive channels, counted from 0; not given = all.
        weights: of the rows: none, row_norm or whitening (by the background frames).
    """

    snr_threshold: float | None = None
    min_frequency: float = 80.0
    max_frequency: float | None = None
    max_order: int | None = None
    channels: tuple[int, ...] | None = None
    weights: str = "none"

    def selection(self, path: Path) -> mj.RowSelection:
        """The criteria in SI units for a file, which says by itself whether it has an SNR."""
        snr = self.snr_threshold
        if snr is None:
            info = mj.io.read_info(path)
            snr = SNR if info.snrs is not None or info.n_background_frames else 0.0
        return mj.RowSelection(
            snr_threshold=snr,
            min_frequency=self.min_frequency * 1e3,
            max_frequency=None if self.max_frequency is None else self.max_frequency * 1e3,
            max_mixing_order=self.max_order,
            channels=self.channels,
        )


@dataclass(frozen=True)
class DataOptions:
    """Which frames of the measurement are used, and their background.

    Attributes:
        background: subtracted from matrix and measurement: auto (mean of the background frames a file has, unless it has been
            subtracted), none, mean or interpolate.
        empty: MDF file of an empty scan; the mean of all its frames is subtracted from the measurement instead.
        frames: foreground frames, counted from 0: one (5) or a range (0:100, the end left out); not given = all.
        average_frames: frames to average; 1 = an image of every frame, not given = one image of all.
        period: period to reconstruct, counted from 0, of a measurement with several per frame.
        correct_leakage: suppress what does not repeat from frame to frame (time-domain data).
        transfer_function: divide by the transfer functions that the files hold.
        force: reconstruct even if the files say that matrix and measurement are of different scans.
        drift_components: principal components of the background frames that are fitted beside the image.
    """

    background: str = "auto"
    empty: Path | None = None
    frames: str | None = None
    average_frames: int | None = None
    period: int | None = None
    correct_leakage: bool = False
    transfer_function: bool = True
    force: bool = False
    drift_components: int = 0


@dataclass(frozen=True)
class BlockOptions:
    """How many frames are solved together, and on what.

    Attributes:
        devices: devices to use: all, or how many; not given = one.
        split: what the devices share: the frames, or the rows of a matrix larger than one of them (tikhonov and admm).
        block: images solved and written at a time; not given = 64 MB of measured data, 512 at most.
    """

    devices: str | None = None
    split: str = "frames"
    block: int | None = None

    def sharding(self) -> NamedSharding | None:
        """Of the data (frames, rows) over the devices.

        Raises:
            ValueError: no devices, or more than there are, or none to share rows.
        """
        if self.block is not None:
            check_count("block", self.block)
        check_choice("split", self.split, ("frames", "rows"))
        frames = self._frames()
        if self.split == "frames":
            return frames
        if frames is None:
            raise ValueError("split = 'rows' needs devices that share them; give --devices all, or how many.")
        return NamedSharding(frames.mesh, PartitionSpec(None, *frames.spec))

    def _frames(self) -> NamedSharding | None:
        if self.devices in (None, "all"):
            return None if self.devices is None else row_sharding()
        found = jax.devices()
        if not self.devices.isdecimal() or not 1 <= int(self.devices) <= len(found):
            raise ValueError(
                f"devices = {self.devices}; this process has {len(found)} ({found[0].platform}): give all or a number from 1 to "
                f"{len(found)}. A CPU counts as N devices with XLA_FLAGS=--xla_force_host_platform_device_count=N."
            )
        return row_sharding(found[: int(self.devices)])

    def size(self, scan: mj.io.MDFInfo, periods: int, devices: int) -> int:
        """Images per block, a multiple of the devices where it is not given."""
        if self.block is not None:
            return self.block
        fit = BLOCK_BYTES // (8 * periods * scan.n_channels * len(scan.frequency_indices))
        return devices * -(-min(max(fit, 1), MOST_IMAGES) // devices)


@dataclass(frozen=True)
class Inputs:
    """What was read: one matrix per patch and the measurement, of which there may be more blocks."""

    matrices: list[mj.SystemMatrix]
    measurement: mj.Measurement
    """The first block."""
    read: Callable[[int], mj.Measurement]
    """Reads a block by its number."""
    blocks: int
    block: int
    """Images of every block but the last one."""
    titles: tuple[str, ...]
    """The frames that each image is made of."""
    snr_threshold: float
    said: tuple[str, ...]
    origin: dict[str, Any]
    check: bool
    heard: mj.Measurement | None
    """One frame that is zero where all blocks are; None of one block."""

    def problem(self, rows: RowOptions, data: DataOptions, measurement: mj.Measurement | None = None) -> Problem:
        """The equations of one patch, or of all patches together, of a block; None = of the first one."""
        options: dict[str, Any] = {
            "row_weights": None if rows.weights == "none" else rows.weights,
            "drift_components": data.drift_components,
            "check": self.check,
            "scan": self.heard,
        }
        measurement = self.measurement if measurement is None else measurement
        if len(self.matrices) == 1:
            return Problem.create(self.matrices[0], measurement, **options)
        return patch_problem(self.matrices, measurement, **options)

    def problems(self, rows: RowOptions, data: DataOptions, first: int = 0) -> Iterator[Problem]:
        """The equations of the blocks from one on."""
        for i in range(first, self.blocks):
            yield self.problem(rows, data, self.read(i) if i else self.measurement)

    def describe(self, problem: Problem) -> str:
        """Rows, frames and background in a few lines."""
        frequencies = np.concatenate([np.asarray(m.frequencies) for m in self.matrices]) / 1e3
        band = "unknown frequency"
        if np.isfinite(frequencies).any():
            band = f"{np.nanmin(frequencies):.4g} to {np.nanmax(frequencies):.4g} kHz"
        snr = f", SNR at least {self.snr_threshold:g}" if self.snr_threshold else ""
        patches = f", {len(self.matrices)} patches" if len(self.matrices) > 1 else ""
        first = f"{len(problem.matrix)} rows of {band}{snr}; {by(problem.grid.shape)} voxels{patches}"
        absent = [name for name in COMPARED if any(name in found.absent for found in problem.comparison)]
        unsaid = [f"not compared, a file does not say: {', '.join(absent)}"] if absent else []
        forced = [f"taken as they are: {difference}" for found in problem.comparison for difference in found.differing]
        return "\n".join([first, *self.said, *unsaid, *forced])

    def parameters(self, problem: Problem) -> dict[str, Any]:
        """The same for the file that is written."""
        found = problem.comparison
        return {
            "rows": len(problem.matrix),
            "snrThreshold": self.snr_threshold,
            **self.origin,
            "checked": self.check,
            "compared": ", ".join(n for n in COMPARED if all(n in c.compared for c in found)),
            "differing": "; ".join(dict.fromkeys(text for c in found for text in c.differing)) or None,
            "gradientRatio": found[0].gradient_ratio,
        }


def read_inputs(
    system_matrix: Path,
    measurement: Path,
    rows: RowOptions,
    data: DataOptions,
    size: Callable[[mj.io.MDFInfo, int], int] | None = None,
) -> Inputs:
    """Read the rows of the matrix and the averaged frames of the measurement that were asked for.

    Args:
        system_matrix, measurement, rows, data: see ``mpijax reconstruct``.
        size: images per block, of the measurement's header and the periods per frame that are kept; None = all in one.

    Raises:
        FileNotFoundError, MDFError, ValueError: files or options that do not fit.
    """
    for path in (system_matrix, measurement, data.empty):
        if path is not None:
            check_input(path)
    check_choice("background", data.background, BACKGROUNDS)
    check_choice("weights", rows.weights, WEIGHTS)
    check_count("drift_components", data.drift_components, 0)
    if data.empty is not None and data.background not in ("auto", "none"):
        raise ValueError(f"background = {data.background!r} and an empty scan are both given; choose one.")
    calibration, scan = mj.io.read_info(system_matrix), mj.io.read_info(measurement)
    if not calibration.is_calibration:
        swapped = " The two files seem to be swapped." if scan.is_calibration else ""
        raise ValueError(f"{system_matrix} holds no calibration; the system matrix is the first file.{swapped}")
    if scan.is_calibration:
        raise ValueError(f"{measurement} is a calibration; the measurement is the second file.")
    empty = None if data.empty is None else _empty_scan(data.empty, scan)
    patches = range(calibration.n_periods)
    periods, averaged = _periods(scan, calibration.n_periods, data.period)
    selection = rows.selection(system_matrix)
    transfer: Any = "auto" if data.transfer_function else False
    matrices = [
        mj.io.read_system_matrix(
            system_matrix,
            period=i,
            background=_background(calibration, data.background),
            apply_transfer_function=transfer,
            selection=selection,
        )
        for i in patches
    ]
    frames = _frames(data.frames)
    chosen = np.arange(scan.n_foreground_frames)[frames] if isinstance(frames, slice) else np.atleast_1d(frames)
    if not len(chosen):
        raise ValueError(
            f"frames = {data.frames!r} holds none of the {scan.n_foreground_frames} frames, counted from 0."
        )
    average = len(chosen) if data.average_frames is None else data.average_frames
    background = "none" if data.empty is not None else _background(scan, data.background)
    check_count("average_frames", average)
    images = len(chosen) // average
    block = max(images, 1) if size is None else size(scan, calibration.n_periods)
    one = images <= block
    if not one and len(chosen) % average:
        warnings.warn(
            f"{len(chosen)} frames are averaged by {average}; the last {len(chosen) % average} of them are left out.",
            stacklevel=2,
        )

    def read(i: int) -> mj.Measurement:
        first = i * block * average
        return mj.io.read_measurement(
            measurement,
            background=background,
            empty_scan=data.empty,
            frames=frames if one else chosen[first : min(first + block * average, images * average)],
            periods=periods,
            average_frames=average,
            average_periods=averaged,
            apply_transfer_function=transfer,
            correct_leakage=data.correct_leakage,
            check=not data.force,
        )

    measured, blocks = read(0), max(1, -(-images // block))
    return Inputs(
        [m for m in matrices if isinstance(m, mj.SystemMatrix)],
        measured,
        read,
        blocks,
        block,
        tuple(_title(chosen[i * average : (i + 1) * average]) for i in range(images)),
        float(selection.snr_threshold or 0.0),
        (
            _frames_text(scan, len(chosen), images, average, averaged),
            _background_text(scan, empty, background),
        ),
        {
            "rowWeights": rows.weights,
            "driftComponents": data.drift_components,
            "minFrequency": rows.min_frequency * 1e3,
            "maxFrequency": selection.max_frequency,
            "maxMixingOrder": rows.max_order,
            "channels": rows.channels,
            "averageFrames": average,
            "averagePeriods": averaged,
            "background": background,
            "emptyScan": None if data.empty is None else data.empty.name,
            "systemMatrix": system_matrix.name,
            "systemMatrixUuid": calibration.uuid,
            "measurement": measurement.name,
            "measurementUuid": scan.uuid,
        },
        not data.force,
        None if blocks == 1 else _heard(measured, map(read, range(1, blocks))),
    )


def _heard(first: mj.Measurement, further: Iterator[mj.Measurement]) -> mj.Measurement:
    """One frame of ones where any block is not zero; blocks are read until every channel of every period has been heard."""
    heard = np.any(first.values, axis=0)
    while not heard.any(axis=-1).all() and (block := next(further, None)) is not None:
        heard |= np.any(block.values, axis=0)
    return replace(first, values=heard[None].astype(np.complex64))


def _periods(scan: mj.io.MDFInfo, patches: int, period: int | None) -> tuple[Any, int]:
    """Which periods of a frame to read, and how many of them to average."""
    if period is not None:
        if patches > 1:
            raise ValueError(
                f"the calibration has {patches} periods (patches), which are reconstructed together; leave out --period."
            )
        return period, 1
    if patches > 1 and scan.n_periods != patches:
        raise ValueError(
            f"the calibration has {patches} periods (patches) and {scan.path} {scan.n_periods}; they must be the same patches."
        )
    if patches > 1 or scan.n_periods == 1:
        return None, 1
    fields = (scan.strengths, scan.phases, scan.gradients, scan.offset_fields)
    if any(
        field is not None and not np.array_equal(field, np.broadcast_to(field[:1], field.shape)) for field in fields
    ):
        raise ValueError(
            f"{scan.path} holds {scan.n_periods} periods of different fields (patches) and the calibration one; choose "
            f"one of them with --period 0 to {scan.n_periods - 1}, or give a calibration with all patches."
        )
    return None, scan.n_periods


def _background(info: mj.io.MDFInfo, choice: str) -> str:
    if choice != "auto":
        return choice
    has = info.n_background_frames > 0 and not info.flags["isBackgroundCorrected"]
    return "mean" if has else "none"


def _empty_scan(path: Path, scan: mj.io.MDFInfo) -> mj.io.MDFInfo:
    """The header of an empty scan, which must be another measurement."""
    info = mj.io.read_info(path)
    if info.is_calibration:
        raise ValueError(f"{path} is a calibration; an empty scan is a measurement without iron.")
    if path.resolve() == scan.path.resolve() or (info.uuid is not None and info.uuid == scan.uuid):
        raise ValueError(f"{path} is the measurement itself; give the file of an empty scan, or leave out --empty.")
    return info


def _frames(text: str | None) -> Any:
    if text is None:
        return slice(None)
    try:
        parts = [int(part) if part else None for part in text.split(":")]
    except ValueError:
        parts = []
    if all(part is None or part >= 0 for part in parts):
        if len(parts) == 2:
            return slice(*parts)
        if len(parts) == 1 and parts[0] is not None:
            return parts[0]
    raise ValueError(f"frames = {text!r}; give one frame (5) or a range (0:100), counted from 0.")


def _title(frames: np.ndarray) -> str:
    return f"frame {frames[0]}" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]}"


def _frames_text(scan: mj.io.MDFInfo, chosen: int, images: int, average: int, periods: int) -> str:
    text = f"{chosen} of {scan.n_foreground_frames} frames"
    text += f", averaged by {average} into {images}" if average > 1 else ""
    return text + (f", mean of {periods} equal periods" if periods > 1 else "")


def _background_text(scan: mj.io.MDFInfo, empty: mj.io.MDFInfo | None, background: str) -> str:
    if empty is not None:
        return f"background: mean of the {empty.n_frames} frames of {empty.path} subtracted"
    if scan.flags["isBackgroundCorrected"]:
        return "background: has been subtracted in the file"
    if background == "none":
        return "background: not subtracted"
    return f"background: {background} of {scan.n_background_frames} frames subtracted"
