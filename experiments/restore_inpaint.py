"""Filling failed calibration positions in 3-D: biharmonic, with a garrote, annealed Wiener filters, a network; nested rectangles.

Paper: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), Table 5 and Fig. 6, with a simulated scan for the measured one.

Command:  python -m experiments.restore_inpaint [--preset quick] [--networks restore_3d ...] [--run-dir DIR] ...

Needs ``python -m experiments.fixed_sets --name restoration_3d`` (or ``--matrices N``). Every row has its own mask: one block of
10 % of the positions along a scan in random order of the axes. All methods know mask and noise. "missing" and "known" are the
PSNR over the masked and over the other voxels. A method that keeps the noisy known voxels cannot exceed 20.46 dB over all at
sigma = 0.1 (90 % of the voxels carry a mean square error of 0.01). The paper prints 21.40 to 22.1 dB for such a method: its
noise was weaker than its name by 1 dB or more, or its mean counts other voxels than these. Its rows "all" are also no average of
its ranges with one set of weights: PSNR at 0.1 asks for mostly small matrices, SSIM at 0.1 for mostly large ones.

The rectangles: 25 x 21 x 27 voxels on 50 x 42 x 27 mm, gradients -0.75, -0.75, 1.5 T/m, 50 averages of the matrix and 100 of the
data, SNR >= 10, 10 Kaczmarz sweeps, lambda 1e-5 as it is; the lower left part of the phantom lies within the field of view, and one
block of positions failed: it holds three times each row's root mean square in place of the signal. Repeating the calibration
would take 4.2 h.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support import restoration_paper as paper
from experiments.support.restoration_eval import Method, choose_rows, evaluate, fixed_task, load_set, summarize
from experiments.support.restoration_methods import biharmonic, on_grid, wiener
from experiments.support.restoration_report import (
    EvalConfig,
    boxes_of,
    finish,
    load_networks,
    rows_figure,
    sized_tables,
)
from experiments.support.restoration_scans import compare_images, low_orders, simulate_scan
from experiments.support.run import markdown_table, parse, run_main
from mpijax.datasets.phantoms import rectangles_phantom
from mpijax.rows import missing_block
from mpijax.viz import plot_slices, save

PRESETS = {
    "quick": EvalConfig(
        ("restore_3d",), (0.0, 0.1), Path("runs/restore_inpaint"), rows_per_matrix=16, dimensions=3
    ),
    "smoke": EvalConfig(("restore_3d",), (0.1,), Path("runs/restore_inpaint_smoke"), dimensions=3, smoke=True),
}  # fmt: skip
GRID = (25, 21, 27), (50e-3, 42e-3, 27e-3)
GRADIENT = (-0.75, -0.75, 1.5)
CENTER = (12e-3, 0.0, 10e-3)
"""Of the phantom: its lower left part lies within the field of view."""

AVERAGES, DATA_AVERAGES = 50, 100
THRESHOLD, REGULARIZATION, SWEEPS = 10.0, 1e-5, 10


def main(config: EvalConfig) -> dict[str, Any]:
    """Score, reconstruct, report; returns what ``results.json`` holds."""
    started, key = time.perf_counter(), jax.random.key(config.seed)
    rows = load_set("restoration_3d", config.set_dir, config.matrices, config.smoke)
    chosen = choose_rows(rows, config.matrices, config.rows_per_matrix)
    boxes, task = boxes_of("restoration_3d", config.smoke), fixed_task("inpaint")
    methods = {
        "biharmonic": biharmonic(),
        "biharmonic after garrote": biharmonic(denoise=True),
        "wiener": wiener(3),
        **load_networks(config),
    }
    results: dict[str, Any] = {"rows": len(chosen), "matrices": len(np.unique(rows.matrix[chosen]))}
    results["figures"] = {
        f"{sigma:g}": summarize(evaluate(rows, chosen, boxes, task, sigma, methods, key), paper.RANGES, key=key)
        for sigma in config.sigmas
    }
    rows_figure(config.run_dir / "figures" / "rows.png", rows, chosen, boxes, task, config.sigmas[-1], methods, key)
    sections = [
        "# Inpainting, 3-D, 10 % of the positions missing",
        f"{results['rows']} rows of {results['matrices']} matrices; 95 % intervals by bootstrap over matrices.",
        markdown_table(sized_tables(results["figures"], paper.TABLE_5, {"biharmonic": "biharmonic"})),
        "![rows](figures/rows.png)",
    ]
    if config.phantom:
        results["rectangles"] = rectangles(config, methods, key)
        sections += [
            "## Nested rectangles",
            f"{results['rectangles']['rows']} rows of SNR >= {THRESHOLD:g}, {results['rectangles']['missing']} of "
            f"{results['rectangles']['positions']} positions failed; nRMSE of images without any scaling.",
            markdown_table(results["rectangles"]["table"]),
            "![rectangles](figures/rectangles.png)",
        ]
    finish(config, "restore_inpaint", results, sections, time.perf_counter() - started)
    return results


def rectangles(config: EvalConfig, methods: Mapping[str, Method], key: jax.Array) -> dict[str, Any]:
    """Images from the whole, the corrupted and the filled calibrations."""
    shape, fov = ((5, 5, 5), GRID[1]) if config.smoke else GRID
    grid = mj.Grid.create(shape, fov)
    scan = simulate_scan(
        grid, lambda g: rectangles_phantom(g, center=CENTER), amplitude=(12e-3,) * 3, gradient=GRADIENT,
        refinement=1 if config.smoke else 2, averages=DATA_AVERAGES, channels=3, bins=low_orders(3, 3 if config.smoke else 7),
        immobilized=True, key=jax.random.fold_in(key, 18),
    )  # fmt: skip
    measured, snr, sigma = scan.calibration(AVERAGES)
    keep = snr >= THRESHOLD
    images = measured[keep]
    volume = grid.shape[::-1]
    missing = np.asarray(missing_block(np.array(shape), shape, 0.1, key=jax.random.fold_in(key, 19)))
    norms = np.linalg.norm(images, axis=1)
    garbage = 3 * norms[:, None] / np.sqrt(missing.size) * np.exp(2j * np.pi * np.arange(missing.size) / 97)
    corrupted = np.where(missing, garbage, images).astype(np.complex64)
    rows = {"whole calibration": images, "corrupted calibration": corrupted}
    for name, method in methods.items():
        restore = on_grid(method, volume, known=~missing.reshape(volume))
        rows[name] = (
            restore(corrupted.reshape(-1, *volume), np.full(len(images), sigma))
            .reshape(images.shape)
            .astype(np.complex64)
        )
    found = {name: scan.image(r, keep, norms, REGULARIZATION, SWEEPS) for name, r in rows.items()}
    panels = {name: np.asarray(grid.to_image(image)) for name, image in found.items()}
    save(plot_slices(panels, grid), config.run_dir / "figures" / "rectangles.png")
    return {
        "rows": int(keep.sum()),
        "positions": missing.size,
        "missing": int(missing.sum()),
        "table": compare_images(found, "whole calibration", scan.truth),
    }


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
