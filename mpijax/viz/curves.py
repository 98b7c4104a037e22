"""Curves over training steps, frequency and time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from mpijax.core.typing import Array, Complex, Float, Num
from mpijax.physics.sequences import UNREACHED
from mpijax.viz.channels import Channels
from mpijax.viz.style import COLORS, MARKERS, limits, new_figure, order_text, styled


@styled
def plot_learning_curve(
    runs: Mapping[str, Sequence[Mapping[str, Any]]], metrics: Sequence[str] | None = None
) -> Figure:
    """Training loss and validation metrics over the steps, one panel per metric, one line per run.

    Args:
        runs: Name of a run -> its records, one mapping per line of ``metrics.jsonl``: "step" and values; nested
            mappings are addressed with a dot, "validation.nrmse".
        metrics: Which values to draw; default "loss" and every "validation." value found.

    Returns:
        The figure.

    Raises:
        ValueError: A metric that no record holds.
    """
    flat = {name: [_flatten(record) for record in records] for name, records in runs.items()}
    found = list(dict.fromkeys(key for records in flat.values() for record in records for key in record))
    if metrics is None:
        metrics = [key for key in found if key == "loss" or key.startswith("validation.")]
    missing = [key for key in metrics if key not in found]
    if missing or not metrics:
        raise ValueError(f"metrics = {metrics}; the records hold {found}.")
    figure = new_figure(3.2 * len(metrics), 2.5)
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        low, high = np.inf, 0.0
        for i, (name, records) in enumerate(flat.items()):
            points = [(r["step"], r[metric]) for r in records if r.get(metric) is not None]
            steps, values = np.array(points, float).reshape(-1, 2).T
            if len(values):
                low, high = min(low, limits(values)[0]), max(high, limits(values)[1])
            few = len(values) <= 30
            axes.plot(steps, values, color=COLORS[i % 7], marker=MARKERS[i % 7] if few else None, ms=3, label=name)
        if 0 < 3 * low < high:
            axes.set_yscale("log")
        axes.set(xlabel="step", ylabel=metric.removeprefix("validation."))
        axes.set_title("training" if metric == "loss" else metric.partition(".")[0] if "." in metric else metric)
        axes.grid(alpha=0.3, linewidth=0.5)
    if len(flat) > 1:
        axes.legend()
    return figure


@styled
def plot_snr(
    frequencies: Float[Array, " f"],
    snr: Float[Array, "c f"],
    mixing_orders: Num[Array, "f 3"] | None = None,
    *,
    threshold: float | None = None,
    labels: Sequence[str] = ("x", "y", "z"),
    angles: Float[Array, " c"] | None = None,
    annotate: int = 5,
    figure: FigureBase | None = None,
) -> Any:
    """Signal-to-noise ratio of each row over its frequency, and over its total mixing order.

    Args:
        frequencies: Frequency of each row [Hz].
        snr: Signal-to-noise ratio per receive channel and frequency.
        mixing_orders: Mixing orders (f, 3); they add the second panel and name the strongest rows.
        threshold: Selection threshold to draw, with the number of rows above it.
        labels: Names of the receive channels.
        angles: (c,) [rad] of a rotating field-free line, whose channels are angles; more than six get a color bar.
        annotate: How many of the strongest rows to name with their mixing orders.
        figure: Part of a figure to draw into (a ``SubFigure``); default a new figure of fitting size.

    Returns:
        The figure.
    """
    frequencies, snr = np.asarray(frequencies) / 1e3, np.asarray(snr)
    positive = np.where((snr > 0) & np.isfinite(snr), snr, np.nan)
    figure = new_figure(5.0 if mixing_orders is None else 7.0, 2.8) if figure is None else figure
    ratios = (1,) if mixing_orders is None else (2, 1)
    panels = figure.subplots(1, len(ratios), squeeze=False, sharey=True, width_ratios=ratios)[0]
    channels = Channels(len(snr), labels, angles)
    styles = [{**look, "ms": 2.5, "ls": "none", "alpha": 0.7, "mew": 0} for look in channels.looks]
    for name, values, style in zip(channels.names, positive, styles, strict=True):
        panels[0].plot(frequencies, values, label=name, **style)
    if mixing_orders is not None:
        orders = np.asarray(mixing_orders)
        known = np.all(orders != UNREACHED, axis=1)
        total = np.abs(orders).sum(axis=1)
        for i, values in enumerate(positive):
            shift = min(0.22, 0.7 / len(snr)) * (i - (len(snr) - 1) / 2)
            panels[1].plot(total[known] + shift, values[known], **styles[i])
        panels[1].set(xlabel="mixing order |mx| + |my| + |mz|")
        _name_strongest(panels[0], frequencies[known], positive[:, known], orders[known], annotate)
    for axes in panels:
        axes.set_yscale("log")
        axes.grid(alpha=0.3, linewidth=0.5)
        if threshold is not None:
            axes.axhline(threshold, color="black", linewidth=0.8, linestyle="--")
    if threshold is not None:
        panels[0].set_title(f"{np.count_nonzero(snr >= threshold)} of {snr.size} rows with SNR ≥ {threshold:g}")
    panels[0].set(xlabel="frequency / kHz", ylabel="SNR")
    if channels.many:
        channels.draw_color_bar(figure, list(panels))
    else:
        panels[0].legend(loc="upper right", markerscale=2, handletextpad=0.2)
    return figure


@styled
def plot_background_drift(
    background: Complex[Array, "e c f"],
    frequencies: Float[Array, " f"],
    *,
    labels: Sequence[str] = ("x", "y", "z"),
    angles: Float[Array, " c"] | None = None,
    figure: FigureBase | None = None,
) -> Any:
    """How far the background moves during a calibration, in units of its own noise.

    d(t, f) = |b(t, f) - mean_t b(f)| / sigma(f), with sigma^2(f) the mean over t of |b(t+1, f) - b(t, f)|^2 / 2. Steady
    white noise gives a root mean square of one at all times; drift rises above it.

    Args:
        background: Background frames in the order of acquisition (e, c, f), at least three; NaN and infinite values are left out.
        frequencies: Frequency of each bin [Hz].
        labels: Names of the receive channels.
        angles: (c,) [rad] of a rotating field-free line, whose channels are angles; more than six get a color bar.
        figure: Part of a figure to draw into (a ``SubFigure``); default a new figure of fitting size.

    Returns:
        The figure: root mean square over the frequencies against the frame, and a map per channel; of more than six
        channels one map, their median.

    Raises:
        ValueError: Fewer than three frames.
    """
    background = np.ma.masked_invalid(np.asarray(background, np.complex128))
    frames, channels, _ = background.shape
    if frames < 3:
        raise ValueError(f"background has {frames} frames; the noise between frames needs at least 3.")
    variance = np.mean(np.abs(background[1:] - background[:-1]) ** 2, axis=0) / 2
    variance = np.ma.where(variance > 0, variance, np.inf)
    deviation: Any = np.abs(background - background.mean(axis=0)) / np.sqrt(variance)
    looks = Channels(channels, labels, angles)
    maps = dict(zip(looks.names, np.moveaxis(deviation, 1, 0), strict=True))
    if looks.many:
        kind = "channels" if angles is None else "angles"
        maps = {f"median over the {channels} {kind}": np.ma.median(deviation, axis=1)}
    figure = new_figure(7.0, 2.2 + 1.6 * len(maps)) if figure is None else figure
    table = figure.subplots(len(maps) + 1, 1, height_ratios=[1.3, *[1.0] * len(maps)])
    rms = np.ma.filled(np.sqrt(np.mean(deviation**2, axis=2)), np.nan)
    size = {"ms": 1.5, "linewidth": 0.5} if looks.many else {"ms": 3}
    for name, values, look in zip(looks.names, rms.T, looks.looks, strict=True):
        table[0].plot(np.arange(frames), values, label=None if looks.many else name, **look, **size)
    order = np.argsort(frequencies)
    top = max(4.0, float(np.percentile(deviation.compressed(), 99)) if deviation.count() else 0.0)
    for axes, (name, values) in zip(table[1:], maps.items(), strict=True):
        mesh = axes.pcolormesh(
            np.asarray(frequencies)[order] / 1e3, np.arange(frames), values[:, order], shading="nearest",
            cmap="inferno", vmin=0, vmax=top, rasterized=True,
        )  # fmt: skip
        axes.set(ylabel="frame", title=name)
    table[0].axhline(1.0, color="black", linewidth=0.8, linestyle="--", label="steady noise")
    table[0].set(xlabel="background frame", ylabel="rms deviation / noise std", ylim=(0, None))
    table[0].grid(alpha=0.3, linewidth=0.5)
    table[0].legend(ncols=len(maps) + 1, loc="lower center")
    table[-1].set_xlabel("frequency / kHz")
    figure.colorbar(mesh, ax=list(table[1:]), label="deviation / noise std", extend="max")
    if looks.many:
        looks.draw_color_bar(figure, [table[0]])
    return figure


def _flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    pairs: Iterable[tuple[str, Any]] = record.items()
    flat: dict[str, Any] = {}
    for key, value in pairs:
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value})
    return flat


def _name_strongest(axes: Axes, frequencies: np.ndarray, snr: np.ndarray, orders: np.ndarray, count: int) -> None:
    """Write the mixing orders beside the strongest rows that lie far enough apart for their text."""
    best = np.nan_to_num(snr).max(axis=0)
    gap = 0.13 * np.ptp(frequencies)
    named: list[int] = []
    for j in np.argsort(best)[::-1]:
        if len(named) == count:
            break
        if all(abs(frequencies[j] - frequencies[other]) > gap for other in named):
            named.append(j)
            axes.annotate(
                order_text(orders[j]), (frequencies[j], best[j]), xytext=(3, 1), textcoords="offset points", fontsize=6
            )
