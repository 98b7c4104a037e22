"""Moments that follow a sinusoidal field late: loops, and harmonics over what changes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mpijax.core.typing import Array, Float
from mpijax.viz.style import COLORS, MARKERS, new_figure, styled

ORDERS = (3, 5, 7)
MODELS = {"Neel": ("Néel", "-"), "Brown": ("Brown", "-"), "Brown, water": ("Brown, water's viscosity", "--")}
"""Models of the harmonics: what is written, and how their lines are drawn."""


@styled
def plot_loops(loops: Mapping[str, Mapping[str, Float[Array, " t"]]], amplitude: float, heading: str = "") -> Figure:
    """Moment, and the signal - dm/dt, over the field A sin(w t): one column per title, equilibrium dashed and black.

    Args:
        loops: title -> name of a curve -> moment over one period in units of m0, (t,). A name that begins with "equilibrium" is
            drawn as such.
        amplitude: A [mT].
        heading: above all.

    Returns:
        The figure.

    Raises:
        ValueError: no loop.
    """
    if not loops:
        raise ValueError("loops is empty; give at least one title with its curves.")
    figure = new_figure(3.3 * len(loops), 5.0)
    figure.suptitle(heading, fontsize="medium")
    panels = figure.subplots(2, len(loops), squeeze=False, sharex=True)
    for column, (title, curves) in zip(panels.T, loops.items(), strict=True):
        for i, (name, moment) in enumerate(curves.items()):
            rest = name.startswith("equilibrium")
            style: dict[str, Any] = (
                {"color": "black", "ls": "--", "lw": 0.9, "zorder": 3} if rest else {"color": COLORS[i]}
            )
            turn = np.arange(len(moment) + 1) / len(moment)
            field = amplitude * np.sin(2 * np.pi * turn)
            spectrum = np.fft.rfft(np.asarray(moment))
            slope = np.fft.irfft(1j * np.arange(len(spectrum)) * spectrum, len(moment))  # by w t
            step = len(moment) // 100 + 1
            at = (int(np.argmax(slope)) - np.array([step, 0])) % len(moment)  # where the moment rises most
            for axes, values in zip(column, (np.asarray(moment), -slope), strict=True):
                axes.plot(field, np.append(values, values[0]), label=name, **style)
                if not rest:
                    (x0, x1), (y0, y1) = field[at], values[at]
                    arrow = {"arrowstyle": "-|>", "color": style["color"], "lw": 0, "mutation_scale": 10}
                    axes.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
        column[0].set_title(title)
        column[0].legend(loc="upper left", handlelength=1.4)
        column[1].set_xlabel("drive field / mT")
        for axes in column:
            axes.axhline(0, color="black", lw=0.4)
            axes.axvline(0, color="black", lw=0.4)
            axes.grid(alpha=0.3, linewidth=0.5)
    for axes in panels[0]:
        axes.set(ylim=(-1.1, 2.0), yticks=[-1, -0.5, 0, 0.5, 1])
    panels[0, 0].set_ylabel(r"moment $m/m_0$")
    panels[1, 0].set_ylabel(r"signal $-(\mathrm{d}m/\mathrm{d}t)\,/\,(2\pi f\, m_0)$")
    return figure


@styled
def plot_harmonics(rows: Sequence[Mapping[str, Any]], heading: str = "") -> Figure:
    """Harmonics 3, 5 and 7 of Neel's and Brown's moments and the lag of the third, one column for each thing that changes.

    Args:
        rows: each with "over" (the label of the horizontal axis), "model" (a key of ``MODELS``), "value", "a3", "a5", "a7" [m0]
            and "lag 3 [deg]"; None is not drawn.
        heading: above all.

    Returns:
        The figure; frequencies and viscosities run logarithmically.

    Raises:
        ValueError: no row.
    """
    if not rows:
        raise ValueError("rows is empty; give the harmonics of at least one point.")
    columns = list(dict.fromkeys(row["over"] for row in rows))
    figure = new_figure(2.0 * len(columns) + 0.4, 5.4)
    figure.suptitle(heading, fontsize="medium")
    panels = figure.subplots(3, len(columns), squeeze=False, sharex="col", sharey="row")
    for j, over in enumerate(columns):
        for model, (name, line) in MODELS.items():
            curve = [row for row in rows if (row["over"], row["model"]) == (over, model)]
            if not curve:
                continue
            place = panels[0 if model == "Neel" else 1, j]
            values = [row["value"] for row in curve]
            for i, order in enumerate(ORDERS):
                style = {"color": COLORS[i], "ls": line, "marker": MARKERS[i], "ms": 2.5}
                place.plot(values, [row[f"a{order}"] for row in curve], label=f"harmonic {order}", **style)
            color = "black" if model == "Neel" else COLORS[3]
            lags = [row["lag 3 [deg]"] for row in curve]
            panels[2, j].plot(values, lags, color=color, ls=line, marker="o", ms=2.5, label=name)
        for axes in panels[:, j]:
            axes.grid(alpha=0.3, linewidth=0.5)
            if over.startswith(("frequency", "viscosity")):
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter("{x:g}")
        panels[2, j].set_xlabel(over)
    for axes in panels[:2].ravel():
        axes.set_yscale("log")
        if not axes.lines:
            axes.text(0.5, 0.5, "does not depend\non viscosity", ha="center", va="center", transform=axes.transAxes)
    for axes, label in zip(panels[:, 0], (r"Néel: $a_k$", r"Brown: $a_k$", "lag of harmonic 3 / °"), strict=True):
        axes.set_ylabel(label if "lag" in label else label + r" / $m_0$")
    known: dict[str, Any] = {}
    for axes in (panels[0, 0], *panels[2]):
        known |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=len(known))
    return figure
