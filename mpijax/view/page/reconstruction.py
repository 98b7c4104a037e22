"""The tab of reconstructions."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, DataTable, TableColumn
from bokeh.models.widgets import CheckboxButtonGroup, Div, Select, Slider, Spinner, TextInput, Toggle

from mpijax.plans.options import BACKGROUNDS, SNR, WEIGHTS
from mpijax.reconstruction.inputs import CONSTRAINTS
from mpijax.view.page.parts import CONTROLS, WIDTH, Key, Picture, Tab, Voice, figure, intensity, plain, spread
from mpijax.view.state.matrix import MatrixView
from mpijax.view.state.reconstruction import LAMBDAS, SOLVERS, UNIT, ReconstructionState, Shown
from mpijax.viz.slices import cut_plane, planes_of
from mpijax.viz.style import COLORS

HALF = (CONTROLS - 20) // 2
PAUSE = 15
"""How long the slider may run ahead of the image [ms]: what it says meanwhile is passed over."""
FILM = 100
"""Time between two frames of a film [ms]."""
KINDS = {"MDF": "mdf", "NIfTI": "nii", "PNG": "png", "plan": "toml", "GIF": "gif", "MP4": "mp4"}


class ReconstructionTab(Tab):
    """An image that follows its sliders, the history of settings, and buttons that write what is seen."""

    def __init__(self, state: ReconstructionState, matrix: MatrixView, voice: Voice, document: Document):
        super().__init__("Reconstruction", voice)
        self.state, self.matrix, self.document = state, matrix, document
        self.shown: Shown | None = None
        self.least = SNR if matrix.snr is not None or matrix.info.n_background_frames else 0.0
        if not self.least:
            state.change("rows", snr_threshold=0.0)
        self._good = state.plan, state.measurement
        self.pictures: dict[tuple[int, int], Picture] = {}
        self._waiting = False
        self._film: Any = None
        self._make_widgets()
        self._connect()
        self.key = Key(300)
        self.images = row(self.key.bar)
        self.remarks = Div(text="", width=WIDTH, styles=spread() | {"color": "#A03000"})
        self.key.wheel.visible = False
        self.curve = figure(400, 250, "L-curve: the images so far", x_axis_type="log", y_axis_type="log")
        self.curve.xaxis.axis_label, self.curve.yaxis.axis_label = "|W(Ax − b)| / |Wb|", f"|x| / {UNIT}"
        self.points, self.point = (ColumnDataSource({"x": [], "y": []}) for _ in range(2))
        self.curve.scatter("x", "y", source=self.points, size=8, color=COLORS[0])
        self.curve.scatter("x", "y", source=self.point, size=14, line_color=COLORS[1], fill_color=None, line_width=3)
        names = ("solver", "λ", "rows", "residual", "|x|", "file")
        self.table = ColumnDataSource({name: [] for name in names})
        columns = [TableColumn(field=name, title=name, sortable=False) for name in names]
        self.history = DataTable(
            source=self.table, columns=columns, width=WIDTH - 420, height=125, index_position=None, row_height=24
        )
        self.table.selected.on_change("indices", self._when_chosen)
        kept = column(Div(text="history; a click returns to it", styles=spread()), self.history, self._writing())
        right = column(self.remarks, self.images, row(self.curve, kept))
        self.panel.child = row(self._controls(), right)

    def update(self) -> None:
        """Draw the image, and keep it; where there is none, plan and widgets become those of the last one."""
        try:
            self.refresh()
        except Exception:
            self._go_back()
            raise
        if self.shown is not None:
            self.state.keep(self.shown)
        self._draw_history()

    def refresh(self) -> None:
        """Draw the image without keeping it."""
        self.shown = shown = self.state.show()
        self._good = shown.plan, shown.measurement
        if not self.pictures or self.pictures_of != shown.grid.shape:
            self._make_pictures(shown)
        peak = max(float(np.nanmax(shown.image, initial=0)), 0.0)
        voxel = np.unravel_index(int(np.nanargmax(shown.image)), shown.image.shape)[::-1]
        x, y, z = map(int, voxel)
        for plane, picture in self.pictures.items():
            picture.draw(intensity(cut_plane(shown.image, plane, (x, y, z)), peak))
        next(iter(self.pictures.values())).figure.title.text = self.state.titles()[self.state.frame]
        self.key.show("", peak, UNIT)
        self.point.data = {"x": [shown.residual], "y": [shown.norm]}
        self.text.text = f"<b>λ = {self.state.lam:.3g}</b>, {shown.rows} rows"
        self.text.text += f"<br>residual {shown.residual:.2%}, {1e3 * shown.seconds:.0f} ms"
        self.remarks.text = "<br>".join(map(plain, shown.remarks))
        self.remarks.visible = bool(shown.remarks)  # or its empty line makes the page higher than the window
        count = len(self.state.titles())
        self.set(self.frame, end=max(count - 1, 1), value=self.state.frame)
        self.frame.disabled = self.film.disabled = count < 2

    def _make_widgets(self) -> None:
        state, rows, data, channels = self.state, self.state.plan.rows, self.state.plan.data, self.matrix.channels
        files = [(str(i), path.name) for i, path in enumerate(state.measurements)]
        self.file = Select(title="measurement", value="0", options=files, width=CONTROLS - 10)
        self.solver = Select(title="solver", value="kaczmarz", options=list(SOLVERS), width=HALF)
        constraints = [c or "none" for c in CONSTRAINTS]
        self.constraint = Select(title="constraint", value="nonnegative", options=constraints, width=HALF)
        low, high = LAMBDAS
        self.slider = Slider(
            title="log10 of λ",
            start=low,
            end=high,
            step=0.05,
            value=math.log10(state.lam),
            width=CONTROLS - 20,
            name="lambda",
        )
        self.sweeps = Spinner(title="sweeps", value=10, low=1, high=10_000, step=1, width=HALF)
        self.weights = Select(title="row weights", value=rows.weights, options=list(WEIGHTS), width=HALF)
        title = "least SNR" if self.least else "no SNR in the file"
        self.snr = Spinner(title=title, value=self.least, low=0, step=0.5, width=HALF, disabled=not self.least)
        self.order = Spinner(title="mixing order ≤", value=None, low=1, step=1, width=HALF)
        self.low = Spinner(title="from / kHz", value=rows.min_frequency, low=0, step=5, width=HALF)
        self.high = Spinner(title="to / kHz", value=None, low=0, step=5, width=HALF)
        self.channels = CheckboxButtonGroup(labels=channels, active=list(range(len(channels))), width=HALF)
        self.background = Select(title="background", value=data.background, options=list(BACKGROUNDS), width=HALF)
        self.chosen = TextInput(title="frames (5 or 0:100)", value="", width=HALF)
        self.average = Spinner(title="average (0 = all)", value=0, low=0, step=1, width=HALF)
        self.frame = Slider(title="image", start=0, end=1, value=0, step=1, width=HALF - 5)
        self.film = Toggle(label="▶ film", width=HALF)
        self.path = TextInput(title="write to (without suffix)", value=str(Path.cwd() / "image"), width=WIDTH - 430)
        self.text = Div(text="", width=CONTROLS - 10, styles=spread())

    def _controls(self) -> Any:
        return column(
            self.file, row(self.solver, self.constraint), self.slider, self.text, row(self.sweeps, self.weights),
            row(self.snr, self.order), row(self.low, self.high),
            row(column(Div(text="channels", styles={"font-size": "13px"}), self.channels), self.background),
            row(self.chosen, self.average), row(self.frame, self.film),
            width=CONTROLS, spacing=0,
        )  # fmt: skip

    def _writing(self) -> Any:
        """Where to write, and what."""
        return column(self.path, row(*(self.press(label, self._writer(label), 88) for label in KINDS)))

    def _connect(self) -> None:
        self.slider.on_change("value", lambda _attribute, _old, _new: None if self.quiet else self._follow())
        self.follow(self.slider, self._keep, "value_throttled")
        for widget in (self.file, self.solver, self.constraint, self.sweeps, self.weights, self.snr, self.order, self.low,
                       self.high, self.background, self.chosen, self.average):  # fmt: skip
            self.follow(widget, self._choose)
        self.follow(self.channels, self._choose, "active")
        self.follow(self.frame, self._next_frame)
        self.follow(self.film, self._play, "active")

    def _follow(self) -> None:
        """Draw soon, by what the slider says then."""
        if not self._waiting:
            self._waiting = True
            self.document.add_timeout_callback(self.voice.guarded(self._drag), PAUSE)

    def _drag(self) -> None:
        self._waiting = False
        self.state.change("solver", regularization=10.0 ** float(self.slider.value))
        self.refresh()

    def _keep(self) -> None:
        self.state.change("solver", regularization=10.0 ** float(self.slider.value))
        self.update()

    def _choose(self) -> None:
        """Everything that the widgets say; where it cannot be, plan and widgets become those of the last image."""
        try:
            self._read_widgets()
        except Exception:
            self._go_back()
            raise
        self._soon(self.update)

    def _soon(self, draw: Callable[[], None]) -> None:
        """Draw, at once or with a word before it where something has to be read or decomposed first."""
        if self.state.prepared:
            draw()
        else:
            self.voice.slowly(self.document, draw)

    def _go_back(self) -> None:
        self.state.plan, self.state.measurement = self._good
        self._show_plan()

    def _read_widgets(self) -> None:
        state = self.state
        state.measurement = state.measurements[int(self.file.value)]
        if type(state.plan.solver) is not SOLVERS[self.solver.value]:
            state.choose_solver(self.solver.value)
            defaults = state.plan.solver
            count = getattr(defaults, "sweeps", getattr(defaults, "iterations", None))
            self.set(self.sweeps, title="iterations" if hasattr(defaults, "iterations") else "sweeps", value=count)
            self.set(self.constraint, value=defaults.constraint or "none")
        names = [name for name in ("sweeps", "iterations") if hasattr(state.plan.solver, name)]
        self.sweeps.disabled = not names
        if names and self.sweeps.value is None:
            raise ValueError(f"{names[0]} is empty; give a whole number of at least 1.")
        steps = {name: int(self.sweeps.value) for name in names}
        constraint = None if self.constraint.value == "none" else self.constraint.value
        state.change("solver", constraint=constraint, **steps)
        active = tuple(self.matrix.numbers[i] for i in sorted(self.channels.active))
        state.change(
            "rows",
            snr_threshold=float(self.snr.value or 0),
            min_frequency=float(self.low.value or 0),
            max_frequency=None if self.high.value is None else float(self.high.value),
            max_order=None if self.order.value is None else int(self.order.value),
            channels=None if len(active) == len(self.matrix.numbers) else active,
            weights=self.weights.value,
        )
        state.change(
            "data",
            background=self.background.value,
            frames=self.chosen.value.strip() or None,
            average_frames=int(self.average.value) if self.average.value else None,
        )

    def _next_frame(self) -> None:
        self.state.frame = int(self.frame.value)
        self.refresh()

    def _play(self) -> None:
        if self._film is not None:
            self.document.remove_periodic_callback(self._film)
            self._film = None
        if self.film.active:
            self._film = self.document.add_periodic_callback(self.voice.guarded(self._advance), FILM)

    def _advance(self) -> None:
        self.state.frame = (self.state.frame + 1) % len(self.state.titles())
        self.refresh()

    def _when_chosen(self, _attribute: str, _old: list[int], chosen: list[int]) -> None:
        if chosen and not self.quiet:
            self.voice.guarded(lambda: self._return(self.state.history[::-1][chosen[0]]))()

    def _return(self, shown: Shown) -> None:
        self.state.return_to(shown)
        self._show_plan()
        self._soon(self.refresh)

    def _show_plan(self) -> None:
        """What the widgets say of the plan."""
        state = self.state
        rows, data, solver = state.plan.rows, state.plan.data, state.plan.solver
        count = getattr(solver, "sweeps", getattr(solver, "iterations", None))
        self.set(self.file, value=str(state.measurements.index(state.measurement)))
        self.set(self.solver, value=next(n for n, cls in SOLVERS.items() if type(solver) is cls))
        self.set(self.constraint, value=solver.constraint or "none")
        self.set(self.slider, value=math.log10(state.lam))
        self.set(self.sweeps, value=count, title="iterations" if hasattr(solver, "iterations") else "sweeps")
        self.sweeps.disabled = count is None
        self.set(self.snr, value=self.least if rows.snr_threshold is None else rows.snr_threshold)
        self.set(self.low, value=rows.min_frequency)
        self.set(self.high, value=rows.max_frequency)
        self.set(self.order, value=rows.max_order)
        numbers = self.matrix.numbers
        self.set(self.channels, active=[numbers.index(number) for number in rows.channels or numbers])
        self.set(self.weights, value=rows.weights)
        self.set(self.background, value=data.background)
        self.set(self.chosen, value=data.frames or "")
        self.set(self.average, value=data.average_frames or 0)

    def _writer(self, label: str) -> Callable[[], None]:
        def write() -> None:
            if not self.path.value.strip():
                raise ValueError("no name is given; say where to write, without a suffix.")
            self.voice.slowly(self.document, save)

        def save() -> None:
            written = self.state.save(Path(self.path.value.strip()).expanduser(), KINDS[label])
            self.voice.say(f"wrote {written}")

        return write

    def _make_pictures(self, shown: Shown) -> None:
        self.pictures_of, planes = shown.grid.shape, planes_of(shown.grid)
        width = (WIDTH - Key.SIZE) // len(planes)
        self.pictures = {plane: Picture(shown.grid, plane, min(width, 560), 375, " ") for plane in planes}
        self.images.children = [*(picture.figure for picture in self.pictures.values()), self.key.bar]

    def _draw_history(self) -> None:
        found = self.state.history[::-1]
        self.quiet = True
        self.table.selected.indices = []
        self.quiet = False
        texts = [(*s.settings, f"{s.residual:.2%}", f"{s.norm:.3g}", s.measurement.name) for s in found]
        self.table.data = {name: [text[i] for text in texts] for i, name in enumerate(self.table.data)}
        self.points.data = {"x": [s.residual for s in found], "y": [s.norm for s in found]}
