"""What ``mpijax view`` makes one wait for: from the lambda slider to the image, and from one row to the next of a large file.

python -m benchmarks.bench_view [--rounds 9] [--json FILE]

Everything up to the image and its residual, without the browser. The matrices are random, 1,000 rows; the large file is 5 GB,
rows of 11 MB each that take no place on the disk, so that only the way to a row is timed, and its 11 MB.
"""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.common import Ratio, Timing, interleave, options, report
from mpijax.reconstruction import Problem
from mpijax.system import Grid
from mpijax.view.state.matrix import MatrixView
from mpijax.view.state.reconstruction import ReconstructionState
from mpijax.view.state.rows import RowsState
from tests.view.files import make_large, write_matrix

ROWS = 1000
LIMITS = {(29, 29, 1): 0.15, (19, 19, 19): 0.5}
"""Shape -> what the median may be [s]."""


def slider(shape: tuple[int, int, int], solver: str) -> Callable[[], Any]:
    """A call that moves lambda and makes the image."""
    rng = np.random.default_rng(0)
    size = int(np.prod(shape))

    def drawn(*of: int) -> np.ndarray:
        return (rng.normal(size=of) + 1j * rng.normal(size=of)).astype(np.complex64)

    matrix, grid = drawn(ROWS, size), Grid.create(shape, (0.02, 0.02, 0.02))
    image = np.clip(rng.normal(size=size), 0, None)
    data = (matrix @ image)[None].astype(np.complex64)
    problem = Problem(matrix, data, grid, np.ones(1, np.float32), None, None, None, ())
    state = ReconstructionState(Path("sm.mdf"), [Path("m.mdf")])
    state.choose_solver(solver)
    state._kept = {
        "inputs": (state._choices, SimpleNamespace(titles=("frame 0",))),
        "problem": (state._choices, problem),
    }
    lambdas = itertools.cycle(np.logspace(-3, -1, 31).tolist())

    def move() -> Any:
        state.change("solver", regularization=next(lambdas))
        return state.show().image

    return move


def next_row(folder: Path) -> Callable[[], Any]:
    """A call that steps to a row that has not been read."""
    write_matrix(folder / "small.mdf")
    make_large(folder / "small.mdf", folder / "large.mdf", 112)
    state = RowsState(MatrixView(folder / "large.mdf"))
    state.order, state.position = "frequency", 0

    def step() -> Any:
        state.step(1)
        return state.image()

    return step


def main() -> None:
    given = options(__doc__).parse_args()
    timings: list[Timing] = []
    ratios = []
    for shape, limit in LIMITS.items():
        for solver in ("kaczmarz", "tikhonov"):
            name = f"slider to image, {' x '.join(map(str, shape))}, {solver}"
            (timing,) = interleave({name: slider(shape, solver)}, given.rounds).values()
            timings.append(timing)
            ratios.append(Ratio(name, 1e3 * timing.median, most=1e3 * limit, unit=" ms"))
    with tempfile.TemporaryDirectory() as folder:
        name = "next row of 5 GB"
        (timing,) = interleave({name: next_row(Path(folder))}, given.rounds).values()
    timings.append(timing)
    ratios.append(Ratio(name, 1e3 * timing.median, most=100, unit=" ms"))
    report("mpijax view", timings, ratios, given.json)


if __name__ == "__main__":
    main()
