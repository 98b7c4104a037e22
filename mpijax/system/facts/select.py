"""Choosing rows by SNR, frequency, mixing order and channel, on metadata alone."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mpijax.core.checks import MOST_PRINTED, check_count, check_range, check_scalar
from mpijax.core.typing import HostScalar, IntVector, Mask, Matrix, Numbers, Scalar, Vector
from mpijax.physics.sequences import mixing_orders
from mpijax.system.facts.identity import chosen_positions
from mpijax.system.sequence import LissajousSequence


@runtime_checkable
class RowMetadata(Protocol):
    """What a selection looks at: a system matrix, or the header of a file that holds one."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Numbers of the receive channels (c,)."""

    @property
    def frequencies(self) -> Vector:
        """[Hz], (f,), NaN where unknown."""

    @property
    def frequency_indices(self) -> IntVector:
        """rfft bins (f,)."""

    @property
    def bandwidth(self) -> Scalar:
        """Half the sampling rate [Hz]."""

    @property
    def snr(self) -> Matrix | None:
        """(c, f) or None."""

    @property
    def row_mask(self) -> Mask | None:
        """bool (c, f) or None."""

    @property
    def n_samples(self) -> int:
        """Samples per period."""

    @property
    def sequence(self) -> LissajousSequence | None:
        """The drive sequence, if known."""


@dataclass(frozen=True)
class RowSelection:
    """Which rows of a system matrix are kept; without criteria all of them.

    Attributes:
        snr_threshold: number or None, keep rows with SNR >= this; 0 = all.
        min_frequency, max_frequency: numbers or None, keep frequencies of this range [Hz], bounds included.
        max_mixing_order: whole number or None, keep bins whose least sum |n_i| is at most this; needs a sequence.
        channels: receive channels to keep, by their numbers, each once and in the order they are to have; or a boolean list
            with an entry for each.

    Raises:
        ValueError: a criterion that is no number, negative or NaN, an order that is not whole, or an empty range of frequencies.
    """

    snr_threshold: Scalar | None = None
    min_frequency: Scalar | None = None
    max_frequency: Scalar | None = None
    max_mixing_order: HostScalar | None = None
    channels: Numbers | None = None

    def __post_init__(self) -> None:
        for name, unit in (("snr_threshold", ""), ("min_frequency", "Hz"), ("max_frequency", "Hz")):
            if getattr(self, name) is not None:
                check_scalar(name, getattr(self, name))
                check_range(name, getattr(self, name), 0, float("inf"), unit, "0 or None = no limit.")
        if self.max_mixing_order is not None:
            check_count("max_mixing_order", self.max_mixing_order, 0)
        if self.max_frequency is not None and self.max_frequency < (self.min_frequency or 0):
            raise ValueError(
                f"min_frequency = {self.min_frequency:g} Hz lies above max_frequency = {self.max_frequency:g} Hz."
            )
        if self.channels is not None:
            object.__setattr__(self, "channels", tuple(np.ravel(np.asarray(self.channels, object)).tolist()))

    @staticmethod
    def of(selection: "RowSelection | None", **criteria: Any) -> "RowSelection":
        """A selection that is given as such or by its criteria.

        Raises:
            ValueError: both are given.
            TypeError: an unknown criterion, or something else as selection.
        """
        if selection is None:
            return RowSelection(**criteria)
        if not isinstance(selection, RowSelection):
            raise TypeError(
                f"selection is a {type(selection).__name__}; expected mj.RowSelection(snr_threshold=..., ...)."
            )
        given = [name for name, item in criteria.items() if item is not None]
        if given:
            raise ValueError(f"selection and {', '.join(given)} are both given; put all criteria into the selection.")
        return selection

    def rows_of(self, matrix: RowMetadata) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which channels, bins and rows are kept.

        Returns:
            Positions of the kept channels (c',) and of the kept bins (f',) and the mask (c', f') of the kept rows among them.

        Raises:
            ValueError: a criterion for which the matrix has no data, a channel it does not have, or no row kept.
        """
        kept_channels = chosen_positions("channels", self.channels, matrix.channels)
        frequencies = np.asarray(matrix.frequencies)
        mask = np.ones((len(kept_channels), len(frequencies)), bool)
        if matrix.row_mask is not None:
            mask &= np.asarray(matrix.row_mask)[kept_channels]
        if (self.min_frequency or self.max_frequency is not None) and np.any(np.isnan(frequencies)):
            raise ValueError(
                "the matrix's frequencies are not known, so min_frequency and max_frequency cannot be used."
            )
        if self.min_frequency:
            mask &= frequencies >= self.min_frequency
        if self.max_frequency is not None:
            mask &= frequencies <= self.max_frequency
        if self.max_mixing_order is not None:
            if matrix.sequence is None:
                raise ValueError("max_mixing_order needs the drive sequence, which this matrix does not carry.")
            orders = mixing_orders(matrix.sequence.cycles, int(matrix.n_samples) // 2 + 1, self.max_mixing_order)
            mask &= np.abs(orders[np.asarray(matrix.frequency_indices)]).sum(1) <= self.max_mixing_order
        candidates = mask.copy()
        if self.snr_threshold:
            if matrix.snr is None:
                raise ValueError(
                    "snr_threshold is given but the matrix has no SNR; it comes from a file's /calibration/snr, from background "
                    "frames by mpijax.io.add_snr(matrix), or from SystemMatrix.create(..., snr=...)."
                )
            snr = np.asarray(matrix.snr)[kept_channels]
            mask &= snr >= self.snr_threshold
            if candidates.any() and not mask.any():
                raise ValueError(
                    f"snr_threshold = {self.snr_threshold:g} keeps no row; the largest SNR among the "
                    f"{np.count_nonzero(candidates)} rows that pass the other criteria is "
                    f"{np.nanmax(snr[candidates]):.3g}. Choose a lower threshold."
                )
        if not mask.any():
            limits = {
                "min_frequency = {:g} Hz": self.min_frequency or None,
                "max_frequency = {:g} Hz": self.max_frequency,
                "max_mixing_order = {}": self.max_mixing_order,
            }
            asked = [text.format(limit) for text, limit in limits.items() if limit is not None]
            numbers = ", ".join(str(matrix.channels[i]) for i in kept_channels) or "none"
            asked.append(
                f"{len(kept_channels)} channels" if len(kept_channels) > MOST_PRINTED else f"channels {numbers}"
            )
            raise ValueError(
                f"{', '.join(asked)}: the selection keeps no row; the matrix spans {np.nanmin(frequencies):g} to "
                f"{np.nanmax(frequencies):g} Hz."
            )
        bins = np.flatnonzero(mask.any(0))
        return kept_channels, bins, mask[:, bins]
