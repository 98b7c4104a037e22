"""One method applied to all rows of a matrix, with what the checks need to know."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.datasets.degrade import degrade
from mpijax.restoration import trust as judge
from mpijax.restoration.network import Restorer, batch_rows, classical, coarse, phase_average

VERBS = {"denoise": "denoised", "inpaint": "inpainted", "upsample": "upsampled", "complete": "completed"}
"""What a task does, in the past tense."""


@dataclass
class Evidence:
    """What a run over all rows brought, per row: the restored slices, and sums over measured voxels."""

    restored: np.ndarray
    residual: np.ndarray
    divergence: np.ndarray
    spread: np.ndarray
    predicted: np.ndarray | None


@dataclass(frozen=True)
class Job:
    """One method on the rows of one matrix; rows are (m slices, *s) in units of their largest modulus."""

    task: str
    scale: int
    restorer: Restorer
    known: np.ndarray
    slices: int
    trust: bool
    progress: bool

    def rowwise(self, values: Float[np.ndarray, " b *s"]) -> Float[np.ndarray, " m"]:
        """Sum over the voxels and slices of each row."""
        return values.reshape(len(values) // self.slices, -1).sum(axis=1, dtype=np.float64)

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

    def run(
        self, images: Complex[np.ndarray, " b *s"], sigma: Float[np.ndarray, " m"], tried: Bool[np.ndarray, " m"]
    ) -> Evidence:
        """Restore the rows that are to be tried, with what the checks need."""
        tried = np.repeat(tried, self.slices)
        sigma = np.repeat(sigma, self.slices)
        shape = images.shape[1:]
        factor = self.scale if self.task == "upsample" else 1
        fine = finer(shape, self.scale) if self.task == "complete" else tuple(n * factor for n in shape)
        restored = np.zeros((len(images), *fine), np.complex64)
        residual, change, spread = np.zeros((3, len(images)))
        held = judge.hold_out(~self.known) if self.trust and self.task == "inpaint" else None
        predicted = np.zeros((2, len(images)))
        chosen, step = np.flatnonzero(tried), batch_rows(fine)
        console = Console(stderr=True)
        starts = track(
            range(0, len(chosen), step),
            f"{VERBS[self.task][:-2]}ing",
            console=console,
            disable=not (self.progress and console.is_terminal),
            transient=True,
        )
        for first in starts:
            part = chosen[first : first + step]
            rows, noise = images[part], sigma[part]
            restored[part], member, spread[part] = self.apply(self.restorer, rows, noise)
            if not self.trust:
                continue
            residual[part] = _energy(rows * self.known - self.observed(restored[part]))
            length = np.maximum(judge.STEP * noise, 1e-3)
            direction = judge.probe(part, shape) * self.known
            stepped = rows + length.reshape(-1, *(1,) * len(shape)) * direction
            single = _single(self.restorer)
            moved = self.observed(self.apply(single, stepped.astype(np.complex64), noise)[0]) - self.observed(member)
            change[part] = judge.divergence(moved, direction, length)
            if held is not None:
                guess = self.apply(single, rows, noise, known=self.known & ~held)[0]
                predicted[:, part] = _energy((guess - rows) * held), _energy(rows * held)
        believed = None
        if held is not None:
            error, power = (self.rowwise(p) for p in predicted)
            believed = judge.predicted(error, power, sigma[:: self.slices], int(np.count_nonzero(held)))
        return Evidence(
            restored,
            residual=self.rowwise(residual),
            divergence=self.rowwise(change),
            spread=np.sqrt(self.rowwise(spread**2) / self.slices),
            predicted=believed,
        )

    def without(
        self, images: Complex[np.ndarray, " b *s"], restored: Complex[np.ndarray, " b *t"], sigma: Any, left: Any
    ) -> Complex[np.ndarray, " b *t"]:
        """The restored rows with those that are left in their place: as measured, or filled by a classical method."""
        left = np.repeat(left, self.slices)
        if self.task == "denoise":
            restored[left] = images[left]
            return restored
        stand_in = self.restorer
        if stand_in.trained:
            box = self.task == "upsample" and stand_in.sampling == "box"
            name = "biharmonic" if self.task == "inpaint" else "bicubic" if box else "spline"
            stand_in = classical(name, self.task, self.scale, stand_in.sampling)
        chosen, noise = np.flatnonzero(left), np.repeat(sigma, self.slices)
        for part in np.array_split(chosen, -(-len(chosen) // batch_rows(restored.shape[1:]))) if len(chosen) else ():
            restored[part] = self.apply(stand_in, images[part], noise[part])[0]
        return restored


def _energy(values: Complex[Array, " b *s"]) -> Float[np.ndarray, " b"]:
    values = np.asarray(values)
    return np.asarray(np.sum(np.abs(values).reshape(len(values), -1) ** 2, axis=1, dtype=np.float64))


def _single(restorer: Restorer) -> Restorer:
    """The method without its ensemble."""
    return Restorer(restorer.name, restorer.apply, restorer.sampling, restorer.noise_limit)


def finer(shape: tuple[int, ...], scale: int) -> tuple[int, ...]:
    """Shape of the grid whose every scale-th voxel per axis is one of ``shape``."""
    return tuple((n - 1) * scale + 1 for n in shape)
