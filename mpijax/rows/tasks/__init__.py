"""Restoration tasks as values: what each observes of a fine row, the grid of its answer, its classical methods, its words."""

from mpijax.rows.tasks.complete import Complete as Complete
from mpijax.rows.tasks.denoise import Denoise as Denoise
from mpijax.rows.tasks.inpaint import Inpaint as Inpaint
from mpijax.rows.tasks.names import TASKS as TASKS
from mpijax.rows.tasks.names import register_task as register_task
from mpijax.rows.tasks.names import task_of as task_of
from mpijax.rows.tasks.task import Gaps as Gaps
from mpijax.rows.tasks.task import RowMethod as RowMethod
from mpijax.rows.tasks.task import Task as Task
from mpijax.rows.tasks.task import Trial as Trial
from mpijax.rows.tasks.trained import Trained as Trained
from mpijax.rows.tasks.upsample import Upsample as Upsample
