"""20,000 frames of a 2-D scan reconstructed by one command on several devices, killed in the middle and continued.

python -m benchmarks.many_frames [--frames 20000] [--devices 4] [--folder DIR] [--json FILE]

A disc moves on a circle; its frames (3 channels x 817 frequencies, 20 x 20 voxels) are written in blocks with noise and 50
background frames, about 390 MB. The command runs once without a stop, once until half of the frames are done (SIGKILL), again to
the end, on one device, and for a tenth of the frames, by which the peak memory is judged. A CPU counts as that many devices.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console

import mpijax as mj
from benchmarks.common import machine, options

BACKGROUND = 50
BLOCK = 500
MEMORY_MB = 64
"""What ten times the frames may cost in peak memory; the measurement is six times as large."""


def simulate(folder: Path, frames: int) -> None:
    """A calibration, and a measurement that is never in memory as a whole."""
    shape = "--shape", "20", "20", "1", "--background-frames", "20"
    for words in (("simulate", "2d", "-o", "sm.mdf"), ("measure", "2d", "snake", "-o", "m.mdf", "--frames", "1")):
        subprocess.run([sys.executable, "-m", "mpijax.cli", *words, *shape], cwd=folder, env=_environment(), check=True)
    matrix = mj.io.read_system_matrix(folder / "sm.mdf")
    values, rng = np.asarray(matrix.values) / float(matrix.sample_unit), np.random.default_rng(0)
    flat = values.reshape(-1, matrix.grid.size)
    x, y, _ = np.asarray(matrix.grid.positions).T
    radius = float(np.asarray(matrix.grid.fov)[0]) / 4
    level = 1e-3 * np.abs(values).max() * 50

    def measured(first: int, count: int, iron: bool) -> np.ndarray:
        angle = 2 * np.pi * np.arange(first, first + count)[:, None] / 1000
        discs = np.hypot(x - radius * np.cos(angle), y - radius * np.sin(angle)) < radius / 2
        noise = rng.normal(size=(2, count, len(flat))).astype(np.float32)
        data = (50 * iron * discs.astype(np.float32)) @ flat.T + level * (noise[0] + 1j * noise[1])
        return data.reshape(count, 1, *values.shape[:2]).astype(np.complex64)

    with h5py.File(folder / "m.mdf", "a") as file:
        for name in ("/measurement/data", "/measurement/isBackgroundFrame", "/acquisition/numFrames"):
            del file[name]
        file["/acquisition/numFrames"] = frames + BACKGROUND
        file["/measurement/isBackgroundFrame"] = (np.arange(frames + BACKGROUND) >= frames).astype(np.int8)
        data = file.create_dataset("/measurement/data", (frames + BACKGROUND, 1, *values.shape[:2]), np.complex64)
        for first in range(0, frames, BLOCK):
            data[first : first + BLOCK] = measured(first, min(BLOCK, frames - first), True)
        data[frames:] = measured(0, BACKGROUND, False)


def reconstruct(folder: Path, name: str, devices: int, *more: str, kill_at: int = 0) -> tuple[int, float, float]:
    """Exit status, seconds and peak memory [MB] of the command; killed once so many frames are done."""
    words = ["sm.mdf", "m.mdf", "-o", name, "--average-frames", "1", "--max-frequency", "320", *more]
    words += [] if devices == 1 else ["--devices", str(devices)]
    flags = f"--xla_force_host_platform_device_count={devices} {os.environ.get('XLA_FLAGS', '')}"
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "mpijax.cli", "reconstruct", *words],
        cwd=folder,
        env=_environment() | {"XLA_FLAGS": flags},
    )
    while kill_at and _done(folder / f"{name}.partial.json") < kill_at and process.poll() is None:
        time.sleep(0.02)
    if kill_at:
        process.send_signal(signal.SIGKILL)
    _, status, used = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), time.perf_counter() - start, used.ru_maxrss / 1024


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}


def _done(record: Path) -> int:
    return int(json.loads(record.read_text())["done"]) if record.exists() else 0


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--devices", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one if not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder, frames, devices = Path(name), arguments.frames, arguments.devices
        simulate(folder, frames)
        size = (folder / "m.mdf").stat().st_size / 1e6
        runs = {
            "without a stop": reconstruct(folder, "plain.mdf", devices),
            "killed": reconstruct(folder, "stopped.mdf", devices, kill_at=frames // 2),
        }
        left = _done(folder / "stopped.mdf.partial.json")
        absent = not (folder / "stopped.mdf").exists()
        runs["continued"] = reconstruct(folder, "stopped.mdf", devices)
        runs["one device"] = reconstruct(folder, "one.mdf", 1)
        runs["a tenth"] = reconstruct(folder, "tenth.mdf", devices, "--frames", f"0:{frames // 10}")
        plain, stopped, one = (
            np.asarray(mj.io.read_reconstruction(folder / f"{name}.mdf").images) for name in ("plain", "stopped", "one")
        )
    difference = float((np.abs(one - plain).max((1, 2, 3)) / one.max((1, 2, 3))).max())
    more = runs["without a stop"][2] - runs["a tenth"][2]
    verdicts = {
        f"killed after {left} of {frames} frames, and there was no output": runs["killed"][0] == -9 and absent,
        "continued, its images are byte for byte those without a stop": stopped.tobytes() == plain.tobytes(),
        f"{devices} devices against one: {difference:.1e} of a frame's peak, at most 1e-5": difference <= 1e-5,
        f"{frames} against {frames // 10} frames: {more:.0f} MB more at the peak, at most {MEMORY_MB}": more
        <= MEMORY_MB,
    }
    console = Console(width=120)
    console.print(f"measurement of {frames} frames: {size:.0f} MB", markup=False)
    for title, (status, seconds, peak) in runs.items():
        console.print(f"{title:16} {seconds:6.1f} s  peak {peak:5.0f} MB  exit {status}", markup=False)
    for text, met in verdicts.items():
        console.print(f"{'met' if met else 'NOT MET':8} {text}", markup=False)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        result = {"machine": machine(), "runs": runs, "verdicts": verdicts}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
