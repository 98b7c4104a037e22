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
"""Decibels by which a method may be behind the best classical one: the trial is harder than the task, where networks that were no
further behind were ahead more often than not (development halves, experiments/README.md)."""

LEAST = 1e-12
"""Squared error over power below which none is told from another."""


@dataclass(frozen=True, eq=False)
class Tried(Record):
    """What methods made of measured voxels that were hidden from them.

    Attributes:
        methods: that were tried, the asked one first; alone where the grid is too small for a trial.
        errors: of each, root mean square over a row's hidden voxels relative to theirs, geometric mean over rows: a row counts by
            the ratio of its errors, however large they are; empty without a trial.
        hidden: voxels of each row that were hidden.
        chosen: the method that is used.
    """

    methods: tuple[str, ...]
    errors: tuple[float, ...]
    hidden: int
    chosen: str

    @property
    def replaced(self) -> bool:
        """Whether another method than the asked one is used."""
        return self.chosen != self.methods[0]

    def text(self) -> str:
        """The outcome in one line."""
        place = f", so {self.chosen} takes its place" if self.replaced else ""
        if not self.errors:
            return (
                f"the grid is too small to hide measured voxels and see whether {self.methods[0]} predicts them{place}"
            )
        own, *others = (f"{error:.1%}" for error in self.errors)
        rivals = " and ".join(f"{name} by {error}" for name, error in zip(self.methods[1:], others, strict=True))
        return (
            f"of {self.hidden} measured voxels of each row that were hidden, one level coarser, {self.methods[0]} is off by {own} "
            f"of their rms, {rivals}{place}"
        )


def try_out(
    task: Task, method: Method, images: Complex[np.ndarray, " b *s"], sigma: Float[np.ndarray, " b"], proven: bool
) -> tuple[Method, Tried | None]:
    """The method if no classical one predicts hidden voxels of the measured rows better by :data:`TOLERANCE`, else that one.

    Args:
        task: with a trial.
        method: that is asked for.
        images: measured rows, in units of their largest modulus; those that are to be restored.
        sigma: their noise.
        proven: whether the method is used where it cannot be tried, else it is the task's stand-in.

    Returns:
        The method to use, and the record; None without rows.
    """
    if not len(images):
        return method, None
    first = task.trial(images[:1], sigma[:1])
    if first is None:
        chosen = method if proven or task.stand_in is None else classical(task, task.stand_in)[0]
        return chosen, Tried((method.title,), (), 0, chosen.title)
    methods = (method, *(classical(task, name)[0] for name in first.rivals))
    ratios: list[np.ndarray] = []  # (methods, rows) of every part
    size = batch_rows(images.shape[1:])
    for start in range(0, len(images), size):
        rows = images[start : start + size]
        trial = task.trial(rows, sigma[start : start + size])
        assert trial is not None
        given, known = task.lay_out(trial.rows, np.ones(trial.rows.shape[1:], bool))
        power, squared = np.maximum(_energy(rows * trial.hidden), np.finfo(float).tiny), []
        for candidate in methods:
            single = replace(candidate, members=1)
            guess = phase_average(single, given.astype(np.complex64), known, trial.sigma.astype(np.float32))[0]
            both = tuple(slice(min(n, m)) for n, m in zip(guess.shape[1:], rows.shape[1:], strict=True))
            squared.append(_energy((guess[:, *both] - rows[:, *both]) * trial.hidden[both]) / power)
        ratios.append(np.array(squared))
    relative = np.exp(np.log(np.maximum(np.concatenate(ratios, axis=1), LEAST)).mean(axis=1) / 2)
    relative = np.where(np.isfinite(relative), relative, np.inf)
    best = 1 + int(np.argmin(relative[1:]))
    chosen = method if relative[0] <= relative[best] * 10 ** (TOLERANCE / 20) else methods[best]
    names = tuple(candidate.title for candidate in methods)
    return chosen, Tried(names, tuple(map(float, relative)), int(np.count_nonzero(first.hidden)), chosen.title)


def _energy(values: Complex[np.ndarray, " b *s"]) -> Float[np.ndarray, " b"]:
    return np.asarray(np.sum(np.abs(values).reshape(len(values), -1) ** 2, axis=1, dtype=np.float64))
