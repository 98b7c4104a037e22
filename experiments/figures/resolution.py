"""How sharp an image is: profiles across a structure, and a length against the iterations of a fit."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mpijax.core.typing import Array, Float, Num
from mpijax.viz.style import COLORS, new_figure, styled


@styled
def plot_cross_profiles(
    panels: Mapping[str, tuple[Float[Array, " _"], Mapping[str, Float[Array, " _"]]]], *, xlabel: str, ylabel: str
) -> Figure:
    """Profiles across a structure, one panel per grid, one line per method; the first line of a panel is the truth, black.

    Args:
        panels: Title -> positions and the profiles by name.
        xlabel: Of the positions.
        ylabel: Of the profiles.

    Returns:
        The figure.

    Raises:
        ValueError: No panels.
    """
    if not panels:
        raise ValueError("panels is empty; give the profiles of at least one grid.")
    figure = new_figure(2.6 * len(panels) + 0.4, 3.3)
    for i, (axes, (title, (positions, profiles))) in enumerate(
        zip(figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels.items(), strict=True)
    ):
        for j, (name, profile) in enumerate(profiles.items()):
            color, style = ("black", "-") if j == 0 else (COLORS[(j - 1) % 6], "-" if j <= 6 else "--")
            axes.plot(positions, profile, label=name, color=color, ls=style, lw=1.6 if j == 0 else 1.1)
        axes.set(title=title, xlabel=xlabel)
        axes.grid(alpha=0.3, linewidth=0.5)
        if i == 0:
            axes.set_ylabel(ylabel)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


@styled
def plot_against_iterations(
    curves: Mapping[str, tuple[Num[Array, " _"], Float[Array, " _"]]],
    *,
    ylabel: str,
    reference: float,
    chosen: Mapping[str, float],
) -> Figure:
    """A quantity of the image against the iterations of a fit, with its true value and where the fit was stopped.

    Args:
        curves: Name -> iterations and values; NaN leaves a gap.
        ylabel: Of the values.
        reference: The true value.
        chosen: Name of a curve -> iteration whose weights were kept; drawn where the curve has values.

    Returns:
        The figure.
    """
    figure = new_figure(4.2, 2.8)
    axes = figure.subplots()
    for i, (name, (steps, values)) in enumerate(curves.items()):
        axes.plot(steps, values, color=COLORS[i % 6], label=name)
        known = np.isfinite(values)
        if name in chosen and known.any():
            at = np.interp(chosen[name], np.asarray(steps)[known], np.asarray(values)[known])
            axes.plot(chosen[name], at, marker="o", ms=5, color=COLORS[i % 6], ls="none")
    axes.axhline(reference, color="black", lw=0.8, ls="--", label="true")
    axes.set(xlabel="iterations", ylabel=ylabel, xscale="log")
    axes.grid(alpha=0.3, linewidth=0.5)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
