"""What all tabs are made of: callbacks that never end the viewer, figures for a projector, images with their colors."""

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.models import BasicTickFormatter, TabPanel
from bokeh.models.widgets import Button, Div
from bokeh.palettes import RdBu11, Viridis256
from bokeh.plotting import figure as bokeh_figure

from mpijax.core.typing import Array, Num
from mpijax.system import Grid
from mpijax.view.state.rows import COLORINGS
from mpijax.viz import complex_to_rgb
from mpijax.viz.slices import edges_mm

EXPECTED = (ValueError, TypeError, LookupError, OSError, RuntimeError, ArithmeticError, MemoryError, ImportError)
"""What a click may run into; it becomes a sentence, and the page goes on."""

WIDTH = 990
"""Of what is beside the controls [pixel]."""
CONTROLS = 250
"""Of the controls [pixel]."""


class Voice:
    """The line of the page where it says what happened."""

    def __init__(self) -> None:
        self.div = Div(text="", width=CONTROLS + WIDTH, height=22, styles={"font-size": "15px"})

    def say(self, text: str) -> None:
        """A remark."""
        self._show(text, "#333333")

    def complain(self, text: str) -> None:
        """What went wrong, in one sentence."""
        self._show(text, "#A03000")

    def _show(self, text: str, color: str) -> None:
        self.div.text = plain(text)
        self.div.styles = {
            "font-size": "15px",
            "color": color,
            "font-weight": "bold" if color == "#A03000" else "normal",
        }

    def slowly(self, document: Document, callback: Callable[[], None]) -> None:
        """Say that something is computed, and begin once that has been shown: meanwhile the page answers nothing."""
        self.say("computing …")
        document.add_next_tick_callback(self.guarded(callback))

    def guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """A callback whose failure is said here."""

        def called(_event: Any = None) -> None:
            self.div.text = ""
            try:
                callback()
            except EXPECTED as error:
                self.complain(" ".join(str(error).split()))

        return called


class Tab:
    """One tab; made at once, filled when it is looked at first.

    Args:
        title: on its handle.
        voice: where it speaks.
    """

    def __init__(self, title: str, voice: Voice):
        self.title, self.voice, self.entered = title, voice, False
        self.quiet = False
        self.panel = TabPanel(title=title)

    def enter(self) -> None:
        """Draw, where that has not been done."""
        if not self.entered:
            self.entered = True
            try:
                self.update()
            except EXPECTED as error:
                self.voice.complain(" ".join(str(error).split()))

    def update(self) -> None:
        """Draw what the state says."""
        raise NotImplementedError

    def follow(self, widget: Any, callback: Callable[[], None], what: str = "value") -> None:
        """Call back whenever the user changes a widget, not when the page itself sets it."""
        guarded = self.voice.guarded(callback)
        widget.on_change(what, lambda _attribute, _old, _new: None if self.quiet else guarded())

    def press(self, label: str, callback: Callable[[], None], width: int = CONTROLS - 10) -> Button:
        """A button."""
        button = Button(label=label, width=width)
        button.on_click(self.voice.guarded(callback))
        return button

    def set(self, widget: Any, **values: Any) -> None:
        """Set properties of a widget without calling back."""
        self.quiet = True
        try:
            widget.update(**values)
        finally:
            self.quiet = False


def figure(width: int, height: int, title: str = "", **options: Any) -> Any:
    """A figure whose letters can be read on a projector."""
    options = {"tools": "pan,box_zoom,wheel_zoom,reset", "toolbar_location": None} | options
    made: Any = bokeh_figure(width=width, height=height, title=title, **options)
    made.title.text_font_size = "15px"
    for axis in (*made.xaxis, *made.yaxis):
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "13px"
        axis.axis_label_text_font_style = "normal"
        if options.get(f"{'x' if axis in made.xaxis else 'y'}_axis_type") != "log":
            axis.formatter = BasicTickFormatter(precision=1)
    made.grid.grid_line_alpha = 0.4
    return made


def color_table(colors: tuple[str, ...]) -> np.ndarray:
    """256 colors (256, 3) from 0 to 1 between those of a palette."""
    known = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colors]) / 255
    where = np.linspace(0, len(known) - 1, 256)
    return np.stack([np.interp(where, np.arange(len(known)), known[:, i]) for i in range(3)], -1)


VIRIDIS, RED_BLUE = color_table(Viridis256), color_table(RdBu11)


def colored(values: Num[Array, "*s"], coloring: str, peak: float) -> np.ndarray:
    """sRGB colors (..., 3) of a row: complex, modulus (0 to peak), phase or real part (-peak to peak); NaN is gray."""
    values, peak = np.asarray(values), peak if peak > 0 else 1.0
    if coloring == COLORINGS[0]:
        return complex_to_rgb(values, peak)
    if coloring == COLORINGS[2]:
        return complex_to_rgb(np.exp(1j * np.angle(values)), 1.0)
    share = np.abs(values) / peak if coloring == COLORINGS[1] else 0.5 + np.real(values) / (2 * peak)
    return _from_table(VIRIDIS if coloring == COLORINGS[1] else RED_BLUE, share)


def intensity(values: Num[Array, "*s"], peak: float) -> np.ndarray:
    """sRGB colors (..., 3) of real values from 0 to the peak."""
    return _from_table(VIRIDIS, np.asarray(values) / (peak if peak > 0 else 1.0))


def packed(colors: np.ndarray) -> np.ndarray:
    """Colors (v, h, 3) as the 32-bit numbers of an image glyph."""
    whole = np.full((*colors.shape[:-1], 4), 255, np.uint8)
    whole[..., :3] = np.round(255 * np.clip(colors, 0, 1))
    return np.ascontiguousarray(whole).view(np.uint32)[..., 0]


class Picture:
    """One plane of a grid in millimeters.

    Args:
        grid: of the image.
        plane: its two axes.
        width, height: at most [pixel].
        title: above it.
    """

    def __init__(self, grid: Grid, plane: tuple[int, int], width: int, height: int, title: str = ""):
        (left, right), (low, high) = (edges_mm(grid)[axis] for axis in plane)
        ratio = (high - low) / (right - left)
        frame = min(width - 62, (height - 78) / ratio)
        line = grid.shape[plane[1]] == 1
        self.figure = figure(
            int(frame) + 62, 130 if line else int(frame * ratio) + 78, title, x_range=(left, right), y_range=(low, high),
            tools="pan,wheel_zoom,reset",
        )  # fmt: skip
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = (f"{'xyz'[axis]} / mm" for axis in plane)
        self.figure.grid.visible = False
        if line:
            self.figure.yaxis.visible = False
        self._drawn = self.figure.image_rgba(
            image=[np.zeros((1, 1), np.uint32)], x=[left], y=[low], dw=[right - left], dh=[high - low]
        )
        self._x = self.figure.segment([left], [low], [left], [high], color="white", alpha=0.6, line_dash="dotted")
        self._y = self.figure.segment([left], [low], [right], [low], color="white", alpha=0.6, line_dash="dotted")
        self._box = left, right, low, high
        self._x.visible = self._y.visible = False

    def draw(self, colors: np.ndarray, title: str | None = None) -> None:
        """Colors (v, h, 3) from 0 to 1."""
        self._drawn.data_source.data = self._drawn.data_source.data | {"image": [packed(colors)]}
        if title is not None:
            self.figure.title.text = title

    def cross(self, horizontal: float, vertical: float) -> None:
        """Where the other planes cut this one [mm]."""
        left, right, low, high = self._box
        self._x.data_source.data = {"x0": [horizontal], "x1": [horizontal], "y0": [low], "y1": [high]}
        self._y.data_source.data = {"x0": [left], "x1": [right], "y0": [vertical], "y1": [vertical]}
        self._x.visible = self._y.visible = True


class Key:
    """What the colors mean: the wheel of phases, or a bar from its lowest to its highest value."""

    SIZE = 140

    def __init__(self, height: int = 240):
        self.wheel = figure(
            self.SIZE, self.SIZE + 60, "", x_range=(-1.5, 1.5), y_range=(-1.5, 1.5), tools="", frame_width=self.SIZE - 15,
            frame_height=self.SIZE - 15,
        )  # fmt: skip
        line = np.linspace(-1, 1, 121)
        disk = line + 1j * line[:, None]
        colors = np.where((np.abs(disk) <= 1)[..., None], complex_to_rgb(disk, 1.0), 1.0)
        self._disk = self.wheel.image_rgba(image=[packed(colors)], x=[-1], y=[-1], dw=[2], dh=[2])
        self._colors = {COLORINGS[0]: colors}
        ring = np.where((np.abs(disk) <= 1)[..., None], complex_to_rgb(np.exp(1j * np.angle(disk)), 1.0), 1.0)
        self._colors[COLORINGS[2]] = ring
        self.wheel.text(
            [1.1, 0, -1.1, 0], [0, 1.05, 0, -1.4], text=["0", "π/2", "π", "−π/2"], text_font_size="13px",
            text_align=["left", "center", "right", "center"], text_baseline=["middle", "bottom", "middle", "bottom"],
        )  # fmt: skip
        self.wheel.axis.visible = self.wheel.grid.visible = False
        self.wheel.outline_line_color = None
        self.wheel.title.text_font_size = "11px"
        self.bar = figure(self.SIZE - 20, height, "", x_range=(0, 1), y_range=(0, 1), tools="")
        self.bar.title.text_font_size = "12px"
        self.bar.visible = False
        self.bar.xaxis.visible = self.bar.grid.visible = False
        self._bar = self.bar.image_rgba(image=[np.zeros((256, 1), np.uint32)], x=[0], y=[0], dw=[1], dh=[1])

    def show(self, coloring: str, peak: float, unit: str = "") -> None:
        """The key of a coloring whose full brightness is ``peak``."""
        circle = coloring in self._colors
        self.wheel.visible, self.bar.visible = circle, not circle
        if circle:
            self._disk.data_source.data = self._disk.data_source.data | {"image": [packed(self._colors[coloring])]}
            said = f"modulus to {peak:.2g}" if coloring == COLORINGS[0] else "any modulus"
            self.wheel.title.text = f"hue: phase\n{said}"
            return
        self.show_bar(-peak if coloring == COLORINGS[3] else 0.0, peak if peak > 0 else 1.0, unit)

    def show_bar(self, low: float, high: float, unit: str) -> None:
        """A bar of real values; of both signs where the lowest is minus the highest."""
        self.wheel.visible, self.bar.visible = False, True
        table = RED_BLUE if low == -high else VIRIDIS
        self._bar.data_source.data = {
            "image": [packed(table[:, None])], "x": [0], "y": [low], "dw": [1], "dh": [high - low],
        }  # fmt: skip
        self.bar.y_range.update(start=low, end=high)
        self.bar.title.text = unit


def plain(text: str) -> str:
    """A text as HTML that shows it as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def lines(title: str) -> str:
    """The parts of a title below one another."""
    return re.sub(r", (?![^(]*\))", "<br>", title)


@functools.cache
def spread() -> dict[str, str]:
    """The style of a text block."""
    return {"font-size": "15px"}


def _from_table(table: np.ndarray, share: np.ndarray) -> np.ndarray:
    known = np.isfinite(share)
    colors = table[np.clip(np.round(255 * np.where(known, share, 0)), 0, 255).astype(int)]
    return np.where(known[..., None], colors, 0.5)
