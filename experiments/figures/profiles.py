"""Rows of line calibrations: measured positions and fitted curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from mpijax.core.typing import Array, Complex, Float
from mpijax.viz.style import COLORS, MARKERS, limits, new_figure, styled


@styled
def plot_profiles(
    measured: Mapping[str, tuple[Float[Array, " n"], Complex[Array, "f n"]]],
    fitted: Mapping[str, tuple[Float[Array, " k"], Complex[Array, "f k"]]],
    titles: Sequence[str],
    *,
    xlabel: str = "x / mm",
) -> Figure:
    """Complex rows along a line, one panel per row: markers where measured, curves where fitted.

    All lines of a panel are turned by one phase, that of the first measured line, which makes it as real as it can be; drawn is
    the real part, and as small open markers the imaginary part that no real curve explains.

    Args:
        measured: name of a line -> positions [m] and rows (f, n).
        fitted: the same names -> positions [m] and rows (f, k).
        titles: of the panels (f,).
        xlabel: of the positions, drawn in mm.

    Returns:
        The figure.

    Raises:
        ValueError: a line without curve, or a number of titles other than that of the rows.
    """
    missing = [name for name in measured if name not in fitted]
    first = next(iter(measured.values()))[1]
    if missing or len(titles) != len(first):
        raise ValueError(
            f"lines {missing} have no fitted curve; {len(titles)} titles are given for {len(first)} rows. Give one each."
        )
    columns = min(len(titles), 4)
    height = -(-len(titles) // columns)
    figure = new_figure(1.8 * columns, 1.9 * height + 0.3)
    panels = figure.subplots(height, columns, squeeze=False).ravel()
    for axes in panels[len(titles) :]:
        axes.set_axis_off()
    for row, (axes, title) in enumerate(zip(panels, titles, strict=False)):
        turn = np.exp(-0.5j * np.angle(np.nansum(np.asarray(first)[row] ** 2)))
        scale = limits(*(np.abs(values[row]) for _, values in measured.values()))[1] or 1.0
        for i, (name, (positions, values)) in enumerate(measured.items()):
            points = np.asarray(values)[row] * turn / scale
            style = {"color": COLORS[i % 7], "marker": MARKERS[i % 7], "ls": "none"}
            axes.plot(np.asarray(positions) * 1e3, points.real, ms=3.5, label=name, **style)
            axes.plot(np.asarray(positions) * 1e3, points.imag, ms=2, mfc="none", mew=0.5, **style)
            where, curve = fitted[name]
            axes.plot(
                np.asarray(where) * 1e3, (np.asarray(curve)[row] * turn / scale).real, color=COLORS[i % 7], lw=0.9
            )
        axes.axhline(0, color="black", lw=0.4)
        axes.set(title=title, xlabel=xlabel)
        axes.grid(alpha=0.3, linewidth=0.5)
    panels[0].set_ylabel("signal / largest of the row")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
