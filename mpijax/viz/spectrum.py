"""The spectrum of a sample: harmonics, lags, loop and point-spread function, and particles fitted to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mpijax.identification.spectroscopy import Loop, Spectrum, SpectrumFit
from mpijax.viz.style import COLORS, new_figure, styled

MODELS = 5
"""Most fits that are drawn."""

WEAK = 0.1
"""Share of a measured harmonic below which the lag of a fitted one is not drawn."""


@styled
def plot_spectrum(spectrum: Spectrum, fits: Sequence[SpectrumFit] = (), *, gradient: float | None = None) -> Figure:
    """Harmonics over the noise, their lags, the loop and dM/dH over the field; fits as lines over the measured points.

    Args:
        spectrum: of :func:`mpijax.identification.spectrum`.
        fits: of :func:`mpijax.identification.fit_spectrum`, the best first; the first five are drawn.
        gradient: along the drive field [T/m], by which the width is given in mm too; None = that of the scan.

    Returns:
        The figure.
    """
    fits = fits[:MODELS]
    figure = new_figure(7.2, 5.6)
    drive = f"{1e3 * spectrum.amplitude:.3g} mT, {spectrum.frequency / 1e3:.4g} kHz along {'xyz'[spectrum.axis]}"
    figure.suptitle(f"{drive}, channel {spectrum.channel}", fontsize="medium")
    panels = figure.subplots(2, 2)
    _draw_sizes(panels[0, 0], spectrum, fits)
    _draw_lags(panels[0, 1], spectrum, fits)
    _draw_loops(panels[1, 0], spectrum, fits)
    _draw_spreads(panels[1, 1], spectrum, fits, gradient or spectrum.gradient)
    for axes in panels.ravel():
        axes.grid(alpha=0.3, linewidth=0.5)
    named = dict(zip(*panels[0, 0].get_legend_handles_labels()[::-1], strict=True))
    names = sorted(named, key=lambda name: not name.startswith("measured"))
    handles = [named[name] for name in names]
    if fits:
        figure.legend(handles, names, loc="outside lower center", ncols=3)
    else:
        panels[0, 0].legend(handles, names, loc="upper right")
    return figure


def _line(i: int) -> dict[str, Any]:
    """How a fit is drawn: the best on top."""
    styles = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
    return {"color": COLORS[i % len(COLORS)], "ls": styles[i % len(styles)], "lw": 1.0, "zorder": 3 - 0.1 * i}


def _label(fit: SpectrumFit) -> str:
    off = f"{fit.residual:.2g}" if fit.chi2 is None else rf"$\chi^2$ {fit.chi2:.3g}"
    return f"{fit.name.replace('Neel', 'Néel')} ({'residual ' if fit.chi2 is None else ''}{off})"


def _unit(spectrum: Spectrum) -> str:
    return r"A m$^2$" if spectrum.absolute else r"$m_\mathrm{max}$"


def _draw_sizes(axes: Axes, spectrum: Spectrum, fits: Sequence[SpectrumFit]) -> None:
    held, sizes = spectrum.held, np.abs(spectrum.moment)
    error = None if spectrum.sigma is None else spectrum.sigma / np.sqrt(2)
    top = int(spectrum.orders[held].max()) + 2
    for rest, name, marker in ((1, "odd", "o"), (0, "even", "s")):
        mine = held & (spectrum.orders % 2 == rest)
        if mine.any():
            axes.errorbar(
                spectrum.orders[mine], sizes[mine], None if error is None else error[mine],
                fmt=marker, ms=3.5, color="black", mfc="black" if rest else "white", lw=0.8, label=f"measured, {name}", zorder=4,
            )  # fmt: skip
    near = spectrum.orders <= top
    if spectrum.sigma is not None:
        axes.fill_between(
            spectrum.orders[near], 1e-3 * spectrum.sigma[near], spectrum.sigma[near], color="0.85", lw=0, label="noise"
        )
    low = sizes[held].min() if spectrum.sigma is None else min(sizes[held].min(), spectrum.sigma[near].min())
    for i, fit in enumerate(fits):
        size = np.abs(fit.moment)
        drawn = size > 1e-7 * size.max()
        axes.plot(fit.orders[drawn], size[drawn], label=_label(fit), **_line(i))
    axes.set_yscale("log")
    axes.set(xlim=(0, top), ylim=(low / 3, 3 * sizes[held].max()))
    axes.set(xlabel="harmonic", ylabel=f"moment $a_k$ / {_unit(spectrum)}", title="harmonics")


def _draw_lags(axes: Axes, spectrum: Spectrum, fits: Sequence[SpectrumFit]) -> None:
    stds = spectrum.lag_stds
    for rest, marker, face in ((1, "o", "black"), (0, "s", "white")):
        mine = spectrum.held & (spectrum.orders % 2 == rest)
        if not mine.any():
            continue
        orders, lags = spectrum.orders[mine], np.unwrap(np.degrees(spectrum.lags[mine]), period=360)
        error = None if stds is None else np.degrees(stds[mine])
        axes.errorbar(orders, lags, error, fmt=marker, ms=3.5, color="black", mfc=face, lw=0.8, zorder=4)
        for i, fit in enumerate(fits):
            moment = fit.moment[orders - 1]
            lag = -np.degrees(np.angle(moment))
            lag = lags + (lag - lags + 180) % 360 - 180  # a turn more or less: what lies nearest
            seen = np.abs(moment) > WEAK * np.abs(spectrum.moment[mine])
            axes.plot(orders[seen], lag[seen], **_line(i))
    axes.set(xlim=(0, int(spectrum.orders[spectrum.held].max()) + 2))
    low, high = axes.get_ylim()
    axes.set(ylim=(min(low, -10), max(high, 10)))
    axes.axhline(0, color="black", lw=0.4)
    axes.set(xlabel="harmonic", ylabel=r"lag $\varphi_k$ / degrees", title="lags, 0 in equilibrium")


def _draw_loops(axes: Axes, spectrum: Spectrum, fits: Sequence[SpectrumFit]) -> None:
    for i, fit in enumerate(fits):
        axes.plot(1e3 * fit.loop.field, fit.loop.moment, **_line(i))
    loop = spectrum.loop
    if loop is not None:
        axes.plot(1e3 * loop.field, loop.moment, color="black", lw=2.4 if fits else 1.4, zorder=2)
        _draw_arrow(axes, loop)
        coercive = f", coercive field {1e3 * loop.coercive_field:z.2f} mT" if np.isfinite(loop.coercive_field) else ""
        axes.set_title(f"loop{coercive}")
    else:
        axes.set_title("loop: the fundamental is missing")
    axes.axhline(0, color="black", lw=0.4)
    axes.axvline(0, color="black", lw=0.4)
    axes.set(xlabel="field / mT", ylabel=f"moment / {_unit(spectrum)}")


def _draw_arrow(axes: Axes, loop: Loop) -> None:
    """Which way time runs, where the moment rises most."""
    middle = int(np.nanargmax(loop.point_spread * (np.gradient(loop.field) > 0)))
    before = (middle - len(loop.field) // 60) % len(loop.field)
    tip, tail = ((1e3 * float(loop.field[k]), float(loop.moment[k])) for k in (middle, before))
    axes.annotate("", tip, tail, arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 0, "mutation_scale": 11})


def _draw_spreads(axes: Axes, spectrum: Spectrum, fits: Sequence[SpectrumFit], gradient: float | None) -> None:
    unit = _unit(spectrum)
    axes.set(xlabel="field / mT", ylabel=f"d$M$/d$H$ / ({unit}/mT)", title="dM/dH, the point-spread function")
    for i, fit in enumerate(fits):
        axes.plot(1e3 * fit.loop.field, 1e-3 * fit.loop.point_spread, **_line(i))
    loop = spectrum.loop
    if loop is None:
        axes.set_title("dM/dH: the fundamental is missing")
        return
    spread = 1e-3 * loop.point_spread
    rising = np.gradient(loop.field) > 0
    thick: dict[str, Any] = {"color": "black", "lw": 2.4 if fits else 1.4, "zorder": 2}
    for branch, style in ((rising, "-"), (~rising, "--")):
        order = np.argsort(loop.field[branch])
        axes.plot(1e3 * loop.field[branch][order], spread[branch][order], ls=style, **thick)
    if np.isfinite(loop.width):
        top = float(np.nanmax(spread[rising]))
        ends = 1e3 * (loop.peak_field + np.array([-0.5, 0.5]) * loop.width)
        axes.annotate("", (ends[0], top / 2), (ends[1], top / 2), arrowprops={"arrowstyle": "<->", "lw": 0.8})
        space = f" ({1e3 * loop.width / abs(gradient):.3g} mm at {abs(gradient):.3g} T/m)" if gradient else ""
        axes.set_title(f"dM/dH, width {1e3 * loop.width:.3g} mT{space}")
    axes.axvline(0, color="black", lw=0.4)
    axes.set_ylim(min(0.0, 1.1 * float(np.nanmin(spread))), 1.15 * float(np.nanmax(spread)))
