"""Frames one by one: latency and frames per second of ``kaczmarz_stream``.

python -m benchmarks.bench_streaming [--frames 60] [--json FILE]

2-D (29 x 29) and 3-D (19 x 19 x 19) grids, 1,000 and 3,000 rows, 1 and 3 non-negative sweeps. A frame is a NumPy array
when it comes and its image is a NumPy array when it is done. 3-D MPI delivers a frame every 21.5 ms; 3-D frames are also taken four
and eight together, where the time per frame is that of a pass over all of them and a frame waits for those after it.
"""

import time
from collections.abc import Iterator
from itertools import product

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.bench_kaczmarz import problem
from benchmarks.common import Ratio, options, report
from mpijax.reconstruction import kaczmarz_factor, kaczmarz_stream, relative_lambda

PERIOD = 21.5e-3
"""Time of one frame of the 3-D Lissajous sequence with dividers 102, 96 and 99 [s]."""

WANTED = 20.0
"""Time per frame that leaves room beside it [ms]."""


def seconds_of(factors, frames: np.ndarray, count: int, sweeps: int, together: int) -> np.ndarray:
    """Seconds from the arrival of the last frame of a batch to the last image of it, over the frames of a batch."""
    arrivals = []

    def source() -> Iterator[np.ndarray]:
        for k in range((count + 3) * together):
            arrivals.append(time.perf_counter())
            yield frames[k % len(frames)]

    done = []
    for solution in kaczmarz_stream(factors, source(), sweeps=sweeps, together=together):
        np.asarray(solution.value)
        done.append(time.perf_counter())
    last = slice(together - 1, None, together)
    return (np.array(done)[last] - np.array(arrivals)[last])[3:] / together


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--frames", type=int, default=60, help="frames per case")
    arguments = parser.parse_args()
    columns = (
        "voxels",
        "rows",
        "sweeps",
        "together",
        "median ms",
        "p95 ms",
        "max ms",
        "frames/s",
        f"x {1e3 * PERIOD:.1f} ms",
    )
    table = Table(*columns, title="kaczmarz_stream, non-negative, time per frame")
    ratios = []
    for voxels, rows in product((29**2, 19**3), (1000, 3000)):
        matrix, frames = problem(rows, voxels, 8)
        factors = kaczmarz_factor(matrix, relative_lambda(matrix, 1e-3))
        for sweeps, together in product((1, 3), (1, 4, 8) if voxels > 1000 else (1,)):
            seconds = seconds_of(factors, frames, max(10, arguments.frames // together), sweeps, together)
            median, high, most = np.median(seconds), np.quantile(seconds, 0.95), seconds.max()
            rate = len(seconds) / seconds.sum()
            cells = *(f"{1e3 * t:.2f}" for t in (median, high, most)), f"{rate:.0f}", f"{PERIOD / median:.1f}"
            table.add_row(str(voxels), str(rows), str(sweeps), str(together), *cells)
            how = f"{together} together" if together > 1 else "alone"
            name = f"{voxels:,} voxels, {rows:,} rows, {sweeps} sweeps, per frame, {how}"
            wanted = WANTED if (voxels, rows, sweeps, together) == (19**3, 3000, 3, 8) else None
            ratios.append(Ratio(name, 1e3 * float(median), most=wanted, unit=" ms"))
    Console(width=100).print(table)
    report("Streams", [], ratios[-3:], arguments.json)


if __name__ == "__main__":
    main()
