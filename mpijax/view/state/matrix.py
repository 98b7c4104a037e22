"""A calibration as it is looked at: its header at once, its rows one by one when they are shown."""

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np

from mpijax.core.typing import Array, Complex, Float, Int
from mpijax.io import MDFError, MDFInfo, SystemMatrixFile, open_system_matrix, read_info
from mpijax.io.hdf5 import as_slice
from mpijax.io.mdf.fields import RESTORATION
from mpijax.io.mdf.metadata import period_fields, read_metadata
from mpijax.io.mdf.opened import open_mdf
from mpijax.io.mdf.read import frame_columns, read_stored_rows
from mpijax.io.mdf.shapes import known_snr
from mpijax.physics.sequences import UNREACHED
from mpijax.system import Grid
from mpijax.system.facts.acquisition import Acquisition, acquisition_of
from mpijax.view.state.watch import Watch

SMALL = 2**28
"""Data of so many bytes are read at once where the file has no SNR; larger ones wait until they are asked for."""

CACHE_BYTES = 2**28
"""Rows that are kept in memory."""

EDGE = 1e-3
"""Edge of the voxels of a file that does not say how large they are [m]."""


class MatrixView:
    """One calibration file; of its data only the rows are read that are shown.

    Args:
        path: an MDF file with a calibration.

    Attributes:
        path: the file; info: its header; grid: of its rows.
        frequencies: (f,) [Hz], NaN where not known; bins: rfft bins (f,).
        orders: mixing orders (f, 3), or None without a drive sequence.
        snr: (c, f) or None; strength: what rows are ranked by (c, f), the SNR or else the rms of the rows, or None.
        channels: names of the receive channels (c,); numbers: theirs, by which rows are chosen and matched.
        restoration: what the file says of its restoration, or None.
        remarks: what the file lacks and what follows from it, a sentence each.

    Raises:
        FileNotFoundError, MDFError: no calibration that can be opened.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.watch = Watch([self.path])
        self._file, lacks = _opened(self.path)
        self.info: MDFInfo = self._file.info
        self.grid: Grid = self._file.grid
        self.frequencies = np.asarray(self._file.frequencies, float)
        self.bins = np.asarray(self._file.frequency_indices)
        self.channels, self.numbers = _names(self._file), self._file.channels
        sequence = self._file.sequence
        self.cycles = None if sequence is None else sequence.cycles
        self.orders = None if sequence is None else sequence.mixing_orders()[self.bins]
        if self.orders is None:
            lacks += (f"{self.path.name} holds no sinusoidal drive sequence, so its rows have no mixing orders.",)
        self.snr: Float[np.ndarray, "c f"] | None = None
        self.strength: Float[np.ndarray, "c f"] | None = None
        self.strength_name = "SNR"
        self.remarks = lacks
        self._rows: OrderedDict[tuple[int, int, int, bool], np.ndarray] = OrderedDict()
        with open_mdf(self.path) as file:
            self._fields = read_metadata(file, self.info, calibration=False)
        said = self._fields.get(RESTORATION)
        self.restoration = None if said is None else str(said)
        self._columns = [as_slice(columns) for columns in frame_columns(self.info)]
        self._find_strength()

    @property
    def patches(self) -> int:
        """Number of periods (patches)."""
        return self.info.n_periods

    @property
    def can_subtract(self) -> bool:
        """Whether there is a background that has not been subtracted."""
        return self.info.n_background_frames > 0 and not self.info.flags["isBackgroundCorrected"]

    def row(
        self, channel: int, position: int, *, patch: int = 0, background: bool = True
    ) -> Complex[np.ndarray, "z y x"]:
        """One row as an image, from memory where it has been shown before.

        Args:
            channel, position: where it stands among the channels and frequencies.
            patch: period.
            background: subtract the mean of the background frames, where there is one to subtract.

        Raises:
            FileNotFoundError, OSError, MDFError, ValueError: the file is gone, cannot be read, or has changed.
        """
        key = (channel, position, patch, background and self.can_subtract)
        if key not in self._rows:
            self.watch.check(self.path)
            self._rows[key] = self._read(*key)
            while len(self._rows) > max(1, CACHE_BYTES // self._rows[key].nbytes):
                self._rows.popitem(last=False)
        self._rows.move_to_end(key)
        return self._rows[key]

    def ranked(self, channel: int | None = None) -> Int[np.ndarray, "rows 2"]:
        """Channel and position of rows, the strongest first, the constant component left out; of one channel or of all.

        Raises:
            ValueError: nothing to rank by.
        """
        if self.strength is None:
            raise ValueError(
                f"{self.path.name} holds no SNR and is too large to compute one at once; press 'Compute SNR' in the tab SNR."
            )
        strength = np.where(self.bins > 0, np.nan_to_num(self.strength, posinf=np.finfo(float).max), -1.0)
        channels = np.arange(len(strength)) if channel is None else np.array([channel])
        order = np.argsort(-strength[channels], axis=None, kind="stable")
        found = np.stack(np.unravel_index(order, strength[channels].shape), -1)
        found = found[strength[channels].ravel()[order] >= 0]
        return np.stack([channels[found[:, 0]], found[:, 1]], -1)

    def position_of_orders(self, orders: tuple[int, int, int]) -> int:
        """Where the frequency of mixing orders (mx, my, mz) stands: f = |mx fx + my fy + mz fz|.

        Raises:
            ValueError: there is no such row; the message says why.
        """
        if self.cycles is None:
            raise ValueError(f"{self.path.name} holds no drive sequence; choose a row by its frequency.")
        text = "(" + ", ".join(map(str, orders)) + ")"
        still = ["xyz"[i] for i, (n, m) in enumerate(zip(orders, self.cycles, strict=True)) if n and not m]
        if still:
            raise ValueError(f"mixing orders {text}: nothing is driven along {', '.join(still)}; set that order to 0.")
        wanted = abs(sum(n * m for n, m in zip(orders, self.cycles, strict=True)))
        found = np.flatnonzero(self.bins == wanted)
        if not len(found):
            raise ValueError(
                f"mixing orders {text} fall on bin {wanted}; {self.path.name} holds {len(self.bins)} bins from {self.bins.min()} "
                f"to {self.bins.max()}, and not this one."
            )
        return int(found[0])

    def nearest_frequency(self, frequency: float) -> int:
        """Where the frequency next to this one [Hz] stands.

        Raises:
            ValueError: the file knows no frequencies.
        """
        if not np.isfinite(self.frequencies).any():
            raise ValueError(
                f"{self.path.name} does not say which frequencies its rows have; choose a row by its number."
            )
        return int(np.nanargmin(np.abs(self.frequencies - frequency)))

    def same_row(self, other: "MatrixView", channel: int, position: int) -> tuple[int, int]:
        """Where another file has the row, matched by the numbers of receive channel and bin.

        Raises:
            ValueError: it has no such row.
        """
        number, bin_ = self.numbers[channel], int(self.bins[position])
        place = other.find(number, bin_)
        if place is None:
            raise ValueError(f"{other.path.name} holds no row of channel {number} and bin {bin_}.")
        return place

    def same_patch(self, other: "MatrixView", patch: int) -> int:
        """Which period of another file is of this patch, matched by number; a file of one patch without a number fits any.

        Raises:
            ValueError: it has no such patch.
        """
        own, theirs = self.info.numbers_of([patch]), other.info.numbers_of(range(other.patches))
        if theirs is None or (own is None and len(theirs) == 1):
            return 0
        if own is None or own[0] not in theirs:
            listed = ", ".join(map(str, theirs))
            whose = "a patch without a number" if own is None else f"patch {own[0]}"
            raise ValueError(
                f"{self.path.name} shows {whose} and {other.path.name} holds patches {listed}, not this one."
            )
        return theirs.index(own[0])

    def acquisition(self, patch: int) -> Acquisition:
        """What the file says of the scan of a patch."""
        return acquisition_of(
            self._fields | period_fields(self.info, [patch]), self.info.n_samples, self.info.bandwidth
        )

    def find(self, number: int, bin_: int) -> tuple[int, int] | None:
        """Where the row of a receive channel, by its number, and of a bin stands; None = nowhere."""
        there = np.flatnonzero(self.bins == bin_)
        if number not in self.numbers or not len(there):
            return None
        return self.numbers.index(number), int(there[0])

    def compute_snr(self) -> None:
        """Find the SNR from the background frames, in two passes over the data.

        Raises:
            ValueError: there are none.
            FileNotFoundError, OSError, MDFError: see :meth:`row`.
        """
        if not self.info.n_background_frames:
            raise ValueError(f"{self.path.name} holds no background frames; its SNR cannot be computed.")
        self.watch.check(self.path)
        self.snr = known_snr(self._file.with_snr().snr)
        self.strength, self.strength_name = self.snr, "SNR"

    def title(self, channel: int, position: int) -> str:
        """ "channel x, 52.08 kHz, (1, 1, 0), SNR 12.3"."""
        parts = [f"channel {self.channels[channel]}"]
        known = np.isfinite(self.frequencies[position])
        parts.append(f"{self.frequencies[position] / 1e3:.2f} kHz" if known else f"bin {self.bins[position]}")
        if self.orders is not None and self.orders[position, 0] != UNREACHED:
            parts.append("(" + ", ".join(map(str, self.orders[position])) + ")")
        if self.snr is not None:
            parts.append(f"SNR {self.snr[channel, position]:.3g}")
        return ", ".join(parts).replace("-", "−")

    def _find_strength(self) -> None:
        """The SNR of the file; of a small file without one, what its data say."""
        self.snr = self.strength = known_snr(self._file.snr)
        if self.snr is not None:
            return
        if np.prod(self.info.data_shape) * self.info.data_dtype.itemsize > SMALL:  # type: ignore[union-attr]
            self.remarks += (f"{self.path.name} holds no SNR; its rows stand by frequency until it is computed.",)
            return
        if self.info.n_background_frames:
            self.compute_snr()
        if self.snr is None:
            self.remarks += (
                f"{self.path.name} holds neither SNR nor background frames; its rows are ranked by their rms.",
            )
            values = np.nan_to_num(np.asarray(self._file.read(apply_transfer_function=False).values))
            self.strength, self.strength_name = np.sqrt(np.mean(np.abs(values) ** 2, axis=-1, dtype=float)), "rms"

    def _read(self, channel: int, position: int, patch: int, background: bool) -> np.ndarray:
        one = replace(
            self._file,
            info=self.info.at_period(patch),
            channel_positions=np.array([channel]),
            bins=np.array([position]),
            row_mask=None,
            snr=None,
        )
        stored = read_stored_rows(one)[0, 0]
        voxels, empty = self._columns
        row = stored[voxels] - stored[empty].mean() if background else stored[voxels]
        return row.reshape(self.grid.shape[::-1])


def _opened(path: Path) -> tuple[SystemMatrixFile, tuple[str, ...]]:
    """The file and what it lacks; one that does not say where its voxels are is taken as a line of them."""
    info = read_info(path)
    try:
        if info.calibration is not None and info.data_shape:
            _ = info.grid
        return open_system_matrix(path), ()
    except MDFError as error:
        if info.calibration is None or not info.data_shape or not info.n_foreground_frames:
            raise
        count, size = info.n_foreground_frames, info.calibration.size
        shape = size if size is not None and int(np.prod(size)) == count else (count, 1, 1)
        plain = replace(
            info.calibration, size=shape, fov=EDGE * np.array(shape), center=np.zeros(3), order="xyz", positions=None,
            meandering=False,
        )  # fmt: skip
        info = replace(info, calibration=plain)
        bins = np.arange(len(info.frequency_indices))
        file = SystemMatrixFile(info, info.grid, np.arange(info.n_channels), bins, info.row_mask, info.snr)
        by = " x ".join(map(str, shape))
        return file, (f"{error} Its rows are shown as {by} voxels of 1 mm.",)


def _names(file: SystemMatrixFile) -> list[str]:
    """x, y, z of three receive channels, else their numbers, or angles of a rotating field-free line."""
    if file.info.angles is not None:
        return [f"{angle:.4g} deg" for angle in np.degrees(file.info.angles)]
    return list("xyz") if file.n_channels == 3 else list(map(str, file.channels))


def rms(values: Complex[Array, "..."] | Float[Array, "..."]) -> float:
    """Root mean square of what is finite."""
    finite = np.asarray(values)[np.isfinite(values)]
    return float(np.sqrt(np.mean(np.abs(finite) ** 2))) if finite.size else 0.0
