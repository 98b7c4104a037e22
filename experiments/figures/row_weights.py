"""Weights of the rows of a system matrix."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from mpijax.core.typing import Array, Float, Num
from mpijax.viz.style import new_figure, styled


@styled
def plot_row_weights(
    factors: Float[Array, " m"],
    frequencies: Float[Array, " m"],
    snr: Float[Array, " m"],
    orders: Num[Array, " m"],
) -> Figure:
    """By which factor each row's weight was changed, over its frequency and over its signal-to-noise ratio.

    Args:
        factors: Weight over the weight before, > 0.
        frequencies: Of the rows [Hz].
        snr: Of the rows.
        orders: Total mixing order |mx| + |my| + |mz| of the rows, the color of the points.

    Returns:
        The figure.
    """
    figure = new_figure(7.0, 2.6)
    panels = figure.subplots(1, 2, sharey=True)
    known = np.maximum(orders, 1)
    scale = LogNorm(known.min(), max(known.min() + 1, known.max()))
    for axes, values, label in ((panels[0], np.asarray(frequencies) / 1e3, "frequency / kHz"), (panels[1], snr, "SNR")):
        axes.axhline(1, color="0.6", linewidth=0.8)
        drawn = axes.scatter(values, factors, c=known, s=6, cmap="viridis", norm=scale)
        axes.set(xlabel=label, yscale="log")
        axes.grid(alpha=0.3, linewidth=0.5)
    panels[1].set_xscale("log")
    panels[0].set_ylabel("weight / weight before")
    bar = figure.colorbar(drawn, ax=panels, label="total mixing order", aspect=25)
    bar.set_ticks([order for order in (1, 2, 5, 10, 20, 50) if known.min() <= order <= known.max()])
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return figure
