"""The tab of measurements."""

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource
from bokeh.models.widgets import Checkbox, Div, Select, Slider, Spinner

from mpijax.view.page.parts import CONTROLS, WIDTH, Key, Tab, Voice, figure, intensity, packed, spread
from mpijax.view.state.measurement import MeasurementView
from mpijax.viz.style import COLORS

FLOOR = -80.0
"""Darkest level of a spectrogram [dB]."""


class MeasurementTab(Tab):
    """Time signal and spectrum of one frame side by side, and the spectrogram over all frames."""

    def __init__(self, measurements: list[MeasurementView], voice: Voice):
        super().__init__("Measurement", voice)
        self.measurements, self.state = measurements, measurements[0]
        self.file = Select(
            title="file",
            value="0",
            options=[(str(i), m.path.name) for i, m in enumerate(measurements)],
            width=CONTROLS - 10,
        )
        self.frame = Slider(title="frame", start=0, end=1, value=0, step=1, width=CONTROLS - 20)
        self.channel = Select(title="receive channel", value="0", options=[("0", "x")], width=CONTROLS // 2 - 10)
        self.period = Spinner(title="period", value=0, low=0, step=1, width=CONTROLS // 2 - 10)
        self.background = Checkbox(label="background subtracted", active=True)
        self.text = Div(text="", width=CONTROLS - 10, styles=spread())
        self.time = figure(WIDTH // 2, 290, "time signal of one period")
        self.time.xaxis.axis_label = "time / ms"
        self.spectrum = figure(WIDTH // 2, 290, "spectrum", y_axis_type="log")
        self.spectrum.xaxis.axis_label, self.spectrum.yaxis.axis_label = "frequency / kHz", "modulus"
        self.signals, self.values = (ColumnDataSource({"x": [], "y": []}) for _ in range(2))
        self.time.line("x", "y", source=self.signals, color=COLORS[0], width=1.5)
        self.spectrum.line("x", "y", source=self.values, color=COLORS[0], width=1.2)
        self.map = figure(WIDTH - 120, 290, "spectrogram over frames", x_range=(0, 1), y_range=(0, 1))
        self.map.xaxis.axis_label, self.map.yaxis.axis_label = "frequency / kHz", "frame"
        self.table = self.map.image_rgba(image=[np.zeros((1, 1), np.uint32)], x=[0], y=[0], dw=[1], dh=[1])
        self.map.grid.visible = False
        self.key = Key(290)
        self.follow(self.file, self._file)
        self.follow(self.frame, self._chosen)
        for widget in (self.channel, self.period):
            self.follow(widget, self._all)
        self.follow(self.background, self._all, "active")
        controls = column(
            self.file, self.frame, row(self.channel, self.period), self.background, self.text, width=CONTROLS
        )
        plots = column(row(self.time, self.spectrum), row(self.map, self.key.bar))
        self.panel.child = row(controls, plots)

    def update(self) -> None:
        """Draw everything of the file that is chosen."""
        state = self.state
        self.set(self.frame, end=max(state.frames - 1, 1), value=state.frame)
        self.frame.disabled = state.frames < 2
        self.set(self.channel, options=[(str(i), n) for i, n in enumerate(state.channels)], value=str(state.channel))
        self.set(self.period, high=state.info.n_periods - 1, value=state.period)
        self.period.disabled = state.info.n_periods == 1
        self.set(self.background, active=state.background and state.can_subtract)
        self.background.disabled = not state.can_subtract
        self._draw_frame()
        self._draw_map()

    def _draw_frame(self) -> None:
        state = self.state
        time, signal = state.signal()
        frequencies, values = state.frequencies, state.spectrum()
        order = np.argsort(frequencies)
        modulus = np.abs(values)[order]
        self.signals.data = {"x": time, "y": signal}
        self.values.data = {"x": frequencies[order], "y": np.where(modulus > 0, modulus, np.nan)}
        self.time.yaxis.axis_label = f"signal / {state.info.unit or 'a. u.'}"
        empty = f", empty scan {state.empty.name}" if state.empty else ""
        selected = "" if len(values) == state.info.n_samples // 2 + 1 else "; other bins are zero in the time signal"
        self.text.text = (
            f"{state.frames} frames, {state.info.n_background_frames} background frames{empty}; "
            f"{len(values)} frequencies{selected}"
        )

    def _draw_map(self) -> None:
        frames, frequencies, level = self.state.spectrogram()
        low, high = float(frequencies[0]), float(frequencies[-1])
        first, last = float(frames[0]) - 0.5, float(frames[-1]) + 0.5
        width = max(high - low, 1e-9)
        colors = intensity(level - FLOOR, -FLOOR)
        self.table.data_source.data = {
            "image": [packed(colors)],
            "x": [low],
            "y": [first],
            "dw": [width],
            "dh": [last - first],
        }
        self.map.x_range.update(start=low, end=low + width)
        self.map.y_range.update(start=first, end=last)
        self.key.show_bar(FLOOR, 0.0, "dB")

    def _file(self) -> None:
        self.state = self.measurements[int(self.file.value)]
        self.update()

    def _chosen(self) -> None:
        self.state.frame = int(self.frame.value)
        self._draw_frame()

    def _all(self) -> None:
        state = self.state
        state.channel, state.period = int(self.channel.value), int(self.period.value or 0)
        state.background = bool(self.background.active)
        self._draw_frame()
        self._draw_map()
