"""Whether a network predicts what was measured: its task one level coarser, where the answer is known."""

from dataclasses import dataclass, replace

import numpy as np

from mpijax.core.record import Record
from mpijax.core.typing import Complex, Float
from mpijax.restoration.choose import classical
from mpijax.restoration.method import Method, phase_average
from mpijax.restoration.network import batch_rows
from mpijax.rows.tasks import Task

TOLERANCE = 0.5
"""Decibels by which a method may be behind the stand-in: the trial is harder than the task, where networks that were no further
behind were ahead more often than not (`python -m experiments.upsampling_trial`)."""

LEAST = 1e-12
"""Squared error over power below which none is told from another."""


@dataclass(frozen=True, eq=False)
class Tried(Record):
    """What a method and the task's stand-in made of measured voxels that were hidden from them.

    Attributes:
        method: the one that was asked for; stand_in: the classical one.
        errors: of the two, root mean square over a row's hidden voxels relative to theirs, geometric mean over rows: a row counts
            by the ratio of its errors, however large they are. None where the grid is too small for a trial.
        hidden: voxels of each row that were hidden.
        replaced: whether the stand-in is used.
    """

    method: str
    stand_in: str
    errors: tuple[float, float] | None
    hidden: int
    replaced: bool

    def text(self) -> str:
        """The outcome in one line."""
        place = f", so {self.stand_in} takes its place" if self.replaced else ""
        if self.errors is None:
            return f"the grid is too small to hide measured voxels and see whether {self.method} predicts them{place}"
        own, other = self.errors
        return (
            f"of {self.hidden} measured voxels of each row that were hidden, one level coarser, {self.method} is off by {own:.1%} "
            f"of their rms, {self.stand_in} by {other:.1%}{place}"
        )


def try_out(
    task: Task, method: Method, images: Complex[np.ndarray, " b *s"], sigma: Float[np.ndarray, " b"], proven: bool
) -> tuple[Method, Tried | None]:
    """The method, unless the task's stand-in predicts hidden voxels of the measured rows better by :data:`TOLERANCE`.

    Args:
        task: with a trial and a stand-in.
        method: that is asked for.
        images: measured rows, in units of their largest modulus; those that are to be restored.
        sigma: their noise.
        proven: whether the method is used where it cannot be tried.

    Returns:
        The method to use, and the record; None without rows.
    """
    if not len(images) or task.stand_in is None:
        return method, None
    stand_in = classical(task, task.stand_in)[0]
    first = task.trial(images[:1], sigma[:1])
    if first is None:
        tried = Tried(method.title, stand_in.title, None, 0, replaced=not proven)
        return method if proven else stand_in, tried
    parts: list[np.ndarray] = []  # squared errors (2, rows)
    size = batch_rows(images.shape[1:])
    for start in range(0, len(images), size):
        rows = images[start : start + size]
        trial = task.trial(rows, sigma[start : start + size])
        assert trial is not None
        given, known = task.lay_out(trial.rows, np.ones(trial.rows.shape[1:], bool))
        power, squared = np.maximum(_energy(rows * trial.hidden), np.finfo(float).tiny), []
        for candidate in (replace(method, members=1), stand_in):
            guess = phase_average(candidate, given.astype(np.complex64), known, trial.sigma.astype(np.float32))[0]
            both = tuple(slice(min(n, m)) for n, m in zip(guess.shape[1:], rows.shape[1:], strict=True))
            squared.append(_energy((guess[:, *both] - rows[:, *both]) * trial.hidden[both]) / power)
        parts.append(np.array(squared))
    own, other = np.exp(np.log(np.maximum(np.concatenate(parts, axis=1), LEAST)).mean(axis=1) / 2)
    replaced = not own <= other * 10 ** (TOLERANCE / 20)  # also where it is NaN
    hidden = int(np.count_nonzero(first.hidden))
    tried = Tried(method.title, stand_in.title, (float(own), float(other)), hidden, replaced)
    return stand_in if replaced else method, tried


def _energy(values: Complex[np.ndarray, " b *s"]) -> Float[np.ndarray, " b"]:
    return np.asarray(np.sum(np.abs(values).reshape(len(values), -1) ** 2, axis=1, dtype=np.float64))
