"""What the planar networks that ship do to measured rows: the matrix of a gradient-free receive-coil array.

Data: S.mat of the array (`experiments.measured_array`), 40 rows of 8 x 8 pixels; not part of the project.

Command:  python -m experiments.measured_networks --root DIR [--run-dir DIR]

The truth is what was measured, rows in units of their largest modulus, with the noise that they have: it bounds what any method
can reach. `denoise`: white noise of standard deviation 0.1 is added, and every method is told it. `inpaint`: a block of 2 x 3
pixels is hidden, at each of its 42 places in turn. `complete`: every second pixel per axis is kept. In the last two the noise is
estimated from the pixels that are kept, as `mpijax restore` does. Networks are scored as they are, without the checks that refuse
their rows, against the classical methods of the task. Mean PSNR over rows (and places), at all pixels or at those that were hidden.
These rows are no Lissajous rows, and no network has seen a grid this small. Expected time: under a minute.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

import mpijax as mj
from experiments.measured_array import array_matrix
from experiments.support.run import markdown_table, run_main, write_record
from mpijax.core.assets import asset_path
from mpijax.core.files import write_text
from mpijax.restoration import find_method
from mpijax.restoration.noise import estimate_noise
from mpijax.rows import Complete, Denoise, Inpaint, Task

NETWORKS: dict[str, tuple[Task, tuple[str, ...]]] = {
    "denoise": (Denoise(), ("denoise_2d", "restore_2d")),
    "inpaint": (Inpaint(), ("restore_2d",)),
    "complete": (Complete(2), ("restore_2d",)),
}
"""Task and the networks that ship for it."""
NOISE = 0.1
BLOCK = (2, 3)
CASES = {"denoise": f"denoise, {NOISE:g}", "inpaint": "inpaint", "complete": "complete"}
"""What a case is called on a card: noise that was added is its last number."""


@dataclass(frozen=True)
class Config:
    """Where data and results are.

    Attributes:
        root: folder with S.mat.
        run_dir: where results go.
        seed: of the noise that is added.
    """

    root: Path
    run_dir: Path = Path("runs/measured_networks")
    seed: int = 0


def main(config: Config) -> dict[str, Any]:
    """Score every method in every task; returns what results.json holds: case -> lines of method and mean PSNR."""
    rows = np.asarray(array_matrix(config.root).images())[0, :, 0]
    rows = (rows / np.abs(rows).max((1, 2), keepdims=True)).astype(np.complex64)
    figures = {CASES[name]: scores(name, rows, config.seed) for name in NETWORKS}
    results = {"rows": len(rows), "matrices": 1, "figures": figures}
    write_record(config.run_dir, "measured_networks", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    sections = [f"## {name}\n\n{markdown_table([shown(line) for line in lines])}\n" for name, lines in figures.items()]
    write_text(config.run_dir / "report.md", "\n".join(["# Networks on measured rows\n", *sections]))
    return results


def scores(name: str, rows: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """Of every method of a task: its mean PSNR [dB], where something was hidden at hidden pixels."""
    task, networks = NETWORKS[name]
    key = "psnr" if name == "denoise" else "psnr_missing"
    lines = []
    for method in (*task.classical(), *networks):
        found, _ = find_method(task, 2, asset_path(f"weights/{method}.npz") if method in networks else method)
        values = []
        for given, known, sigma in measurements(name, rows, seed):
            out = found.apply(np.where(known, given, 0), known, np.ones_like(known), sigma)
            counted = None if name == "denoise" else ~known
            values.append(mj.metrics.psnr(out, rows, 1.0, mask=counted, axis=(1, 2)))
        lines.append({"method": method, key: [float(f"{np.mean(values):.4g}")]})
    return lines


def measurements(name: str, rows: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows as they are given (m, y, x), where they are known (y, x), and the noise that is told (m,)."""
    shape = rows.shape[1:]
    if name == "denoise":
        parts = np.random.default_rng(seed).normal(scale=NOISE / np.sqrt(2), size=(2, *rows.shape))
        noise = (parts[0] + 1j * parts[1]).astype(rows.dtype)
        yield rows + noise, np.ones(shape, bool), np.full(len(rows), NOISE, np.float32)
        return
    for known in kept(name, shape):
        yield rows, known, np.asarray(estimate_noise(rows, known))


def kept(name: str, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Pixels that are kept (y, x): all but a block, at each of its places, or every second per axis."""
    if name == "complete":
        known = np.zeros(shape, bool)
        known[::2, ::2] = True
        yield known
        return
    for y, x in np.ndindex(*(n - b + 1 for n, b in zip(shape, BLOCK, strict=True))):
        known = np.ones(shape, bool)
        known[y : y + BLOCK[0], x : x + BLOCK[1]] = False
        yield known


def shown(line: dict[str, Any]) -> dict[str, Any]:
    """A line of the report."""
    return {key: value if isinstance(value, str) else value[0] for key, value in line.items()}


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    run_main(main, chosen, chosen.run_dir)
