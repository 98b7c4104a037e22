"""From the name of a task and its options to the task: the only place that reads the name."""

import dataclasses
from typing import Any

from mpijax.core.checks import check_choice
from mpijax.core.plugins import look_up
from mpijax.rows.tasks.complete import Complete
from mpijax.rows.tasks.denoise import Denoise
from mpijax.rows.tasks.inpaint import Inpaint
from mpijax.rows.tasks.task import Task
from mpijax.rows.tasks.upsample import Upsample

TASKS: dict[str, type[Task]] = {task.name: task for task in (Denoise, Inpaint, Upsample, Complete)}
"""Name -> class of the tasks that are known."""

GROUP = "mpijax.tasks"
"""Entry points of this group in other packages are tasks, too."""


def register_task(task: type[Task]) -> type[Task]:
    """Make a task known by its name; all its options need defaults. Usable as a class decorator.

    Raises:
        ValueError: another task has this name.
    """
    if TASKS.setdefault(task.name, task) is not task:
        raise ValueError(
            f"a task {task.name!r} is known already ({TASKS[task.name].__name__}); give this one another name."
        )
    return task


def task_of(task: Task | str, **options: Any) -> Task:
    """A task as it is, or the one that a name and options mean; options that are None are not given.

    Raises:
        ValueError: an unknown name, or an option that the task does not have.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(task, Task):
        if given:
            raise ValueError(f"{', '.join(given)} beside {task}; give them to the task.")
        return task
    look_up(TASKS, GROUP, task)
    check_choice("task", task, tuple(TASKS))
    kind = TASKS[task]
    own = _options(kind)
    if given.get("scale") == 1 and "scale" not in own:
        del given["scale"]
    for name in given.keys() - own:
        owners = " and ".join(repr(other) for other, cls in TASKS.items() if name in _options(cls))
        raise ValueError(f"{name} is an option of {owners}; leave it out for {task!r}.")
    return kind(**given)


def _options(task: type[Task]) -> set[str]:
    return {field.name for field in dataclasses.fields(task)}
