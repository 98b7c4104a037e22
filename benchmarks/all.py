"""Benchmarks one after another, each in a process of its own, and one table of what was measured and what is wanted.

``python -m benchmarks.all [--only NAME ...] [--out FILE]``, as ``make bench`` does: some 20 minutes on two quiet cores. A ratio
that is NOT MET is no error. A benchmark that fails, or takes more than 15 minutes, is a row that says so, and the exit status is 1.
``--out runs/benchmarks.md`` writes the table, and beside it ``runs/benchmarks.json``, from which the page of the site is made: copy
it to ``docs/benchmarks.json`` after a run on quiet cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common import Ratio

RUNS = {
    "simulate": "benchmarks.bench_simulate --rounds 7",
    "anisotropy": "benchmarks.bench_anisotropy --rounds 5",
    "separable": "benchmarks.bench_separable --rounds 3",
    "phase_nodes": "benchmarks.bench_phase_nodes --rounds 2",
    "coils": "benchmarks.bench_coils --rounds 5",
    "dynamics": "benchmarks.bench_dynamics --rounds 3",
    "kaczmarz": "benchmarks.bench_kaczmarz --rounds 9",
    "kaczmarz_3d": "benchmarks.bench_kaczmarz --rounds 2 --voxels 6859",
    "tikhonov": "benchmarks.bench_tikhonov --rounds 7 --voxels 841",
    "tikhonov_3d": "benchmarks.bench_tikhonov --rounds 2 --voxels 6859",
    "admm": "benchmarks.bench_admm --rounds 3",
    "streaming": "benchmarks.bench_streaming --frames 100",
    "stream": "benchmarks.bench_stream --rounds 5",
    "mamba": "benchmarks.bench_mamba --rounds 3",
    "super_resolution": "benchmarks.bench_super_resolution --rounds 2",
    "startup": "benchmarks.bench_startup --rounds 5",
    "batch": "benchmarks.bench_batch --rounds 3",
    "view": "benchmarks.bench_view --rounds 9",
    "memory": "benchmarks.bench_memory",
}
"""name -> module and its arguments."""

LIMIT = 900
"""What one benchmark may take [s]."""

COLUMNS = "benchmark", "what", "measured", "wanted", ""


def run(name: str, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What one benchmark reported (title and ratios) or how it failed, and the machine as it says (empty if it said nothing)."""
    path = folder / f"{name}.jsonl"
    failure = ""
    try:
        status = subprocess.run(
            [sys.executable, "-m", *RUNS[name].split(), "--json", str(path)], timeout=LIMIT
        ).returncode
        failure = f"exit status {status}" if status else ""
    except subprocess.TimeoutExpired:
        failure = f"stopped after {LIMIT} s"
    reports = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    found = [{"title": report["title"], "ratios": report["ratios"]} for report in reports]
    if failure or not any(report["ratios"] for report in reports):
        found.append({"title": name, "command": RUNS[name], "failure": failure or "no result"})
    return found, reports[0]["machine"] if reports else {}


def rows_of(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Rows of :data:`COLUMNS`; a title stands in its first row alone."""
    rows = []
    for benchmark in found:
        if "failure" in benchmark:
            rows.append((benchmark["title"], benchmark["command"], benchmark["failure"], "", "FAILED"))
            continue
        ratios = [Ratio(**fields) for fields in benchmark["ratios"]]
        titles = [benchmark["title"], *[""] * len(ratios)]
        rows += [(t, r.name, r.measured, r.wanted, r.verdict) for t, r in zip(titles, ratios, strict=False)]
    return rows


def in_words(result: Mapping[str, Any]) -> str:
    """Verdicts counted, and the machine: what of processor, cores, memory, device, versions and load was recorded."""
    verdicts = [row[-1] for row in rows_of(result["benchmarks"])]
    machine = result["machine"]
    said = {
        "processor": "{}",
        "cores": "{} cores",
        "memory": "{:.0f} GB of memory",
        "device": "device {}",
        "jax": "jax {}",
        "numpy": "numpy {}",
        "python": "python {}",
    }
    parts = [", ".join(f"{verdicts.count(word)} {word}" for word in ("met", "NOT MET", "FAILED"))]
    parts.append(", ".join(text.format(machine[key]) for key, text in said.items() if key in machine))
    parts.append(f"{result['minutes']:.0f} minutes, load before {result['load']:.1f}")
    return "; ".join(part for part in parts if part)


def markdown(rows: Sequence[tuple[str, ...]], caption: str) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return f"{caption}\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(RUNS), metavar="NAME", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--out", type=Path, help="file to write the table to, as Markdown; beside it one of JSON")
    arguments = parser.parse_args()
    names = arguments.only or list(RUNS)
    load, began, console = os.getloadavg()[0], time.monotonic(), Console(width=160)
    benchmarks: list[dict[str, Any]] = []
    machine: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for k, name in enumerate(names, 1):
            start = time.monotonic()
            console.rule(f"{k} of {len(names)}: {name}")
            more, found = run(name, Path(folder))
            benchmarks, machine = benchmarks + more, machine or found
            console.print(f"{name} took {time.monotonic() - start:.0f} s")
    minutes = (time.monotonic() - began) / 60
    result = {"machine": machine, "load": load, "minutes": minutes, "benchmarks": benchmarks}
    rows, caption = rows_of(benchmarks), in_words(result)
    table = Table(*COLUMNS, title="Measured in this run")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(caption)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(markdown(rows, caption))
        arguments.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(1 if "FAILED" in [row[-1] for row in rows] else 0)


if __name__ == "__main__":
    main()
