"""The first look at a calibration: what the lab checks before it trusts a system matrix."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure, FigureBase

from mpijax.core.checks import check_range
from mpijax.io import SystemMatrixFile, open_system_matrix
from mpijax.system import SystemMatrix
from mpijax.viz.curves import plot_background_drift, plot_snr
from mpijax.viz.rows import plot_rows
from mpijax.viz.style import COLORS, new_figure, styled

READ_BYTES = 2**28
"""Rows of larger files are thinned out over frequency where every frame is needed."""


@styled
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
        ValueError: ``rows`` not 1 to 12.
    """
    check_range("rows", rows, 1, 12, "", "More rows do not fit into one line of the figure.")
    file = open_system_matrix(path).with_snr()
    thinned = _thin(file)
    sample = thinned.read(apply_transfer_function=False)
    strength = file.snr
    if strength is None:
        file, strength = thinned, np.sqrt(np.mean(np.abs(sample.values) ** 2, axis=-1))
    strongest = _strongest(file, strength, rows)
    has_drift = sample.background is not None and sample.background.shape[0] >= 3
    heights = [2.8, 2.2, 1.6 + 1.0 * file.n_channels] if has_drift else [2.8, 2.2]
    figure = new_figure(8.0, sum(heights))
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    known = np.all(np.isfinite(file.frequencies))
    frequencies = file.frequencies if known else np.asarray(file.frequency_indices, float)
    orders = file.sequence.mixing_orders()[file.frequency_indices] if file.sequence is not None else None
    labels = _labels(file)
    plot_snr(frequencies, np.asarray(strength), orders, labels=labels, figure=parts[0])
    if file.snr is None:
        parts[0].axes[0].set_ylabel("rms of the row (no SNR)")
    parts[0].suptitle(Path(path).name)
    draw = _draw_lines if strongest.grid.shape[1:] == (1, 1) else _draw_images
    draw(strongest, dict(zip(range(len(labels)), labels, strict=True)), parts[1])
    if has_drift:
        plot_background_drift(sample.background, sample.frequencies, labels=labels, figure=parts[2])
    return figure


def _thin(file: SystemMatrixFile) -> SystemMatrixFile:
    """Every k-th frequency, so that the rows with all their frames fit into READ_BYTES."""
    row_bytes = 8 * file.n_channels * file.info.n_frames
    step = max(1, -(-len(file.bins) * row_bytes // READ_BYTES))
    return replace(file, bins=file.bins[::step], snr=None if file.snr is None else file.snr[:, ::step])


def _strongest(file: SystemMatrixFile, strength: np.ndarray, count: int) -> SystemMatrix:
    """The rows of largest strength in order of frequency, the constant component left out."""
    ranked = np.where(file.frequency_indices > 0, np.nan_to_num(strength, posinf=0), 0)
    order = np.argsort(ranked.reshape(-1))[::-1][:count]
    channel, position = np.unravel_index(order, strength.shape)
    bins = np.unique(position)
    mask = np.zeros((file.n_channels, len(bins)), bool)
    mask[channel, np.searchsorted(bins, position)] = True
    chosen = replace(file, bins=file.bins[bins], row_mask=mask, snr=None if file.snr is None else file.snr[:, bins])
    return chosen.read(apply_transfer_function=False)


def _draw_images(matrix: SystemMatrix, labels: dict[int, str], figure: FigureBase) -> None:
    """Rows of a plane, or of the central slice of a volume."""
    index = matrix.row_index()
    images = np.asarray(matrix.grid.to_image(matrix.rows()))
    frequencies = _row_frequencies(matrix)
    half, center = np.asarray(matrix.grid.fov) * 500, np.asarray(matrix.grid.center) * 1e3
    plot_rows(
        {"strongest rows": images[:, images.shape[1] // 2]},
        frequencies=frequencies if np.all(np.isfinite(frequencies)) else None,
        mixing_orders=None if matrix.sequence is None else matrix.sequence.mixing_orders()[index.frequency_index],
        channels=[labels[int(c)] for c in index.channel],
        extent=(center[0] - half[0], center[0] + half[0], center[1] - half[1], center[1] + half[1]),
        figure=figure,
    )


def _draw_lines(matrix: SystemMatrix, labels: dict[int, str], figure: FigureBase) -> None:
    """Rows of a line of positions: real and imaginary part over x."""
    position = np.asarray(matrix.grid.positions)[:, 0] * 1e3
    rows, frequencies, channels = np.asarray(matrix.rows()), _row_frequencies(matrix), matrix.row_index().channel
    axes = figure.subplots(1, len(rows), squeeze=False)[0]
    for ax, row, frequency, channel in zip(axes, rows, frequencies, channels, strict=True):
        ax.plot(position, row.real, "o-", color=COLORS[0], markersize=2.5, label="real")
        ax.plot(position, row.imag, "s--", color=COLORS[1], markersize=2.5, label="imaginary")
        ax.set(xlabel="x / mm", title=f"{frequency / 1e3:.2f} kHz\n{labels[int(channel)]}")
        ax.ticklabel_format(axis="y", scilimits=(-2, 2))
    axes[0].set_ylabel("strongest rows")
    figure.legend(*axes[0].get_legend_handles_labels(), ncols=2, loc="outside lower center")


def _row_frequencies(matrix: SystemMatrix) -> np.ndarray:
    position = np.searchsorted(np.asarray(matrix.frequency_indices), matrix.row_index().frequency_index)
    return np.asarray(matrix.frequencies)[position]


def _labels(file: SystemMatrixFile) -> list[str]:
    """Names of the kept channels: x, y, z where there are three receive channels, else their numbers from 1."""
    named = file.info.n_channels == 3
    return ["xyz"[c] if named else f"channel {c + 1}" for c in file.channels]
