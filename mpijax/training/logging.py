"""What a run says: metrics as JSON lines and progress on the terminal."""

import json
import math
import operator
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import rich.console
import rich.progress

from mpijax.core.files import write_text
from mpijax.training.processes import is_first

QUIET_SECONDS = 30.0
"""After which a line is printed where no terminal shows a bar."""

QUIET_SHARE = 0.1
"""Of the steps after which one is printed, however quick they are."""


@runtime_checkable
class Report(Protocol):
    """Told every step; the text is None where there is nothing new to say."""

    def __call__(self, step: int, text: str | None, always: bool = False) -> None:
        """``always``: whether the text matters enough to be shown wherever it comes."""
        ...


class MetricsLog:
    """Metrics of a run as JSON lines, one object per record, each with its ``step``.

    All fields but ``seconds``, ``steps_per_second`` and ``stream`` are the same whether a run was interrupted or not.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def records(self) -> list[dict[str, Any]]:
        """All complete records; a last line that a kill has cut short is left out, and damaged ones with a warning."""
        if not self.path.exists():
            return []
        complete = self.path.read_bytes().rpartition(b"\n")[0]
        records, damaged = [], []
        for number, line in enumerate(complete.split(b"\n") if complete else (), 1):
            try:
                record = json.loads(line)
                records.append(record | {"step": operator.index(record["step"])})
            except (ValueError, TypeError, KeyError):
                damaged.append(str(number))
        if damaged:
            warnings.warn(f"{self.path} is damaged in line {', '.join(damaged)}, which is left out", stacklevel=2)
        return records

    def write(self, record: dict[str, Any]) -> None:
        """Append one record; numbers that are not finite become null."""
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(_finite(record)) + "\n")

    def cut(self, step: int | None) -> list[dict[str, Any]]:
        """Drop the records after ``step`` (None: all) and return the others."""
        kept = [] if step is None else [record for record in self.records() if record["step"] <= step]
        if self.path.exists():
            write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))
        return kept


class _Lines:
    """Now and then a line: what is said, and the time that is left."""

    def __init__(self, start: int, total: int):
        self._total, self._said_step, self._said_time = total, start, time.monotonic()
        self._mark: tuple[int, float] | None = None

    def __call__(self, step: int, text: str | None, always: bool = False) -> None:
        now = time.monotonic()
        if self._mark is None and text is None:  # the first step compiles: it tells nothing of the others
            self._mark = (step, now)
        waited = step - self._said_step >= QUIET_SHARE * self._total or now - self._said_time >= QUIET_SECONDS
        if text is None or not (always or waited or step == self._total):
            return
        self._said_step, self._said_time = step, now
        print(f"step {step}/{self._total}  {text}{self._left(step, now)}", flush=True)

    def _left(self, step: int, now: float) -> str:
        if self._mark is None or step <= self._mark[0] or step >= self._total:
            return ""
        seconds = (now - self._mark[1]) / (step - self._mark[0]) * (self._total - step)
        return f"  about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """90 as 1.5 min."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def show_progress(start: int, total: int, enabled: bool) -> Iterator[Report]:
    """Yield ``report(step, text)``: a progress bar on a terminal, else plain lines; only the first process reports.

    A plain line says what time is left. Of the texts of losses those are printed that come a tenth of the steps or half a minute
    behind the line before, and of the validations, ``always``, all.
    """
    if not is_first():
        yield lambda step, text, always=False: None
        return
    console = rich.console.Console()
    if not (enabled and console.is_terminal):
        yield _Lines(start, total)
        return
    columns = (
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("{task.fields[text]}", markup=False),
    )
    with rich.progress.Progress(*columns, console=console) as bar:
        task = bar.add_task("train", total=total, completed=start, text="")

        def report(step: int, text: str | None, always: bool = False) -> None:
            bar.update(task, completed=step)
            if text is not None:
                bar.update(task, text=text)

        yield report


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
