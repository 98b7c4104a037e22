"""One look for all figures, without global state: print-sized fonts, color-blind-safe lines, atomic saving."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from mpijax.core.files import atomic_path
from mpijax.core.typing import Array, Num
from mpijax.physics.sequences import UNREACHED

P = ParamSpec("P")
R = TypeVar("R")

Extent = tuple[Any, Any, Any, Any]
"""Left, right, bottom and top edge of an image [mm]."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Line colors of Okabe and Ito (2008), told apart by all common kinds of color vision."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Markers that go with the colors, for gray print."""

STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.grid": False,
    "lines.linewidth": 1.2,
    "image.interpolation": "nearest",
    "figure.dpi": 150,
    "savefig.dpi": 200,
}
"""Settings every figure is drawn with."""


def styled(plot: Callable[P, R]) -> Callable[P, R]:
    """Draw with :data:`STYLE` and leave the caller's matplotlib settings as they are."""

    @functools.wraps(plot)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(STYLE):
            return plot(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """A figure that no window manager knows of; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: str | Path, dpi: float = 200) -> None:
    """Write a figure atomically; the suffix of ``path`` names the format (.png, .pdf, .svg).

    Args:
        figure: What a function of this package returned.
        path: File to write; missing folders are made.
        dpi: Resolution of rasters [dots per inch].

    Raises:
        ValueError: The suffix names no format that can be written.
    """
    kind = figure_format(path)
    fast: dict[str, Any] = (
        {"pil_kwargs": {"compress_level": 1}} if kind == "png" else {}
    )  # encoding was a quarter of the time
    with atomic_path(path) as temporary, matplotlib.rc_context(STYLE):
        figure.savefig(temporary, format=kind, dpi=dpi, **fast)


def figure_format(path: str | Path) -> str:
    """The format that a figure's suffix names, such as "png".

    Raises:
        ValueError: The suffix names no format that can be written.
    """
    kind = Path(path).suffix.removeprefix(".").lower()
    allowed = sorted(FigureCanvasBase.get_supported_filetypes())
    if kind not in allowed:
        raise ValueError(f"{path}: the suffix names the format of a figure; allowed: {', '.join(allowed)}.")
    return kind


def limits(*arrays: Num[Array, "..."]) -> tuple[float, float]:
    """Smallest and largest finite value of real arrays, for color scales; zeros where there is none."""
    values = np.concatenate([np.ravel(array)[np.isfinite(np.ravel(array))] for array in map(np.asarray, arrays)])
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def label_axes_mm(axes: Axes, extent: Extent | None, left: bool, bottom: bool) -> None:
    """Millimeter labels on the outer images of a table; no ticks where the extent is unknown."""
    if extent is None:
        axes.set(xticks=[], yticks=[])
        return
    axes.tick_params(labelleft=left, labelbottom=bottom, length=2)
    if left:
        axes.set_ylabel("y / mm")
    if bottom:
        axes.set_xlabel("x / mm")


def order_text(orders: Num[Array, " d"]) -> str:
    """Mixing orders as "(1, −2, 0)"; empty for a bin that no mixing order reaches."""
    known = [int(n) for n in orders if n != UNREACHED]
    return "(" + ", ".join(map(str, known)).replace("-", "−") + ")" if known else ""
