"""Memory of a large 3-D matrix: read, restored and reconstructed, over what its rows take.

``python -m benchmarks.bench_memory [--json FILE]``: 33 x 33 x 27 voxels, 3 channels x 1,000 bins of noise, 706 MB in complex64,
written in pieces to a temporary file. A process of its own reads it, restores it (Wiener) and reconstructs one frame (Kaczmarz,
three sweeps); another leaves the restoration out. The peak is the most that the process held resident, less what it held after
its imports and the same steps on a tiny matrix. Linux only.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

import mpijax as mj
from benchmarks.common import Ratio, options, report
from mpijax.io.hdf5 import SLAB_BYTES

LARGE, TINY = ((33, 33, 27), 1000), ((6, 6, 5), 10)
"""Voxels, and bins per channel."""

STEPS = "reading", "restoring", "reconstructing"


def write(folder: Path, shape: tuple[int, int, int], n_bins: int) -> None:
    """A matrix of noise in "matrix.mdf", never in memory as a whole, and a frame of noise in "scan.mdf"."""
    sequence, grid = mj.LissajousSequence.create((12e-3,) * 3), mj.Grid.create(shape, (33e-3, 33e-3, 27e-3))
    rng, bins = np.random.default_rng(0), np.arange(2000, 2000 + n_bins)

    def noise(*size: int) -> np.ndarray:
        return 1e-9 * rng.normal(size=(*size, 2)).astype(np.float32).view(np.complex64)[..., 0]

    facts = {"scanner": mj.Scanner.create((-1.0, -1.0, 2.0)), "sequence": sequence}
    one = mj.SystemMatrix.create(
        noise(3, 1, grid.size), sequence.frequencies[bins[:1]], grid, frequency_indices=bins[:1], **facts
    )
    frame = mj.SystemMatrix.create(
        noise(3, n_bins, 1),
        sequence.frequencies[bins],
        mj.Grid.create((1, 1, 1), (1e-3,) * 3),
        frequency_indices=bins,
        **facts,
    )
    mj.io.write_measurement(folder / "scan.mdf", frame.measure(np.ones(1)))
    mj.io.write_system_matrix(folder / "matrix.mdf", one)
    with h5py.File(folder / "matrix.mdf", "a") as file:
        for name in ("data", "frequencySelection"):
            del file[f"/measurement/{name}"]
        file["/measurement/frequencySelection"] = bins + 1
        data = file.create_dataset("/measurement/data", (1, 3, n_bins, grid.size), np.complex64)
        for channel, first in np.ndindex(3, -(-n_bins // 100)):
            part = slice(100 * first, min(100 * first + 100, n_bins))
            data[0, channel, part] = noise(part.stop - part.start, grid.size)


def work(folder: Path, restores: bool) -> list[float]:
    """Megabytes held at most up to each step's end: read, restored, reconstructed."""
    matrix = mj.io.read_system_matrix(folder / "matrix.mdf")
    peaks = [held("VmHWM")]
    if restores:
        matrix = mj.restore(matrix, "denoise", method="wiener", identify=False, noise_std=1e-9).value
    peaks.append(held("VmHWM"))
    scan = mj.io.read_measurement(folder / "scan.mdf")
    np.asarray(mj.reconstruction.reconstruct(matrix, scan, regularization=1e-2, sweeps=3).value)
    return [*peaks, held("VmHWM")]


def held(what: str) -> float:
    """Megabytes of this process: "VmRSS" now, "VmHWM" at most."""
    return next(
        int(line.split()[1]) / 1e3 * 1.024 for line in Path("/proc/self/status").open() if line.startswith(what)
    )


def probe(folder: Path, restores: bool) -> None:
    """What a process prints: megabytes held before, and at most beyond up to each step's end."""
    work(folder / "tiny", restores)
    before = held("VmRSS")
    print(before, *(peak - before for peak in work(folder / "large", restores)))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--probe", nargs=2, metavar=("FOLDER", "STEPS"), help="what the processes of its own do")
    arguments = parser.parse_args()
    if arguments.probe:
        probe(Path(arguments.probe[0]), arguments.probe[1] == "restored")
        return
    shape, n_bins = LARGE
    rows = 3 * n_bins * int(np.prod(shape)) * 8 / 1e6
    allowed = 2 * rows + SLAB_BYTES / 1e6
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        for part, size in (("large", LARGE), ("tiny", TINY)):
            (Path(name) / part).mkdir()
            write(Path(name) / part, *size)
        for steps, text in (("plain", "read, reconstructed"), ("restored", "read, restored, reconstructed")):
            start = time.perf_counter()
            command = [sys.executable, "-m", "benchmarks.bench_memory", "--probe", name, steps]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            before, *peaks = map(float, done.stdout.split())
            steps = ", ".join(f"{peak:.0f} {step}" for step, peak in zip(STEPS, peaks, strict=True))
            print(f"{text}: {time.perf_counter() - start:.0f} s; {before:.0f} MB before, then at most {steps}")
            what = f"peak: {text} (wanted: twice {rows:.0f} MB of rows and one block)"
            ratios.append(Ratio(what, peaks[-1], most=allowed, unit=" MB"))
    report(f"Memory of {' x '.join(map(str, shape))} voxels x {3 * n_bins:,} rows", [], ratios, arguments.json)


if __name__ == "__main__":
    main()
