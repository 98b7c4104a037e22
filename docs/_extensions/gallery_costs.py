"""How long an example of the gallery may take."""

import os
from pathlib import Path
from typing import Any

LIMIT = 60.0
"""Of an example [s]. The build ends where both wall and processor time are longer: on a busy machine the wall time says more about
the neighbors, and the processor time of threads that run side by side is longer than anybody waits."""

_started: dict[str, os.times_result] = {}
"""Example -> clocks at its start."""


def limit_time(conf: dict[str, Any], example: Any, when: str) -> None:
    """Called before and after an example; raises RuntimeError where it took longer than ``LIMIT``."""
    if example is None:  # the gallery as a whole
        return
    now = os.times()
    if when == "before":
        _started[str(example)] = now
        return
    user, system, of_children, system_of_children, wall = (
        a - b for a, b in zip(now, _started.pop(str(example)), strict=True)
    )
    processor = user + system + of_children + system_of_children
    if min(processor, wall) > LIMIT:
        raise RuntimeError(
            f"{Path(example).name} took {wall:.0f} s, {processor:.0f} s of processor time; an example may take {LIMIT:.0f} s: take "
            "a smaller grid, fewer rows or fewer steps."
        )
