"""Cost over problem size, drawn and as tables."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mpijax.viz.style import COLORS, MARKERS, new_figure, styled

Panels = Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]]
"""quantity ("voxels") -> name of a curve -> (sizes, seconds)."""


@styled
def plot_scaling(panels: Panels) -> Figure:
    """Measured times over sizes on logarithmic axes, one panel per quantity, with the exponent of each curve's upper half.

    Args:
        panels: what was measured.

    Returns:
        The figure; a dashed line of slope 1 stands in every panel.

    Raises:
        ValueError: nothing to draw, or a curve of fewer than two points.
    """
    if not panels or any(len(sizes) < 2 for curves in panels.values() for sizes, _ in curves.values()):
        raise ValueError("panels needs at least one quantity, and every curve at least two sizes.")
    figure = new_figure(3.6 * len(panels), 3.2)
    for axes, (quantity, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for i, (name, (sizes, seconds)) in enumerate(curves.items()):
            label = f"{name}: exponent {exponent(sizes, seconds):.2f}"
            axes.loglog(sizes, np.asarray(seconds) * 1e3, color=COLORS[i % 7], marker=MARKERS[i % 7], ms=3, label=label)
        sizes, seconds = max(curves.values(), key=lambda c: c[1][-1])
        line = np.array([sizes[0], sizes[-1]], float)
        axes.loglog(
            line, seconds[-1] * 1e3 * line / sizes[-1], color="0.6", linestyle="--", linewidth=0.8, label="linear"
        )
        axes.set(xlabel=quantity, ylabel="time [ms]")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.legend(loc="upper left")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** 0.45)
    return figure


def tables(panels: Panels) -> str:
    """Markdown tables in milliseconds; curves of a panel stand in one table where they have the same sizes."""
    lines = []
    for quantity, curves in panels.items():
        for sizes in dict.fromkeys(tuple(sizes) for sizes, _ in curves.values()):
            lines += ["", f"| {quantity} | {' | '.join(f'{size:,}' for size in sizes)} | exponent |"]
            lines.append("|---" * (len(sizes) + 2) + "|")
            lines += [
                f"| {name} | {' | '.join(f'{1e3 * s:.3g} ms' if s < 0.9995 else f'{s:.3g} s' for s in seconds)} "
                f"| {exponent(own, seconds):.2f} |"
                for name, (own, seconds) in curves.items()
                if tuple(own) == sizes
            ]
    return "\n".join(lines[1:]) + "\n"


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of log time over log size, fitted to the upper half of the sizes (at least two)."""
    half = min(len(sizes) // 2, len(sizes) - 2)
    return float(np.polyfit(np.log(sizes[half:]), np.log(seconds[half:]), 1)[0])


def replaced(page: str, name: str, text: str) -> str:
    """The page with the text between its comments ``<!-- name -->`` and ``<!-- end of name -->``."""
    before, rest = page.split(f"<!-- {name} -->\n")
    _, after = rest.split(f"<!-- end of {name} -->\n")
    return f"{before}<!-- {name} -->\n{text}<!-- end of {name} -->\n{after}"
