"""What a batch saves: ``mpijax reconstruct SM M1 ... M20 -o folder/`` against as many single commands, whole processes.

Single commands differ in nothing but the measurement: ``--singles`` of the 20 are run in a round, and their mean counts 20 times.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import Ratio, Timing, options, ratio, report

COMMAND = ("-m", "mpijax.cli")
MEASUREMENTS = 20


def main() -> None:
    arguments = options(__doc__)
    arguments.add_argument("--singles", type=int, default=4, help="single commands that are run in a round")
    arguments.set_defaults(rounds=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        matrix, scans = folder / "sm.mdf", [folder / f"m{i:02d}.mdf" for i in range(MEASUREMENTS)]
        _run(*COMMAND, "simulate", "2d", "-o", matrix)
        _run(*COMMAND, "measure", "2d", "snake", "-o", scans[0])
        for scan in scans[1:]:
            scan.write_bytes(scans[0].read_bytes())
        words = (*COMMAND, "reconstruct", matrix)
        times: dict[str, list[float]] = {"batch": [], "single commands": [], "batch, all there": []}
        for i in range(given.rounds):
            out = folder / f"out{i}"
            singles = [_run(*words, scan, "-o", folder / "one.mdf") for scan in scans[: given.singles]]
            times["single commands"].append(MEASUREMENTS * sum(singles) / len(singles))
            for which in ("batch", "batch, all there"):
                times[which].append(_run(*words, *scans, "-o", out))
            for scan in scans:
                if (out / scan.name).stat().st_size != (folder / "one.mdf").stat().st_size:
                    raise AssertionError(f"{scan.name} of the batch is another file than that of a single command.")
    timed = {which: Timing(which, rounds[0], tuple(rounds)) for which, rounds in times.items()}
    single = timed["single commands"]
    ratios = [
        Ratio(f"batch of {MEASUREMENTS} over as many commands", 1 / ratio(single, timed["batch"]), most=0.2),
        Ratio("the same, all there before", 1 / ratio(single, timed["batch, all there"])),
    ]
    report(f"{MEASUREMENTS} measurements, whole processes", list(timed.values()), ratios, given.json)


def _run(*words: object) -> float:
    """Seconds that a process takes from its start to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
