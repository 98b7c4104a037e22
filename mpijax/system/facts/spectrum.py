"""Where the rows of a container stand in the spectrum of one period: bins, samples per period, bandwidth."""

import operator
from typing import Any

import numpy as np

from mpijax.core.checks import check_range, check_shape, is_concrete
from mpijax.system.sequence import LissajousSequence


def spectrum_of(
    n_bins: int,
    frequencies: Any,
    frequency_indices: Any,
    n_samples: int | None,
    bandwidth: Any,
    sequence: LissajousSequence | None,
) -> tuple[Any, int, Any]:
    """The bins, the samples per period and the bandwidth of ``n_bins`` rows, as far as they are not given.

    bandwidth = f_k/k n_samples/2, from the largest bin whose frequency is known.

    Args:
        n_bins: number of frequencies f.
        frequencies: (f,) [Hz].
        frequency_indices: rfft bins (f,), in any order; None = 0, 1, .., f - 1.
        n_samples: per period; None = the sequence's, or 2 (f - 1) where the bins are all of them.
        bandwidth: [Hz]; None = the sequence's, or that of the frequencies; NaN where none is known.
        sequence: the drive sequence, or None.

    Returns:
        frequency_indices (f,), n_samples, bandwidth [Hz].

    Raises:
        ValueError: shapes, samples that contradict the sequence, bins that do not tell the samples, bins that are not whole
            numbers, named twice, or beyond what so many samples have.
    """
    indices = np.arange(n_bins) if frequency_indices is None else frequency_indices
    check_shape("frequencies", frequencies, (n_bins,))
    check_shape("frequency_indices", indices, (n_bins,))
    known = is_concrete(indices)
    if sequence is not None:
        if n_samples is not None and n_samples != sequence.n_samples:
            raise ValueError(
                f"n_samples = {n_samples}, but the sequence has {sequence.n_samples} samples per period; give one of them."
            )
        n_samples = sequence.n_samples
    elif n_samples is None:
        if known and (n_bins < 2 or not np.array_equal(indices, np.arange(n_bins))):
            raise ValueError(
                f"frequency_indices are not 0 to f - 1 of at least two bins (f = {n_bins}), so they do not tell how many samples "
                "a period has; give n_samples= or sequence=."
            )
        n_samples = 2 * (n_bins - 1)
    try:
        n_samples = operator.index(n_samples)
    except TypeError:
        raise ValueError(f"n_samples = {n_samples!r}; a whole number of samples per period is expected.") from None
    if known:
        _check_bins(np.asarray(indices), n_samples, frequencies)
    stated = bandwidth if bandwidth is not None or sequence is None else sequence.bandwidth
    if stated is not None and is_concrete(stated) and not np.isnan(stated):
        check_range("bandwidth", stated, 1e-6, 1e15, "Hz", "NaN where no frequency is known.")
        if frequency_indices is None:
            _check_counted(frequencies, float(stated), n_samples)
    return indices, n_samples, _bandwidth(frequencies, indices, n_samples) if stated is None else stated


def _check_counted(frequencies: Any, bandwidth: float, n_samples: int) -> None:
    """Bins that are not given count 0, 1, ..: the frequencies must be those."""
    if not is_concrete(frequencies):
        return
    frequencies, width = np.asarray(frequencies, float), 2 * bandwidth / n_samples
    wrong = np.flatnonzero(np.abs(frequencies - np.arange(len(frequencies)) * width) > width / 2)
    if len(wrong):
        raise ValueError(
            f"frequency_indices are not given and count 0, 1, .., but frequency {wrong[0]} is {frequencies[wrong[0]]:g} Hz and bin "
            f"{wrong[0]} would be {wrong[0] * width:g} Hz; give frequency_indices=."
        )


def _check_bins(indices: np.ndarray, n_samples: int, frequencies: Any) -> None:
    """Rows whose frequency is not known are only numbered by their bins, which may lie beyond the spectrum."""
    if indices.dtype.kind not in "iu":
        raise ValueError(f"frequency_indices has dtype {indices.dtype}; whole numbers are expected.")
    last = n_samples // 2
    bounded = indices if not is_concrete(frequencies) else indices[~np.isnan(np.asarray(frequencies, float))]
    if n_samples < 1 or indices.min(initial=0) < 0 or bounded.max(initial=0) > last:
        raise ValueError(
            f"frequency_indices reach from {indices.min(initial=0)} to {indices.max(initial=0)}; {n_samples} samples per period "
            f"have the bins 0 to {last}."
        )
    if len(np.unique(indices)) < len(indices):
        raise ValueError("frequency_indices names a bin twice; each row of a channel has a frequency of its own.")


def _bandwidth(frequencies: Any, indices: Any, n_samples: int) -> Any:
    if not is_concrete((frequencies, indices)):
        return frequencies[-1] / indices[-1] * n_samples / 2
    frequencies, indices = np.asarray(frequencies, float), np.asarray(indices)
    largest = np.argmax(np.where(np.isfinite(frequencies), indices, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        bandwidth = frequencies[largest] / indices[largest] * n_samples / 2
    return bandwidth if np.isfinite(bandwidth) else np.nan
