"""Frames over devices: 256 frames of 1,500 rows x 841 voxels, prepared, shared out over 1, 2 and 4 devices.

``python -m benchmarks.devices [--rounds 5]``: each number in a process of its own that takes the CPU for so many devices
(``--xla_force_host_platform_device_count``). They share the machine's cores, so that what they show is what sharing costs: more
than the cores can do is not to be had.
"""

import argparse
import json
import os
import subprocess
import sys
from functools import partial

import jax

import mpijax as mj
from benchmarks.bench_kaczmarz import problem
from benchmarks.common import interleave
from benchmarks.reconstruction_scaling import SOLVERS, image
from benchmarks.scaling_figure import Panels, tables
from mpijax.core.sharding import replicate

ROWS, VOXELS, FRAMES = 1500, 841, 256
DEVICES = 1, 2, 4


def measure(rounds: int) -> Panels:
    """Least time of all rounds."""
    seconds: dict[str, list[float]] = {f"{name}, {FRAMES} frames": [] for name in SOLVERS}
    for count in DEVICES:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
        command = [sys.executable, "-m", "benchmarks.devices", "--rounds", str(rounds), "--here"]
        environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        for found, value in zip(seconds.values(), json.loads(done.stdout), strict=True):
            found.append(value)
    return {"devices": {name: (DEVICES, found) for name, found in seconds.items()}}


def here(rounds: int) -> list[float]:
    """Seconds of every solver on the devices of this process."""
    rows = mj.training.row_sharding()
    matrix, frames = problem(ROWS, VOXELS, FRAMES)
    matrix, frames = replicate(matrix, rows), jax.device_put(frames, rows)
    calls = {name: partial(image, solve, factor(matrix, VOXELS), frames) for name, (factor, solve) in SOLVERS.items()}
    return [timing.min for timing in interleave(calls, rounds).values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--here", action="store_true", help="what each process does: print seconds on its devices")
    arguments = parser.parse_args()
    print(json.dumps(here(arguments.rounds)) if arguments.here else tables(measure(arguments.rounds)))


if __name__ == "__main__":
    main()
