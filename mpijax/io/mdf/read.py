"""Reading system matrices from MDF files, lazily and in slices."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.mapping import FrozenMapping
from mpijax.io.background import BackgroundModel, background_model
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import SLAB_BYTES, as_slice, require
from mpijax.io.mdf.header import read_info
from mpijax.io.mdf.info import MDFInfo
from mpijax.io.mdf.metadata import read_metadata
from mpijax.io.mdf.opened import open_mdf
from mpijax.io.mdf.rows import check_rows, complex_dtype, row_slabs, transfer_function, wants_correction
from mpijax.io.snr import Block, channel_snr, row_median, system_matrix_snr
from mpijax.system.facts.select import RowSelection
from mpijax.system.grid import Grid
from mpijax.system.matrix import SystemMatrix
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence


@dataclass(frozen=True, eq=False)
class SystemMatrixFile:
    """A system matrix on disk: its header, and which of its rows :meth:`read` will load. Made by
    :func:`open_system_matrix`.

    Attributes:
        info: the header, speaking of one period.
        grid: the grid of its voxels.
        channel_positions: kept receive channels (c,), as they stand in the file.
        bins: kept positions (f,) among ``info.frequencies``, in the file's order.
        row_mask: bool (c, f), the rows a selection keeps, or None for all.
        snr: (c, f) or None.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """

    info: MDFInfo
    grid: Grid
    channel_positions: np.ndarray
    bins: np.ndarray
    row_mask: np.ndarray | None
    snr: np.ndarray | None

    @property
    def channels(self) -> tuple[int, ...]:
        """Numbers of the kept receive channels (c,): those that the file gives, or 0, 1, .. in its order."""
        numbers = self.info.channel_numbers
        return tuple(int(i) if numbers is None else numbers[i] for i in self.channel_positions)

    @property
    def n_channels(self) -> int:
        """Number of kept receive channels."""
        return len(self.channel_positions)

    @property
    def n_rows(self) -> int:
        """Number of kept rows."""
        return (
            len(self.channel_positions) * len(self.bins)
            if self.row_mask is None
            else int(np.count_nonzero(self.row_mask))
        )

    @property
    def frequencies(self) -> np.ndarray:
        """Kept frequencies (f,) [Hz]."""
        return self.info.frequencies[self.bins]

    @property
    def frequency_indices(self) -> np.ndarray:
        """Kept rfft bins (f,)."""
        return self.info.frequency_indices[self.bins]

    @property
    def n_samples(self) -> int:
        """Samples per period."""
        return self.info.n_samples

    @property
    def bandwidth(self) -> float:
        """Half the sampling rate [Hz]."""
        return self.info.bandwidth

    @property
    def sequence(self) -> LissajousSequence | None:
        """The drive sequence, or None where the file's is not a sinusoidal Lissajous sequence."""
        return self.info.sequence

    def select(
        self,
        selection: RowSelection | None = None,
        *,
        snr_threshold: float | None = None,
        min_frequency: float | None = None,
        max_frequency: float | None = None,
        max_mixing_order: int | None = None,
        channels: Any = None,
    ) -> "SystemMatrixFile":
        """Keep rows by what the header says, as :meth:`SystemMatrix.select`; nothing of the data is read.

        Only where a threshold is given and the file has background frames but no SNR, the SNR is computed first, in two
        passes over the data that hold a few blocks of rows in memory at a time.

        Args:
            selection, snr_threshold, min_frequency, max_frequency, max_mixing_order, channels: as for
                :meth:`SystemMatrix.select`.

        Raises:
            ValueError: nothing is kept, or the file lacks what the selection needs.
        """
        selection = RowSelection.of(
            selection,
            snr_threshold=snr_threshold,
            min_frequency=min_frequency,
            max_frequency=max_frequency,
            max_mixing_order=max_mixing_order,
            channels=channels,
        )
        source = self.with_snr() if selection.snr_threshold else self
        kept_channels, kept_bins, mask = selection.rows_of(source)
        return replace(
            self,
            channel_positions=self.channel_positions[kept_channels],
            bins=self.bins[kept_bins],
            row_mask=None if mask.all() else mask,
            snr=None if source.snr is None else source.snr[kept_channels][:, kept_bins],
        )

    def thinned(self, most_bytes: float) -> "SystemMatrixFile":
        """Every so many frequencies, evenly, so that no more than ``most_bytes`` are read in single precision."""
        size = 8 * self.n_channels * len(self.bins) * self.info.n_frames
        part = slice(None, None, max(1, int(np.ceil(size / most_bytes))))
        mask, snr = (None if each is None else each[:, part] for each in (self.row_mask, self.snr))
        return replace(self, bins=self.bins[part], row_mask=mask, snr=snr)

    def with_snr(self) -> "SystemMatrixFile":
        """The same with an SNR: the file's, or computed from its background frames in two passes; None where it has neither."""
        if self.snr is not None or not self.info.n_background_frames:
            return self
        return replace(self, snr=_stored_snr(self))

    def read(self, *, background: str = "none", apply_transfer_function: bool | str = "auto") -> SystemMatrix:
        """Load the kept rows.

        Memory: the rows themselves and some 100 MiB.

        Args:
            background: "none", "mean" or "interpolate", what to subtract from every voxel; where the file says that the
                background has been subtracted, nothing is. The matrix's own background frames lose their mean with it.
            apply_transfer_function: divide by the transfer function and the induction factor: "auto" where the file has
                one and has not been corrected, True (an error without one) or False. Rows where it is zero or not
                finite cannot be corrected: they become zero and are masked out.

        Raises:
            MDFError: no calibration, a grid that does not match, or no background frames to subtract.
        """
        info = self.info
        foreground, empty = frame_columns(info)
        model = background_model(info, foreground, empty, background)
        corrects = wants_correction(info, apply_transfer_function)
        with open_mdf(info.path) as file:
            check_rows(file, info, self.channel_positions, self.bins, self.row_mask)
            values, frames = read_columns(file, self, (foreground, empty))
            transfer = transfer_function(file, info)
            metadata = read_metadata(file, info, calibration=True)
        bad = np.count_nonzero(~np.isfinite(frames).all((0, 1)))
        if bad:
            raise MDFError(f"{info.path}: {bad} of {len(empty)} background frames hold NaN or infinity; remove them.")
        snr: Any = self.snr
        if snr is None and len(empty):
            snr = system_matrix_snr(values, frames.transpose(2, 0, 1))
        if model is not None:
            _subtract(values, frames, model)
            frames = frames - frames.mean(-1, keepdims=True)
            metadata["/measurement/isBackgroundCorrected"] = 1
        mask = self.row_mask
        if transfer is not None:
            transfer = transfer[self.channel_positions][:, self.bins]
        if corrects and transfer is not None:
            usable = np.isfinite(transfer) & (transfer != 0)
            factor = np.divide(1, transfer, out=np.zeros_like(transfer), where=usable)[..., None]
            values, frames = (_scaled(array, factor, usable) for array in (values, frames))
            if not usable.all():
                mask = usable if mask is None else mask & usable
        all_channels = tuple(range(info.n_channels))
        return SystemMatrix.create(
            values,
            self.frequencies,
            self.grid,
            frequency_indices=self.frequency_indices,
            n_samples=info.n_samples,
            bandwidth=info.bandwidth,
            snr=snr,
            background=np.ascontiguousarray(frames.transpose(2, 0, 1)) if len(empty) else None,
            scanner=None if info.gradient is None else Scanner.from_mdf(info),
            sequence=self.sequence,
            metadata=FrozenMapping(metadata),
            row_mask=mask,
            angles=None if info.angles is None else info.angles[self.channel_positions],
            sample_concentration=1.0 if info.tracer_concentration is None else info.tracer_concentration,
            sample_volume=info.sample_volume,
            transfer_function=transfer,
            transfer_function_corrected=corrects or info.flags["isTransferFunctionCorrected"],
            channels=None if info.channel_numbers is None and self.channels == all_channels else self.channels,
            patch=info.patch,
        )


def read_stored_rows(source: SystemMatrixFile) -> np.ndarray:
    """The kept rows at all frames as they are stored (c, f, N), in physical units; a fraction of what :meth:`read` takes of few.

    :func:`frame_columns` says which of them are voxels, and which are background.

    Raises:
        ValueError: bins that do not ascend.
        FileNotFoundError, OSError, MDFError: see :meth:`SystemMatrixFile.read`.
    """
    if np.any(np.diff(source.bins) < 0):
        raise ValueError("bins do not ascend; sort them.")
    found = np.empty((source.n_channels, len(source.bins), source.info.n_frames), complex_dtype(source.info))
    with open_mdf(source.info.path) as file:
        check_rows(file, source.info, source.channel_positions, source.bins, source.row_mask)
        for channel, rows, frames, block in row_slabs(file, source.info, source.channel_positions, source.bins):
            found[channel, rows, frames] = block
    return found


def open_system_matrix(path: str | Path, *, period: int = 0) -> SystemMatrixFile:
    """Open a system matrix without reading its data.

    Args:
        path: an MDF file with a calibration.
        period: which period (patch) of it.

    Returns:
        A file with ``.info``, ``.select(..)`` and ``.read()``.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: not an MDF file with a calibration, or a header that contradicts the data.
        ValueError: a period the file does not have.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    info = read_info(path)
    if not info.data_shape:
        with open_mdf(path) as file:
            require(file, "/measurement/data", partly=True)
    grid = info.grid
    info = info.at_period(period)
    bins = np.arange(len(info.frequency_indices))
    return SystemMatrixFile(info, grid, np.arange(info.n_channels), bins, info.row_mask, info.snr)


def read_system_matrix(
    path: str | Path,
    *,
    background: str = "none",
    apply_transfer_function: bool | str = "auto",
    period: int | None = None,
    selection: RowSelection | None = None,
    **criteria: Any,
) -> SystemMatrix | list[SystemMatrix]:
    """Read a system matrix, or only its rows that a selection keeps.

    Args:
        path: an MDF file with a calibration.
        background: "none", "mean" or "interpolate"; see :meth:`SystemMatrixFile.read`.
        apply_transfer_function: "auto", True or False; see :meth:`SystemMatrixFile.read`.
        period: which period (patch); None = all of them.
        selection: which rows; None = as the criteria say.
        **criteria: snr_threshold, min_frequency, max_frequency, max_mixing_order, channels: fields of a :class:`RowSelection`.

    Returns:
        The system matrix; with ``period=None`` and a file of several periods a list with one matrix per period.

    Raises:
        FileNotFoundError, MDFError, ValueError: see :func:`open_system_matrix` and :meth:`SystemMatrixFile.read`.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    chosen = RowSelection.of(selection, **criteria)
    first = open_system_matrix(path, period=period or 0)

    def read(index: int) -> SystemMatrix:
        file = first if index == first.info.period else open_system_matrix(path, period=index)
        if chosen != RowSelection():
            file = file.select(chosen)
        return file.read(background=background, apply_transfer_function=apply_transfer_function)

    if period is not None or first.info.n_periods == 1:
        return read(first.info.period)
    return [read(index) for index in range(first.info.n_periods)]


def frame_columns(info: MDFInfo) -> tuple[np.ndarray, np.ndarray]:
    """Stored positions of the foreground frames in voxel order (x fastest), and of the background frames."""
    return np.flatnonzero(~info.is_background_frame)[info.voxel_frames], np.flatnonzero(info.is_background_frame)


def read_columns(file: h5py.File, source: SystemMatrixFile, wanted: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The kept rows at some stored frames each, (c, f, frames)."""
    if np.any(np.diff(source.bins) < 0):
        order = np.argsort(source.bins)
        back = np.argsort(order)
        return tuple(a[:, back] for a in read_columns(file, replace(source, bins=source.bins[order]), wanted))
    shape = (source.n_channels, len(source.bins))
    found = tuple(np.empty((*shape, len(columns)), complex_dtype(source.info)) for columns in wanted)
    # where each stored frame goes, so that a block of frames is placed without looking at the others
    places = []
    for columns in wanted:
        place = np.full(source.info.n_frames, -1)
        place[columns] = np.arange(len(columns))
        places.append(place)
    for channel, rows, frames, block in row_slabs(file, source.info, source.channel_positions, source.bins):
        for target, place in zip(found, places, strict=True):
            here = np.flatnonzero(place[frames] >= 0)
            if len(here):
                target[channel][rows, as_slice(place[frames][here])] = block[:, as_slice(here)]
    return found


def _stored_snr(source: SystemMatrixFile) -> np.ndarray:
    """SNR (c, f) of the kept rows, from the data on disk; of several periods the median, as in MPIFiles."""
    foreground, empty = frame_columns(source.info)
    found = np.empty((source.info.n_periods, source.n_channels, len(source.bins)))
    with open_mdf(source.info.path) as file:
        for period, channel in np.ndindex(*found.shape[:2]):
            info = source.info.at_period(period)
            only = replace(source, info=info, channel_positions=source.channel_positions[channel : channel + 1])
            check_rows(file, info, only.channel_positions, only.bins, None)

            def blocks(only: SystemMatrixFile = only) -> Any:
                return _row_blocks(file, only, foreground, empty)

            found[period, channel] = channel_snr(blocks, len(source.bins))
    return row_median(found.reshape(len(found), -1).T).reshape(found.shape[1:])


def _row_blocks(file: h5py.File, source: SystemMatrixFile, foreground: np.ndarray, empty: np.ndarray) -> Any:
    step = max(1, SLAB_BYTES // (source.info.n_frames * complex_dtype(source.info).itemsize))
    for first in range(0, len(source.bins), step):
        part = slice(first, min(first + step, len(source.bins)))
        values, frames = read_columns(file, replace(source, bins=source.bins[part]), (foreground, empty))
        block: Block = (part, values[0], frames[0])
        yield block


def _subtract(values: np.ndarray, frames: np.ndarray, model: BackgroundModel) -> None:
    step = max(1, SLAB_BYTES // values[0, 0].nbytes)
    for channel in range(len(values)):
        for first in range(0, values.shape[1], step):
            values[channel, first : first + step] -= model.evaluate(frames[channel, first : first + step])


def _scaled(array: np.ndarray, factor: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """The array times a factor per row in its own precision; rows that are not usable become zero."""
    array *= factor.astype(array.dtype)
    array[~usable] = 0
    return array
