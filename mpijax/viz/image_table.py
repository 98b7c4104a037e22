"""Images of one scene in a table: methods below one another, grids side by side."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from mpijax.core.typing import Array, Float
from mpijax.viz.style import limits, new_figure, styled


@styled
def plot_image_table(
    rows: Mapping[str, Sequence[Float[Array, "_ _"]]],
    columns: Sequence[str],
    *,
    width: float,
    scale_bar: float,
    limit: float | None = None,
    unit: str = "mmol(Fe)/L",
    cmap: str = "viridis",
) -> Figure:
    """Square images on one color scale from zero, with a scale bar; columns may have different numbers of voxels.

    Args:
        rows: Name of a row -> its images (y, x), one per column.
        columns: Titles of the columns.
        width: Width of every image [mm].
        scale_bar: Length of the bar in the first image [mm].
        limit: Value at the end of the color scale; None = the largest of all.
        unit: Label of the color bar.
        cmap: Color map.

    Returns:
        The figure.

    Raises:
        ValueError: No rows, or a row with another number of images than there are columns.
    """
    wrong = [name for name, images in rows.items() if len(images) != len(columns)]
    if wrong or not rows:
        raise ValueError(f"rows {wrong or 'are missing'}; every row needs one image for each of {list(columns)}.")
    cell = 1.45
    figure = new_figure(cell * len(columns) + 1.5, cell * len(rows) + 0.4)
    figure.set_layout_engine("compressed")  # square images leave no room between them
    table = figure.subplots(len(rows), len(columns), squeeze=False)
    low, high = limits(*(image for images in rows.values() for image in images))
    end = high if limit is None else limit
    for line, (name, images) in zip(table, rows.items(), strict=True):
        for axes, image in zip(line, images, strict=True):
            drawn = axes.imshow(image, origin="lower", extent=(0, width, 0, width), vmin=0, vmax=end, cmap=cmap)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    for axes, title in zip(table[0], columns, strict=True):
        axes.set_title(title)
    left, bottom = 0.06 * width, 0.07 * width
    table[0, 0].plot([left, left + scale_bar], [bottom, bottom], color="white", lw=2, solid_capstyle="butt")
    table[0, 0].text(left, bottom + 0.03 * width, f"{scale_bar:g} mm", color="white", fontsize=7, va="bottom")
    beyond = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}
    extend = beyond[bool(low < 0), bool(high > end)]
    figure.colorbar(drawn, ax=table, label=unit, extend=extend, shrink=min(1.0, 2.0 / len(rows)), aspect=20)
    return figure
