"""Fitted matrices to train a guided network on: rows, what a fit makes of them, and the truth.

Command:  python -m experiments.guided_bank [--matrices 40] [--folder runs/guided_bank] [--part 0 --parts 2]

Matrices of the reality gap's families, drawn anew (the seeds of pools), without Brownian rotation and without the families that are
held out. Every matrix is identified as ``mpijax restore`` does it, at one noise level; its rows are then drawn ``DRAWS`` times
with noise and gaps, and estimated from the fitted rows (:mod:`mpijax.restoration.guides`). Every second fit tries equilibrium
alone, and a fifth of the fits is displaced: in life fits are wrong, too. Files that are there are not made again; ``--parts``
shares the work among processes. Expected time: 22 s per matrix on one busy core.
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.restore_identified import calibration
from experiments.support.reality_families import BY_NAME, Case
from experiments.support.reality_sets import matrix_rows
from experiments.support.run import parse, run_main
from mpijax.core.checks import check_choice
from mpijax.core.files import atomic_path
from mpijax.restoration.guided import NotIdentifiedError, identified_rows
from mpijax.restoration.guides import Estimator
from mpijax.rows.tasks import Denoise

FAMILIES = {
    "equilibrium": (8, 24),
    "file": (8, 24),
    "anisotropy": (8, 20),
    "neel": (8, 24),
    "sizes": (8, 16),
    "two_sizes": (8, 20),
    "field": (8, 24),
    "coils": (8, 24),
    "together": (8, 16),
}
"""Families, and voxels per axis."""

DRAWS = 3
"""Of noise and gaps for every matrix."""

BOX = 24
"""Voxels per axis that every row is padded to."""

NOISE = (0.02, 0.3)
"""Of the largest modulus, log-uniform."""

DISPLACED = 0.2
"""Share of the fits that are displaced, by up to half a standard deviation of the prior in every number."""


@dataclass(frozen=True)
class Config:
    """What is made, and where.

    Attributes:
        matrices: of each family.
        families: names; empty = all.
        folder: receives FAMILY-NUMBER.npz.
        part: of the work that this process does, from 0; parts: how many there are.
    """

    matrices: int = 40
    families: tuple[str, ...] = ()
    folder: Path = Path("runs/guided_bank")
    part: int = 0
    parts: int = 1

    def __post_init__(self) -> None:
        for name in self.families:
            check_choice("families", name, tuple(FAMILIES))


PRESETS = {"standard": Config(), "smoke": Config(matrices=1, families=("equilibrium",), folder=Path("runs/bank_smoke"))}


def main(config: Config) -> int:
    """Make what is missing; returns the number of files."""
    names = config.families or tuple(FAMILIES)
    for index in range(config.matrices):
        for place, name in enumerate(names):
            path = config.folder / f"{name}-{index}.npz"
            if path.exists() or (index * len(names) + place) % config.parts != config.part:
                continue
            began = time.perf_counter()
            found: dict[str, Any] = examples(name, index)
            with atomic_path(path) as temporary, open(temporary, "wb") as stream:
                np.savez_compressed(stream, **found)
            print(
                f"{name} {index}: {len(found['x'])} rows, {time.perf_counter() - began:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return len(list(config.folder.glob("*-*.npz")))


def examples(name: str, index: int) -> dict[str, np.ndarray]:
    """Rows of one matrix in units of their largest modulus, in the corner of their boxes; empty where nothing is identified."""
    # of matrices of changing physics the even ones rotate as Neel's
    number = 2 * index if BY_NAME[name].physics == "neel or brown" else index
    family = replace(BY_NAME[name], size_range=FAMILIES[name], fine=0)
    _, case = family.draw("training", number)
    images, channel, bins = matrix_rows(family.member(number), case, "training", number)["rows"]
    rng = np.random.default_rng([20, number, list(FAMILIES).index(name)])
    order = np.lexsort((bins, channel))  # as a matrix keeps its rows
    clean = images[order][:, 0].astype(np.complex64)
    return fitted_examples(case, clean, channel[order], bins[order], "equilibrium" if index % 2 else "auto", rng)


def fitted_examples(
    case: Case, clean: np.ndarray, channel: np.ndarray, bins: np.ndarray, dynamics: str, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """One identification of the rows (m, ny, nx), and ``DRAWS`` draws of noise and gaps."""
    flat = clean.reshape(len(clean), -1)
    flat = flat / np.abs(flat).max(axis=1, keepdims=True)
    everywhere, numbers = np.ones(flat.shape[1], bool), np.arange(len(flat))

    def noisy(level: float) -> tuple[np.ndarray, np.ndarray]:
        noise = (rng.standard_normal((*flat.shape, 2)) @ [1, 1j]) / np.sqrt(2)
        return (flat + level * noise).astype(np.complex64), np.full(len(flat), level)

    level = float(np.exp(rng.uniform(*np.log(NOISE))))
    values, sigma = noisy(level)
    matrix = calibration(case.told, case.told.grid(), channel, bins, values)
    parts: list[dict[str, np.ndarray]] = []
    try:
        found, guides = identified_rows(
            matrix, Denoise(), values, everywhere, sigma, dynamics=dynamics, progress=lambda text: None
        )
        if rng.random() < DISPLACED:
            moved = found.numbers + found.free * rng.normal(size=len(found.numbers)) * rng.uniform(0, 0.5)
            used = np.asarray(case.told.grid().positions, np.float32)
            guides = replace(found, numbers=moved).guides(channel, bins, used)
    except NotIdentifiedError:
        return {"x": np.zeros((0, BOX, BOX), np.complex64)}
    if not np.isfinite(guides.rows).all():
        return {"x": np.zeros((0, BOX, BOX), np.complex64)}
    for _ in range(DRAWS):
        values, sigma = noisy(float(np.clip(level * np.exp(rng.uniform(-0.4, 0.4)), *NOISE)))
        known = gaps(clean.shape[1:], rng)
        estimator = Estimator.learned(guides, guides, values, known.reshape(-1), sigma)
        told = estimator.told(numbers, values, known.reshape(-1), sigma)
        unit = np.abs(values * known.reshape(-1)).max(axis=1)
        image = (len(flat), *clean.shape[1:])
        parts.append({
            "x": boxed((values / unit[:, None]).reshape(image)),
            "target": boxed((flat / unit[:, None]).reshape(image)),
            "guides": boxed((told / unit[:, None, None]).reshape(*image, -1)),
            "known": boxed(np.broadcast_to(known, image)),
            "inside": boxed(np.ones(image, bool)),
            "level": (sigma / unit).astype(np.float32),
        })  # fmt: skip
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def gaps(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Known positions: all of them (half of the draws), all but 5 to 30 % at random, or every second along each axis."""
    kind, known = rng.random(), np.ones(shape, bool)
    if kind < 0.25:
        return rng.random(shape) > rng.uniform(0.05, 0.3)
    if kind < 0.5:
        known[:] = False
        known[::2, ::2] = True
    return known


def boxed(images: np.ndarray) -> np.ndarray:
    """Images (m, ny, nx, ...) in the corner of their boxes."""
    missing = [(0, 0), *((0, BOX - n) for n in images.shape[1:3]), *((0, 0),) * (images.ndim - 3)]
    return np.pad(images, missing)


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.folder)
