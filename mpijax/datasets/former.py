"""Values of version 0.7 under their former names."""

from typing import Any

from mpijax.core.checks import check_choice
from mpijax.datasets.corruption import RandomCorruption
from mpijax.rows.tasks import Complete, Denoise, Inpaint, Task, Upsample


def RestorationTask(  # noqa: N802  (it was a class)
    task: str = "denoise", scale: int = 1, step: int = 2, method: str = "stride", **options: Any
) -> RandomCorruption:
    """``RandomCorruption(tasks)`` by the name of a task, as in version 0.7.

    Raises:
        ValueError: another name, or options that do not fit.
    """
    check_choice("task", task, ("denoise", "inpaint", "complete", "upsample", "any"))
    tasks: dict[str, tuple[Task, ...]] = {"denoise": (Denoise(),), "inpaint": (Inpaint(),)}
    if task in ("complete", "any"):
        tasks |= {"complete": (Complete(step),), "any": (Denoise(), Inpaint(), Complete(step))}
    if (task == "upsample") != (scale > 1):
        raise ValueError(f"task={task!r} with scale={scale}; 'upsample' needs 2 or more, the others 1.")
    return RandomCorruption(tasks[task] if scale == 1 else (Upsample(scale, method),), **options)
