"""The whole page: what was opened once, and a document for every time that the page is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import CustomJS, Tabs
from bokeh.models.widgets import Spinner

from mpijax.io import MDFInfo, read_info
from mpijax.view.page.measurement import MeasurementTab
from mpijax.view.page.parts import Tab, Voice
from mpijax.view.page.reconstruction import ReconstructionTab
from mpijax.view.page.restoration import RestorationTab
from mpijax.view.page.rows import RowsTab
from mpijax.view.page.snr import SnrTab
from mpijax.view.state.matrix import MatrixView
from mpijax.view.state.measurement import MeasurementView
from mpijax.view.state.reconstruction import ReconstructionState
from mpijax.view.state.restoration import of_matrices
from mpijax.view.state.rows import RowsState
from mpijax.view.state.snr import SnrState
from mpijax.view.state.watch import Watch

KEYS = """
window.addEventListener("keydown", (event) => {
  const path = event.composedPath();
  const busy = path.some((item) => ["INPUT", "SELECT", "TEXTAREA"].includes(item.tagName)
    || (item.classList && (item.classList.contains("noUi-handle"))));
  if (busy || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key == "ArrowRight") keys.value += 1;
  if (event.key == "ArrowLeft") keys.value -= 1;
});
"""
"""Left and right step through the rows, unless a field or a slider is being used, which has its own use for them."""


@dataclass(frozen=True)
class Opened:
    """Files that are shown: one matrix or two, and measurements."""

    matrices: list[MatrixView]
    measurements: list[MDFInfo]
    empty: Path | None
    watch: Watch

    @staticmethod
    def create(files: Sequence[Path], empty: Path | None = None) -> "Opened":
        """Open files, calibrations and measurements in any order.

        Raises:
            ValueError: no calibration, or more than two.
            FileNotFoundError, MDFError: a file that cannot be opened.
        """
        watch = Watch([*files, *([] if empty is None else [empty])])
        infos = {path: read_info(path) for path in files}
        calibrations = [path for path, info in infos.items() if info.is_calibration]
        if not 1 <= len(calibrations) <= 2:
            raise ValueError(
                f"{len(calibrations)} of the {len(infos)} files are calibrations; give one, or two to compare, and measurements."
            )
        measurements = [info for info in infos.values() if not info.is_calibration]
        if empty is not None and read_info(empty).is_calibration:
            raise ValueError(f"{empty} is a calibration; an empty scan is a measurement without iron.")
        return Opened([MatrixView(path) for path in calibrations], measurements, empty, watch)

    def build(self, document: Document) -> None:
        """Fill a document."""
        Page(self, document)


class Page:
    """One opened page.

    Attributes:
        tabs: by title; voice: the line where the page speaks.
    """

    def __init__(self, opened: Opened, document: Document):
        self.voice, self.document, self.opened = Voice(), document, opened
        matrix = opened.matrices[0]
        self.remarks = matrix.remarks
        second = opened.matrices[1] if len(opened.matrices) > 1 else None
        rows = RowsTab(RowsState(matrix, second), self.voice)
        snr = SnrTab(SnrState(matrix), rows, self.voice)
        made: list[Tab] = [rows, snr]
        if opened.measurements:
            made.append(
                MeasurementTab(
                    [MeasurementView(info.path, opened.empty, info, opened.watch) for info in opened.measurements],
                    self.voice,
                )
            )
            state = ReconstructionState(
                matrix.path, [info.path for info in opened.measurements], opened.empty, opened.watch
            )
            made.append(ReconstructionTab(state, matrix, self.voice, document))
        restored = of_matrices(opened.matrices)
        if restored is not None:
            made.append(RestorationTab(restored, self.voice))
        self.tabs = {tab.title: tab for tab in made}
        self.widget = Tabs(tabs=[tab.panel for tab in made], active=0)
        self.widget.on_change("active", lambda _attribute, _old, _new: self._entered())
        snr.show.on_click(lambda _event: self.widget.update(active=0))
        keys = Spinner(value=0, visible=False, name="keys")
        keys.on_change("value", lambda _attribute, old, new: self._key(rows, int(new) - int(old)))
        document.js_on_event("document_ready", CustomJS(args={"keys": keys}, code=KEYS))
        document.title = f"mpijax view {matrix.path.name}"
        document.add_root(column(self.voice.div, self.widget, keys))
        self.voice.say("working …")
        self._enter(rows)

    def _entered(self) -> None:
        if not 0 <= self.widget.active < len(self.tabs):
            self.voice.complain(f"there is no tab {self.widget.active}; there are {', '.join(self.tabs)}.")
            self.widget.active = 0
            return
        tab = list(self.tabs.values())[self.widget.active]
        if tab.entered:
            return
        self.voice.say("working …")
        self.document.add_next_tick_callback(lambda: self._enter(tab))

    def _enter(self, tab: Tab) -> None:
        tab.enter()
        if self.voice.div.text == "working …":
            self.voice.say(" ".join(self.remarks) if tab.title == "Rows" else "")

    def _key(self, rows: RowsTab, by: int) -> None:
        if self.widget.active == 0:
            self.voice.guarded(lambda: rows.step(by))()
