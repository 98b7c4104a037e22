"""How the cost of a system matrix grows with voxels, samples and rows: measured, fitted, drawn.

``python -m benchmarks.scaling --figure docs/figures/scaling.png``: time-domain matrices up to 64 x 64 positions, sequences of 408
to 26,112 samples, and separable 3-D matrices up to 33 x 33 x 27 positions and 2,496 frequencies. The exponent of a power law
fitted to the upper half of every curve stands in its legend: 1 is linear.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import mpijax as mj
from benchmarks.common import interleave
from benchmarks.scaling_figure import Panels, plot_scaling, tables
from mpijax.viz import save

SCANNER = mj.Scanner.create((-1.0, -1.0, 2.0))
PARTICLES = {
    "Langevin": mj.Particle.create(20e-9),
    "anisotropic": mj.Particle.create(20e-9, anisotropy_constant=3500.0, spatial_modulation=0.8),
}


def plane(n: int) -> mj.Grid:
    return mj.Grid.create((n, n, 1), (30e-3, 30e-3, 1e-3))


def box(nx: int, ny: int, nz: int) -> mj.Grid:
    return mj.Grid.create((nx, ny, nz), (38e-3, 38e-3, 19e-3))


def curve(cases: dict[int, Callable[[], Any]], rounds: int) -> tuple[list[int], list[float]]:
    """Least time of every case [s], by its size."""
    timings = interleave({str(size): call for size, call in cases.items()}, rounds)
    return list(cases), [timing.min for timing in timings.values()]


def measure(rounds: int) -> Panels:
    """Least time of all rounds."""
    two = mj.LissajousSequence.create((12e-3, 12e-3, 0))
    three = mj.LissajousSequence.create((12e-3, 12e-3, 12e-3))
    orders = np.abs(three.mixing_orders(16)).sum(1)
    low = np.flatnonzero(orders < 16)
    few = low[:: len(low) // 256][:256]

    def matrix(particle: mj.Particle, sequence: mj.LissajousSequence, grid: mj.Grid, bins: Any = None) -> Callable:
        return lambda: mj.moment_spectrum(SCANNER, sequence, particle, grid, bins)

    panels: dict[str, dict[str, tuple[list[int], list[float]]]] = {"voxels": {}, "samples": {}, "rows": {}}
    for name, particle in PARTICLES.items():
        cases = {n * n: matrix(particle, two, plane(n)) for n in (16, 24, 32, 48, 64)}
        panels["voxels"][f"2-D, {name}"] = curve(cases, rounds)
        lengths = [mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=1632 * f // 4) for f in (1, 2, 4, 16, 64)]
        panels["samples"][f"2-D, {name}"] = curve(
            {s.n_samples: matrix(particle, s, plane(16)) for s in lengths}, rounds
        )
    shapes = ((11, 11, 9), (19, 19, 19), (27, 27, 21), (33, 33, 27))
    langevin = PARTICLES["Langevin"]
    cases = {int(np.prod(shape)): matrix(langevin, three, box(*shape), few) for shape in shapes}
    panels["voxels"]["3-D separable, 256 frequencies"] = curve(cases, rounds)
    chosen = {count: low[np.linspace(0, len(low) - 1, count).astype(int)] for count in (156, 312, 624, 1248, 2496)}
    cases = {3 * n: matrix(langevin, three, box(19, 19, 19), bins) for n, bins in chosen.items()}
    panels["rows"]["3-D separable, 19 x 19 x 19"] = curve(cases, rounds)
    spread = {n: np.linspace(0, 816, n).astype(int) for n in (51, 102, 204, 408, 817)}
    cases = {3 * n: matrix(langevin, two, plane(32), bins) for n, bins in spread.items()}
    panels["rows"]["2-D, Langevin, 32 x 32"] = curve(cases, rounds)
    return panels


def show(description: str | None, measure: Callable[[int], Panels], figure: Path) -> None:
    """The command of a benchmark of costs: measure, print the tables, draw."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--figure", type=Path, default=figure)
    arguments = parser.parse_args()
    panels = measure(arguments.rounds)
    print(tables(panels))
    save(plot_scaling(panels), arguments.figure)
    print(f"wrote {arguments.figure}")


if __name__ == "__main__":
    show(__doc__, measure, Path("runs/scaling.png"))
