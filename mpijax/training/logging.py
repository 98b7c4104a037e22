"""What a run says: metrics as JSON lines and progress on the terminal."""

import json
import math
import operator
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich.console
import rich.progress

from mpijax.core.files import write_text
from mpijax.training.processes import is_first

Report = Callable[[int, str | None], None]


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


@contextmanager
def show_progress(start: int, total: int, enabled: bool) -> Iterator[Report]:
    """Yield ``report(step, text)``: a progress bar on a terminal, else one plain line per text; only the first process reports."""
    if not is_first():
        yield lambda step, text: None
        return
    console = rich.console.Console()
    if not (enabled and console.is_terminal):
        yield lambda step, text: None if text is None else print(f"step {step}/{total}  {text}", flush=True)
        return
    columns = (
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("{task.fields[text]}", markup=False),
    )
    with rich.progress.Progress(*columns, console=console) as bar:
        task = bar.add_task("train", total=total, completed=start, text="")

        def report(step: int, text: str | None) -> None:
            bar.update(task, completed=step)
            if text is not None:
                bar.update(task, text=text)

        yield report


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
