"""One method applied to all rows of a matrix, with what the checks need to know."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from mpijax.core.typing import Array, Bool, Complex, Float, Int
from mpijax.restoration import trust as judge
from mpijax.restoration.network import Restorer, batch_rows, classical, coarse, phase_average
from mpijax.rows.degradation import degrade

VERBS = {"denoise": "denoised", "inpaint": "inpainted", "upsample": "upsampled", "complete": "completed"}
"""What a task does, in the past tense."""

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

    ``numbers`` (m,) name the rows whatever their order: what is found of a row does not depend on where it stands.
    """

    task: str
    scale: int
    restorer: Restorer
    known: np.ndarray
    slices: int
    trust: bool
    progress: bool
    numbers: np.ndarray

    @property
    def stand_in(self) -> Restorer:
        """The classical method of the rows that the method is not believed in; a classical method is its own."""
        if not self.restorer.trained or self.task == "denoise":
            return self.restorer
        box = self.task == "upsample" and self.restorer.sampling == "box"
        name = "wiener" if self.task == "inpaint" else "bicubic" if box else "spline"
        return classical(name, self.task, self.scale, self.restorer.sampling)

    @property
    def instead(self) -> str:
        """What becomes of those rows, in words."""
        return "left as measured" if self.task == "denoise" else f"filled by {self.stand_in.name}"

    def rowwise(self, values: Float[np.ndarray, " b *s"]) -> Float[np.ndarray, " m"]:
        """Sum over the voxels and slices of each row."""
        return values.reshape(len(values) // self.slices, -1).sum(axis=1, dtype=np.float64)

    def energy(self, count: int, values: Callable[[slice], Complex[Array, " b *s"]]) -> Float[np.ndarray, " m"]:
        """Sum of squared moduli of each row; ``values`` returns some of ``count`` slices, so that no copy of all is made."""
        return self.rowwise(np.concatenate([_energy(values(slice(i, i + 64))) for i in range(0, count, 64)]))

    def observed(self, fine: Complex[Array, " b *t"]) -> Complex[np.ndarray, " b *s"]:
        """Restored rows at the measured positions, zero at missing ones."""
        if self.task == "upsample":
            return np.asarray(degrade(fine, self.scale, self.restorer.sampling))
        fine = np.asarray(fine)
        return np.asarray((coarse(fine, self.scale) if self.task == "complete" else fine) * self.known)

    def apply(
        self,
        restorer: Restorer,
        images: Complex[np.ndarray, " b *s"],
        sigma: Float[np.ndarray, " b"],
        known: Any = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ensemble mean, first member and spread of a method on rows of the measured grid."""
        known = self.known if known is None else known
        if self.task == "complete":
            canvas = np.zeros((len(images), *finer(images.shape[1:], self.scale)), np.complex64)
            coarse(canvas, self.scale)[...] = images
            fine = np.zeros(canvas.shape[1:], bool)
            coarse(fine[None], self.scale)[...] = known
            images, known = canvas, fine
        return phase_average(restorer, images.astype(np.complex64), known, sigma.astype(np.float32))

    @functools.cached_property
    def candidates(self) -> tuple[Restorer, ...]:
        """The method, and where it is a network on a complete or inpainted grid, the classical ones that may do better on a row."""
        if not (self.restorer.trained and self.trust):
            return (self.restorer,)
        names = {"denoise": ("wiener",), "inpaint": ("wiener", "biharmonic-garrote")}.get(self.task, ())
        return self.restorer, *(classical(name, self.task, self.scale, None) for name in names)

    @functools.cached_property
    def hidden(self) -> Bool[np.ndarray, " *s"] | None:
        """Measured voxels that are hidden to see whether they are predicted; None where there is no room or no check."""
        return judge.hold_out(~self.known) if self.trust and self.task == "inpaint" else None

    def run(
        self, images: Complex[np.ndarray, " b *s"], sigma: Float[np.ndarray, " m"], tried: Bool[np.ndarray, " m"]
    ) -> Evidence:
        """Restore the rows that are to be tried, each by the candidate that does best on it, with what the checks need.

        Best is the least squared error at hidden voxels, or, where none are hidden, the least of Stein's estimate.
        """
        tried, sigma = np.repeat(tried, self.slices), np.repeat(sigma, self.slices)
        shape = images.shape[1:]
        factor = self.scale if self.task == "upsample" else 1
        fine = finer(shape, self.scale) if self.task == "complete" else tuple(n * factor for n in shape)
        restored = np.zeros((len(images), *fine), np.complex64)
        residual, change, spread, guessed = figures = np.zeros((4, len(images)))
        method, best = np.zeros(len(images), int), np.full(len(images), np.inf)
        chosen, console = np.flatnonzero(tried), Console(stderr=True)
        numbers = (self.numbers[:, None] * self.slices + np.arange(self.slices)).reshape(-1)
        for number, restorer in enumerate(self.candidates):
            rows_at_once = batch_rows(fine) if restorer.trained else max(1, ENTRIES // int(np.prod(fine)))
            starts = track(
                range(0, len(chosen), rows_at_once),
                f"{VERBS[self.task][:-2]}ing by {Path(restorer.name).stem}",
                console=console,
                disable=not (self.progress and console.is_terminal),
                transient=True,
            )
            for first in starts:
                part = chosen[first : first + rows_at_once]
                found, values = self._try(restorer, numbers[part], images[part], sigma[part])
                score = values[3] if self.hidden is not None else values[0] / sigma[part] ** 2 + values[1]
                better = score < best[part]
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

    def _try(
        self,
        restorer: Restorer,
        numbers: Int[np.ndarray, " k"],
        rows: Complex[np.ndarray, " k *s"],
        sigma: Float[np.ndarray, " k"],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some rows restored by one method, and their residual, divergence, spread and error at hidden voxels (4, k)."""
        restored, member, spread = self.apply(restorer, rows, sigma)
        values = np.zeros((4, len(rows)))
        values[2] = spread
        if not self.trust:
            return restored, values
        single, shape = replace(restorer, members=1), rows.shape[1:]
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
        if self.task == "denoise":
            restored[left] = images[left]
            return restored
        stand_in, noise = self.stand_in, np.repeat(sigma, self.slices)
        for part in _parts(np.flatnonzero(left), restored[0].size):
            filled = self.apply(stand_in, images[part], noise[part])[0]
            keep = self.task == "inpaint" and self.restorer.trained
            restored[part] = np.where(self.known, images[part], filled) if keep else filled
        return restored


def _energy(values: Complex[Array, " b *s"]) -> Float[np.ndarray, " b"]:
    values = np.asarray(values)
    return np.asarray(np.sum(np.abs(values).reshape(len(values), -1) ** 2, axis=1, dtype=np.float64))


def _parts(chosen: Int[np.ndarray, " k"], size: int) -> list[np.ndarray]:
    """The chosen rows in parts that a classical method fills at once; ``size`` entries per row."""
    return np.array_split(chosen, -(-len(chosen) * size // ENTRIES)) if len(chosen) else []


def finer(shape: tuple[int, ...], scale: int) -> tuple[int, ...]:
    """Shape of the grid whose every scale-th voxel per axis is one of ``shape``."""
    return tuple((n - 1) * scale + 1 for n in shape)
