"""One method applied to all rows of a matrix, with what the checks need to know."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from mpijax.core.typing import Array, Bool, Complex, Float, Int
from mpijax.restoration import contest
from mpijax.restoration import trust as judge
from mpijax.restoration.choose import classical
from mpijax.restoration.method import Method, Together, phase_average
from mpijax.restoration.network import batch_rows
from mpijax.rows.tasks import Task

ENTRIES = 1 << 22
"""Entries of restored rows that a classical method fills at once."""


@dataclass(frozen=True)
class Evidence:
    """What a run over all rows brought: the restored slices (b, *t), and of each row (m,) sums over its measured voxels.

    ``guessed`` is the squared error at hidden voxels, if there are any; ``method`` the place in :attr:`Job.candidates` of what
    restored the row.
    """

    restored: np.ndarray
    residual: np.ndarray
    divergence: np.ndarray
    spread: np.ndarray
    guessed: np.ndarray
    method: np.ndarray


@dataclass(frozen=True)
class Job:
    """One method on the rows of one matrix; rows are (m slices, *s) in units of their largest modulus.

    ``numbers`` (m,) name the rows whatever their order: what is found of a row does not depend on where it stands. ``guided`` are
    methods that an identification of this matrix brought.
    """

    task: Task
    method: Method
    known: np.ndarray
    slices: int
    trust: bool
    progress: bool
    numbers: np.ndarray
    guided: tuple[Method, ...] = ()

    @functools.cached_property
    def stand_in(self) -> Method | None:
        """The method of the rows that the chosen one is not believed in, a classical one its own; None = as measured."""
        if self.task.stand_in is None:
            return None
        return self.method if self.method.classical else classical(self.task, self.task.stand_in)[0]

    @property
    def instead(self) -> str:
        """What becomes of those rows, in words."""
        return "left as measured" if self.stand_in is None else f"filled by {self.stand_in.name}"

    def rowwise(self, values: Float[np.ndarray, " b *s"]) -> Float[np.ndarray, " m"]:
        """Sum over the voxels and slices of each row."""
        return values.reshape(len(values) // self.slices, -1).sum(axis=1, dtype=np.float64)

    def energy(self, count: int, values: Callable[[slice], Complex[Array, " b *s"]]) -> Float[np.ndarray, " m"]:
        """Sum of squared moduli of each row; ``values`` returns some of ``count`` slices, so that no copy of all is made."""
        return self.rowwise(np.concatenate([_energy(values(slice(i, i + 64))) for i in range(0, count, 64)]))

    def observed(self, fine: Complex[Array, " b *t"]) -> Complex[np.ndarray, " b *s"]:
        """Restored rows at the measured positions, zero at missing ones."""
        return np.asarray(self.task.observe(np.asarray(fine))) * self.known

    def apply(
        self,
        method: Method,
        images: Complex[np.ndarray, " b *s"],
        sigma: Float[np.ndarray, " b"],
        known: Any = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ensemble mean, first member and spread of a method on rows of the measured grid."""
        images, known = self.task.lay_out(images, self.known if known is None else known)
        return phase_average(method, images.astype(np.complex64), known, sigma.astype(np.float32))

    @functools.cached_property
    def candidates(self) -> tuple[Method, ...]:
        """The method, and where it is a network, the classical and the guided ones that may do better on a row."""
        rivals = self.task.rivals if self.method.trained and self.trust else ()
        return self.method, *(classical(self.task, name)[0] for name in rivals), *self.guided

    @functools.cached_property
    def hidden(self) -> Bool[np.ndarray, " *s"] | None:
        """Measured voxels that are hidden to see whether they are predicted; None where there is no room or no check."""
        return judge.hold_out(~self.known) if self.trust and self.task.has_gaps else None

    def run(
        self, images: Complex[np.ndarray, " b *s"], sigma: Float[np.ndarray, " m"], tried: Bool[np.ndarray, " m"]
    ) -> Evidence:
        """Restore the rows that are to be tried, each by the candidate that does best on it, with what the checks need.

        Best is the least squared error at hidden voxels, or, where none are hidden, the least of Stein's estimate. Where the matrix
        was identified, the candidate that does best on all rows together gives way only where another is better beyond doubt
        (:mod:`mpijax.restoration.contest`).
        """
        tried, sigma = np.repeat(tried, self.slices), np.repeat(sigma, self.slices)
        fine = self.task.fine_shape(images.shape[1:])
        restored = np.zeros((len(images), *fine), np.complex64)
        residual, change, spread, guessed = figures = np.zeros((4, len(images)))
        method, best = np.zeros(len(images), int), np.full(len(images), np.inf)
        chosen = np.flatnonzero(tried)
        for number, trials in self._order(images, sigma, chosen):
            for part, found, values, score in trials:
                doubt: Any = 0.0
                if self.guided and np.isfinite(best[part]).all():
                    hidden = None if self.hidden is None else np.count_nonzero(self.hidden) / self.hidden.size
                    doubt = contest.doubt(found - restored[part], sigma[part], hidden)
                better = score < best[part] - doubt
                kept = part[better]
                restored[kept], figures[:, kept], best[kept] = found[better], values[:, better], score[better]
                method[kept] = number
        return Evidence(
            restored,
            residual=self.rowwise(residual),
            divergence=self.rowwise(change),
            spread=np.sqrt(self.rowwise(spread**2) / self.slices),
            guessed=self.rowwise(guessed),
            method=method[:: self.slices],
        )

    def _order(
        self, images: np.ndarray, sigma: np.ndarray, chosen: np.ndarray
    ) -> Iterable[tuple[int, Iterable[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]]]:
        """Candidates and their trials: of an identified matrix the one that does best on all rows, or a share of them, first."""
        everything = [
            (number, self._trials(each, images, sigma, chosen)) for number, each in enumerate(self.candidates)
        ]
        if not (self.guided and self.trust and len(chosen)):
            return everything
        few = chosen[:: -(-len(chosen) // contest.POOLED)]
        tried = [(number, list(self._trials(each, images, sigma, few))) for number, each in enumerate(self.candidates)]
        tried.sort(key=lambda each: sum(float(score.sum()) for *_, score in each[1]))
        return tried if len(few) == len(chosen) else [everything[number] for number, _ in tried]

    def _trials(
        self, candidate: Method, images: np.ndarray, sigma: np.ndarray, chosen: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Rows in parts: their numbers, restored, figures and score of :meth:`_try`."""
        fine, console = self.task.fine_shape(images.shape[1:]), Console(stderr=True)
        rows_at_once = batch_rows(fine) if candidate.trained else max(1, ENTRIES // int(np.prod(fine)))
        starts = track(
            range(0, len(chosen), rows_at_once),
            f"{self.task.action} by {candidate.title}",
            console=console,
            disable=not (self.progress and console.is_terminal),
            transient=True,
        )
        for first in starts:
            part = chosen[first : first + rows_at_once]
            names = (self.numbers[part // self.slices] * self.slices + part % self.slices).astype(int)
            method = candidate.at(part)
            found, values = self._try(method, names, images[part], sigma[part])
            hidden = self.hidden is not None
            yield (
                part,
                found,
                values,
                values[3] / sigma[part] ** 2 if hidden else values[0] / sigma[part] ** 2 + values[1],
            )

    def together(self, found: Together, unit: Float[np.ndarray, " m"]) -> Evidence:
        """What a method of the whole matrix brought, in units of the rows' largest modulus."""
        zero = np.zeros(len(unit))
        shape = (len(unit) * self.slices, *self.task.fine_shape(self.known.shape))
        images = (found.rows / unit[:, None]).reshape(shape).astype(np.complex64)
        return Evidence(images, found.residual / unit**2, found.divergence, zero, zero, zero.astype(int))

    def _try(
        self,
        method: Method,
        numbers: Int[np.ndarray, " k"],
        rows: Complex[np.ndarray, " k *s"],
        sigma: Float[np.ndarray, " k"],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some rows restored by one method, and their residual, divergence, spread and error at hidden voxels (4, k)."""
        restored, member, spread = self.apply(method, rows, sigma)
        values = np.zeros((4, len(rows)))
        values[2] = spread
        if not self.trust:
            return restored, values
        single, shape = replace(method, members=1), rows.shape[1:]
        values[0] = _energy(rows * self.known - self.observed(restored))
        length = np.maximum(judge.STEP * sigma, judge.LEAST_STEP)
        direction = judge.probe(numbers, shape) * self.known
        stepped = rows + length.reshape(-1, *(1,) * len(shape)) * direction
        moved = self.observed(self.apply(single, stepped.astype(np.complex64), sigma)[0]) - self.observed(member)
        values[1] = judge.divergence(moved, direction, length)
        if self.hidden is not None:
            guess = self.apply(single, rows, sigma, known=self.known & ~self.hidden)[0]
            values[3] = _energy((guess - rows) * self.hidden)
        return restored, values

    def without(
        self, images: Complex[np.ndarray, " b *s"], restored: Complex[np.ndarray, " b *t"], sigma: Any, left: Any
    ) -> Complex[np.ndarray, " b *t"]:
        """The restored rows with those that are left in their place: as measured, or filled by a classical method.

        Where that stands in for a network, measured voxels stay as they are.
        """
        left = np.repeat(left, self.slices)
        if self.stand_in is None:
            restored[left] = images[left]
            return restored
        noise = np.repeat(sigma, self.slices)
        for part in _parts(np.flatnonzero(left), restored[0].size):
            filled = self.apply(self.stand_in, images[part], noise[part])[0]
            keep = self.task.has_gaps and not self.method.classical
            restored[part] = np.where(self.known, images[part], filled) if keep else filled
        return restored


def _energy(values: Complex[Array, " b *s"]) -> Float[np.ndarray, " b"]:
    values = np.asarray(values)
    return np.asarray(np.sum(np.abs(values).reshape(len(values), -1) ** 2, axis=1, dtype=np.float64))


def _parts(chosen: Int[np.ndarray, " k"], size: int) -> list[np.ndarray]:
    """The chosen rows in parts that a classical method fills at once; ``size`` entries per row."""
    return np.array_split(chosen, -(-len(chosen) * size // ENTRIES)) if len(chosen) else []
