"""Restorations with and without an identification, family by family."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mpijax.viz.style import COLORS, MARKERS, new_figure, styled


@styled
def plot_identified(results: Mapping[str, Sequence[Mapping[str, Any]]], kinds: Mapping[str, str]) -> Figure:
    """PSNR of every matrix (small) and its mean over a family (large), by method.

    Args:
        results: matrices of every family, each with ``psnr`` of its rows by method.
        kinds: what a figure of the family says, for the axis.

    Returns:
        The figure.
    """
    figure = new_figure(0.62 * len(results) + 1.6, 3.4)
    axes = figure.subplots()
    every = [matrix["psnr"] for matrices in results.values() for matrix in matrices]
    names = [name for name in every[0] if all(name in psnr for psnr in every)]
    for i, name in enumerate(names):
        shift = 0.22 * (i - (len(names) - 1) / 2)
        for place, matrices in enumerate(results.values()):
            means = [float(np.mean(matrix["psnr"][name])) for matrix in matrices]
            style: Any = {"color": COLORS[i % 7], "marker": MARKERS[i % 7], "ls": "none"}
            axes.plot(np.full(len(means), place + shift), means, ms=2.5, alpha=0.5, **style)
            axes.plot(place + shift, np.mean(means), ms=6, label=name if place == 0 else None, **style)
    axes.set_xticks(
        range(len(results)), [f"{name}\n{kinds[name]}" for name in results], rotation=45, ha="right", fontsize=7
    )
    axes.set(ylabel="PSNR [dB]")
    axes.grid(axis="y", lw=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure
