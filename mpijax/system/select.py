"""Choosing rows by SNR, frequency, mixing order and channel, on metadata alone."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

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
    def frequencies(self) -> Any:
        """[Hz], (f,), NaN where unknown."""

    @property
    def frequency_indices(self) -> Any:
        """rfft bins (f,)."""

    @property
    def bandwidth(self) -> Any:
        """Half the sampling rate [Hz]."""

    @property
    def snr(self) -> Any:
        """(c, f) or None."""

    @property
    def row_mask(self) -> Any:
        """bool (c, f) or None."""

    @property
    def n_samples(self) -> int:
        """Samples per period."""

    @property
    def sequence(self) -> LissajousSequence | None:
        """The drive sequence, if known."""


def row_selection(
    matrix: RowMetadata,
    *,
    snr_threshold: float | None = None,
    min_frequency: float | None = None,
    max_frequency: float | None = None,
    max_mixing_order: int | None = None,
    channels: Any = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which channels, bins and rows a selection keeps.

    Returns:
        Positions of the kept channels (c',) and of the kept bins (f',) and the mask (c', f') of the kept rows among them.

    Raises:
        ValueError: a criterion for which the matrix has no data, a channel it does not have, or no row kept.
    """
    kept_channels = chosen_positions("channels", channels, matrix.channels)
    frequencies = np.asarray(matrix.frequencies)
    mask = np.ones((len(kept_channels), len(frequencies)), bool)
    if matrix.row_mask is not None:
        mask &= np.asarray(matrix.row_mask)[kept_channels]
    if (min_frequency or max_frequency is not None) and np.any(np.isnan(frequencies)):
        raise ValueError("the matrix's frequencies are not known, so min_frequency and max_frequency cannot be used.")
    if min_frequency:
        mask &= frequencies >= min_frequency
    if max_frequency is not None:
        mask &= frequencies <= max_frequency
    if max_mixing_order is not None:
        if matrix.sequence is None:
            raise ValueError("max_mixing_order needs the drive sequence, which this matrix does not carry.")
        orders = mixing_orders(matrix.sequence.cycles, int(matrix.n_samples) // 2 + 1, max_mixing_order)
        mask &= np.abs(orders[np.asarray(matrix.frequency_indices)]).sum(1) <= max_mixing_order
    candidates = mask.copy()
    if snr_threshold:
        if matrix.snr is None:
            raise ValueError(
                "snr_threshold is given but the matrix has no SNR; it needs a file with /calibration/snr or background frames, "
                "or SystemMatrix.create(..., snr=...)."
            )
        snr = np.asarray(matrix.snr)[kept_channels]
        mask &= snr >= snr_threshold
        if candidates.any() and not mask.any():
            raise ValueError(
                f"snr_threshold = {snr_threshold:g} keeps no row; the largest SNR among the {np.count_nonzero(candidates)} rows "
                f"that pass the other criteria is {np.nanmax(snr[candidates]):.3g}. Choose a lower threshold."
            )
    if not mask.any():
        limits = {
            "frequencies from {:g} Hz": min_frequency,
            "frequencies up to {:g} Hz": max_frequency,
            "mixing orders up to {}": max_mixing_order,
        }
        asked = [text.format(limit) for text, limit in limits.items() if limit is not None]
        asked.append(f"channels {', '.join(str(matrix.channels[i]) for i in kept_channels) or 'none'}")
        raise ValueError(
            f"the selection keeps no row: {', '.join(asked)}; the matrix spans {np.nanmin(frequencies):g} to "
            f"{np.nanmax(frequencies):g} Hz."
        )
    bins = np.flatnonzero(mask.any(0))
    return kept_channels, bins, mask[:, bins]
