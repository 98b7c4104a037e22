"""Reconstructed tracer distributions beside the truth."""

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mpijax.core.typing import Array, Float
from mpijax.metrics import nrmse, psnr, ssim
from mpijax.viz.style import Extent, label_axes_mm, limits, new_figure, styled


@styled
def plot_reconstructions(
    images: Mapping[str, Float[Array, "y x"]],
    truth: Float[Array, "y x"] | None = None,
    *,
    extent: Extent | None = None,
    unit: str = "mmol(Fe)/L",
    error_limit: float | None = None,
) -> Figure:
    """Reconstructions on one color scale from zero; with a truth, their metrics and signed errors below.

    The scale ends at the truth's largest value; an arrow on the color bar says that values lie beyond it or below zero.

    Args:
        images: Method -> image (y, x).
        truth: True image; only images of its size are scored.
        extent: Left, right, bottom and top edge of the images [mm].
        unit: Unit of the values.
        error_limit: End of the errors' color scale, positive; None = the largest error of all.

    Returns:
        The figure.

    Raises:
        ValueError: No images, or an error limit that is not positive.
    """
    if error_limit is not None and not error_limit > 0:
        raise ValueError(
            f"error_limit = {error_limit}; the color scale of the errors ends at a positive value, or None."
        )
    if not images:
        raise ValueError("images is empty; give at least one reconstruction.")
    panels = {name: np.asarray(image) for name, image in images.items()}
    true = None if truth is None else np.asarray(truth)
    if true is not None:
        panels = {"truth": true, **panels}
    errors = {n: p - true for n, p in panels.items() if n in images and true is not None and p.shape == true.shape}
    columns, rows = len(panels), 2 if errors else 1
    first = next(iter(panels.values()))
    aspect = (
        first.shape[0] / first.shape[1] if extent is None else abs((extent[3] - extent[2]) / (extent[1] - extent[0]))
    )
    cell = min(1.9, max(1.4, 7.0 / columns))  # titles of less would run into each other
    figure = new_figure(cell * columns + 0.9, (cell * aspect + 0.35) * rows + 0.5)
    table = figure.subplots(rows, columns, squeeze=False)
    low, largest_value = limits(*panels.values())
    high = largest_value if true is None else limits(true)[1]
    settings: dict[str, Any] = {"origin": "lower", "extent": extent, "aspect": "equal"}
    largest_error = limits(*map(np.abs, errors.values()))[1] if errors else 1.0
    largest = (largest_error or 1.0) if error_limit is None else error_limit
    for j, (name, panel) in enumerate(panels.items()):
        axes = table[0, j]
        drawn = axes.imshow(panel, vmin=0, vmax=high, cmap="viridis", **settings)
        title = textwrap.fill(name, 18)
        axes.set_title(f"{title}\n{_score(panel, true)}" if true is not None and name in errors else title)
        label_axes_mm(axes, extent, left=j == 0, bottom=rows == 1 or name not in errors)
        if rows == 2 and name in errors:
            drawn_error = table[1, j].imshow(errors[name], vmin=-largest, vmax=largest, cmap="RdBu_r", **settings)
            label_axes_mm(table[1, j], extent, left=name == next(iter(errors)), bottom=True)
            table[1, j].set_title("error")
        elif rows == 2:
            table[1, j].set_axis_off()
    beyond = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}
    extend = beyond[bool(low < 0), bool(largest_value > high)]
    figure.colorbar(drawn, ax=table[0], label=unit, extend=extend, shrink=0.9, aspect=15)
    if errors:
        beyond_limit = "both" if largest_error > largest else "neither"
        figure.colorbar(drawn_error, ax=table[1], label=f"error / {unit}", extend=beyond_limit, shrink=0.9, aspect=15)
    return figure


def _score(image: np.ndarray, truth: np.ndarray) -> str:
    span = float(truth.max() - truth.min())
    return (
        f"nRMSE {100 * float(nrmse(image, truth)):.1f} %\n"
        f"pSNR {float(psnr(image, truth)):.1f} dB\nSSIM {float(ssim(image, truth, span)):.3f}"
    )
