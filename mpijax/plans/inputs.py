"""The two files of a reconstruction as they are read for it: rows of the matrix, blocks of averaged frames, and their equations."""

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mpijax.core.checks import check_count
from mpijax.core.files import identity
from mpijax.io import MDFInfo, open_system_matrix, read_info, read_measurement, read_system_matrix
from mpijax.io.formats import check_input
from mpijax.plans.options import DataOptions, RowOptions
from mpijax.plans.quiet_background import background_advice
from mpijax.reconstruction import Problem, patch_problem
from mpijax.system import Measurement, RowSelection, SystemMatrix
from mpijax.system.facts.compare import COMPARED


@dataclass(frozen=True, eq=False)
class Calibration:
    """The rows of a system matrix that were asked for, read once for any number of measurements. Make it with :meth:`open`.

    Attributes:
        info: the file's header.
        rows, data: what was asked for; of ``data`` background and transfer function.
        selection: the criteria of ``rows`` for this file.
    """

    info: MDFInfo
    rows: RowOptions
    data: DataOptions
    selection: RowSelection

    @staticmethod
    def open(path: str | Path, rows: RowOptions | None = None, data: DataOptions | None = None) -> "Calibration":
        """Read the header; the rows are read when they are needed.

        Raises:
            FileNotFoundError, MDFError, ValueError: no calibration, or options that cannot be.
        """
        rows, data = rows or RowOptions(), data or DataOptions()
        check_input(Path(path))
        rows.check()
        data.check()
        info = read_info(path)
        if not info.is_calibration:
            raise ValueError(
                f"{path} holds no calibration; the system matrix is the first file. Perhaps the files are swapped."
            )
        return Calibration(info, rows, data, rows.selection(info))

    @cached_property
    def matrices(self) -> list[SystemMatrix]:
        """The selected rows, one matrix per patch."""
        found = [
            read_system_matrix(
                self.info.path,
                period=i,
                background=_background(self.info, self.data.background),
                apply_transfer_function=self.data.transfer,
                selection=self.selection,
            )
            for i in range(self.info.n_periods)
        ]
        return [matrix for matrix in found if isinstance(matrix, SystemMatrix)]

    @cached_property
    def advice(self) -> list[str]:
        """A line where the background that is subtracted is no more than noise."""
        if _background(self.info, self.data.background) == "none":
            return []
        selection = replace(
            self.selection, snr_threshold=None
        )  # which takes two passes over the data where none is stored
        return background_advice(open_system_matrix(self.info.path).select(selection))


@dataclass(frozen=True, eq=False)
class Inputs:
    """What was read: one matrix per patch and the measurement, of which there may be more blocks. Make it with :func:`read_inputs`.

    Attributes:
        calibration: the matrices, and which rows were asked for.
        data: which frames were asked for, and their background.
        path: file of the measurement.
        measurement: the first block.
        read: reads a block by its number.
        blocks: how many there are.
        block: images of every block but the last one.
        titles: the frames that each image is made of.
        said: frames and background in words.
        origin: how the images were made, for the file that is written.
        heard: one frame that is zero where all blocks are; None of one block.
    """

    calibration: Calibration
    data: DataOptions
    path: Path
    measurement: Measurement
    read: Callable[[int], Measurement]
    blocks: int
    block: int
    titles: tuple[str, ...]
    said: tuple[str, ...]
    origin: dict[str, Any]
    heard: Measurement | None

    def problem(self, measurement: Measurement | None = None) -> Problem:
        """The equations of one patch, or of all patches together, of a block; None = of the first one."""
        weights, matrices = self.calibration.rows.weights, self.calibration.matrices
        options: dict[str, Any] = {
            "row_weights": None if weights == "none" else weights,
            "drift_components": self.data.drift_components,
            "check": not self.data.force,
            "scan": self.heard,
        }
        measurement = self.measurement if measurement is None else measurement
        if len(matrices) == 1:
            return Problem.create(matrices[0], measurement, **options)
        return patch_problem(matrices, measurement, **options)

    def problems(self, first: int = 0) -> Iterator[Problem]:
        """The equations of the blocks from one on."""
        for i in range(first, self.blocks):
            yield self.problem(self.read(i) if i else None)

    def describe(self, problem: Problem) -> str:
        """Rows, frames and background in a few lines."""
        matrices, snr = self.calibration.matrices, self.calibration.selection.snr_threshold
        frequencies = np.concatenate([np.asarray(m.frequencies) for m in matrices]) / 1e3
        band = "unknown frequency"
        if np.isfinite(frequencies).any():
            band = f"{np.nanmin(frequencies):.4g} to {np.nanmax(frequencies):.4g} kHz"
        least = f", SNR at least {snr:g}" if snr else ""
        patches = f", {len(matrices)} patches" if len(matrices) > 1 else ""
        shape = " x ".join(map(str, problem.grid.shape))
        first = f"{len(problem.matrix)} rows of {band}{least}; {shape} voxels{patches}"
        info, choice = self.calibration.info, self.calibration.data.background
        subtracted = f"background of the matrix: {_subtracted(info, _background(info, choice))}"
        return "\n".join([first, *self.said, subtracted, *self.calibration.advice, *unlike(problem)])

    def parameters(self, problem: Problem) -> dict[str, Any]:
        """The same for the file that is written."""
        found = problem.comparison
        return {
            "rows": len(problem.matrix),
            "snrThreshold": float(self.calibration.selection.snr_threshold or 0.0),
            **self.origin,
            "checked": not self.data.force,
            "compared": ", ".join(n for n in COMPARED if all(n in c.compared for c in found)),
            "differing": "; ".join(dict.fromkeys(text for c in found for text in c.differing)) or None,
            "gradientRatio": found[0].gradient_ratio,
        }


def read_inputs(
    calibration: Calibration,
    measurement: str | Path,
    data: DataOptions | None = None,
    size: Callable[[MDFInfo, int], int] | None = None,
) -> Inputs:
    """Read the rows of the matrix and the averaged frames of the measurement that were asked for.

    Args:
        calibration: the system matrix; its rows are read here where they have not been yet.
        measurement: MDF file with a measurement of the same sequence.
        data: which frames, and their background; None = as the calibration was asked for.
        size: images per block, of the measurement's header and the periods per frame that are kept; None = all in one.

    Raises:
        FileNotFoundError, MDFError, ValueError: files or options that do not fit.
    """
    measurement, data, patches = Path(measurement), data or calibration.data, calibration.info.n_periods
    check_input(measurement)
    data.check()
    if data.empty is not None:
        if not data.empty.exists():
            raise FileNotFoundError(f"empty = {str(data.empty)!r}; there is no such file.")
        check_input(data.empty)
    scan = read_info(measurement)
    if scan.is_calibration:
        raise ValueError(f"{measurement} is a calibration; the measurement is the second file.")
    empty = None if data.empty is None else empty_scan(data.empty, scan)
    periods, averaged = _periods(scan, patches, data.period)
    rows, selection, matrix = calibration.rows, calibration.selection, calibration.info
    frames = data.chosen_frames()
    count = scan.n_foreground_frames
    if not count:
        raise ValueError(
            f"{measurement} holds background frames only ({scan.n_background_frames}); it can serve as the empty scan of another "
            "measurement (--empty)."
        )
    chosen = np.arange(count)[frames] if isinstance(frames, slice) else np.atleast_1d(frames)
    if not len(chosen):
        raise ValueError(f"frames = {data.frames!r} holds none of the {count} frames, counted from 0.")
    if isinstance(frames, slice) and (frames.stop or 0) > count:
        raise ValueError(
            f"frames = {data.frames!r} ends behind the last of {count} frames; {len(chosen)} of the range exist."
        )
    average = len(chosen) if data.average_frames is None else data.average_frames
    background = "none" if data.empty is not None else _background(scan, data.background)
    check_count("average_frames", average)
    images = len(chosen) // average
    block = max(images, 1) if size is None else size(scan, patches)
    one = images <= block
    if not one and len(chosen) % average:
        warnings.warn(
            f"{len(chosen)} frames are averaged by {average}; the last {len(chosen) % average} of them are left out.",
            stacklevel=2,
        )

    def read(i: int) -> Measurement:
        first = i * block * average
        return read_measurement(
            measurement,
            background=background,
            empty_scan=data.empty,
            frames=frames if one else chosen[first : min(first + block * average, images * average)],
            periods=periods,
            average_frames=average,
            average_periods=averaged,
            apply_transfer_function=data.transfer,
            correct_leakage=data.correct_leakage,
            check=not data.force,
        )

    measured, blocks = read(0), max(1, -(-images // block))
    return Inputs(
        calibration,
        data,
        measurement,
        measured,
        read,
        blocks,
        block,
        tuple(_title(chosen[i * average : (i + 1) * average]) for i in range(images)),
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
            "systemMatrix": matrix.path.name,
            "systemMatrixUuid": matrix.uuid,
            "measurement": measurement.name,
            "measurementUuid": scan.uuid,
            **stored_files(matrix.path, measurement, data.empty),
        },
        None if blocks == 1 else _heard(measured, map(read, range(1, blocks))),
    )


def unlike(problem: Problem) -> list[str]:
    """A line for the facts of both files that were not compared, and one for each that differs all the same."""
    absent = [name for name in COMPARED if any(name in found.absent for found in problem.comparison)]
    unsaid = [f"not compared, a file does not say: {', '.join(absent)}"] if absent else []
    forced = [f"taken as they are: {difference}" for found in problem.comparison for difference in found.differing]
    return unsaid + forced


def stored_files(system_matrix: Path, measurement: Path, empty: Path | None) -> dict[str, str | None]:
    """What tells the files of a reconstruction from others without reading them, for the file that is written."""
    files = {"systemMatrixFile": system_matrix, "measurementFile": measurement, "emptyScanFile": empty}
    return {name: None if path is None else json.dumps(identity(path)) for name, path in files.items()}


def _heard(first: Measurement, further: Iterator[Measurement]) -> Measurement:
    """One frame of ones where any block is not zero; blocks are read until every channel of every period has been heard."""
    heard = np.any(first.values, axis=0)
    while not heard.any(axis=-1).all() and (block := next(further, None)) is not None:
        heard |= np.any(block.values, axis=0)
    return replace(first, values=heard[None].astype(np.complex64))


def _periods(scan: MDFInfo, patches: int, period: int | None) -> tuple[Any, int]:
    """Which periods of a frame to read, and how many of them to average."""
    if period is not None:
        if patches > 1:
            raise ValueError(
                f"the calibration has {patches} periods (patches), which are reconstructed together; leave out --period."
            )
        if period >= scan.n_periods:
            raise ValueError(f"period = {period}; {scan.path} has periods 0 to {scan.n_periods - 1}.")
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


def _background(info: MDFInfo, choice: str) -> str:
    if choice != "auto":
        return choice
    has = info.n_background_frames > 0 and not info.flags["isBackgroundCorrected"]
    return "mean" if has else "none"


def empty_scan(path: Path, scan: MDFInfo) -> MDFInfo:
    """The header of an empty scan.

    Raises:
        ValueError: it is a calibration, or the measurement itself.
    """
    info = read_info(path)
    if info.is_calibration:
        raise ValueError(f"{path} is a calibration; an empty scan is a measurement without iron.")
    if path.resolve() == scan.path.resolve() or (info.uuid is not None and info.uuid == scan.uuid):
        raise ValueError(f"{path} is the measurement itself; give the file of an empty scan, or leave out --empty.")
    return info


def _title(frames: np.ndarray) -> str:
    return f"frame {frames[0]}" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]}"


def _frames_text(scan: MDFInfo, chosen: int, images: int, average: int, periods: int) -> str:
    text = f"{chosen} of {scan.n_foreground_frames} frames"
    text += f", averaged by {average} into {images}" if average > 1 else ""
    return text + (f", mean of {periods} equal periods" if periods > 1 else "")


def _background_text(scan: MDFInfo, empty: MDFInfo | None, background: str) -> str:
    of = "background of the measurement:"
    if empty is not None:
        return f"{of} mean of the {empty.n_frames} frames of {empty.path} subtracted"
    return f"{of} {_subtracted(scan, background)}"


def _subtracted(info: MDFInfo, background: str) -> str:
    if info.flags["isBackgroundCorrected"]:
        return "has been subtracted in the file"
    if background == "none":
        return "not subtracted"
    return f"{background} of {info.n_background_frames} frames subtracted"
