"""The signal-to-noise ratio of system matrix rows from foreground and background frames."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from mpijax.core.typing import Array, Complex, Float
from mpijax.io.hdf5 import SLAB_BYTES
from mpijax.system.matrix import SystemMatrix

BEST_ROWS = 20
PEAK_FRACTION = 0.9
STRONG = 3.5

Block = tuple[slice, np.ndarray, np.ndarray]


def system_matrix_snr(
    foreground: Complex[Array, "c f n"], background: Complex[Array, "e c f"], block_rows: int | None = None
) -> Float[Array, "c f"]:
    """SNR of every row by the rule of MPIFiles.

    noise = mean |b - mean b| over the background frames b (|b| for a single one). With s = |foreground - mean b|, the
    signal is the median of s over the voxels where one of the channel's 20 best rows (those with the largest median s /
    noise) exceeds 90 % of its maximum; where that is more than 3.5 noise, it is the median of s over the voxels above
    90 % of the row's own maximum.

    Args:
        foreground: values at the grid's voxels, not background corrected.
        background: background frames.
        block_rows: rows taken at once; None = what fits into some 32 MiB.

    Returns:
        SNR (c, f); infinite where there is no noise.

    Source: MPIFiles.jl, ``calculateSystemMatrixSNR``; MDF leaves the formula open.
    """
    c, f, n = foreground.shape
    step = block_rows or max(1, SLAB_BYTES // (n * foreground.dtype.itemsize))
    snr = np.empty((c, f))
    for channel in range(c):

        def blocks(channel: int = channel) -> Iterable[Block]:
            for first in range(0, f, step):
                part = slice(first, min(first + step, f))
                yield part, np.asarray(foreground[channel, part]), np.asarray(background[:, channel, part]).T

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
    first = np.empty(n_rows)
    best: list[tuple[float, np.ndarray]] = []
    for rows, foreground, background in blocks():
        signal, noise = _deviation(foreground, background)
        first[rows] = _ratio(np.median(signal, axis=1), noise)
        magnitude = np.abs(foreground)
        for i in np.argsort(first[rows])[::-1][:BEST_ROWS]:
            best.append((first[rows][i], magnitude[i] > PEAK_FRACTION * magnitude[i].max()))
        best = sorted(best, key=lambda item: item[0], reverse=True)[:BEST_ROWS]
    region = np.any([mask for _, mask in best], axis=0)
    snr = np.empty(n_rows)
    for rows, foreground, background in blocks():
        signal, noise = _deviation(foreground, background)
        level = np.median(signal[:, region], axis=1) if region.any() else np.zeros(len(signal))
        for i in np.flatnonzero(level > STRONG * noise):
            level[i] = np.median(signal[i, signal[i] > PEAK_FRACTION * signal[i].max()])
        snr[rows] = _ratio(level, noise)
    return snr


def _deviation(foreground: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    center = background.mean(axis=1, keepdims=True)
    noise = np.abs(background - center).mean(axis=1) if background.shape[1] > 1 else np.abs(background[:, 0])
    return np.abs(foreground - center), noise


def _ratio(signal: np.ndarray, noise: np.ndarray) -> np.ndarray:
    full = np.where(signal > 0, np.inf, 0.0)
    return np.divide(signal, noise, out=full, where=noise > 0)


def add_snr(system_matrix: SystemMatrix) -> SystemMatrix:
    """The matrix with its SNR computed from its background frames; see :func:`system_matrix_snr`.

    Args:
        system_matrix: with background frames.

    Raises:
        ValueError: no background frames.
    """
    if system_matrix.background is None:
        raise ValueError("the SNR needs background frames, which this system matrix does not carry.")
    values, background = np.asarray(system_matrix.values), np.asarray(system_matrix.background)
    return replace(system_matrix, snr=system_matrix_snr(values, background))
