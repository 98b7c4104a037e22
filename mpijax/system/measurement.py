"""Measurements: spectra of an object, frame by frame."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mpijax.core.checks import check_count, check_finite, check_shape
from mpijax.core.pytree import FrozenMapping, pytree, static
from mpijax.core.typing import Array, Complex
from mpijax.system.leaves import as_array
from mpijax.system.matrix import RowIndex
from mpijax.system.regrid import linear_weights


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
    """

    values: Any
    frequencies: Any
    frequency_indices: Any
    bandwidth: Any
    background: Any
    n_samples: int = static()
    transfer_function_corrected: bool = static()
    background_corrected: bool = static()
    metadata: FrozenMapping = static()
    averages: float = static(default=1.0)

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
    ) -> "Measurement":
        """Check shapes and build a measurement.

        Args:
            values: complex (frames, periods, c, f).
            frequencies: (f,) [Hz].
            frequency_indices: rfft bins; None = 0 .. f - 1.
            n_samples: samples per period; None = 2 (f - 1).
            bandwidth: [Hz]; None = frequency of bin n_samples/2.
            background: complex (e, periods, c, f) or None.
            transfer_function_corrected: whether the transfer function has been divided out.
            background_corrected: whether a background has been subtracted.
            metadata: further facts.
            averages: how many frames each frame is the mean of, compared with a background frame.

        Raises:
            ValueError: arrays whose shapes do not agree.
        """
        values, frequencies, frequency_indices = map(as_array, (values, frequencies, frequency_indices))
        if np.ndim(values) != 4:
            raise ValueError(f"values has shape {np.shape(values)}; expected (frames, periods, channels, frequencies).")
        f = np.shape(values)[-1]
        frequency_indices = np.arange(f) if frequency_indices is None else frequency_indices
        check_shape("frequencies", frequencies, (f,))
        check_shape("frequency_indices", frequency_indices, (f,))
        if background is not None and np.shape(background)[1:] != np.shape(values)[1:]:
            raise ValueError(
                f"background has shape {np.shape(background)}; expected (frames, *{np.shape(values)[1:]})."
            )
        n_samples = 2 * (f - 1) if n_samples is None else int(n_samples)
        if bandwidth is None:
            bandwidth = frequencies[-1] / frequency_indices[-1] * n_samples / 2
        return Measurement(
            values,
            frequencies,
            frequency_indices,
            bandwidth,
            background,
            n_samples,
            bool(transfer_function_corrected),
            bool(background_corrected),
            FrozenMapping(metadata),
            float(averages),
        )

    def average(self, *, frames: int = 1, periods: int = 1) -> "Measurement":
        """The mean over so many consecutive frames and periods; an incomplete rest is dropped.

        Background frames are averaged over periods alone: they stay single frames.

        Raises:
            ValueError: a number that is not a positive integer, or more than there are.
        """
        for name, count, there in zip(("frames", "periods"), (frames, periods), self.values.shape[:2], strict=True):
            check_count(name, count)
            if count > there:
                raise ValueError(f"{name} = {count}, but only {there} {name} are there to average.")

        def means(array: Any, frames: int) -> Any:
            e, p = array.shape[0] // frames, array.shape[1] // periods
            kept = array[: e * frames, : p * periods]
            return kept.reshape(e, frames, p, periods, *kept.shape[2:]).mean((1, 3))

        metadata = dict(self.metadata)
        if "/acquisition/numAverages" in metadata:
            metadata["/acquisition/numAverages"] = int(metadata["/acquisition/numAverages"]) * frames * periods
        return replace(
            self,
            values=means(self.values, frames),
            background=None if self.background is None else means(self.background, 1),
            averages=self.averages * frames,
            metadata=FrozenMapping(metadata),
        )

    def subtract_background(
        self, empty: "Measurement | None" = None, *, times: Any = None, background_times: Any = None
    ) -> "Measurement":
        """Subtract the mean of an empty scan's frames, or of the measurement's own background frames.

        With times the background is interpolated linearly between its frames, and held constant before the first and
        after the last; frames given the same time count as one, their mean. The background frames kept in the result
        (the empty scan's, if there is one) have lost their mean.

        Args:
            empty: an empty scan of the same sequence; None = ``background``.
            times: when each frame was measured (frames,), in any unit.
            background_times: when each background frame was, (e,), likewise.

        Raises:
            ValueError: a background that has been subtracted already, none to subtract, an empty scan that does not match, or
                times that do not fit the frames.
        """
        if self.background_corrected:
            raise ValueError("the measurement's background is already subtracted; read it with background='none'.")
        if empty is None and self.background is None:
            raise ValueError("the measurement has no background frames; give an empty scan.")
        if (times is None) != (background_times is None):
            raise ValueError("give both times and background_times, or neither for the mean.")
        background = self.background if empty is None else self._matching(empty)
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
            averages=self.averages if empty is None else self.averages / empty.averages,
        )

    def _matching(self, empty: "Measurement") -> Any:
        """The frames of an empty scan, which must have been measured and treated like this one."""
        if (
            empty.transfer_function_corrected != self.transfer_function_corrected
            or empty.n_samples != self.n_samples
            or not np.array_equal(empty.frequency_indices, self.frequency_indices)
        ):
            raise ValueError(
                "the empty scan differs from the measurement in sampling, frequencies or transfer-function state; read "
                "both alike."
            )
        if empty.background_corrected:
            raise ValueError("the empty scan's background is already subtracted; read it with background='none'.")
        if np.shape(empty.values)[1:] != np.shape(self.values)[1:]:
            raise ValueError(
                f"the empty scan has shape {empty.values.shape}, the measurement {self.values.shape}; only frames may "
                "differ."
            )
        check_finite("the empty scan", empty.values)
        return empty.values

    def rows(self, row_index: RowIndex, period: int = 0) -> Complex[Array, "frames m"]:
        """The data of a system matrix's rows, (frames, m), for one period.

        Args:
            row_index: from :meth:`SystemMatrix.row_index`.
            period: which period of each frame.

        Raises:
            ValueError: a channel, frequency or period the measurement does not hold.
        """
        bins = np.asarray(self.frequency_indices)
        wanted = np.asarray(row_index.frequency_index)
        order = np.argsort(bins)
        position = order[np.minimum(np.searchsorted(bins, wanted, sorter=order), len(bins) - 1)]
        missing = np.unique(wanted[bins[position] != wanted])
        if len(missing):
            raise ValueError(
                f"the measurement lacks {len(missing)} of the matrix's frequencies (bins {missing[:5].tolist()} ..); select the "
                "same frequencies in both."
            )
        channel = np.asarray(row_index.channel)
        if channel.max(initial=0) >= self.values.shape[2]:
            raise ValueError(
                f"the matrix uses channel {channel.max()}, but the measurement has {self.values.shape[2]} channels."
            )
        if not 0 <= period < self.values.shape[1]:
            raise ValueError(f"period = {period}; the measurement has periods 0 to {self.values.shape[1] - 1}.")
        return self.values[:, period, channel, position]


def _means(place: np.ndarray) -> np.ndarray:
    """Matrix (groups, e) that takes the mean of the members of each group."""
    member = np.arange(place.max() + 1)[:, None] == place
    return member / member.sum(1, keepdims=True)
