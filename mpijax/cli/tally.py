"""What a method of ``mpijax reconstruct`` says of its images, block after block, for the table and the warnings."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import mpijax as mj
from mpijax.plans.reconstruct import STRENGTHS


@dataclass
class Tally:
    """Sums and extremes over the images so far; plain numbers, so that a file can hold them.

    Attributes:
        images: how many; unconverged of them.
        residual: sum over the images, None where the method says none.
        strengths: largest of each part of the penalty.
        largest: value of an image [mmol(Fe)/L]; voxel: where it is.
        iterations: most of any block.
        seconds: of solving.
    """

    images: int = 0
    unconverged: int = 0
    residual: float | None = None
    strengths: dict[str, float] = field(default_factory=dict)
    largest: float = -np.inf
    voxel: int = 0
    iterations: int = 0
    seconds: float = 0.0

    def add(self, solution: Any, seconds: float) -> None:
        """Count the images of a solution."""
        images, stats = np.asarray(solution.value), solution.stats
        self.images += len(images)
        self.seconds += seconds
        self.unconverged += int(np.count_nonzero(~np.atleast_1d(np.asarray(stats.get("converged", True)))))
        self.iterations = max(self.iterations, int(stats.get("iterations", 0)))
        if "residual" in stats:
            residual = np.broadcast_to(np.asarray(stats["residual"], float), len(images))
            self.residual = (self.residual or 0.0) + float(residual.sum())
        for name in STRENGTHS:
            if name in stats:
                self.strengths[name] = max(self.strengths.get(name, 0.0), float(np.max(np.asarray(stats[name], float))))
        if images.max() > self.largest:
            self.largest = float(images.max())
            self.voxel = int(np.argmax(images)) % images[0].size


def print_table(tallies: dict[str, Tally], grid: mj.Grid) -> None:
    """One line per method, and a warning of every one that stopped before it had converged."""
    table = Table(box=None, pad_edge=False)
    for title in ("method", "lambda", "residual", "largest / mmol(Fe)/L", "at x, y, z / mm", "seconds"):
        table.add_column(title)
    for name, tally in tallies.items():
        position = np.asarray(grid.positions)[tally.voxel]
        table.add_row(
            name,
            ", ".join(f"{'' if key == 'lambda' else key + ' '}{value:.3g}" for key, value in tally.strengths.items()),
            "-" if tally.residual is None else f"{tally.residual / tally.images:.2%}",
            f"{tally.largest:.4g}",
            ", ".join(f"{1e3 * p + 0.0:.1f}" for p in position),
            f"{tally.seconds:.2f}",
        )
    Console().print(table)
    print("seconds include compilation")
    warn_unconverged(tallies)


def warn_unconverged(tallies: dict[str, Tally]) -> None:
    """Warn of every method that stopped before it had converged."""
    for name, tally in tallies.items():
        if tally.unconverged:
            warnings.warn(
                f"{name} has not converged for {tally.unconverged} of {tally.images} images after {tally.iterations} iterations; "
                "raise --iterations or the penalty.",
                stacklevel=2,
            )
