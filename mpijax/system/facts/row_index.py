"""Rows by their identity, and where a container holds them: matched by the numbers of channels and by frequency."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from mpijax.core.pytree import pytree, static
from mpijax.core.typing import HostArray, IntVector, Scalar, Vector
from mpijax.system.facts.identity import matched_positions, positions_among

SAME_ANGLE = 1e-5
"""How far angles of a field-free line may differ [rad]."""

SAME_SPACING = 1e-3
"""How far the bin widths of two containers may differ, relative, for their bins to be the same."""

SAME_FREQUENCY = 0.1
"""How far a frequency may lie beside a bin, in bins."""


@pytree
class RowIndex:
    """Which rows a matrix (m, n) holds: receive channel and rfft bin of each, channel-major, frequency fastest.

    Attributes:
        channel: number of the receiver (m,), not its position in ``values``.
        frequency_index: rfft bin (m,).
        angle: of the field-free line [rad] (m,), or None.
        channels: the numbers of all receivers of the matrix in its order, of rows that are not kept too; None = those of
            ``channel``; static.
        patch: the number of the period that the matrix belongs to, or None; static.
    """

    channel: HostArray
    frequency_index: HostArray
    angle: HostArray | None = None
    channels: tuple[int, ...] | None = static(default=None)
    patch: int | None = static(default=None)


@runtime_checkable
class Indexed(Protocol):
    """A container whose rows have an identity: a system matrix or a measurement."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Numbers of the receive channels (c,)."""

    @property
    def channel_numbers(self) -> tuple[int, ...] | None:
        """The same, or None where they were only counted."""

    @property
    def frequency_indices(self) -> IntVector:
        """rfft bins (f,)."""

    @property
    def angles(self) -> Vector | None:
        """Of a rotating field-free line [rad] (c,), or None."""

    @property
    def bandwidth(self) -> Scalar:
        """[Hz]."""

    @property
    def n_samples(self) -> int:
        """Samples per period."""

    @property
    def row_frequencies(self) -> Vector:
        """Frequency of every kept row [Hz] (m,)."""

    def row_index(self) -> RowIndex:
        """Identity of every kept row."""


def row_places(
    source: Indexed, index: RowIndex, name: str, asking: str = "the matrix"
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (channel, bin) of the rows of ``index`` among those of ``source``, (m,) each.

    Args:
        source: matrix or measurement that is asked; name: it in words; asking: the other side in words.
        index: the rows.

    Raises:
        ValueError: a channel or a frequency that it does not hold, or angles that differ.
    """
    position = bin_positions(source.frequency_indices, index.frequency_index, name, asking)
    numbers = np.asarray(index.channel)
    asked, place = np.unique(numbers, return_inverse=True)
    own = asked.tolist() if index.channels is None else index.channels
    numbered = source.channel_numbers is not None
    channel = matched_positions(
        "channel", asked.tolist(), own, source.channels, numbered=numbered, other=name, asking=asking
    )[place]
    if index.angle is not None and source.angles is not None:
        check_angles(index.angle, np.asarray(source.angles)[channel], f"{name}'s")
    return channel, position


def index_like(other: Indexed, source: Indexed) -> RowIndex:
    """The rows of ``other`` with their bins counted as ``source`` counts them, by frequency where the two sample differently.

    Raises:
        ValueError: a frequency that is no bin of ``source``, or not known.
    """
    index, (own, theirs) = other.row_index(), (2 * float(s.bandwidth) / s.n_samples for s in (source, other))
    if source.n_samples == other.n_samples and not abs(own - theirs) > SAME_SPACING * own:
        return index
    frequencies = np.asarray(other.row_frequencies, float)
    place = frequencies / own
    bins = np.rint(place)
    wrong = ~(np.abs(place - bins) <= SAME_FREQUENCY)
    if wrong.any():
        raise ValueError(
            f"{np.count_nonzero(wrong)} of {len(wrong)} rows find no match: frequencies ({frequencies[wrong][0]:g} Hz ..) that are "
            f"not multiples of {own:g} Hz, the spacing of the bins of {source.n_samples} samples; select rows that both have."
        )
    return replace(index, frequency_index=bins.astype(int))


def bin_positions(
    bins: IntVector, wanted: IntVector, name: str = "the measurement", asking: str = "the matrix"
) -> np.ndarray:
    """Where the wanted bins stand among ``bins``, in any order.

    Raises:
        ValueError: bins that are not there.
    """
    wanted = np.asarray(wanted)
    position = positions_among(bins, wanted)
    missing = np.unique(wanted[position < 0])
    if len(missing):
        raise ValueError(
            f"{name} lacks {len(missing)} of {asking}'s frequencies (bins {missing[:5].tolist()} ..); select the same frequencies "
            "in both."
        )
    return position


def check_angles(own: Vector, theirs: np.ndarray, whose: str) -> None:
    """Raise ValueError where the angles of matched rows differ."""
    if np.abs(np.exp(1j * np.asarray(own)) - np.exp(1j * theirs)).max(initial=0) > SAME_ANGLE:
        raise ValueError(
            f"the rows were measured at angles of {_range(own)} rad, {whose} channels of the same numbers at {_range(theirs)} rad; "
            "use a scan of the same angles."
        )


def _range(angles: Vector) -> str:
    low, high = np.min(angles), np.max(angles)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
