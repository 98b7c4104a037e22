"""Many images side by side, each with its own axes."""

from collections.abc import Mapping
from math import ceil
from typing import Any

from matplotlib.figure import Figure

from mpijax.viz.style import Extent, limits, new_figure, styled


@styled
def plot_gallery(
    images: Mapping[str, tuple[Any, Extent, str]], *, columns: int = 5, unit: str = "mmol(Fe)/L"
) -> Figure:
    """Images of one quantity on one color scale from zero, row by row; the tip of its bar says where values below are cut.

    Args:
        images: Title -> image (rows, columns), edges [mm] and the two axes, "xy" or "xz".
        columns: Images in a row of the figure.
        unit: Unit of the values.

    Returns:
        The figure.

    Raises:
        ValueError: No images.
    """
    if not images:
        raise ValueError("images is empty; give at least one.")
    rows = ceil(len(images) / columns)
    figure = new_figure(1.75 * columns + 0.6, 1.85 * rows)
    table = figure.subplots(rows, columns, squeeze=False)
    low, high = limits(*(image for image, _, _ in images.values()))
    for axes, (title, (image, extent, names)) in zip(table.flat, images.items(), strict=False):
        drawn = axes.imshow(image, origin="lower", extent=extent, vmin=0, vmax=high, cmap="viridis")
        axes.set(title=title, xlabel=f"{names[0]} / mm", ylabel=f"{names[1]} / mm")
        axes.tick_params(length=2)
    for axes in table.flat[len(images) :]:
        axes.set_axis_off()
    figure.colorbar(drawn, ax=table, label=unit, extend="min" if low < 0 else "neither", shrink=0.6, aspect=25)
    return figure
