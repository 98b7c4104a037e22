"""Timing of peers in one run: warm-up and compilation apart, interleaved rounds, paired ratios, a table and JSON."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Timing:
    """Times of one candidate in seconds; ``first`` is the first call (tracing, compilation and one run)."""

    name: str
    first: float
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def min(self) -> float:
        return min(self.rounds)

    @property
    def compile(self) -> float:
        """What the first call cost beyond a usual one."""
        return max(0.0, self.first - self.median)


@dataclass(frozen=True)
class Ratio:
    """A value measured in this run and what is wanted of it: at least, at most, or nothing (it is only said)."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None
    unit: str = "x"

    @property
    def measured(self) -> str:
        return f"{self.value:.4g}{self.unit}" if self.value < 1000 else f"{self.value:,.0f}{self.unit}"

    @property
    def wanted(self) -> str:
        limits = ("at least", self.least), ("at most", self.most)
        return ", ".join(f"{word} {limit:,.4g}{self.unit}" for word, limit in limits if limit is not None)

    @property
    def verdict(self) -> str:
        """ "met", "NOT MET" or, where nothing is wanted, ""."""
        if not self.wanted:
            return ""
        enough = self.least is None or self.value >= self.least
        return "met" if enough and (self.most is None or self.value <= self.most) else "NOT MET"


def interleave(candidates: Mapping[str, Callable[[], Any]], rounds: int = 9) -> dict[str, Timing]:
    """Time every candidate once per round, in turn, so that foreign load falls on all of them alike.

    Each is called twice and the second call is timed: it finds its own data in the caches, not its predecessor's.
    """
    first = {name: _seconds(call) for name, call in candidates.items()}
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            jax.block_until_ready(call())
            times[name].append(_seconds(call))
    return {name: Timing(name, first[name], tuple(times[name])) for name in candidates}


def ratio(peer: Timing, ours: Timing, work: float = 1.0) -> float:
    """Median over rounds of peer / ours; ``work`` is how much more work ours did in one call."""
    return work * statistics.median(p / o for p, o in zip(peer.rounds, ours.rounds, strict=True))


def options(description: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds per candidate")
    parser.add_argument("--json", type=Path, help="file to append the results to, a line per table")
    return parser


def report(title: str, timings: Sequence[Timing], ratios: Sequence[Ratio], path: Path | None = None) -> None:
    """Print the table and the ratios; append the same to a file, as a line of JSON, if a path is given."""
    console = Console(width=max(100, Console().width))
    if timings:
        table = Table("candidate", "median ms", "min ms", "first call s", "compile s", title=title)
        for t in timings:
            table.add_row(t.name, f"{1e3 * t.median:.2f}", f"{1e3 * t.min:.2f}", f"{t.first:.2f}", f"{t.compile:.2f}")
        console.print(table)
    for r in ratios:
        wanted = f" ({r.wanted})" if r.wanted else ""
        console.print(f"{r.verdict:8} {r.name}: {r.measured}{wanted}", markup=False, soft_wrap=True)
    if path is not None:
        result = {
            "title": title,
            "machine": machine(),
            "timings": [{"name": t.name, "first": t.first, "rounds": t.rounds} for t in timings],
            "ratios": [asdict(r) for r in ratios],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(result) + "\n")


def machine() -> dict[str, Any]:
    """What the numbers belong to; memory in GB."""
    return {
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9,
        "load": os.getloadavg()[0],
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def processor(facts: Path = Path("/proc/cpuinfo")) -> str:
    """Name of the processor: what Linux writes into ``facts``, else what Python knows of the platform."""
    if facts.is_file():
        for line in facts.read_text(encoding="utf-8").splitlines():
            key, _, name = line.partition(":")
            if key.strip() == "model name":
                return name.strip()
    return platform.processor() or platform.machine()


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start
