"""Finding the method that restores rows: weights that ship, a user's network, a classical method by name, or a callable."""

from pathlib import Path

from mpijax.core.assets import asset_path
from mpijax.restoration.method import Method
from mpijax.restoration.network import load_network
from mpijax.restoration.whole import WHOLE
from mpijax.rows.tasks import TASKS, Complete, Denoise, Inpaint, RowMethod, Task, Upsample

SHIPPED: tuple[tuple[Task, int, str], ...] = (
    (Denoise(), 2, "denoise_2d"),
    (Upsample(2, "stride"), 2, "upsample_2d"),
    (Inpaint(), 2, "restore_2d"),
    (Complete(2), 2, "restore_2d"),
    (Denoise(), 3, "restore_3d"),
    (Inpaint(), 3, "restore_3d"),
    (Complete(2), 3, "restore_3d"),
)
"""Task, dimensions of the rows, and the weights that ship for it."""


def classical(task: Task, name: str) -> tuple[Method, Task]:
    """A classical method of a task by name, and the task with what it left open."""
    task = task.settled(name)
    return Method(name, task.classical()[name], classical=True), task


def find_method(
    task: Task, dimensions: int, method: str | Path | Method | RowMethod | None = None
) -> tuple[Method, Task]:
    """The method for a task, and the task with what it left open as the method is made for.

    Args:
        task: what is asked for.
        dimensions: of the rows, 2 or 3.
        method: None = the weights that ship; a run directory or weights file; the name of a classical method of the task,
            or of one that restores all rows together (:mod:`mpijax.restoration.whole`); a :class:`Method`; or a callable
            ``(rows, known, inside, sigma) -> rows``.

    Raises:
        ValueError: no weights ship for this, or the given ones were trained for something else.
        FileNotFoundError: there is neither a method nor a file of this name.
    """
    names = (*task.classical(), *(name for of, name in WHOLE if of == task.name))
    if isinstance(method, Method):
        return method, task.settled(method.name)
    if callable(method):
        name = getattr(method, "__name__", type(method).__name__)
        return Method(name, method), task.settled(name)
    if method is not None:
        if (task.name, str(method)) in WHOLE:
            return WHOLE[task.name, str(method)], task.settled(str(method))
        if str(method) in names:
            return classical(task, str(method))
        if any(str(method) in other().classical() for other in TASKS.values()):
            raise ValueError(f"method = {method} is no method of {task.name}, which knows {', '.join(names)}.")
        if not Path(method).exists():
            raise FileNotFoundError(
                f"method = {method}: no run directory or weights file of this name, and no method; {task.name} knows the methods "
                f"{', '.join(names)}."
            )
        return load_network(method, task, dimensions)
    for own, d, name in SHIPPED:
        if d == dimensions and own.name == task.name and task.fits(own):
            return load_network(asset_path(f"weights/{name}.npz"), task, dimensions)
    there = "; ".join(_words(own, d) for own, d, _ in SHIPPED)
    raise ValueError(
        f"no weights ship for {_words(task, dimensions)}; there are some for {there}. Use method= to name a run directory, a "
        f"weights file, or one of {', '.join(names)}."
    )


def _words(task: Task, dimensions: int) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in task.facts().items() if value is not None)
    return f"{task.name} {dimensions}-D" + (f" ({facts})" if facts else "")
