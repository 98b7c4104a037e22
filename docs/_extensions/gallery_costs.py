"""How long an example of the gallery may take."""

import os
from pathlib import Path
from typing import Any

LIMIT = 60.0
"""Processor time of an example [s]: on a quiet machine at least the wall time, on a busy one that says more about the neighbors."""

_started: dict[str, float] = {}
"""Example -> processor time [s] at its start; examples of a process come one after another."""


def limit_time(conf: dict[str, Any], example: Any, when: str) -> None:
    """Called before and after an example; raises RuntimeError where it took longer than ``LIMIT``."""
    if example is None:  # the gallery as a whole
        return
    if when == "before":
        _started[str(example)] = _processor_time()
        return
    seconds = _processor_time() - _started.pop(str(example))
    if seconds > LIMIT:
        raise RuntimeError(
            f"{Path(example).name} took {seconds:.0f} s of processor time; an example may take {LIMIT:.0f} s: take a smaller grid, "
            "fewer rows or fewer steps."
        )


def _processor_time() -> float:
    """Of this process with its threads, and of the processes that it has waited for [s]."""
    return sum(os.times()[:4])
