"""Concentration images as a physicist looks at them: slices in millimeters, one color scale, a scale bar."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mpijax.core.typing import Array, Float, Shaped
from mpijax.system import Grid
from mpijax.viz.style import limits, new_figure, styled

PLANES = ((0, 1), (0, 2), (1, 2))
"""Horizontal and vertical axis of the three orthogonal slices: xy, xz, yz."""

PANEL = 2.1
"""Longer side of the largest panel [inch]."""

LEAST = 0.5
"""Shorter side of a panel, however thin [inch]."""


@styled
def plot_slices(
    images: Float[Array, "z y x"] | Mapping[str, Float[Array, "z y x"]],
    grid: Grid,
    *,
    unit: str = "mmol(Fe)/L",
) -> Figure:
    """Images on one color scale from zero: a single slice as it is, a volume as three slices through its largest value.

    Methods stand side by side. Those of a volume are all cut through the largest value of the first image, so that the
    same voxels are compared; cross hairs show where. The slices hold the voxels' values themselves, which a projection
    would bias upward in noise. An arrow on the color bar says that values lie below zero.

    Args:
        images: image (nz, ny, nx), or title -> image.
        grid: the voxels' grid [m].
        unit: of the values.

    Returns:
        The figure.

    Raises:
        ValueError: no images, or a shape that is not the grid's.
    """
    panels = {name: np.asarray(i) for name, i in (images if isinstance(images, Mapping) else {"": images}).items()}
    if not panels:
        raise ValueError("images is empty; give at least one image.")
    for name, image in panels.items():
        if image.shape != grid.shape[::-1]:
            raise ValueError(
                f"image {name!r} has shape {image.shape}; a grid of shape {grid.shape} has {grid.shape[::-1]}."
            )
    edges = edges_mm(grid)
    first = next(iter(panels.values()))
    z, y, x = np.unravel_index(np.argmax(np.where(np.isfinite(first), first, -np.inf)), grid.shape[::-1])
    voxel = (int(x), int(y), int(z))
    planes = planes_of(grid)
    size = np.array([high - low for low, high in edges])
    scale = PANEL / max(size[list(plane)].max() for plane in planes)
    heights = [max(scale * size[v], LEAST) for _, v in planes]
    width = max(LEAST, *(scale * size[h] for h, _ in planes))
    titled = 0.35 if any(panels) else 0.1
    figure = new_figure(len(panels) * (width + 0.15) + 1.5, sum(heights) + 0.45 * len(planes) + titled)
    table = figure.subplots(len(planes), len(panels), squeeze=False, height_ratios=heights)
    low, high = limits(*panels.values())
    for column, (name, image) in enumerate(panels.items()):
        table[0, column].set_title(name)
        for row, (h, v) in enumerate(planes):
            axes = table[row, column]
            cut = cut_plane(image, (h, v), voxel)
            settings: dict[str, Any] = {"origin": "lower", "extent": (*edges[h], *edges[v]), "cmap": "viridis"}
            drawn = axes.imshow(cut, vmin=0, vmax=high if high > 0 else 1, **settings)
            axes.tick_params(labelleft=column == 0, length=2)
            axes.set_xlabel(f"{'xyz'[h]} / mm")
            if grid.shape[v] == 1:  # a line of voxels
                axes.set(yticks=[], aspect="auto")
                continue
            if column == 0:
                axes.set_ylabel(f"{'xyz'[v]} / mm")
            _scale_bar(axes, edges[h])
            if len(planes) > 1:
                _cross_hairs(axes, _center(grid, voxel, h), _center(grid, voxel, v))
    extend = "min" if low < 0 else "neither"
    figure.colorbar(drawn, ax=table, label=unit, extend=extend, shrink=0.9 if len(planes) == 1 else 0.5, aspect=20)
    return figure


def edges_mm(grid: Grid) -> list[tuple[float, float]]:
    """Outer edges of a grid along x, y, z [mm]."""
    fov, center = 1e3 * np.asarray(grid.fov, np.float64), 1e3 * np.asarray(grid.center, np.float64)
    return [(float(c - f / 2), float(c + f / 2)) for c, f in zip(center, fov, strict=True)]


def _center(grid: Grid, voxel: tuple[int, int, int], axis: int) -> float:
    low, high = edges_mm(grid)[axis]
    return low + (voxel[axis] + 0.5) * (high - low) / grid.shape[axis]


def planes_of(grid: Grid) -> tuple[tuple[int, int], ...]:
    """Axes of the planes that a grid is cut along: all three, or the two longest axes of a grid that is one voxel thick."""
    if min(grid.shape) > 1:
        return PLANES
    longest = sorted(range(3), key=lambda axis: -grid.shape[axis])
    return ((min(longest[:2]), max(longest[:2])),)


def cut_plane(
    image: Shaped[Array, "z y x"], plane: tuple[int, int], voxel: tuple[int, int, int]
) -> Shaped[Array, "v h"]:
    """The slice of an image through a voxel (x, y, z) along two axes, the second one first."""
    normal = 3 - sum(plane)
    return np.take(image, voxel[normal], axis=2 - normal)  # the axes of an image are z, y, x


def _scale_bar(axes: Axes, edges: tuple[float, float]) -> None:
    """A bar of 1, 2 or 5 times a power of ten, at most a third of the width, with a dark rim to stand out in bright voxels."""
    limit = (edges[1] - edges[0]) / 3
    power = 10.0 ** np.floor(np.log10(limit))
    length = power * max(step for step in (1, 2, 5) if step * power <= limit)
    share = length / (edges[1] - edges[0])
    style: dict[str, Any] = {"transform": axes.transAxes, "color": "white"}
    style["path_effects"] = [patheffects.withStroke(linewidth=1.5, foreground="black")]
    axes.text(0.95 - share / 2, 0.08, f"{length:g} mm", ha="center", va="bottom", fontsize=6, **style)
    style["path_effects"] = [patheffects.withStroke(linewidth=3, foreground="black")]
    axes.plot([0.95 - share, 0.95], [0.06, 0.06], linewidth=2, solid_capstyle="butt", **style)


def _cross_hairs(axes: Axes, horizontal: float, vertical: float) -> None:
    style: dict[str, Any] = {"color": "white", "linewidth": 0.4, "alpha": 0.6, "linestyle": ":"}
    axes.axvline(horizontal, **style)
    axes.axhline(vertical, **style)
