"""Pools of matrices to train on whose physics takes too long to be simulated while a network trains.

Command:  python -m experiments.rich_pools [--names neel brown] [--folder runs/pools]

The families are those of the reality gap (:mod:`experiments.support.reality_families`), drawn anew: other seeds, larger grids,
other viscosities; the two that are held out are never drawn. Brownian matrices have a file of their own, so that a network can be
trained without them. A run that was stopped goes on at the family it was in. Expected time: 40 minutes on one core.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.support.reality_families import BY_NAME, Family
from experiments.support.reality_sets import joined, matrix_rows
from experiments.support.run import parse, run_main
from mpijax.datasets import FixedRows, MatrixPool

VISCOSITY = (0.8e-3, 8e-3)
"""Of Brownian matrices [Pa s], log-uniform."""

POOLS: dict[str, tuple[tuple[str, int, tuple[int, int]], ...]] = {
    "neel": (
        ("neel", 260, (8, 24)),
        ("two_sizes", 80, (8, 20)),
        ("sizes", 20, (8, 16)),
        ("coils", 40, (8, 24)),
        ("field", 40, (8, 24)),
    ),
    "brown": (("brown_1", 60, (8, 14)),),
}
"""Families of every pool, matrices, and voxels per axis."""


@dataclass(frozen=True)
class Config:
    """What is made, and where.

    Attributes:
        names: pools; empty = all.
        folder: receives <name>.npz, and the families that they are made of in parts/.
    """

    names: tuple[str, ...] = ()
    folder: Path = Path("runs/pools")


def member(family: Family, index: int) -> Family:
    """The family of matrix ``index``: Brownian ones differ in their viscosity."""
    if family.physics != "brown":
        return family
    low, high = np.log(VISCOSITY)
    share = np.random.default_rng([19, index]).random()
    return replace(family, viscosity=float(np.exp(low + share * (high - low))))


def make(name: str, count: int, size_range: tuple[int, int]) -> FixedRows:
    """``count`` matrices of a family."""
    parts: list[dict[str, Any]] = []
    for index in range(count):
        started = time.perf_counter()
        family = member(replace(BY_NAME[name], size_range=size_range, fine=0), index)
        units, case = family.draw("training", index)
        parts.append({"units": units, **matrix_rows(family, case, "training", index)})
        took = time.perf_counter() - started
        print(f"{name}: matrix {index + 1} of {count}, {took:.1f} s", file=sys.stderr, flush=True)
    return joined(parts, "rows")


def together(parts: Sequence[FixedRows]) -> FixedRows:
    """One after another."""
    first = np.cumsum([0, *(len(part.extents) for part in parts)])[:-1]
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    whole = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(FixedRows)}
    whole["matrix"] = np.concatenate([part.matrix + n for part, n in zip(parts, first, strict=True)]).astype(np.int32)
    return FixedRows(**whole | {"offsets": np.concatenate([[0], np.cumsum(lengths)])})


def main(config: Config) -> None:
    """Make what is missing."""
    unknown = [name for name in config.names if name not in POOLS]
    if unknown:
        raise ValueError(f"unknown pools {unknown}; choose from {', '.join(POOLS)}.")
    folder = config.folder / "parts"
    folder.mkdir(parents=True, exist_ok=True)
    for name in config.names or tuple(POOLS):
        parts = []
        for family, count, size_range in POOLS[name]:
            path = folder / f"{family}.npz"
            if not path.exists():
                MatrixPool.write(path, make(family, count, size_range))
            parts.append(MatrixPool(path).rows)
        MatrixPool.write(config.folder / f"{name}.npz", together(parts))
        print(f"{name}: {MatrixPool(config.folder / f'{name}.npz').facts}", flush=True)


if __name__ == "__main__":
    chosen = parse({"default": Config()}, None, __doc__ or "")
    run_main(main, chosen, chosen.folder)
