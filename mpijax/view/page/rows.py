"""The tab of rows."""

from collections.abc import Callable

import numpy as np
from bokeh.events import Tap
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource
from bokeh.models.widgets import Checkbox, Div, Select, Spinner

from mpijax.view.page.parts import CONTROLS, WIDTH, Key, Picture, Tab, Voice, colored, figure, lines, plain, spread
from mpijax.view.state.rows import COLORINGS, ORDERS, RowsState
from mpijax.viz.slices import cut_plane, edges_mm, planes_of
from mpijax.viz.style import COLORS

HALF = (CONTROLS - 20) // 2
THIRD = (CONTROLS - 26) // 3


class RowsTab(Tab):
    """One row at a time: found by place, frequency or mixing orders, drawn as slices and a profile."""

    def __init__(self, state: RowsState, voice: Voice):
        super().__init__("Rows", voice)
        self.state, matrix = state, state.matrix
        ranked = list(ORDERS) if matrix.strength is not None else list(ORDERS[:1])
        self.order = Select(title="next row by", value=state.order, options=ranked, width=CONTROLS - 10)
        self.place = Spinner(title="place (keys ← →)", value=0, low=0, step=1, width=HALF)
        self.channel = Select(
            title="receive channel", value="0", width=HALF,
            options=[(str(i), name) for i, name in enumerate(matrix.channels)],
        )  # fmt: skip
        self.frequency = Spinner(title="frequency / kHz", value=0.0, step=1.0, width=HALF, format="0.00")
        self.patch = Spinner(title="patch", value=0, low=0, high=matrix.patches - 1, width=HALF)
        self.patch.disabled = matrix.patches == 1
        self.orders = [Spinner(title=f"m{axis}", value=0, step=1, width=THIRD) for axis in "xyz"]
        self.coloring = Select(title="coloring", value=state.coloring, options=list(COLORINGS), width=HALF)
        self.axis = Select(title="profile along", value="xyz"[state.axis], options=list("xyz"), width=HALF)
        self.background = Checkbox(label="background subtracted", active=matrix.can_subtract)
        self.background.disabled = not matrix.can_subtract
        self.steps = row(self.press("◀ back", self._back, HALF), self.press("next ▶", self._next, HALF))
        self.text = Div(text="", width=CONTROLS - 10, styles=spread())
        self.grids = {name: (state.second if name == "second" else matrix).grid for name in self._names()}  # type: ignore[union-attr]
        self.pictures, self.planes = self._pictures()
        self.key = Key()
        self.profile = figure(WIDTH, 165 if len(self.planes) == 1 else 150)
        self.profile.yaxis.axis_label = "profile"
        self.curves = ColumnDataSource({"x": [], "modulus": [], "real": [], "imag": []})
        self.other = ColumnDataSource({"x": [], "modulus": []})
        for name, color, dash in (
            ("modulus", "#000000", "solid"),
            ("real", COLORS[0], "dashed"),
            ("imag", COLORS[1], "dotted"),
        ):
            self.profile.line("x", name, source=self.curves, color=color, line_dash=dash, width=2, legend_label=name)
        if state.second is not None:
            self.profile.line(
                "x", "modulus", source=self.other, color=COLORS[2], line_dash="dotdash", width=2, legend_label="second"
            )
        self.profile.add_layout(self.profile.legend[0], "right")
        self._connect()
        controls = column(
            self.order, row(self.place, self.channel), self.steps, row(self.frequency, self.patch),
            Div(text="mixing orders", styles=spread()), row(*self.orders), row(self.coloring, self.axis),
            self.background, self.text, width=CONTROLS,
        )  # fmt: skip
        table = [row(*(self.pictures[name, plane].figure for plane in self.planes)) for name in self._names()]
        images = row(*table) if len(self.planes) == 1 else column(*table)
        self.panel.child = row(controls, column(row(images, self.key.wheel, self.key.bar), self.profile))

    def update(self) -> None:
        """Draw the row of the state."""
        state = self.state
        self._show_numbers()
        compared = state.comparison()
        peak = max((float(np.nanmax(np.abs(image), initial=0)) for image in compared.images.values()), default=0.0)
        for index, name in enumerate(self._names()):
            found = list(compared.images.items())[index : index + 1]
            for plane in self.planes:
                picture = self.pictures[name, plane]
                if not found:
                    picture.draw(np.full((1, 1, 3), 0.85), "no difference" if index == 2 else "not compared")
                    continue
                title, image = found[0]
                cut = cut_plane(image, plane, state.voxel_in(self.grids[name]))
                scale = peak
                if index == 2:  # on a scale of its own, or it would be black
                    scale = float(np.nanmax(np.abs(image), initial=0))
                    title = f"difference, up to {scale / peak:.1%}" if peak > 0 else title
                picture.draw(colored(cut, state.coloring, scale), title)
                if len(self.planes) > 1:
                    picture.cross(*(self._center(axis) for axis in plane))
        self.key.show(state.coloring, peak)
        self._draw_profile(list(compared.images.values()))
        self.text.text = f"<b>{lines(state.title)}</b><br>{plain(compared.says)}"

    def step(self, by: int) -> None:
        """Show the row so many places further."""
        self.state.step(by)
        self.update()

    def allow_ranks(self) -> None:
        """Rows can be ranked now."""
        self.order.options = list(ORDERS)

    def _names(self) -> list[str]:
        return ["first"] if self.state.second is None else ["first", "second", "difference"]

    def _pictures(self) -> tuple[dict[tuple[str, tuple[int, int]], Picture], tuple[tuple[int, int], ...]]:
        planes, names = planes_of(self.state.matrix.grid), self._names()
        wide = len(names) if len(planes) == 1 else len(planes)
        high = 1 if len(planes) == 1 else len(names)
        width, height = (WIDTH - Key.SIZE) // wide, 450 // high if high < 3 else 190
        return {(n, p): Picture(self.grids[n], p, width, height, " ") for n in names for p in planes}, planes

    def _connect(self) -> None:
        state = self.state

        def chosen() -> None:
            state.order, state.channel = self.order.value, int(self.channel.value)
            state.patch, state.background = int(self.patch.value or 0), bool(self.background.active)
            state.coloring, state.axis = self.coloring.value, "xyz".index(self.axis.value)
            self.update()

        for widget in (self.order, self.channel, self.patch, self.coloring, self.axis):
            self.follow(widget, chosen)
        self.follow(self.background, chosen, "active")
        self.follow(self.place, lambda: self._go(lambda: state.go_to_rank(int(self.place.value or 0))))
        self.follow(
            self.frequency, lambda: self._go(lambda: state.go_to_frequency(1e3 * float(self.frequency.value or 0)))
        )
        for spinner in self.orders:
            self.follow(spinner, self._orders)
        if len(self.planes) > 1 or max(state.matrix.grid.shape) > 1:
            for (_, plane), picture in self.pictures.items():
                picture.figure.on_event(Tap, lambda event, plane=plane: self._tapped(plane, event))

    def _go(self, move: Callable[[], None]) -> None:
        move()
        self.update()

    def _orders(self) -> None:
        mx, my, mz = (int(spinner.value or 0) for spinner in self.orders)
        self.state.go_to_orders((mx, my, mz))
        self.update()

    def _tapped(self, plane: tuple[int, int], event: Tap) -> None:
        self.state.voxel_at(plane, float(event.x or 0), float(event.y or 0))
        self.voice.guarded(self.update)()

    def _back(self) -> None:
        self.step(-1)

    def _next(self) -> None:
        self.step(1)

    def _show_numbers(self) -> None:
        """What the widgets say of the row; mixing orders stay as they were asked for where they mean this row."""
        state, matrix = self.state, self.state.matrix
        self.set(self.place, value=state.rank(), high=len(state.sequence()) - 1)
        self.set(self.channel, value=str(state.channel))
        frequency = matrix.frequencies[state.position]
        if np.isfinite(frequency):
            self.set(self.frequency, value=round(float(frequency) / 1e3, 2))
        if matrix.orders is None or matrix.cycles is None:
            return
        asked = [int(spinner.value or 0) for spinner in self.orders]
        means = abs(sum(n * m for n, m in zip(asked, matrix.cycles, strict=True)))
        found = matrix.orders[state.position]
        if means != matrix.bins[state.position] and np.all(np.abs(found) < 1000):
            for spinner, order in zip(self.orders, found, strict=True):
                self.set(spinner, value=int(order))

    def _center(self, axis: int) -> float:
        grid = self.state.matrix.grid
        low, high = edges_mm(grid)[axis]
        return low + (self.state.voxel[axis] + 0.5) * (high - low) / grid.shape[axis]

    def _draw_profile(self, images: list[np.ndarray]) -> None:
        places, line = self.state.profile(images[0])
        self.curves.data = {"x": places, "modulus": np.abs(line), "real": line.real, "imag": line.imag}
        if self.state.second is not None:
            there = (
                self.state.profile(images[1], self.state.second.grid) if len(images) > 1 else (np.empty(0), np.empty(0))
            )
            self.other.data = {"x": there[0], "modulus": np.abs(there[1])}
        self.profile.xaxis.axis_label = f"{'xyz'[self.state.axis]} / mm"
