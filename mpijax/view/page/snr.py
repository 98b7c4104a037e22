"""The tab of the SNR."""

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, TapTool
from bokeh.models.annotations import Span
from bokeh.models.widgets import Button, Div, Slider

from mpijax.view.page.parts import CONTROLS, WIDTH, Picture, Tab, Voice, colored, figure, lines, spread
from mpijax.view.page.rows import RowsTab
from mpijax.view.state.snr import SnrState
from mpijax.viz.slices import cut_plane, planes_of
from mpijax.viz.style import COLORS

SHAPES = ("circle", "square", "triangle", "diamond", "inverted_triangle", "plus", "x")


class SnrTab(Tab):
    """The SNR of all rows; a tap on a point selects the row, a slider says how many rows a threshold keeps."""

    def __init__(self, state: SnrState, rows: RowsTab, voice: Voice):
        super().__init__("SNR", voice)
        self.state, self.rows = state, rows
        low, high = state.decades()
        start = float(np.clip(np.log10(state.threshold), low, high))
        self.slider = Slider(
            start=low, end=high, step=0.02, value=start, title="", width=CONTROLS - 20, show_value=False
        )
        self.kept, self.selected = (Div(text="", width=CONTROLS - 10, styles=spread()) for _ in range(2))
        self.compute: Button = self.press(
            "Compute SNR", lambda: self.voice.slowly(self.compute.document, self._compute)
        )
        self.compute.visible = state.matrix.snr is None and state.matrix.info.n_background_frames > 0
        self.show: Button = self.press("Show in the tab Rows", lambda: None)
        self.over_frequency = self._figure(WIDTH - 330, "frequency / kHz")
        self.over_order = self._figure(320, "|mx| + |my| + |mz|")
        self.line = [Span(dimension="width", location=1.0, line_dash="dashed", line_width=2) for _ in range(2)]
        self.sources: list[ColumnDataSource] = []
        for plot, span in zip((self.over_frequency, self.over_order), self.line, strict=True):
            plot.add_layout(span)
        grid = state.matrix.grid
        self.picture = Picture(grid, planes_of(grid)[0], 240, 250, " ")
        self.follow(self.slider, self._threshold)
        controls = column(
            Div(text=f"least {state.matrix.strength_name} of a row", styles=spread()), self.slider, self.kept, self.compute,
            self.selected, self.picture.figure, self.show, width=CONTROLS,
        )  # fmt: skip
        self.panel.child = row(controls, self.over_frequency, self.over_order)

    def update(self) -> None:
        """Draw all points."""
        for old in self.sources:
            old.data = {name: [] for name in old.data}
        self.sources = []
        for points in self.state.points():
            shift = min(0.22, 0.7 / len(self.state.matrix.channels)) * (points.channel - 1)
            source = ColumnDataSource(
                {
                    "x": points.frequency, "y": points.strength, "order": points.order + shift,
                    "channel": np.full(len(points.position), points.channel), "position": points.position,
                }
            )  # fmt: skip
            self.sources.append(source)
            look = {
                "size": 6, "color": COLORS[points.channel % 7], "marker": SHAPES[points.channel % 7], "source": source,
                "alpha": 0.6, "nonselection_alpha": 0.35, "selection_color": "black",
            }  # fmt: skip
            name = f"channel {self.state.matrix.channels[points.channel]}"
            self.over_frequency.scatter("x", "y", **look, **({"legend_label": name} if points.channel < 7 else {}))
            self.over_order.scatter("order", "y", **look)
            source.selected.on_change("indices", self._when_tapped(source))
        self._threshold()
        self._draw_row()

    def _figure(self, width: int, label: str) -> Any:
        plot = figure(
            width, 560, y_axis_type="log", tools="pan,box_zoom,wheel_zoom,reset,tap", toolbar_location="above"
        )
        plot.xaxis.axis_label, plot.yaxis.axis_label = label, self.state.matrix.strength_name
        plot.select_one(TapTool).mode = "replace"
        return plot

    def _threshold(self) -> None:
        self.state.threshold = 10.0 ** float(self.slider.value)
        for span in self.line:
            span.location = self.state.threshold
        lines = [f"<b>{self.state.threshold:.3g}</b> keeps"]
        for name, (kept, count) in self.state.kept().items():
            lines.append(f"channel {name}: {kept} of {count}")
        self.kept.text = "<br>".join(lines if len(lines) < 9 else [*lines[:8], "..."])
        if self.state.matrix.strength is None:
            self.kept.text = "the file holds no SNR"

    def _when_tapped(self, source: ColumnDataSource) -> Callable[..., None]:
        return lambda _attribute, _old, chosen: self.voice.guarded(lambda: self._tapped(source, chosen))()

    def _tapped(self, source: ColumnDataSource, indices: list[int]) -> None:
        if not indices:
            return
        for other in self.sources:
            if other is not source and other.selected.indices:
                other.selected.indices = []
        self.rows.state.channel = int(source.data["channel"][indices[0]])
        self.rows.state.position = int(source.data["position"][indices[0]])
        self._draw_row()
        if self.rows.entered:
            self.rows.update()

    def _draw_row(self) -> None:
        state = self.rows.state
        self.selected.text = f"<b>{lines(state.title)}</b>"
        image = state.image()
        peak = float(np.nanmax(np.abs(image), initial=0))
        cut = cut_plane(image, planes_of(state.matrix.grid)[0], state.voxel)
        self.picture.draw(colored(cut, state.coloring, peak), state.coloring)

    def _compute(self) -> None:
        self.state.matrix.compute_snr()
        low, high = self.state.decades()
        self.set(self.slider, start=low, end=high, value=min(max(float(np.log10(self.state.threshold)), low), high))
        self.compute.visible = False
        self.rows.allow_ranks()
        self.update()
