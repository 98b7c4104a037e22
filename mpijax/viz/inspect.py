"""The first look at a calibration: what the lab checks before it trusts a system matrix."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure, FigureBase

from mpijax.core.checks import check_range
from mpijax.io import SystemMatrixFile, open_system_matrix
from mpijax.io.mdf.shapes import known_snr
from mpijax.system import SystemMatrix
from mpijax.viz.channels import MAX_LEGEND, Channels
from mpijax.viz.curves import plot_background_drift, plot_snr
from mpijax.viz.rows import plot_rows, row_texts
from mpijax.viz.style import COLORS, new_figure, styled

READ_BYTES = 2**28
"""Rows of larger files are thinned out over frequency where every frame is needed."""


@styled
def inspect_figure(path: str | Path, *, rows: int = 6) -> Figure:
    """SNR over frequency and mixing order, the strongest rows, and the drift of the background frames, in one figure.

    Of a rotating field-free line each row shown is the strongest angle of a harmonic; a single voxel has all its harmonics
    drawn as one spectrum. A file without SNR and without background frames shows the rms of its rows instead of the SNR.
    Only the rows shown, the background frames and, where it is missing, what the SNR needs are read.

    Args:
        path: MDF file with a calibration.
        rows: how many of the strongest rows to draw; of a 3-D grid the central slice.

    Returns:
        The figure.

    Raises:
        MDFError: no calibration in the file.
        ValueError: ``rows`` not 1 to 12, or a file of zeros alone.
    """
    check_range("rows", rows, 1, 12, "", "More rows do not fit into one line of the figure.")
    file = open_system_matrix(path).with_snr()
    sample = _thin(file).read(apply_transfer_function=False)
    heard = np.any(np.isfinite(sample.values) & (sample.values != 0), axis=(1, 2))
    if not heard.any():
        raise ValueError(f"{path}: all rows are zero or NaN; there is nothing to draw.")
    if not heard.all():
        silent = ", ".join(np.array(_labels(file))[~heard])
        warnings.warn(f"{path}: left out are channels that are zero in every row: {silent}.", stacklevel=3)
        file = _part(file, np.flatnonzero(heard), np.arange(len(file.bins)))
        sample = _thin(file).read(apply_transfer_function=False)
    strength = known_snr(file.snr)
    measured = strength is not None
    if strength is None:
        file, strength = _thin(file), _rms(np.asarray(sample.values))
    has_drift = sample.background is not None and np.isfinite(sample.background).any(axis=(1, 2)).sum() >= 3
    maps = file.n_channels if file.n_channels <= MAX_LEGEND else 1
    heights = [2.8, 2.2, 1.6 + 1.0 * maps] if has_drift else [2.8, 2.2]
    figure = new_figure(8.0, sum(heights))
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    orders = file.sequence.mixing_orders()[file.frequency_indices] if file.sequence is not None else None
    channels = Channels(file.n_channels, _labels(file), sample.angles)
    plot_snr(
        _places(file), np.asarray(strength), orders, labels=channels.labels, angles=channels.angles, figure=parts[0]
    )
    if not measured:
        parts[0].axes[0].set_ylabel("rms of the row (no SNR)")
    parts[0].suptitle(Path(path).name)
    if sample.grid.size == 1:
        _draw_spectrum(sample, channels, parts[1])
    else:
        strongest = _strongest(file, strength, rows)
        draw = _draw_lines if strongest.grid.shape[1:] == (1, 1) else _draw_images
        draw(strongest, channels, parts[1])
    if has_drift and sample.background is not None:
        plot_background_drift(
            sample.background, _places(sample), labels=channels.labels, angles=channels.angles, figure=parts[2]
        )
    return figure


def _part(file: SystemMatrixFile, channels: np.ndarray, bins: np.ndarray) -> SystemMatrixFile:
    """Some channels and bins by their positions, the latter ascending."""

    def cut(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[np.ix_(channels, bins)]

    return replace(
        file,
        channel_positions=file.channel_positions[channels],
        bins=file.bins[bins],
        row_mask=cut(file.row_mask),
        snr=cut(file.snr),
    )


def _thin(file: SystemMatrixFile) -> SystemMatrixFile:
    """Every k-th frequency, so that the rows with all their frames fit into READ_BYTES."""
    row_bytes = 8 * file.n_channels * file.info.n_frames
    step = max(1, -(-len(file.bins) * row_bytes // READ_BYTES))
    return _part(file, np.arange(file.n_channels), np.sort(np.argsort(file.frequency_indices)[::step]))


def _rms(values: np.ndarray) -> np.ndarray:
    """Root mean square of rows (c, f, n) over the positions with a value; zero where there is none."""
    finite = np.isfinite(values)
    power = np.sum(np.abs(np.where(finite, values, 0)).astype(np.float64) ** 2, axis=-1)
    return np.sqrt(power / np.maximum(np.count_nonzero(finite, axis=-1), 1))


def _places(source: SystemMatrixFile | SystemMatrix) -> np.ndarray:
    """Frequencies [Hz]; where some are not known, the numbers of the bins, which the axis then shows in thousands."""
    frequencies = np.asarray(source.frequencies)
    return frequencies if np.all(np.isfinite(frequencies)) else np.asarray(source.frequency_indices, float)


def _strongest(file: SystemMatrixFile, strength: np.ndarray, count: int) -> SystemMatrix:
    """The rows of largest strength, the constant component left out."""
    ranked = np.where(file.frequency_indices > 0, np.nan_to_num(strength, posinf=np.finfo(float).max), 0)
    if file.row_mask is not None:
        ranked = np.where(file.row_mask, ranked, 0)
    if file.info.angles is not None:  # neighboring angles look alike
        ranked, count = np.where(ranked == ranked.max(axis=0), ranked, 0), min(count, len(file.bins))
    channel, position = np.indices(ranked.shape).reshape(2, -1)
    best = np.lexsort((channel, file.frequency_indices[position], -ranked.reshape(-1)))[:count]
    mask = np.zeros(ranked.shape, bool)
    mask.reshape(-1)[best] = True
    bins = np.flatnonzero(mask.any(axis=0))
    chosen = replace(_part(file, np.arange(file.n_channels), bins), row_mask=mask[:, bins])
    return chosen.read(apply_transfer_function=False)


def _in_order(matrix: SystemMatrix) -> tuple[np.ndarray, np.ndarray]:
    """Order of the kept rows by channel and frequency, whatever the file's, and the positions of their channels."""
    channel, position = matrix.kept_rows()
    order = np.lexsort((np.asarray(matrix.frequency_indices)[position], channel))
    return order, channel[order]


def _draw_images(matrix: SystemMatrix, channels: Channels, figure: FigureBase) -> None:
    """Rows of a plane, or of the central slice of a volume."""
    order, channel = _in_order(matrix)
    images = np.asarray(matrix.grid.to_image(np.asarray(matrix.rows())[order]))
    drawn = plot_rows(
        {"strongest rows": images[:, images.shape[1] // 2]},
        matrix=matrix,
        chosen=order,
        channels=[channels.labels[c] for c in channel],
        figure=figure,
    )
    if channels.angles is not None:
        for axes, title in zip(drawn.axes, _titles(matrix, channels), strict=False):
            axes.set_title(title)


def _draw_lines(matrix: SystemMatrix, channels: Channels, figure: FigureBase) -> None:
    """Rows of a line of positions: real and imaginary part over x."""
    position = np.asarray(matrix.grid.positions)[:, 0] * 1e3
    rows = np.asarray(matrix.rows())[_in_order(matrix)[0]]
    axes = figure.subplots(1, len(rows), squeeze=False)[0]
    for ax, row, title in zip(axes, rows, _titles(matrix, channels), strict=True):
        ax.plot(position, row.real, "o-", color=COLORS[0], markersize=2.5, label="real")
        ax.plot(position, row.imag, "s--", color=COLORS[1], markersize=2.5, label="imaginary")
        ax.set(xlabel="x / mm", title=title)
        ax.ticklabel_format(axis="y", scilimits=(-2, 2))
    axes[0].set_ylabel("strongest rows")
    figure.legend(*axes[0].get_legend_handles_labels(), ncols=2, loc="outside lower center")


def _draw_spectrum(matrix: SystemMatrix, channels: Channels, figure: FigureBase) -> None:
    """Modulus of every harmonic of a single voxel, the constant component left out."""
    shown = np.asarray(matrix.frequency_indices) > 0
    frequencies = _places(matrix)[shown] / 1e3
    modulus = np.abs(np.asarray(matrix.values)[:, shown, 0])
    axes = figure.subplots()
    axes.set(yscale="log", xlabel="frequency / kHz", ylabel="modulus of the harmonic")
    axes.grid(alpha=0.3, linewidth=0.5)
    floor = np.min(modulus, where=modulus > 0, initial=np.inf) / 2
    step = np.diff(np.sort(frequencies)).min(initial=np.inf) if len(frequencies) > 1 else 0.0
    shifts = 0.6 * step * (np.arange(channels.count) - (channels.count - 1) / 2) / channels.count
    for i, (name, look) in enumerate(zip(channels.names, channels.looks, strict=True)):
        drawn = modulus[i] > 0
        shifted = frequencies[drawn] + shifts[i]
        axes.vlines(shifted, floor, modulus[i, drawn], color=look["color"], linewidth=0.8)
        axes.plot(shifted, modulus[i, drawn], ls="none", ms=2.5, label=name, **look)
    if channels.many:
        channels.draw_color_bar(figure, [axes])
    else:
        axes.legend(loc="upper right", markerscale=2, handletextpad=0.2)


def _titles(matrix: SystemMatrix, channels: Channels) -> list[str]:
    """ "25.00 kHz, channel x" of each row; of a rotating line "angle 36 deg, harmonic 3"."""
    order, channel = _in_order(matrix)
    frequencies, orders, _ = row_texts(matrix, order)
    names = [channels.names[c] for c in channel]
    if channels.angles is None:
        return [f"{frequency}\n{name}" for frequency, name in zip(frequencies, names, strict=True)]
    texts = [harmonic or frequency for harmonic, frequency in zip(orders, frequencies, strict=True)]
    return [f"{name}\n{text}" for name, text in zip(names, texts, strict=True)]


def _labels(file: SystemMatrixFile) -> list[str]:
    """Names of the kept channels: x, y, z where the file has three receive channels, else their numbers from 0."""
    named = file.info.n_channels == 3
    return ["xyz"[c] if named else str(c) for c in file.channels]
