"""How far models are from a reference, over two parameters of the particle."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from mpijax.core.typing import Array, Float
from mpijax.viz.style import COLORS, MARKERS, new_figure, styled


@styled
def plot_validity(
    diameters: Float[Array, " d"],
    constants: Float[Array, " k"],
    errors: Mapping[str, Float[Array, "d k"]],
    alpha: Float[Array, "d k"],
) -> Figure:
    """Error of each model as a colored table over diameter and anisotropy constant, with alpha in small print.

    Args:
        diameters: core diameters [m], the rows.
        constants: anisotropy constants K [J/m^3], the columns.
        errors: model -> relative error, positive; colors run logarithmically from 1e-3 to 1.
        alpha: reduced anisotropy of every cell.

    Returns:
        The figure, one panel per model; values beyond 1, where the error has lost its meaning, read "> 1".

    Raises:
        ValueError: no model.
    """
    if not errors:
        raise ValueError("errors names no model; give at least one table of errors.")
    figure = new_figure(3.4 * len(errors) + 0.6, 3.0)
    panels = figure.subplots(1, len(errors), squeeze=False, sharey=True)[0]
    for axes, (name, table) in zip(panels, errors.items(), strict=True):
        image = axes.imshow(np.asarray(table), norm=LogNorm(1e-3, 1), cmap="cividis", origin="lower", aspect="auto")
        for (i, j), value in np.ndenumerate(np.asarray(table)):
            text = "> 1" if value > 1 else f"{value:.1g}" if value < 0.01 else f"{value:.2f}"
            color = "black" if value > 0.03 else "white"
            axes.text(j, i + 0.12, text, ha="center", va="center", color=color, fontsize=7)
            axes.text(
                j, i - 0.22, rf"$\alpha$ {float(alpha[i][j]):.1f}", ha="center", va="center", color=color, fontsize=5
            )
        axes.set_xticks(range(len(constants)), [f"{k / 1e3:g}" for k in np.asarray(constants)])
        axes.set(title=name, xlabel="K / (kJ/m³)")
    panels[0].set_yticks(range(len(diameters)), [f"{d * 1e9:g}" for d in np.asarray(diameters)])
    panels[0].set_ylabel("core diameter / nm")
    figure.colorbar(image, ax=list(panels), label="error of dm/dt", extend="both")
    return figure


@styled
def plot_orders(rows: Sequence[Mapping[str, Any]], good: float) -> Figure:
    """Error of matrix rows over the reduced anisotropy, one panel per geometry, one color per range of mixing orders.

    Args:
        rows: each with "geometry", "orders", "alpha" and the errors "equilibrium" (filled) and "Langevin" (open).
        good: error that is marked by a line.

    Returns:
        The figure.

    Raises:
        ValueError: no row.
    """
    if not rows:
        raise ValueError("rows is empty; give the errors of at least one particle.")
    geometries, bands = (list(dict.fromkeys(row[key] for row in rows)) for key in ("geometry", "orders"))
    bands.sort(key=lambda band: int(band.split()[0]))
    figure = new_figure(3.3 * len(geometries), 3.2)
    panels = figure.subplots(1, len(geometries), squeeze=False, sharey=True)[0]
    for axes, geometry in zip(panels, geometries, strict=True):
        for i, band in enumerate(bands):
            chosen = [row for row in rows if (row["geometry"], row["orders"]) == (geometry, band)]
            alpha = [row["alpha"] for row in chosen]
            style: dict[str, Any] = {"color": COLORS[i], "marker": MARKERS[i], "ms": 3.5}
            axes.semilogy(alpha, [row["equilibrium"] for row in chosen], label=f"equilibrium, orders {band}", **style)
            axes.semilogy(alpha, [row["Langevin"] for row in chosen], ls="none", mfc="none", label="Langevin", **style)
        axes.axhline(good, color="black", lw=0.8, ls=":")
        axes.set(title=geometry, xlabel=r"reduced anisotropy $\alpha = KV/(k_\mathrm{B}T)$")
        axes.grid(alpha=0.3, linewidth=0.5)
    panels[0].set_ylabel("error of a row (median)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(bands))
    return figure
