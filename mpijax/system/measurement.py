"""Measurements: spectra of an object, frame by frame."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mpijax.core.checks import check_count, check_finite, check_range, check_shape, is_concrete
from mpijax.core.mapping import FrozenMapping
from mpijax.core.masks import as_mask
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Bool, Complex, Float, IntVector, Mask, Scalar, Values, Vector
from mpijax.system.facts.acquisition import Acquisition, acquisition, acquisition_metadata, mean_periods
from mpijax.system.facts.compare import check_alike
from mpijax.system.facts.header import Header, header_of, stating
from mpijax.system.facts.identity import check_numbers, matched_positions
from mpijax.system.facts.row_index import Indexed, RowIndex, bin_positions, check_angles, index_like, row_places
from mpijax.system.facts.shown import frames_of, shown
from mpijax.system.facts.spectrum import spectrum_of
from mpijax.system.labeled import axis, data_array
from mpijax.system.leaves import as_array
from mpijax.system.regrid import linear_weights
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence


@pytree
class Measurement:
    """Foreground frames of a measurement in the MDF scale (plain rfft of one period). Make it with :meth:`create`.

    Attributes:
        values: complex (frames, periods, c, f).
        frequencies: (f,) [Hz]; frequency_indices: rfft bins (f,).
        bandwidth: [Hz].
        background: complex background frames (e, periods, c, f) or None, each a single frame.
        n_samples, transfer_function_corrected, background_corrected, metadata: static.
        averages: how many frames, of the noise of one background frame, each frame is the mean of; static.
        angles: (c,) [rad] of a rotating field-free line, or None.
        row_mask: bool (c, f), which rows hold data, or None for all; the others could not be corrected for the transfer function.
        channel_numbers: which receivers the c channels are, or None: they are not numbered and count 0 .. c - 1; static.
        period_numbers: which periods (patches) of the scan's the periods are, or None: they count from 0; static.
    """

    values: Values
    frequencies: Vector
    frequency_indices: IntVector
    bandwidth: Scalar
    background: "Values | None"
    n_samples: int = static()
    transfer_function_corrected: bool = static()
    background_corrected: bool = static()
    metadata: FrozenMapping = static()
    averages: float = static(default=1.0)
    angles: "Vector | None" = None
    row_mask: "Mask | None" = None
    channel_numbers: tuple[int, ...] | None = static(default=None)
    period_numbers: tuple[int, ...] | None = static(default=None)

    @staticmethod
    def create(
        values: Any,
        frequencies: Any,
        *,
        frequency_indices: Any = None,
        n_samples: int | None = None,
        bandwidth: Any = None,
        background: Any = None,
        transfer_function_corrected: bool = False,
        background_corrected: bool = False,
        metadata: Mapping[str, Any] | None = None,
        averages: float = 1.0,
        sequence: LissajousSequence | None = None,
        scanner: Scanner | None = None,
        angles: Any = None,
        row_mask: Any = None,
        channels: Any = None,
        periods: Any = None,
    ) -> "Measurement":
        """Check shapes and build a measurement.

        Args:
            values: complex (frames, periods, c, f).
            frequencies: (f,) [Hz].
            frequency_indices: rfft bins (f,), in any order; None = 0 .. f - 1.
            n_samples: samples per period; None = the sequence's, or 2 (f - 1) where the bins are 0 .. f - 1.
            bandwidth: [Hz]; None = frequency of bin n_samples/2.
            background: complex (e, periods, c, f) or None.
            transfer_function_corrected: whether the transfer function has been divided out.
            background_corrected: whether a background has been subtracted.
            metadata: further facts.
            averages: how many frames each frame is the mean of, compared with a background frame.
            sequence, scanner: the fields of the scan, kept in ``metadata`` and compared with those of a system matrix.
            angles: (c,) [rad] of a rotating field-free line, or None.
            row_mask: which rows hold data, 0 and 1 of any type (c, f), or None.
            channels: number of each receiver (c,), by which data and rows are matched; None = 0, 1, .., c - 1.
            periods: number of each period, by which data and patches are matched; None = 0, 1, ..

        Raises:
            ValueError: arrays whose shapes do not agree, real values, samples per period that contradict the sequence or are not
                known, bins or channels that no spectrum or receiver can have.
        """
        arrays = (values, frequencies, frequency_indices, background, angles)
        values, frequencies, frequency_indices, background, angles = map(as_array, arrays)
        if np.ndim(values) != 4:
            raise ValueError(f"values has shape {np.shape(values)}; expected (frames, periods, channels, frequencies).")
        if not np.issubdtype(values.dtype, np.complexfloating):
            raise ValueError(f"values has dtype {values.dtype}; a measurement's spectra are complex.")
        _, p, c, f = np.shape(values)
        check_range("averages", averages, 1e-9, 1e15, "")
        frequency_indices, n_samples, bandwidth = spectrum_of(
            f, frequencies, frequency_indices, n_samples, bandwidth, sequence
        )
        if angles is not None:
            check_shape("angles", angles, (c,))
        if row_mask is not None and is_concrete(row_mask):
            row_mask = as_mask("row_mask", row_mask, (c, f), indices=False).reshape(c, f)
        if background is not None and np.shape(background)[1:] != np.shape(values)[1:]:
            raise ValueError(
                f"background has shape {np.shape(background)}; expected (frames, *{np.shape(values)[1:]})."
            )
        return Measurement(
            values,
            frequencies,
            frequency_indices,
            bandwidth,
            background,
            n_samples,
            bool(transfer_function_corrected),
            bool(background_corrected),
            FrozenMapping(dict(metadata or {}) | acquisition_metadata(sequence, scanner)),
            float(averages),
            angles,
            row_mask,
            check_numbers("channels", channels, c),
            check_numbers("periods", periods, p),
        )

    def __repr__(self) -> str:
        """A line of facts."""
        return shown(
            self,
            axes=("frames", "periods", "channels", "frequencies"),
            facts=(
                frames_of(self.background, "background"),
                "background subtracted" if self.background_corrected else "",
                "transfer function divided out" if self.transfer_function_corrected else "",
            ),
        )

    @property
    def channels(self) -> tuple[int, ...]:
        """Number of each receiver (c,): that of the scanner, kept through files."""
        return tuple(range(self.values.shape[2])) if self.channel_numbers is None else self.channel_numbers

    @property
    def periods(self) -> tuple[int, ...]:
        """Number of each period, (periods,)."""
        return tuple(range(self.values.shape[1])) if self.period_numbers is None else self.period_numbers

    def row_index(self) -> RowIndex:
        """Channel and bin of each row that holds data, channel-major, frequency fastest."""
        channel, position = self._held()
        angle = None if self.angles is None else np.asarray(self.angles)[channel]
        patch = self.period_numbers[0] if self.period_numbers is not None and len(self.period_numbers) == 1 else None
        numbers = np.asarray(self.channels, int)[channel]
        return RowIndex(numbers, np.asarray(self.frequency_indices)[position], angle, self.channels, patch)

    @property
    def row_frequencies(self) -> Float[Array, " m"]:
        """Frequency of each row that holds data [Hz] (m,), in the order of :meth:`row_index`."""
        return self.frequencies[self._held()[1]]

    def _held(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (channel, bin) of the rows that hold data."""
        shape = self.values.shape[2:]
        channel, position = np.nonzero(np.ones(shape, bool) if self.row_mask is None else np.asarray(self.row_mask))
        return channel, position

    @property
    def header(self) -> Header:
        """What the metadata say of the scan, as a record."""
        return header_of(self.metadata)

    def acquisitions(self) -> list[Acquisition]:
        """What the scan says of its fields and receiver, period by period."""
        return [acquisition(self, period) for period in range(self.values.shape[1])]

    def to_xarray(self) -> Any:
        """The spectra as an xarray.DataArray on the host, (frame, period, channel, frequency) with frequencies in Hz.

        Raises:
            ImportError: xarray is not installed.
        """
        coords = {
            "period": ("period", list(self.periods)),
            "channel": ("channel", list(self.channels)),
            "frequency": axis("frequency", self.frequencies, "Hz"),
            "bin": ("frequency", np.asarray(self.frequency_indices)),
            "held": None if self.row_mask is None else (("channel", "frequency"), np.asarray(self.row_mask)),
            "angle": None if self.angles is None else axis("channel", self.angles, "rad"),
        }
        attrs = {"units": self.header.unit, "n_samples": self.n_samples, "bandwidth_Hz": float(self.bandwidth)}
        return data_array("measurement", self.values, ("frame", "period", "channel", "frequency"), coords, attrs)

    def average(self, *, frames: int = 1, periods: int = 1) -> "Measurement":
        """The mean over so many consecutive frames and periods; an incomplete rest is dropped.

        Background frames are averaged over periods alone: they stay single frames. Mean periods have no number.

        Raises:
            ValueError: a number that is not a positive integer, more than there are, or periods of different fields.
        """
        for name, count, there in zip(("frames", "periods"), (frames, periods), self.values.shape[:2], strict=True):
            check_count(name, count)
            if count > there:
                raise ValueError(f"{name} = {count}, but only {there} {name} are there to average.")

        def means(array: Any, frames: int) -> Any:
            e, p = array.shape[0] // frames, array.shape[1] // periods
            kept = array[: e * frames, : p * periods]
            return kept.reshape(e, frames, p, periods, *kept.shape[2:]).mean((1, 3))

        averages = self.header.averages
        facts: dict[str, Any] = {} if averages is None else {"averages": int(averages) * frames * periods}
        metadata = dict(stating(self.metadata, **facts))
        if periods > 1:
            metadata |= mean_periods(metadata, periods)
        return replace(
            self,
            values=means(self.values, frames),
            background=None if self.background is None else means(self.background, 1),
            averages=self.averages * frames,
            metadata=FrozenMapping(metadata),
            period_numbers=None if periods > 1 else self.period_numbers,
        )

    def subtract_background(
        self,
        empty: "Measurement | None" = None,
        *,
        times: Any = None,
        background_times: Any = None,
        check: bool = True,
    ) -> "Measurement":
        """Subtract the mean of an empty scan's frames, or of the measurement's own background frames.

        With times the background is interpolated linearly between its frames, and held constant before the first and
        after the last; frames given the same time count as one, their mean. The background frames kept in the result
        (the empty scan's, if there is one) have lost their mean.

        Args:
            empty: an empty scan of the same sequence; None = ``background``.
            times: when each frame was measured (frames,), in any unit.
            background_times: when each background frame was, (e,), likewise.
            check: refuse an empty scan whose fields, as far as both state them, are others.

        Raises:
            ValueError: a background that has been subtracted already, none to subtract, an empty scan that does not match, or
                times that do not fit the frames.
        """
        if self.background_corrected:
            raise ValueError("the measurement's background is already subtracted; read it with background='none'.")
        if empty is None and self.background is None:
            raise ValueError("the measurement has no background frames; give an empty scan.")
        if empty is None:
            check_finite("the background frames", self.background)
        if (times is None) != (background_times is None):
            raise ValueError("give both times and background_times, or neither for the mean.")
        background: Any
        background, row_mask = (self.background, self.row_mask) if empty is None else self._matching(empty)
        if empty is not None and check:
            check_alike(self.acquisitions(), empty.acquisitions(), "the empty scan")
        model = background.mean(0)
        if times is not None:
            check_shape("times", times, self.values.shape[:1])
            check_shape("background_times", background_times, background.shape[:1])
            check_finite("times", times)
            check_finite("background_times", background_times)
            moments, place = np.unique(background_times, return_inverse=True)
            share = linear_weights(moments, np.asarray(times, float)) @ _means(place)
            model = np.tensordot(share.astype(self.values.real.dtype), background, 1)
        return replace(
            self,
            values=self.values - model,
            background=background - background.mean(0),
            background_corrected=True,
            row_mask=row_mask,
            averages=self.averages if empty is None else self.averages / empty.averages,
        )

    def _matching(self, empty: "Measurement") -> tuple[Any, Any]:
        """The frames of an empty scan, brought into this one's order of periods, channels and bins, and the rows both hold."""
        if (
            empty.transfer_function_corrected != self.transfer_function_corrected
            or empty.n_samples != self.n_samples
            or sorted(np.asarray(empty.frequency_indices).tolist())
            != sorted(np.asarray(self.frequency_indices).tolist())
        ):
            raise ValueError(
                "the empty scan differs from the measurement in sampling, frequencies or transfer-function state; read "
                "both alike."
            )
        if empty.background_corrected:
            raise ValueError("the empty scan's background is already subtracted; read it with background='none'.")
        check_finite("the empty scan", empty.values)

        def places(what: str, own: Any, present: Any, numbered: bool) -> np.ndarray:
            return matched_positions(
                what, own, own, present, numbered=numbered, other="the empty scan", asking="the measurement"
            )

        both = self.period_numbers is not None and empty.period_numbers is not None
        if not both and empty.values.shape[1] != self.values.shape[1]:
            raise ValueError(
                f"the empty scan has {empty.values.shape[1]} periods and the measurement {self.values.shape[1]}; only frames may "
                "differ."
            )
        periods = places("period", self.periods, empty.periods, both)
        numbered = self.channel_numbers is not None and empty.channel_numbers is not None
        channels = places("channel", self.channels, empty.channels, numbered)
        bins = bin_positions(empty.frequency_indices, self.frequency_indices)
        if self.angles is not None and empty.angles is not None:
            check_angles(self.angles, np.asarray(empty.angles)[channels], "the empty scan's")
        frames = empty.values.transpose(2, 3, 1, 0)[channels[:, None], bins][:, :, periods]  # (c, f, periods, frames)
        mask = self.row_mask
        if empty.row_mask is not None:
            held = np.asarray(empty.row_mask)[channels[:, None], bins]
            mask = held if mask is None else held & mask
        return frames.transpose(3, 2, 0, 1).copy(), mask

    def rows(self, row_index: RowIndex, period: Any = None) -> Complex[Array, "frames m"]:
        """The data of a system matrix's rows, (frames, m), for one period.

        Rows and data are matched by the numbers of their channels, patches and bins. Data that are not numbered count from 0;
        where they do not reach the matrix's numbers they are matched by position if they are as many, with a warning.

        Args:
            row_index: from :meth:`SystemMatrix.row_index`.
            period: which period of each frame, counted from 0; None = that of the matrix's patch, or the first.

        Raises:
            ValueError: a channel, frequency or period the measurement does not hold, or angles that differ.
        """
        channel, position = row_places(self, row_index, "the measurement")
        return self.values[:, self.period_of(row_index.patch, period), channel, position]

    def rows_like(self, other: Indexed, period: Any = None) -> Complex[Array, "frames k"]:
        """The data of the rows of a matrix or of another measurement, in its order; see :meth:`SystemMatrix.rows_like`.

        Args:
            other: matrix or measurement.
            period: as for :meth:`rows`.

        Returns:
            complex (frames, k).

        Raises:
            ValueError: as :meth:`rows`, or a frequency that is no bin of this measurement.
        """
        return self.rows(index_like(other, self), period)

    def holds(self, row_index: RowIndex) -> Bool[np.ndarray, " m"]:
        """Which rows of a system matrix have data (m,)."""
        channel, position = row_places(self, row_index, "the measurement")
        return np.ones(len(channel), bool) if self.row_mask is None else np.asarray(self.row_mask)[channel, position]

    def period_of(self, patch: int | None, period: Any = None) -> int:
        """Where the period of a patch stands in each frame.

        Args:
            patch: number of the matrix's patch, or None: it is of any.
            period: position of a period, which must be the patch's; None = find it, or the first.

        Raises:
            ValueError: a period the measurement does not have, or another patch.
        """
        count = self.values.shape[1]
        if period is not None and (isinstance(period, bool) or period not in range(count)):
            raise ValueError(f"period = {period}; the measurement has periods 0 to {count - 1}.")
        if patch is None:
            return 0 if period is None else period
        if period is None:
            numbered = self.period_numbers is not None
            return int(matched_positions("period", [patch], [patch], self.periods, numbered=numbered)[0])
        if self.period_numbers is not None and self.period_numbers[period] != patch:
            raise ValueError(
                f"the matrix is of patch {patch}, but period {period} of the measurement is of patch "
                f"{self.period_numbers[period]}."
            )
        return period


def _means(place: np.ndarray) -> np.ndarray:
    """Matrix (groups, e) that takes the mean of the members of each group."""
    member = np.arange(place.max() + 1)[:, None] == place
    return member / member.sum(1, keepdims=True)
