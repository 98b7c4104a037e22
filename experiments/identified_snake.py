"""The snake from a calibration of 10 averages, restored with and without one particle fitted to the whole matrix.

Paper: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), Fig. 3, with a simulated scan for the measured one.

Command:  python -m experiments.identified_snake [--preset quick|smoke] [--draws 5] [--truths equilibrium fast late]

17 x 15 voxels of 2 mm, fluid particles of 20 nm with anisotropy in equilibrium, or with Neel rotation. The sample of the
calibration fills a voxel, and the fit simulates points: all truths are a little off its model. The distance is the nRMSE of an
image to the one by the noise-free matrix, from the same data, rows weighted by the norms of the measured rows. Every draw is a
calibration with other noise; the intervals are over draws.

Expected time: half an hour on one core for five draws.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support.restoration_scans import SNAKE_GRID, SNAKE_SCAN, Scan, distance, simulate_scan
from experiments.support.run import markdown_table, parse, run_main, write_record
from mpijax.core.checks import check_choice
from mpijax.core.files import write_text
from mpijax.datasets.phantoms import snake_phantom
from mpijax.viz import plot_reconstructions, save

TRUTHS: dict[str, dict[str, Any]] = {
    "equilibrium": {},
    "fast": {"dynamics": mj.Neel()},
    "late": {"dynamics": mj.Neel(), "anisotropy_constant": 8e3},
}
"""The particles of the paper's scan in equilibrium, with Neel rotation, which is nearly as fast, and with more anisotropy."""

AVERAGES, THRESHOLD, REGULARIZATION, SWEEPS = 10, 1.5, 0.3, 1000
METHODS: dict[str, dict[str, Any]] = {
    "Wiener": {"method": "wiener", "trust": False},
    "row by row": {"identify": False},
    "identified": {},
}


@dataclass(frozen=True)
class Config:
    """What is scanned.

    Attributes:
        truths: equilibrium, fast, late.
        draws: calibrations of other noise.
        refinement: fine voxels per axis and voxel of the matrix.
        sweeps: of Kaczmarz.
        seed: of all noise.
        run_dir: where results go; draws that are there are not computed again.
    """

    truths: tuple[str, ...] = tuple(TRUTHS)
    draws: int = 5
    refinement: int = 4
    sweeps: int = SWEEPS
    seed: int = 0
    run_dir: Path = Path("runs/identified_snake")

    def __post_init__(self) -> None:
        for name in self.truths:
            check_choice("truths", name, tuple(TRUTHS))


PRESETS = {"quick": Config(), "smoke": Config(("equilibrium",), draws=1, refinement=1, sweeps=3)}


def main(config: Config) -> dict[str, Any]:
    """Scan, restore, reconstruct; returns what ``results.json`` holds."""
    table, results = [], {}
    for name in config.truths:
        key = jax.random.key(config.seed)
        scan = simulate_scan(
            SNAKE_GRID, snake_phantom, refinement=config.refinement, averages=1000, channels=2,
            key=jax.random.fold_in(key, 17), **SNAKE_SCAN, **TRUTHS[name],
        )  # fmt: skip
        draws = []
        for number in range(config.draws):
            path = config.run_dir / f"{name}-{number}.json"
            if not path.exists():
                write_text(path, json.dumps(_draw(scan, jax.random.fold_in(key, 100 + number), config, name)) + "\n")
            draws.append(json.loads(path.read_text(encoding="utf-8")))
            print(f"{name} {number}: {draws[-1]['to noise-free']}", file=sys.stderr, flush=True)
        results[name] = draws
        for method in draws[0]["to noise-free"]:
            line: dict[str, Any] = {"truth": name, "matrix": method}
            for label in ("rows", "to noise-free", "to the phantom"):
                values = np.array([d[label][method] for d in draws])
                mean, low, high = mj.metrics.bootstrap_mean(values, np.arange(len(values)), key=jax.random.key(0))
                line[label] = f"{mean:.3f} ({low:.3f} to {high:.3f})"
            table.append(line)
    write_record(config.run_dir, "identified_snake", config)
    text = f"# Snake, {AVERAGES} averages, nRMSE over {config.draws} draws\n\n" + markdown_table(table)
    write_text(config.run_dir / "report.md", text + "\n")
    print(text)
    return results


def _draw(scan: Scan, key: Any, config: Config, name: str) -> dict[str, Any]:
    """nRMSE of rows and images of one calibration, by method."""
    sequence = mj.LissajousSequence.create(SNAKE_SCAN["amplitude"])
    values, snr, sigma = scan.calibration(AVERAGES, key)
    keep = snr >= THRESHOLD
    measured, clean = values[keep], scan.clean[keep]
    matrix = mj.SystemMatrix.create(
        values, np.asarray(sequence.frequencies)[1:], scan.grid, frequency_indices=np.arange(1, 1 + values.shape[1]),
        scanner=mj.Scanner.create(SNAKE_SCAN["gradient"], receive_coils=np.eye(3)[: len(values)]), sequence=sequence, row_mask=keep,
    )  # fmt: skip
    rows = {"noise-free": clean, f"{AVERAGES} averages": measured}
    said = {}
    for label, options in METHODS.items():
        solution = mj.restore(matrix, "denoise", noise_std=np.full(len(measured), sigma), **options)
        rows[label] = np.asarray(solution.value.rows())
        said = {"chi2": getattr(solution.stats.identified, "chi2", None), "told": solution.stats.identification}
    norms = np.linalg.norm(measured, axis=1)
    images = {label: scan.image(r, keep, norms, REGULARIZATION, config.sweeps) for label, r in rows.items()}
    if not (config.run_dir / f"{name}.png").exists():
        shown = {label: np.asarray(scan.grid.to_image(image))[0] for label, image in images.items()}
        nx, ny = np.asarray(scan.grid.fov)[:2] * 500
        truth = np.asarray(scan.grid.to_image(scan.truth))[0]
        save(plot_reconstructions(shown, truth, extent=(-nx, nx, -ny, ny)), config.run_dir / f"{name}.png")
    return said | {
        "kept": int(keep.sum()),
        "rows": {label: distance(r, clean) for label, r in rows.items()},
        "to noise-free": {label: distance(image, images["noise-free"]) for label, image in images.items()},
        "to the phantom": {label: distance(image, scan.truth) for label, image in images.items()},
    }


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
