"""The first look at a calibration: what the lab checks before it trusts a system matrix."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mpijax.io import SystemMatrixFile, open_system_matrix
from mpijax.system import SystemMatrix
from mpijax.viz.curves import plot_background_drift, plot_snr
from mpijax.viz.rows import plot_rows
from mpijax.viz.style import new_figure

READ_BYTES = 2**28
"""Rows of larger files are thinned out over frequency where every frame is needed."""


def inspect_figure(path: str | Path, *, rows: int = 6) -> Figure:
    """SNR over frequency and mixing order, the strongest rows, and the drift of the background frames, in one figure.

    A file without SNR and without background frames shows the rms of its rows instead of the SNR. Only the rows shown, the
    background frames and, where it is missing, what the SNR needs are read.

    Args:
        path: MDF file with a calibration.
        rows: how many of the strongest rows to draw; of a 3-D grid the central slice.

    Returns:
        The figure.

    Raises:
        MDFError: no calibration in the file.
        ValueError: ``rows`` below 1.
    """
    if rows < 1:
        raise ValueError(f"rows = {rows}; at least one row must be drawn.")
    file = open_system_matrix(path).with_snr()
    thinned = _thin(file)
    sample = thinned.read(apply_transfer_function=False)
    strength = file.snr
    if strength is None:
        file, strength = thinned, np.sqrt(np.mean(np.abs(sample.values) ** 2, axis=-1))
    strongest = _strongest(file, strength, rows)
    has_drift = sample.background is not None and sample.background.shape[0] >= 3
    heights = [2.8, 2.4, 2.6] if has_drift else [2.8, 2.4]
    figure = new_figure(8.0, sum(heights))
    parts = figure.subfigures(len(heights), 1, height_ratios=heights)
    known = np.all(np.isfinite(file.frequencies))
    frequencies = file.frequencies if known else np.asarray(file.frequency_indices, float)
    orders = file.sequence.mixing_orders()[file.frequency_indices] if file.sequence is not None else None
    labels = [_channel(c) for c in file.channels]
    plot_snr(frequencies, np.asarray(strength), orders, labels=labels, figure=parts[0])
    parts[0].suptitle(Path(path).name + ("" if file.snr is not None else ": no SNR in the file, rms of the rows instead"))
    _draw_rows(strongest, parts[1])
    if has_drift:
        plot_background_drift(sample.background, sample.frequencies, labels=labels, figure=parts[2])
    return figure


def _thin(file: SystemMatrixFile) -> SystemMatrixFile:
    """Every k-th frequency, so that the rows with all their frames fit into READ_BYTES."""
    row_bytes = 8 * file.n_channels * file.info.n_frames
    step = max(1, -(-len(file.bins) * row_bytes // READ_BYTES))
    return replace(file, bins=file.bins[::step], snr=None if file.snr is None else file.snr[:, ::step])


def _strongest(file: SystemMatrixFile, strength: np.ndarray, count: int) -> SystemMatrix:
    """The rows of largest strength, strongest first kept in order of frequency."""
    order = np.argsort(np.nan_to_num(strength, posinf=0).reshape(-1))[::-1][:count]
    channel, position = np.unravel_index(order, strength.shape)
    bins = np.unique(position)
    mask = np.zeros((file.n_channels, len(bins)), bool)
    mask[channel, np.searchsorted(bins, position)] = True
    chosen = replace(file, bins=file.bins[bins], row_mask=mask, snr=None if file.snr is None else file.snr[:, bins])
    return chosen.read(apply_transfer_function=False)


def _draw_rows(matrix: SystemMatrix, figure: Figure) -> None:
    index = matrix.row_index()
    images = np.asarray(matrix.grid.to_image(matrix.rows()))
    position = np.searchsorted(np.asarray(matrix.frequency_indices), index.frequency_index)
    frequencies = np.asarray(matrix.frequencies)[position]
    orders = None if matrix.sequence is None else matrix.sequence.mixing_orders()[index.frequency_index]
    half, center = np.asarray(matrix.grid.fov) * 500, np.asarray(matrix.grid.center) * 1e3
    plot_rows(
        {"strongest rows": images[:, images.shape[1] // 2]},
        frequencies=frequencies if np.all(np.isfinite(frequencies)) else None,
        mixing_orders=orders,
        channels=[_channel(c) for c in index.channel],
        extent=(center[0] - half[0], center[0] + half[0], center[1] - half[1], center[1] + half[1]),
        figure=figure,
    )


def _channel(number: int) -> str:
    return "xyz"[number] if number < 3 else str(number)
