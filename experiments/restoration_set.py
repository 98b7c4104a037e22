"""The training set of the restoration paper, drawn and simulated: what storing it would cost, and what is in it.

Paper: deep learning for restoring system matrices from simulated training data, Table 1 and section 3.1 (1,000 matrices to
train on in 2-D, 50 in 3-D).

Command:  python -m experiments.restoration_set [--count 1000] [--dimensions 2] [--run-dir DIR] [--store] ...

Each matrix is drawn from its number and the seed, and simulated on its own grid, padded to one of three sizes so that three
programs are compiled. In 2-D all 817 bins of three receive channels are computed; in 3-D a random subset of 256 bins beside
those of mixing orders up to 3, because a whole matrix has 26,929. Training draws matrices on the fly, so by default only
statistics are kept; ``--store`` writes all rows that hold signal (about 20 MB per 2-D matrix).

Finished shards are kept: the same command continues after an interruption.
"""

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.support.run import markdown_table, parse, run_main, write_record
from mpijax.core.checks import check_range
from mpijax.core.files import atomic_path, write_text
from mpijax.datasets import RestorationPrior
from mpijax.datasets.fixed_sets import FixedSet, box_shape, reference_bins
from mpijax.datasets.samplers import describe
from mpijax.rows import present_rows
from mpijax.system import Particle
from mpijax.system.simulate import simulate_rows
from mpijax.training.logging import show_progress
from mpijax.viz import plot_rows, save

PAPER_COUNTS = {2: 1000, 3: 50}
BOXES = {2: (32, 48, 64), 3: (16, 24, 32)}


@dataclass(frozen=True)
class Config:
    """What is drawn and simulated.

    Attributes:
        count: matrices; None = the paper's, 1,000 in 2-D and 50 in 3-D.
        dimensions: 2 or 3.
        particles: mixed, fluid, immobilized or langevin.
        candidates: bins simulated of each 3-D matrix beside those of low mixing orders.
        run_dir: where shards and report go; an unfinished run of the same settings is continued.
        store: whether to write the rows themselves.
        shard: matrices per file.
        seed: of everything.
        progress: whether to show a progress bar.
    """

    count: int | None = None
    dimensions: int = 2
    particles: str = "mixed"
    candidates: int = 256
    run_dir: Path = Path("runs/restoration_set")
    store: bool = False
    shard: int = 25
    seed: int = 0
    progress: bool = True


PRESETS = {"paper": Config(), "smoke": Config(count=4, shard=2)}


class Simulator:
    """One compiled program per padded size; compilation is timed apart from the runs.

    Attributes:
        compile_seconds: time spent compiling.
    """

    def __init__(self) -> None:
        self.compile_seconds = 0.0
        self._programs: dict[Any, Any] = {}

    def __call__(self, setup: Any, shape: tuple[int, int, int], indices: np.ndarray) -> tuple[jax.Array, float]:
        """Values (c, f, n) of all bins given, on the device and finished, and the seconds they took."""
        if shape not in self._programs:
            start = time.perf_counter()
            lowered = jax.jit(lambda setup, indices: simulate_rows(setup, shape, indices)[0]).lower(setup, indices)
            self._programs[shape] = lowered.compile()
            self.compile_seconds += time.perf_counter() - start
        start = time.perf_counter()
        values = jax.block_until_ready(self._programs[shape](setup, indices))
        return values, time.perf_counter() - start


def main(config: Config) -> dict[str, Any]:
    """Draw, simulate, write shards and report; returns what ``results.json`` holds."""
    check_range("shard", config.shard, 1, 10_000, "matrices")
    spec = _spec(config)
    started = time.perf_counter()
    acceptance = spec.prior.check_acceptance(jax.random.key(config.seed))
    _claim(config, spec)
    shards = [
        (config.run_dir / "shards" / f"{start:06d}.npz", range(start, min(start + config.shard, spec.count)))
        for start in range(0, spec.count, config.shard)
    ]
    finished = sum(len(indices) for path, indices in shards if path.exists())
    done = config.run_dir / "results.json"
    if finished == spec.count and done.exists():
        print((config.run_dir / "report.md").read_text(encoding="utf-8"))
        return json.loads(done.read_text(encoding="utf-8"))
    write_record(config.run_dir, "restoration_set", config)
    simulator = Simulator()
    with show_progress(finished, spec.count, config.progress) as report:
        for path, indices in shards:
            if path.exists():
                continue
            records = []
            for index in indices:
                records.append(_simulate(spec, index, simulator, config.store))
                finished += 1
                report(finished, None)
            _write_shard(path, records)
            report(finished, f"{finished} matrices")
    wall = time.perf_counter() - started
    results = _results(config, spec, shards, acceptance)
    results["this run"] = {
        "seconds": wall,
        "processor seconds": time.process_time(),
        "seconds compiling": simulator.compile_seconds,
        "peak memory [MB]": _peak_memory() / 1e6,
    }
    _figure(spec, simulator, config.run_dir / "figures" / "rows.png")
    text = _text(spec, results)
    write_text(config.run_dir / "report.md", text)
    write_text(done, json.dumps(results, indent=2) + "\n")
    print(text)
    return results


def _spec(config: Config) -> FixedSet:
    prior = RestorationPrior(config.dimensions, particles=config.particles)
    return FixedSet(
        name=f"restoration training set, {config.dimensions}-D",
        prior=prior,
        seed=config.seed,
        count=PAPER_COUNTS[config.dimensions] if config.count is None else config.count,
        candidates=None if config.dimensions == 2 else config.candidates,
        boxes=BOXES[config.dimensions],
    )


def _claim(config: Config, spec: FixedSet) -> None:
    """Make the run directory this set's, or refuse one that holds another set."""
    facts = {"spec": repr(spec), "shard": config.shard, "store": config.store}
    path = config.run_dir / "set.json"
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != facts:
            changed = ", ".join(key for key in facts if found.get(key) != facts[key])
            raise ValueError(
                f"{config.run_dir} holds a set of other settings ({changed}): {found}. Choose another --run-dir or remove it."
            )
    write_text(path, json.dumps(facts, indent=2) + "\n")


def _simulate(spec: FixedSet, index: int, simulator: Simulator, store: bool) -> dict[str, dict[str, Any]]:
    """One matrix: a line of the shard's table, and its rows that hold signal if they are to be stored."""
    units, setup, bins, _ = spec.draw(index)
    extent = np.asarray(setup.extent)
    shape = box_shape(extent, spec.boxes)
    simulated = _simulated_bins(spec, setup, bins)
    values, seconds = simulator(setup, shape, simulated)
    # bin 0 and Nyquist's carry nothing to learn; they are simulated, and not counted
    present = np.asarray(present_rows(values)) & np.isin(simulated, bins)
    assert isinstance(setup.particle, Particle)
    line = {
        "units": units,
        "extent": extent,
        "box": shape[0],
        "seconds": seconds,
        "present": present.sum(axis=1),
        "simulated": present.shape[1],
        "alpha": np.float32(setup.particle.alpha),
        "fluid": bool(getattr(setup.particle, "fluid", False)),
    }
    if not store:
        return {"table": line, "rows": {}}
    nx, ny, nz = extent
    channel, position = np.nonzero(present)
    rows = {
        f"values_{index:06d}": np.asarray(values)[present].reshape(-1, *shape[::-1])[:, :nz, :ny, :nx],
        f"rows_{index:06d}": np.stack([channel, simulated[position]], axis=1).astype(np.int32),
    }
    return {"table": line, "rows": rows}


def _write_shard(path: Path, records: list[dict[str, dict[str, Any]]]) -> None:
    arrays: dict[str, Any] = {
        key: np.stack([record["table"][key] for record in records]) for key in records[0]["table"]
    }
    for record in records:
        arrays |= record["rows"]
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)


def _simulated_bins(spec: FixedSet, setup: Any, bins: np.ndarray) -> np.ndarray:
    """All bins of the spectrum, or the subset of a 3-D matrix and the low orders that tell its strongest row."""
    if spec.candidates is None:
        return np.arange(setup.sequence.n_samples // 2 + 1)
    return np.sort(np.concatenate([bins, reference_bins(setup.sequence)]))


def _results(config: Config, spec: FixedSet, shards: list[tuple[Path, range]], acceptance: float) -> dict[str, Any]:
    names = ("extent", "box", "seconds", "present", "simulated", "alpha", "fluid")
    tables = []
    for path, _ in shards:
        with np.load(path, allow_pickle=False) as data:
            tables.append({name: data[name] for name in names})
    table = {name: np.concatenate([part[name] for part in tables]) for name in names}
    extents, seconds = table["extent"], table["seconds"]
    voxels = extents.prod(axis=1)
    driven = extents[:, : config.dimensions]
    present = table["present"]
    sizes = [
        {
            "padded to": f"{box}^{config.dimensions}",
            "matrices": int((table["box"] == box).sum()),
            "voxels, median": float(np.median(voxels[table["box"] == box])),
            "seconds per matrix": float(seconds[table["box"] == box].mean()),
        }
        for box in spec.boxes
        if (table["box"] == box).any()
    ]
    return {
        "matrices": spec.count,
        "acceptance": acceptance,
        "simulation seconds": float(seconds.sum()),
        "matrices per second": float(spec.count / seconds.sum()),
        "rows simulated": int((table["simulated"] * present.shape[1]).sum()),
        "rows with signal": int(present.sum()),
        "rows with signal per matrix": {
            name: float(np.percentile(present.sum(axis=1), q)) for name, q in (("p5", 5), ("median", 50), ("p95", 95))
        },
        "rows with signal per channel": [int(count) for count in present.sum(axis=0)],
        "bytes to store": int((present.sum(axis=1) * voxels * 8).sum()),
        "voxels per axis": {
            name: float(np.percentile(driven, q)) for name, q in (("p5", 5), ("median", 50), ("p95", 95), ("max", 100))
        },
        "fluid": float(table["fluid"].mean()),
        "alpha": {
            name: float(np.percentile(table["alpha"], q)) for name, q in (("p5", 5), ("median", 50), ("p95", 95))
        },
        "sizes": sizes,
    }


def _figure(spec: FixedSet, simulator: Simulator, path: Path) -> None:
    """Six rows of the first matrix, from the strongest down to the weakest that holds signal."""
    _, setup, bins, _ = spec.draw(0)
    shape = box_shape(np.asarray(setup.extent), spec.boxes)
    simulated = _simulated_bins(spec, setup, bins)
    values = np.asarray(simulator(setup, shape, simulated)[0])
    present = np.asarray(present_rows(values)) & np.isin(simulated, bins)
    channel, position = np.nonzero(present)
    if not len(channel):
        return
    order = np.argsort(-np.abs(values[channel, position]).max(axis=-1))
    chosen = order[np.linspace(0, len(order) - 1, min(6, len(order))).astype(int)]
    channel, position = channel[chosen], position[chosen]
    nx, ny, nz = np.asarray(setup.extent)
    images = values[channel, position].reshape(-1, *shape[::-1])[:, nz // 2, :ny, :nx]
    half, middle = (np.asarray(length, float) * 1e3 for length in (setup.fov / 2, setup.center))
    figure = plot_rows(
        {"simulated": images},
        frequencies=setup.sequence.frequencies[simulated[position]],
        mixing_orders=setup.sequence.mixing_orders()[simulated[position]],
        channels=["xyz"[i] for i in channel],
        extent=(middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1]),
    )
    save(figure, path)


def _text(spec: FixedSet, results: dict[str, Any]) -> str:
    per_matrix, voxels, alpha, run = (
        results[key] for key in ("rows with signal per matrix", "voxels per axis", "alpha", "this run")
    )
    facts = [
        ("acceptance of the size filter", f"{results['acceptance']:.1%}"),
        ("simulation", f"{results['simulation seconds']:.1f} s, {results['matrices per second']:.2f} matrices/s"),
        ("this run, everything", f"{run['seconds']:.1f} s, of which compiling {run['seconds compiling']:.1f} s"),
        ("processor time of all cores", f"{run['processor seconds']:.1f} s"),
        ("peak memory", f"{run['peak memory [MB]']:.0f} MB"),
        ("rows simulated", f"{results['rows simulated']:,}"),
        (
            "rows that hold signal",
            f"{results['rows with signal']:,}, per channel {results['rows with signal per channel']}",
        ),
        (
            "per matrix",
            f"median {per_matrix['median']:.0f}, 5 to 95 %: {per_matrix['p5']:.0f} to {per_matrix['p95']:.0f}",
        ),
        ("to store them", f"{results['bytes to store'] / 1e9:.2f} GB"),
        ("voxels per axis", f"median {voxels['median']:.0f}, 5 to 95 %: {voxels['p5']:.0f} to {voxels['p95']:.0f}"),
        ("alpha", f"median {alpha['median']:.2f}, 5 to 95 %: {alpha['p5']:.2f} to {alpha['p95']:.2f}"),
        ("fluid", f"{results['fluid']:.1%}"),
    ]
    lines = [
        f"# {spec.name}: {results['matrices']} matrices",
        "",
        "```",
        spec.prior.describe(),
        "```",
        "",
        markdown_table([{"quantity": name, "value": value} for name, value in facts]),
        "",
        markdown_table(results["sizes"]),
        "",
        "The first matrix, from its strongest row down to the weakest that holds signal (figures/rows.png):",
        "",
        "```",
        describe(spec.draw(0)[1]),
        "```",
        "",
    ]
    return "\n".join(lines)


def _peak_memory() -> int:
    """Largest resident memory of the process [bytes]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
