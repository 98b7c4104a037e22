"""Rows of a calibration before and after a restoration."""

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mpijax.restoration.trust import REASONS
from mpijax.system import SystemMatrix
from mpijax.viz.rows import complex_to_rgb, draw_phase_wheel, row_texts
from mpijax.viz.style import new_figure, styled


@styled
def plot_restored(before: SystemMatrix, after: SystemMatrix, stats: Mapping[str, Any], *, rows: int = 6) -> Figure:
    """Measured rows above restored ones, from the least to the most noisy, and what was taken away.

    Most columns are restored rows, evenly spaced over their noise; where some were not restored, the last column is one. Full
    brightness is the largest modulus of the measured row. Where the grid stayed the same, the third line shows measured minus
    restored: noise, and no trace of the row. Missing positions are gray. Volumes show
    the slice along z with most of them, else the central one.

    Args:
        before: what was measured.
        after: value of :func:`mpijax.restore`.
        stats: its stats.
        rows: columns.

    Returns:
        The figure.
    """
    chosen = _choose(stats, rows)
    gaps = np.asarray(before.grid.to_image(np.asarray(stats["missing"])))
    measured, restored = (_slices(matrix, chosen, gaps) for matrix in (before, after))
    missing = np.broadcast_to(_slice(gaps, gaps), measured.shape)
    measured = np.where(missing, 0, measured)
    whole = np.asarray(before.rows())[chosen]
    peaks = np.abs(np.where(np.asarray(stats["missing"]), 0, whole)).max(axis=1)
    pictures = {"measured": measured, "restored": restored}
    if measured.shape == restored.shape:
        pictures["removed"] = np.where(missing, 0, measured - restored)
    k = len(chosen)
    aspect = measured.shape[1] / measured.shape[2]
    cell = 1.25
    figure = new_figure(cell * k + 1.6, cell * aspect * len(pictures) + 0.75)
    grid = figure.add_gridspec(len(pictures), k + 1, width_ratios=[*[1.0] * k, 0.9])
    titles = _titles(before, stats, chosen)
    for i, (name, images) in enumerate(pictures.items()):
        for j in range(k):
            axes = figure.add_subplot(grid[i, j])
            colors = complex_to_rgb(images[j], peaks[j])
            if name != "restored":
                colors[missing[j]] = 0.5
            axes.imshow(colors, origin="lower", aspect=aspect * images.shape[2] / images.shape[1])
            axes.set(xticks=[], yticks=[])
            if i == 0:
                axes.set_title(titles[j], fontsize=6.5)
            if j == 0:
                axes.set_ylabel(name)
    draw_phase_wheel(figure.add_subplot(grid[:2, k]))
    return figure


def _choose(stats: Mapping[str, Any], count: int) -> np.ndarray:
    """Rows evenly spaced over the noise of the restored ones, and the strongest of those that were left."""
    order = np.argsort(stats["level"])
    good, left = order[stats["trusted"][order]], order[~stats["trusted"][order]]
    spaced = max(1, count - 1) if len(left) else count
    picks = [good[i] for i in np.unique(np.linspace(0, len(good) - 1, min(spaced, len(good))).astype(int))]
    return np.array([*picks, *left[: count - len(picks) if not len(good) else 1]])


def _slices(matrix: SystemMatrix, rows: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    return _slice(np.asarray(matrix.grid.to_image(np.asarray(matrix.rows())[rows])), gaps)


def _slice(images: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """The plane of a grid (.., z, y, x), or a slice along z of a volume: the one with most ``gaps`` (z, y, x) of its grid, else
    the central one; y or x may be the axis of one voxel."""
    flat = [axis for axis in (-3, -2, -1) if images.shape[axis] == 1]
    if flat:
        return np.take(images, 0, axis=flat[0])
    depth = images.shape[-3]
    if depth == len(gaps) and gaps.any():
        return np.take(images, int(np.argmax(gaps.sum(axis=(1, 2)))), axis=-3)
    return np.take(images, depth // 2, axis=-3)


def _titles(matrix: SystemMatrix, stats: Mapping[str, Any], rows: np.ndarray) -> list[str]:
    titles = []
    for row, frequency, orders, channel in zip(rows, *row_texts(matrix, rows), strict=True):
        lines = [frequency, f"{channel}  {orders}".rstrip()]
        lines.append(f"noise {stats['level'][row]:.1%} of maximum")
        if not stats["trusted"][row]:
            lines.append(textwrap.fill("not restored: " + REASONS[stats["reason"][row]], 26))
        titles.append("\n".join(lines))
    return titles
