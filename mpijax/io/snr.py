"""The signal-to-noise ratio of system matrix rows from foreground and background frames."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.io.hdf5 import SLAB_BYTES
from mpijax.system.matrix import SystemMatrix

BEST_ROWS = 20
PEAK_FRACTION = 0.9
STRONG = 3.5

Block = tuple[slice, np.ndarray, np.ndarray]


def system_matrix_snr(
    foreground: Complex[Array, "c f n"],
    background: Complex[Array, "e c f"],
    block_rows: int | None = None,
    row_mask: Bool[Array, "c f"] | None = None,
) -> Float[Array, "c f"]:
    """SNR of every row by the rule of MPIFiles, from the positions and frames that hold a finite value.

    noise = mean |b - mean b| over the background frames b (|b| for a single one). With s = |foreground - mean b|, the
    signal is the median of s over the voxels where one of the channel's 20 best rows (those with the largest median s /
    noise) exceeds 90 % of its maximum; where that is more than 3.5 noise, it is the median of s over the voxels above
    90 % of the row's own maximum. A row without a value at any of those voxels takes the median over all that it has.

    Args:
        foreground: values at the grid's voxels, not background corrected.
        background: background frames.
        block_rows: rows taken at once; None = what fits into some 32 MiB.
        row_mask: rows that count; None = all.

    Returns:
        SNR (c, f); infinite where there is no noise, NaN where there is none to know: rows that do not count, or without a
        finite position or background frame.

    Source: MPIFiles.jl, ``calculateSystemMatrixSNR``; MDF leaves the formula open.
    """
    c, f, n = foreground.shape
    step = block_rows or max(1, SLAB_BYTES // (n * foreground.dtype.itemsize))
    snr = np.empty((c, f))
    for channel in range(c):

        def blocks(channel: int = channel) -> Iterable[Block]:
            for first in range(0, f, step):
                part = slice(first, min(first + step, f))
                rows = np.asarray(foreground[channel, part])
                if row_mask is not None:
                    rows = np.where(np.asarray(row_mask[channel, part])[:, None], rows, np.nan)
                yield part, rows, np.asarray(background[:, channel, part]).T

        snr[channel] = channel_snr(blocks, f)
    return snr


def channel_snr(blocks: Callable[[], Iterable[Block]], n_rows: int) -> np.ndarray:
    """SNR of one channel's rows, read twice in blocks (rows, foreground (f, n), background (f, e)).

    Args:
        blocks: starts a pass over the rows.
        n_rows: how many rows there are.

    Returns:
        SNR (f,).
    """
    best: list[tuple[float, float, np.ndarray]] = []
    for _, foreground, background in blocks():
        signal, noise = _deviation(foreground, background)
        level = row_median(signal)
        ratio = _ratio(level, noise)
        magnitude = np.where(np.isfinite(foreground), np.abs(foreground), 0)
        known = np.flatnonzero(~np.isnan(ratio))
        strongest = known[np.lexsort((level[known], ratio[known]))[::-1][:BEST_ROWS]]
        best += [(ratio[i], level[i], magnitude[i] > PEAK_FRACTION * magnitude[i].max()) for i in strongest]
        best = sorted(best, key=lambda item: item[:2], reverse=True)[:BEST_ROWS]
    region = np.any([mask for *_, mask in best], axis=0)
    snr = np.empty(n_rows)
    for rows, foreground, background in blocks():
        signal, noise = _deviation(foreground, background)
        level = row_median(signal[:, region]) if region.any() else 0 * row_median(signal)
        for i in np.flatnonzero(np.isnan(level)):
            level[i] = row_median(signal[i : i + 1])[0]
        for i in np.flatnonzero(level > STRONG * noise):
            level[i] = np.median(signal[i, signal[i] > PEAK_FRACTION * np.nanmax(signal[i])])
        snr[rows] = _ratio(level, noise)
    return snr


def _deviation(foreground: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|foreground - mean b| (f, n), and the noise (f,); NaN where there is no value, and of rows without a frame."""
    finite = np.isfinite(background)
    count = np.count_nonzero(finite, axis=1)
    frames = np.where(finite, background, 0)
    center = (frames.sum(axis=1) / np.maximum(count, 1)).astype(background.dtype)[:, None]
    apart = np.where(count[:, None] > 1, np.abs(frames - center), np.abs(frames))
    noise = np.divide((apart * finite).sum(axis=1), count, out=np.full(len(count), np.nan), where=count > 0)
    return np.where(np.isfinite(foreground), np.abs(foreground - center), np.nan), noise


def row_median(values: np.ndarray) -> np.ndarray:
    """Median of each row over its numbers; NaN where it has none."""
    known = ~np.isnan(values)
    if known.all():
        return np.median(values, axis=1)
    return np.array([np.median(row[here]) if here.any() else np.nan for row, here in zip(values, known, strict=True)])


def _ratio(signal: np.ndarray, noise: np.ndarray) -> np.ndarray:
    full = np.where(np.isnan(signal) | np.isnan(noise), np.nan, np.where(signal > 0, np.inf, 0.0))
    return np.divide(signal, noise, out=full, where=noise > 0)


def add_snr(system_matrix: SystemMatrix) -> SystemMatrix:
    """The matrix with its SNR computed from its background frames; see :func:`system_matrix_snr`.

    Args:
        system_matrix: with background frames.

    Raises:
        ValueError: no background frames, or none with a finite value.

    Source: MPIFiles.jl, ``calculateSystemMatrixSNR``.
    """
    if system_matrix.background is None:
        raise ValueError("the SNR needs background frames, which this system matrix does not carry.")
    values, background = np.asarray(system_matrix.values), np.asarray(system_matrix.background)
    if not np.isfinite(background).any():
        raise ValueError(
            f"the SNR needs background frames, and all {len(background)} of this system matrix are NaN or infinite; remove them."
        )
    return replace(system_matrix, snr=system_matrix_snr(values, background))
