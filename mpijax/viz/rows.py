"""Complex system-matrix rows as colors: brightness is the modulus, hue the phase."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from mpijax.core.typing import Array, Float, Inexact, Int, Num
from mpijax.metrics import nrmse
from mpijax.system import SystemMatrix
from mpijax.viz.channels import Channels
from mpijax.viz.slices import edges_mm
from mpijax.viz.style import Extent, label_axes_mm, limits, new_figure, order_text, styled

LIGHTNESS = 0.75
CHROMA = 0.125
"""The circle of full modulus in the Oklab space; nearly the largest that sRGB shows at one lightness."""

OKLAB_TO_CONE = np.array([[0.3963377774, 0.2158037573], [-0.1055613458, -0.0638541728], [-0.0894841775, -1.2914855480]])
CONE_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def complex_to_rgb(values: Num[Array, "*s"], peak: Any = None) -> Float[np.ndarray, "*s 3"]:
    """Colors of complex values: zero is black, brightness grows with the modulus, hue is the phase.

    Lightness and chroma in the Oklab space are proportional to min(|v| / peak, 1), so that equal moduli look equally
    bright whatever their phase. Real values take two opposite hues.

    Args:
        values: Complex or real values; what is not finite becomes gray.
        peak: Modulus of full brightness, broadcasting against ``values``; default their largest.

    Returns:
        sRGB colors (..., 3) from 0 to 1.

    Source: B. Ottosson, "A perceptual color space for image processing" (2020), for Oklab.
    """
    values = np.asarray(values)
    finite = np.isfinite(values)
    values = np.where(finite, values, 0)
    modulus = np.abs(values).astype(np.float64)
    peak = np.max(modulus, initial=0.0) if peak is None else np.asarray(peak, np.float64)
    brightness = np.clip(np.divide(modulus, peak, out=np.zeros_like(modulus), where=np.asarray(peak) > 0), 0, 1)
    phase = np.angle(values)
    circle = CHROMA * np.stack([np.cos(phase), np.sin(phase)], -1)
    cones = brightness[..., None] * (LIGHTNESS + circle @ OKLAB_TO_CONE.T)
    linear = np.clip(cones**3 @ CONE_TO_RGB.T, 0.0, 1.0)
    colors = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.where(finite[..., None], colors, 0.5)


def draw_phase_wheel(axes: Axes, size: int = 201) -> None:
    """Draw the legend of the color code: phase around, modulus outward."""
    line = np.linspace(-1, 1, size)
    wheel = line + 1j * line[:, None]
    alpha = np.clip((1.0 - np.abs(wheel)) * size / 2, 0, 1)[..., None]
    axes.imshow(np.concatenate([complex_to_rgb(wheel, 1.0), alpha], -1), extent=(-1, 1, -1, 1), origin="lower")
    for angle, text, ha, va in (
        (0, "0", "left", "center"),
        (np.pi / 2, "π/2", "center", "bottom"),
        (np.pi, "π", "right", "center"),
        (-np.pi / 2, "−π/2", "center", "top"),
    ):
        axes.text(1.08 * np.cos(angle), 1.08 * np.sin(angle), text, ha=ha, va=va, fontsize=7)
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
    axes.set_axis_off()
    axes.text(0, 1.6, "hue: phase\nbrightness:\n|value| / maximum", ha="center", va="bottom", fontsize=6.5)


@styled
def plot_rows(
    images: Mapping[str, Inexact[Array, "k _ _"]],
    *,
    reference: str | None = None,
    matrix: SystemMatrix | None = None,
    chosen: Int[Array, " k"] | Sequence[int] | None = None,
    frequencies: Float[Array, " k"] | None = None,
    mixing_orders: Num[Array, "k 3"] | None = None,
    channels: Sequence[str] | None = None,
    extent: Extent | None = None,
    figure: FigureBase | None = None,
) -> Any:
    """Rows recovered by several methods beside each other, and their errors on one common scale.

    Each column is one row; its full brightness is the largest modulus of the reference. Above every estimate of the
    reference's size stands its nRMSE, and its error |estimate - reference| / max |reference| is mapped further down.
    Coarser images (the input of an upsampling) and those with gaps (NaN) are shown without.

    Args:
        images: Method -> rows (k, y, x); the methods may differ in size.
        reference: Name of the true rows; default the first. With a single method there are no errors.
        matrix: System matrix that the rows are of. Titles then tell the frequency of each, its mixing orders and channel, or
            harmonic and angle of a rotating line; what is not given below comes from it.
        chosen: Positions of the rows among ``matrix.rows()`` (k,); default all.
        frequencies: Frequency of each row [Hz], (k,).
        mixing_orders: Mixing orders of each row (k, 3).
        channels: Receive channel of each row.
        extent: Left, right, bottom and top edge of the images [mm]; default those of the matrix's grid along x and y.
        figure: Part of a figure to draw into (a ``SubFigure``); default a new figure of fitting size.

    Returns:
        The figure.

    Raises:
        ValueError: No images, an unknown reference, methods with different numbers of rows, another number of chosen ones, or
            chosen rows of no matrix.
    """
    names = list(images)
    reference = names[0] if reference is None and names else reference
    if reference is None or reference not in images:
        raise ValueError(f"reference = {reference!r}; images holds {names}.")
    stacks = {name: np.asarray(stack) for name, stack in images.items()}
    true = stacks[reference]
    if any(len(stack) != len(true) for stack in stacks.values()):
        raise ValueError(f"all methods need as many rows; got { {n: len(s) for n, s in stacks.items()} }.")
    texts = _texts(len(true), matrix, chosen)
    if frequencies is not None:
        texts[0] = [f"{float(frequency) / 1e3:.2f} kHz" for frequency in frequencies]
    if mixing_orders is not None:
        texts[1] = list(map(order_text, mixing_orders))
    if channels is not None:
        texts[2] = [f"channel {channel}" for channel in channels]
    titles = ["\n".join(filter(None, lines)) for lines in zip(*texts, strict=True)]
    if extent is None and matrix is not None:
        (left, right), (bottom, top), _ = edges_mm(matrix.grid)
        extent = (left, right, bottom, top)
    peaks = np.abs(np.where(np.isfinite(true), true, 0)).max(axis=(1, 2))
    errors = {
        name: np.abs(stack - true) / np.where(peaks > 0, peaks, 1)[:, None, None]
        for name, stack in stacks.items()
        if name != reference and stack.shape == true.shape and np.isfinite(stack).all()
    }
    k, n_rows = len(true), len(stacks) + len(errors)
    cell = min(1.35, 5.6 / k)
    labels = 0.3 if extent is None else 0.6
    aspect = true.shape[1] / true.shape[2] if extent is None else abs((extent[3] - extent[2]) / (extent[1] - extent[0]))
    if figure is None:
        figure = new_figure(cell * k + labels + 1.2, (cell * aspect + 0.17) * n_rows + labels + 0.15)
    grid = figure.add_gridspec(n_rows, k + 1, width_ratios=[*[1.0] * k, 1.1 / cell])
    top = limits(*errors.values())[1] or 1.0 if errors else 1.0
    table = [(name, stack, False) for name, stack in stacks.items()] + [(n, e, True) for n, e in errors.items()]
    for i, (name, stack, is_error) in enumerate(table):
        for j in range(k):
            axes = figure.add_subplot(grid[i, j])
            settings: dict[str, Any] = {"origin": "lower", "extent": extent, "aspect": "equal"}
            if is_error:
                drawn = axes.imshow(stack[j], vmin=0, vmax=top, cmap="inferno", **settings)
            else:
                axes.imshow(complex_to_rgb(stack[j], peaks[j]), **settings)
            label_axes_mm(axes, extent, left=j == 0, bottom=i == n_rows - 1)
            if i == 0:
                axes.set_title(titles[j])
            elif name in errors and not is_error:
                axes.set_title(f"nRMSE {100 * float(nrmse(stack[j], true[j])):.1f} %", fontsize=6.5, pad=2)
            if j == 0:
                title = f"error of\n{name}" if is_error else name
                axes.set_ylabel(title if extent is None else f"{title}\ny / mm")
    draw_phase_wheel(figure.add_subplot(grid[: len(stacks), k]))
    if errors:
        beside = figure.add_subplot(grid[len(stacks) :, k])
        beside.set_axis_off()
        bar = beside.inset_axes((0.25, 0.05, 0.12, 0.9))
        figure.colorbar(drawn, cax=bar, label="|error| / row maximum")
    return figure


def row_texts(matrix: SystemMatrix, chosen: Any) -> list[list[str]]:
    """Three texts for each of some rows: frequency, or bin where it is not known; mixing orders, or harmonic of a rotating line,
    or nothing where the sequence is not known; channel, or angle of the line."""
    position = matrix.kept_rows()[0][chosen]
    bins = np.asarray(matrix.row_index().frequency_index)[chosen]
    known = np.asarray(matrix.row_frequencies)[chosen]
    frequencies = [f"{f / 1e3:.2f} kHz" if np.isfinite(f) else f"bin {b}" for f, b in zip(known, bins, strict=True)]
    orders = [""] * len(bins)
    if matrix.sequence is not None:
        mixed = matrix.sequence.mixing_orders()[bins]
        line = matrix.angles is not None and sum(matrix.sequence.active) == 1
        orders = [f"harmonic {np.abs(order).sum()}" if line else order_text(order) for order in mixed]
    names = Channels(matrix.n_channels, [str(number) for number in matrix.channels], matrix.angles).names
    return [frequencies, orders, [names[c] for c in position]]


def _texts(count: int, matrix: SystemMatrix | None, chosen: Any) -> list[list[str]]:
    """What titles of ``count`` rows say of themselves: nothing without a matrix."""
    if matrix is None:
        if chosen is not None:
            raise ValueError("chosen names rows of a matrix; give matrix as well.")
        return [[""] * count] * 3
    texts = row_texts(matrix, slice(None) if chosen is None else np.asarray(chosen, int))
    if len(texts[0]) != count:
        rows = "the matrix keeps" if chosen is None else "chosen names"
        raise ValueError(
            f"images hold {count} rows, {rows} {len(texts[0])}; chosen says which rows of the matrix are drawn."
        )
    return texts
