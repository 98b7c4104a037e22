"""What starting costs: imports, ``mpijax --help``, ``mpijax info``, and ``mpijax reconstruct`` with MPIJAX_CACHE, first and again.

Every candidate is a process of its own, from its start to its end, so that nothing is warm but the files' pages.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import Ratio, Timing, options, ratio, report

COMMAND = ("-m", "mpijax.cli")


def main() -> None:
    arguments = options(__doc__)
    arguments.set_defaults(rounds=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        matrix, scan, image, cache = (folder / part for part in ("sm.mdf", "snake.mdf", "image.mdf", "cache"))
        _run(*COMMAND, "simulate", "2d", "-o", matrix)
        _run(*COMMAND, "measure", "2d", "snake", "-o", scan)

        def forget() -> None:
            shutil.rmtree(cache, ignore_errors=True)

        reconstruct = (*COMMAND, "reconstruct", matrix, scan, "-o", image)
        timed = _interleaved(
            {
                "import h5py": ("-c", "import h5py"),
                "import jax": ("-c", "import jax"),
                "import mpijax": ("-c", "import mpijax"),
                "import mpijax, all of it": ("-c", "import mpijax"),
                "mpijax --help": (*COMMAND, "--help"),
                "mpijax info": (*COMMAND, "info", matrix),
                "mpijax reconstruct, no cache": reconstruct,
                "mpijax reconstruct, first": reconstruct,
                "mpijax reconstruct, again": reconstruct,
            },
            {"import mpijax, all of it": {"EAGER_IMPORT": "1"}}
            | {f"mpijax reconstruct, {which}": {"MPIJAX_CACHE": str(cache)} for which in ("first", "again")},
            {"mpijax reconstruct, first": forget},
            given.rounds,
        )
    h5py, jax = timed["import h5py"], timed["import jax"]
    first, again = (timed[f"mpijax reconstruct, {which}"] for which in ("first", "again"))
    ratios = [
        Ratio("import mpijax over import jax", ratio(timed["import mpijax"], jax), most=1.3),
        Ratio("mpijax --help over import h5py", ratio(timed["mpijax --help"], h5py), most=3),
        Ratio("mpijax info over import h5py", ratio(timed["mpijax info"], h5py), most=3),
        Ratio("mpijax reconstruct with MPIJAX_CACHE, second over first", ratio(again, first), most=0.5),
        Ratio(
            "mpijax reconstruct, without a cache over first with one",
            ratio(timed["mpijax reconstruct, no cache"], first),
        ),
    ]
    report("start-up, whole processes", list(timed.values()), ratios, given.json)


def _interleaved(
    commands: dict[str, tuple[object, ...]],
    settings: dict[str, dict[str, str]],
    before: dict[str, Callable[[], None]],
    rounds: int,
) -> dict[str, Timing]:
    """All commands in turn, once to warm up and then once per round."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(1 + rounds):
        for name, words in commands.items():
            before.get(name, lambda: None)()
            start = time.perf_counter()
            _run(*words, **settings.get(name, {}))
            times[name].append(time.perf_counter() - start)
    return {name: Timing(name, first, tuple(rest)) for name, (first, *rest) in times.items()}


def _run(*words: object, **settings: str) -> None:
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True, env=os.environ | settings)


if __name__ == "__main__":
    main()
