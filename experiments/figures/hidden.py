"""Errors at hidden positions of measured lines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mpijax.viz.style import COLORS, MARKERS, new_figure, styled


@styled
def plot_hidden(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Relative error of every method by harmonic, one panel for each pattern of hidden positions, with its 95 % intervals.

    Args:
        records: of :func:`experiments.support.hidden_positions.hidden_positions`.

    Returns:
        The figure.
    """
    patterns = list(dict.fromkeys(record["pattern"] for record in records))
    figure = new_figure(2.4 * len(patterns), 2.6)
    panels = np.atleast_1d(figure.subplots(1, len(patterns), sharey=True))
    for axes, pattern in zip(panels, patterns, strict=True):
        own = [r for r in records if r["pattern"] == pattern and r["harmonic"] != "all"]
        place = np.array([r["harmonic"] for r in own], float)
        for i, name in enumerate(own[0]["errors"]):
            error, low, high = np.array([r["errors"][name] for r in own]).T
            shifted = place + 0.12 * (i - (len(own[0]["errors"]) - 1) / 2)
            axes.errorbar(
                shifted,
                error,
                [error - low, high - error],
                color=COLORS[i % 7],
                marker=MARKERS[i % 7],
                ms=3,
                lw=0.8,
                label=name,
            )
        axes.set(title=f"hidden: {pattern}", xlabel="harmonic", yscale="log", xticks=place)
    panels[0].set_ylabel("error / rms of the row")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
