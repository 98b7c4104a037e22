"""Writing a file anew as MDF 2.1: whole or in part, field by field, so that what is kept is kept as it was measured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.checks import check_count
from mpijax.core.record import Record
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import SLAB_BYTES, is_group, read, require, spans, texts, value, walk
from mpijax.io.hdf5_open import reading
from mpijax.io.mdf.fields import (
    ACQUIRED,
    ANGLES,
    ASSUMED,
    CHANNELS,
    FREQUENCIES,
    FREQUENCIES_UNKNOWN,
    GRADIENT,
    MANDATORY,
    MANDATORY_IN_GROUP,
    OFFSET,
    OLD_SPELLINGS,
    PHASE,
    PLAN,
    ROW_MASK,
    STRENGTH,
    WAVEFORM,
)
from mpijax.io.mdf.header import read_info
from mpijax.io.mdf.info import MDFInfo
from mpijax.io.mdf.measurement import read_measurement
from mpijax.io.mdf.opened import open_mdf
from mpijax.io.mdf.read import SystemMatrixFile, frame_columns, open_system_matrix, read_columns
from mpijax.io.mdf.reconstruction import read_reconstruction, write_reconstruction
from mpijax.io.mdf.rows import check_rows, complex_dtype
from mpijax.io.mdf.shapes import take_kept_bins
from mpijax.io.mdf.write import RowWriter, check_readable, frequency_fields, identity_fields, write_fields, writing
from mpijax.io.numbers import data_numbers, numbers
from mpijax.system.facts.select import RowSelection

TRANSFER = "/acquisition/receiver/transferFunction"
INDUCTION = "/acquisition/receiver/inductionFactor"
CONVERSION = "/acquisition/receiver/dataConversionFactor"
_ANEW = (
    "/measurement/data",
    "/measurement/frequencySelection",
    "/measurement/framePermutation",
    "/measurement/sparsityTransformation",
    "/measurement/subsamplingIndices",
    "/calibration/isMeanderingGrid",
    "/calibration/positions",
    *(ACQUIRED, ROW_MASK, CHANNELS, ANGLES, FREQUENCIES, FREQUENCIES_UNKNOWN, TRANSFER, INDUCTION),
)
"""Fields that speak of single rows and frames."""


@dataclass(frozen=True, eq=False)
class Converted(Record):
    """What was written.

    Attributes:
        kind: "system matrix", "measurement" or "reconstruction".
        shape: of the data as they are stored.
        raw: whether the numbers are those of the first file, and not spectra made of them.
        errors: of the rows by compression, relative to the norm of each, (rows,), or None.
    """

    kind: str
    shape: tuple[int, ...]
    raw: bool
    errors: np.ndarray | None = None


def convert(
    path: str | Path,
    output: str | Path,
    *,
    selection: RowSelection | None = None,
    frames: Any = None,
    average_frames: int = 1,
    compress: float | None = None,
) -> Converted:
    """Write a file of any format that is read, or a part of it, as MDF 2.1.0.

    A calibration is written as spectra [J, C, K, N] in physical units, voxels sorted, background frames behind them, its transfer
    function beside them and not applied; an SNR that is missing is computed from background frames. A measurement keeps its samples
    or spectra, their type and scale, and all background frames; rows can be chosen, and frames averaged, of spectra only, which are
    then made. The header goes with it; what MDF 2.1 demands and the file lacks is written as unknown.

    Args:
        path: the file or folder.
        output: MDF file to write, replaced only once it is complete.
        selection: which rows; None = all.
        frames: which foreground frames of a measurement or a reconstruction, in the order in which they are written, each once: a
            frame that stood there twice would count twice in every mean and make the noise too small. None = all.
        average_frames: mean over this many consecutive ones of them.
        compress: of a calibration, as for :func:`mpijax.io.write_system_matrix`.

    Returns:
        What was written.

    Raises:
        OSError, ValueError: a file that cannot be read or written, a selection that keeps nothing, or an option that the kind of
            file does not have, frames that the file lacks (a range that ends behind the last one) or that are named twice.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    info = read_info(path)
    check_count("average_frames", average_frames)
    selects = selection is not None and selection != RowSelection()
    if info.is_calibration:
        if frames is not None or average_frames != 1:
            raise ValueError(f"{path} is a calibration, whose frames are its voxels; choose rows of it, not frames.")
        return _convert_matrix(Path(output), path, selection if selects else None, compress)
    if compress is not None:
        raise ValueError(f"{path} is no calibration; MDF compresses system matrices only. Leave out compress.")
    if not info.data_shape and info.reconstruction is not None:
        if selects or average_frames != 1:
            raise ValueError(f"{path} holds images, which have no rows and are not averaged.")
        images = read_reconstruction(path)
        chosen = images.images if frames is None else images.images[_kept(frames, len(images.images))]
        write_reconstruction(output, replace(images, images=chosen))
        return Converted("reconstruction", chosen.shape, True)
    if selects or average_frames != 1:
        return _convert_spectra(Path(output), info, selection or RowSelection(), frames, average_frames)
    return _convert_raw(Path(output), info, frames)


def _convert_matrix(
    output: Path, path: str | Path, selection: RowSelection | None, compress: float | None
) -> Converted:
    source = open_system_matrix(path).with_snr()
    source = source if selection is None else source.select(selection)
    info, grid = source.info, source.grid
    foreground, empty = frame_columns(info)
    rows = (info.n_periods, source.n_channels, len(source.bins))
    with (
        open_mdf(path) as file,
        writing(output, int(np.prod(rows)) * info.n_frames * complex_dtype(info).itemsize) as made,
    ):
        fields = _header(file, info) | _row_fields(file, info, source.channel_positions, source.bins, source)
        fields |= {
            "/calibration/size": np.asarray(grid.shape, np.int64),
            "/calibration/fieldOfView": np.asarray(grid.fov, np.float64),
            "/calibration/fieldOfViewCenter": np.asarray(grid.center, np.float64),
            "/calibration/order": "xyz",
            "/measurement/isFastFrameAxis": 1,
            "/measurement/isFourierTransformed": 1,
            **_frame_fields(info, np.concatenate([foreground, empty])),
        }
        fields.pop(CONVERSION, None)  # has been applied
        if selection is not None or compress is not None:
            fields.pop(PLAN, None)  # which makes the whole
        offsets = fields.get("/calibration/offsetFields")
        if offsets is not None and len(offsets) == len(foreground):
            fields["/calibration/offsetFields"] = offsets[info.voxel_frames]
        snr = source.snr if info.snrs is None else info.snrs[:, source.channel_positions][:, :, source.bins]
        if snr is not None:
            fields["/calibration/snr"] = np.broadcast_to(snr, rows)
        write_fields(made, fields)
        writer = RowWriter(made, rows, (len(foreground), len(empty)), grid.shape, complex_dtype(info), compress)
        for place, part in _parts(source):
            check_rows(file, part.info, part.channel_positions, part.bins, None)
            values, frames = read_columns(file, part, (foreground, empty))
            writer.write(place, values[0], frames[0])
        check_readable(made, output)
        shape = made["/measurement/data"].shape
    return Converted("system matrix", shape, False, np.concatenate(writer.errors) if writer.errors else None)


def _parts(source: SystemMatrixFile) -> Iterator[tuple[tuple[int, int, slice], SystemMatrixFile]]:
    """Blocks of rows of one period and channel, and where they stand among those that are written."""
    step = max(1, SLAB_BYTES // (source.info.n_frames * complex_dtype(source.info).itemsize))
    for period, channel in np.ndindex(source.info.n_periods, source.n_channels):
        info, kept = source.info.at_period(period), source.channel_positions[channel : channel + 1]
        for first in range(0, len(source.bins), step):
            part = slice(first, min(first + step, len(source.bins)))
            one = replace(source, info=info, channel_positions=kept, bins=source.bins[part], row_mask=None, snr=None)
            yield (period, channel, part), one


def _convert_raw(output: Path, info: MDFInfo, frames: Any) -> Converted:
    """The numbers of the chosen frames as they are."""
    foreground = np.flatnonzero(~info.is_background_frame)
    chosen = foreground if frames is None else foreground[_kept(frames, len(foreground))]
    columns = np.sort(np.concatenate([chosen, np.flatnonzero(info.is_background_frame)]))
    columns[~info.is_background_frame[columns]] = chosen  # in the order that is asked for, background where it was
    if not len(columns):
        raise MDFError(f"{info.path} has no frames to write.")
    with open_mdf(info.path) as file:
        stored = require(file, "/measurement/data", partly=True)
        checked, fast = data_numbers(file), info.flags["isFastFrameAxis"]
        axis = 3 if fast else 0
        shape = list(stored.shape)
        shape[axis] = len(columns)
        one = max(1, stored.dtype.itemsize * int(np.prod(shape)) // len(columns))
        with writing(output, one * len(columns)) as made:
            every, all_bins = np.arange(info.n_channels), np.arange(len(info.frequency_indices))
            fields = _header(file, info) | _row_fields(file, info, every, all_bins, None)
            write_fields(made, fields | _frame_fields(info, columns))
            data = made.create_dataset("/measurement/data", tuple(shape), stored.dtype)
            step = max(1, SLAB_BYTES // one)
            for first in range(0, len(columns), step):
                part = columns[first : first + step]
                where: tuple[Any, ...] = (slice(None),) * axis
                order = np.argsort(part)
                block = np.empty([*shape[:axis], len(part), *shape[axis + 1 :]], stored.dtype)
                for start, stop, here in spans(part[order], 1, len(part)):
                    checked.check(*where, slice(start, stop))
                    block[(*where, order[here])] = read(stored, (*where, slice(start, stop)))
                data[(*where, slice(first, first + len(part)))] = block
            check_readable(made, output)
    return Converted("measurement", tuple(shape), True)


def _convert_spectra(
    output: Path, info: MDFInfo, selection: RowSelection, frames: Any, average_frames: int
) -> Converted:
    """Spectra of the chosen rows, averaged over frames, background frames behind them."""
    if selection.snr_threshold:
        raise ValueError(
            f"{info.path} is a measurement, whose rows have no SNR; leave out snr_threshold, or choose rows by frequency."
        )
    if frames is not None:
        _kept(frames, info.n_foreground_frames)
    channels, bins, mask = selection.rows_of(_Rows.of(info))
    measured = read_measurement(info.path, frames=frames, average_frames=average_frames, apply_transfer_function=False)
    values = np.asarray(measured.values)
    if measured.background is not None:
        values = np.concatenate([values, np.asarray(measured.background)])
    values = values[:, :, channels][..., bins]
    count = len(measured.values)
    with open_mdf(info.path) as file, writing(output, values.nbytes) as made:
        fields = _header(file, info) | _row_fields(
            file, info, channels, bins, _Rows.of(info).kept(channels, bins, mask)
        )
        fields |= {
            "/acquisition/numAverages": info.n_averages * average_frames,
            "/acquisition/numFrames": len(values),
            "/measurement/isBackgroundFrame": np.arange(len(values)) >= count,
            "/measurement/isFastFrameAxis": 0,
            "/measurement/isFourierTransformed": 1,
            "/measurement/isFramePermutation": 0,
        }
        if info.acquisition_index is not None:
            foreground = np.flatnonzero(~info.is_background_frame)
            chosen = foreground if frames is None else foreground[_kept(frames, len(foreground))]
            chosen = chosen[: count * average_frames : average_frames]
            columns = np.concatenate([chosen, np.flatnonzero(info.is_background_frame)])
            fields[ACQUIRED] = info.acquisition_index[columns]
        fields.pop(CONVERSION, None)
        write_fields(made, fields | {"/measurement/data": values})
        check_readable(made, output)
    return Converted("measurement", values.shape, False)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a measurement, as a selection asks for them."""

    channels: tuple[int, ...]
    frequencies: np.ndarray
    frequency_indices: np.ndarray
    bandwidth: float
    row_mask: np.ndarray | None
    n_samples: int
    sequence: Any
    snr: None = None

    @staticmethod
    def of(info: MDFInfo) -> "_Rows":
        channels = info.channel_numbers or tuple(range(info.n_channels))
        spectrum = info.frequencies, info.frequency_indices, info.bandwidth
        return _Rows(channels, *spectrum, info.row_mask, info.n_samples, info.sequence)

    def kept(self, channels: np.ndarray, bins: np.ndarray, mask: np.ndarray) -> "_Rows":
        return replace(
            self,
            channels=tuple(self.channels[i] for i in channels),
            frequencies=self.frequencies[bins],
            frequency_indices=self.frequency_indices[bins],
            row_mask=None if mask.all() else mask,
        )


def _header(file: h5py.File, info: MDFInfo) -> dict[str, Any]:
    """The fields of a file that do not speak of single rows and frames, under the names and in the shapes of MDF 2.1."""
    fields: dict[str, Any] = {}
    for path in walk(file):
        with reading(file.filename, path):
            item = file[path]
            plain = item.dtype.kind in "biufcS" or h5py.check_string_dtype(item.dtype) is not None
        if plain and path not in _ANEW:
            found = value(file, path)
            if found is not None:
                fields[path] = found
    for old in OLD_SPELLINGS.values():
        fields.pop(old, None)
    periods = info.n_periods
    fields |= _unknown(file, fields) | identity_fields()
    fields |= {f"/measurement/{name}": int(on) for name, on in info.flags.items()} if info.data_shape else {}
    fields |= {
        "/acquisition/numAverages": info.n_averages,
        "/acquisition/numFrames": info.n_frames,
        "/acquisition/numPeriodsPerFrame": periods,
        "/acquisition/receiver/bandwidth": info.bandwidth,
        "/acquisition/receiver/numSamplingPoints": info.n_samples,
    }
    if info.divider is not None:
        shape = info.divider.shape
        strengths, phases = (
            np.zeros((1, *shape)) if given is None else given for given in (info.strengths, info.phases)
        )
        waveform = np.asarray(info.waveform, object)
        waveform = waveform.reshape(shape) if waveform.size == info.divider.size else waveform.ravel()[:1]
        fields |= {
            "/acquisition/drivefield/divider": info.divider,
            "/acquisition/drivefield/numChannels": shape[0],
            STRENGTH: np.broadcast_to(strengths, (periods, *shape)),
            PHASE: np.broadcast_to(phases, (periods, *shape)),
            WAVEFORM: np.broadcast_to(waveform, shape),
        }
    for name, given in ((GRADIENT, info.gradients), (OFFSET, info.offset_fields)):
        if given is not None:
            fields[name] = np.broadcast_to(given, (periods, *given.shape[1:]))
    for name in [name for name in fields if name.startswith("/tracer/") and "/_" not in name]:
        fields[name] = np.atleast_1d(np.asarray(fields[name]))
    return fields


def _unknown(file: h5py.File, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What MDF 2.1 demands and a file lacks, as unknown; fields that are only assumed are named."""
    wanted = list(MANDATORY) + [
        f"/tracer/{name}" for name in MANDATORY_IN_GROUP["/tracer"] if is_group(file, "/tracer")
    ]
    wanted += [f"/calibration/{name}" for name in MANDATORY_IN_GROUP["/calibration"] if is_group(file, "/calibration")]
    missing = [name for name in wanted if name not in fields]
    found: dict[str, Any] = {name: "n.a." for name in missing}
    numbers_of = {
        "/study/number": 0,
        "/experiment/number": 0,
        "/experiment/isSimulation": 0,
        "/tracer/concentration": 0.0,
    }
    numbers_of |= {"/tracer/volume": 0.0}
    numbers_of |= {f"/acquisition/drivefield/{name}": np.nan for name in ("baseFrequency", "cycle")}
    found |= {name: item for name, item in numbers_of.items() if name in found}
    drive = {"/acquisition/drivefield/divider": np.zeros((1, 1), int), "/acquisition/drivefield/numChannels": 1}
    drive |= {STRENGTH: np.zeros((1, 1, 1)), PHASE: np.zeros((1, 1, 1)), WAVEFORM: "sine"}
    assumed = {*(texts(file, ASSUMED) or ()), *(name for name in (PHASE, WAVEFORM) if name in missing)}
    found |= {name: item for name, item in drive.items() if name in found}
    return found | ({ASSUMED: tuple(sorted(assumed))} if assumed else {})


def _row_fields(
    file: h5py.File, info: MDFInfo, channels: np.ndarray, bins: np.ndarray, kept: "SystemMatrixFile | _Rows | None"
) -> dict[str, Any]:
    """What speaks of the chosen rows; ``kept`` is None where they are all, as they are stored."""
    fields: dict[str, Any] = {"/acquisition/receiver/numChannels": len(channels)}
    stored = numbers(file, TRANSFER, 2)
    if stored is not None:
        values = take_kept_bins(stored[()], "transferFunction", info.path, info.n_samples, info.frequency_indices)
        fields[TRANSFER] = values[channels][:, bins]
    if info.induction_factor is not None:
        fields[INDUCTION] = info.induction_factor[channels]
    if info.angles is not None:
        fields[ANGLES] = info.angles[channels]
    numbered = info.channel_numbers or tuple(range(info.n_channels))
    if info.channel_numbers is not None or len(channels) < info.n_channels:
        fields[CHANNELS] = np.asarray([numbered[i] for i in channels])
    rows = _Rows.of(info) if kept is None else kept
    if rows.row_mask is not None:
        fields[ROW_MASK] = np.asarray(rows.row_mask).astype(np.int8)
    return fields | {"/measurement/isFrequencySelection": 0} | frequency_fields(rows)


def _frame_fields(info: MDFInfo, columns: np.ndarray) -> dict[str, Any]:
    """What speaks of the chosen stored frames, in the order in which they are written."""
    mask = info.is_background_frame[columns]
    fields: dict[str, Any] = {"/acquisition/numFrames": len(columns), "/measurement/isBackgroundFrame": mask}
    fields["/measurement/isSparsityTransformed"] = 0
    acquired = None if info.acquisition_index is None else info.acquisition_index[columns]
    known = acquired is not None and not np.array_equal(acquired, np.arange(len(columns)))
    if acquired is not None and np.array_equal(np.sort(acquired), np.arange(len(columns))):
        fields["/measurement/isFramePermutation"] = int(known)
        return fields | ({"/measurement/framePermutation": acquired + 1} if known else {})
    fields["/measurement/isFramePermutation"] = int(acquired is None and info.flags["isFramePermutation"])
    return fields | ({} if acquired is None else {ACQUIRED: acquired})


def _kept(frames: Any, length: int) -> np.ndarray:
    """Positions of the chosen frames, each of which is there once."""
    if not length:
        raise ValueError("the file holds background frames only; leave out frames.")
    try:
        chosen = np.atleast_1d(np.arange(length)[frames])
    except IndexError:
        raise ValueError(
            f"frames = {_typed(frames)} names a frame that is none of the {length}, counted from 0."
        ) from None
    if not len(chosen):
        raise ValueError(f"frames = {_typed(frames)} holds none of the {length} frames, counted from 0.")
    if isinstance(frames, slice) and (frames.stop or 0) > length:
        raise ValueError(
            f"frames = {_typed(frames)} ends behind the last of {length} frames; {len(chosen)} of the range exist."
        )
    found, counts = np.unique(chosen, return_counts=True)
    if counts.max() > 1:
        raise ValueError(
            f"frames = {_typed(frames)} names frame {found[np.argmax(counts)]} more than once; name each once."
        )
    return chosen


def _typed(frames: Any) -> str:
    """Frames as one types them: 50:60, or 7,1,4."""
    if isinstance(frames, slice):
        parts = [frames.start, frames.stop] + ([] if frames.step is None else [frames.step])
        return ":".join("" if part is None else str(part) for part in parts)
    return ",".join(map(str, frames)) if isinstance(frames, list) else repr(frames)
