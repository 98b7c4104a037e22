"""The tab of a restoration."""

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, TapTool
from bokeh.models.widgets import Div, Select, Spinner

from mpijax.view.page.parts import CONTROLS, WIDTH, Key, Picture, Tab, Voice, colored, figure, lines, plain, spread
from mpijax.view.state.restoration import RestorationState
from mpijax.view.state.rows import COLORINGS
from mpijax.view.state.snr import SnrState
from mpijax.viz.slices import cut_plane, planes_of
from mpijax.viz.style import COLORS

SHAPES = ("circle", "x", "square", "triangle", "diamond", "plus", "inverted_triangle")
EVERY = "every row"


class RestorationTab(Tab):
    """Why each row was restored or left, and what it was before and after."""

    def __init__(self, state: RestorationState, voice: Voice):
        super().__init__("Restoration", voice)
        self.state = state
        self.counted = state.counts()
        options = [EVERY, *self.counted]
        self.reason = Select(title="rows", value=EVERY, options=options, width=CONTROLS - 10)
        self.place = Spinner(title="place among them, the strongest first", value=0, low=0, step=1, width=CONTROLS - 10)
        self.coloring = Select(title="coloring", value=COLORINGS[0], options=list(COLORINGS), width=CONTROLS - 10)
        self.row_text, self.counts = (Div(text="", width=CONTROLS - 10, styles=spread()) for _ in range(2))
        self.record = Div(
            text=lines_of(state.text), width=WIDTH, height=75, styles={"font-size": "14px", "overflow-y": "auto"}
        )
        self.plot = figure(WIDTH, 240, y_axis_type="log", tools="pan,box_zoom,wheel_zoom,reset,tap")
        self.plot.select_one(TapTool).mode = "replace"
        self.plot.xaxis.axis_label, self.plot.yaxis.axis_label = "frequency / kHz", state.after.strength_name
        self.sources: list[ColumnDataSource] = []
        grid = state.after.grid
        self.plane = planes_of(grid)[0]
        self.pictures = {name: Picture(grid, self.plane, 280, 290, name) for name in ("before", "after", "removed")}
        self.key = Key(260)
        for widget in (self.reason, self.place):
            self.follow(widget, self._go)
        self.follow(self.coloring, self._draw_row)
        controls = column(
            self.reason, self.place, row(self.press("◀ back", lambda: self._step(-1), CONTROLS // 2 - 10),
            self.press("next ▶", lambda: self._step(1), CONTROLS // 2 - 10)), self.coloring, self.row_text, self.counts,
            width=CONTROLS,
        )  # fmt: skip
        images = row(*(picture.figure for picture in self.pictures.values()), self.key.wheel, self.key.bar)
        self.panel.child = row(controls, column(self.record, images, self.plot))

    def update(self) -> None:
        """Draw all."""
        self.counts.text = "<br>".join(f"{count} {reason}" for reason, count in self.counted.items())
        reasons = list(self.counted)
        for points in SnrState(self.state.after).points():
            found = self.state.reasons[points.channel, points.position]
            for index, reason in enumerate(reasons):
                here = found == reason
                source = ColumnDataSource(
                    {
                        "x": points.frequency[here], "y": points.strength[here], "position": points.position[here],
                        "channel": np.full(np.count_nonzero(here), points.channel),
                    }
                )  # fmt: skip
                self.sources.append(source)
                self.plot.scatter(
                    "x", "y", source=source, size=6, marker=SHAPES[index % 7], color=COLORS[index % 7], alpha=0.6,
                    nonselection_alpha=0.4, selection_color="black", legend_label=reason,
                )  # fmt: skip
                source.selected.on_change("indices", self._when_tapped(source))
        if self.sources:
            self.plot.add_layout(self.plot.legend[0], "right")
        self._draw_row()
        if self.state.remark:
            self.voice.say(self.state.remark)

    def _rows(self) -> np.ndarray:
        """Channel and position of the rows of the reason that is chosen."""
        rows = self.state.after.ranked()
        if self.reason.value == EVERY:
            return rows
        return rows[self.state.reasons[rows[:, 0], rows[:, 1]] == self.reason.value]

    def _go(self) -> None:
        rows = self._rows()
        if not len(rows):
            raise ValueError(f"no row with a frequency above zero is of this kind: {self.reason.value}.")
        place = min(int(self.place.value or 0), len(rows) - 1)
        self.set(self.place, value=place, high=len(rows) - 1)
        self.state.channel, self.state.position = map(int, rows[place])
        self._draw_row()

    def _step(self, by: int) -> None:
        self.set(self.place, value=max(int(self.place.value or 0) + by, 0))
        self._go()

    def _draw_row(self) -> None:
        state = self.state
        self.row_text.text = f"<b>{lines(state.after.title(state.channel, state.position))}</b><br>{state.said()}"
        images = state.images()
        peak = max(float(np.nanmax(np.abs(image), initial=0)) for image in images.values())
        for name, picture in self.pictures.items():
            if name not in images:
                picture.draw(np.full((1, 1, 3), 0.85), f"{name}: not known")
                continue
            image = images[name]
            scale = float(np.nanmax(np.abs(image), initial=0)) if name == "removed" else peak
            size = f", up to {scale / peak:.1%}" if name == "removed" and peak > 0 else ""
            middle: Any = tuple(n // 2 for n in image.shape[::-1])
            picture.draw(colored(cut_plane(image, self.plane, middle), self.coloring.value, scale), name + size)
        self.key.show(self.coloring.value, peak)

    def _when_tapped(self, source: ColumnDataSource) -> Callable[..., None]:
        def tapped(_attribute: str, _old: list[int], chosen: list[int]) -> None:
            if chosen:
                self.state.channel = int(source.data["channel"][chosen[0]])
                self.state.position = int(source.data["position"][chosen[0]])
                for other in self.sources:
                    if other is not source and other.selected.indices:
                        other.selected.indices = []
                self.voice.guarded(self._draw_row)()

        return tapped


def lines_of(text: str) -> str:
    """A record, a line for each of its parts."""
    return plain(text).replace("; ", "<br>")
