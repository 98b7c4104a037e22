"""Calibrating at every second position per axis in 3-D: tricubic spline against a network; the resolution phantom.

Paper: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), Table 3 and Fig. 4, with a simulated scan for the measured one.

Command:  python -m experiments.restore_complete [--preset quick] [--networks restore_3d ...] [--run-dir DIR] ...

Needs ``python -m experiments.fixed_sets --name restoration_3d`` (or ``--matrices N``). "missing" and "known" are the PSNR over the
positions that were not measured and over those that were. A table of its own looks at what the paper's 17 to 22 dB of both
methods come from: the PSNR by mixing order, and that of rows which hold nothing but white noise.

The resolution phantom: 19^3 voxels on 24 x 24 x 12 mm, 1,000 averages, SNR >= 3, 3 Kaczmarz sweeps, lambda 0.001 as it is. That
calibration takes 19^3 x 1,000 x 21.54 ms = 41 h, and 10^3 positions 6.0 h; the paper's 4.1 h and 31 min belong to neither.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support import restoration_paper as paper
from experiments.support.restoration_eval import (
    Method,
    by_order,
    choose_rows,
    evaluate,
    fixed_task,
    load_set,
    summarize,
)
from experiments.support.restoration_methods import interpolation, on_grid, wiener
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
from mpijax.datasets import FixedRows
from mpijax.datasets.phantoms import resolution_phantom
from mpijax.physics import complex_normal
from mpijax.rows import stride_mask
from mpijax.viz import plot_slices, save

PRESETS = {
    "quick": EvalConfig(
        ("restore_3d",), (0.0, 0.1), Path("runs/restore_complete"), rows_per_matrix=16, dimensions=3
    ),
    "smoke": EvalConfig(("restore_3d",), (0.1,), Path("runs/restore_complete_smoke"), dimensions=3, smoke=True),
}  # fmt: skip
SIZE, FOV = 19, (24e-3, 24e-3, 12e-3)
AVERAGES = 1000
THRESHOLD, REGULARIZATION, SWEEPS = 3.0, 1e-3, 3
ORDERS = {"1 to 8": (0, 8), "9 to 16": (8, 16), "17 to 24": (16, 24), "above 24": (24, np.inf)}


def main(config: EvalConfig) -> dict[str, Any]:
    """Score, reconstruct, report; returns what ``results.json`` holds."""
    started, key = time.perf_counter(), jax.random.key(config.seed)
    rows = load_set("restoration_3d", config.set_dir, config.matrices, config.smoke)
    chosen = choose_rows(rows, config.matrices, config.rows_per_matrix)
    boxes, task = boxes_of("restoration_3d", config.smoke), fixed_task("complete")
    methods = {"tricubic": interpolation("spline"), "wiener": wiener(3), **load_networks(config)}
    results: dict[str, Any] = {"rows": len(chosen), "matrices": len(np.unique(rows.matrix[chosen]))}
    scored = {f"{sigma:g}": evaluate(rows, chosen, boxes, task, sigma, methods, key) for sigma in config.sigmas}
    results["figures"] = {sigma: summarize(figures, paper.RANGES, key=key) for sigma, figures in scored.items()}
    lowest = min(scored, key=float)
    results["by order"] = by_order(rows, scored[lowest], ORDERS, f"sigma {lowest}")
    results["by order"].append(_noise_rows(rows, chosen, boxes, methods, key))
    rows_figure(config.run_dir / "figures" / "rows.png", rows, chosen, boxes, task, config.sigmas[-1], methods, key)
    sections = [
        "# Every second position per axis, 3-D",
        f"{results['rows']} rows of {results['matrices']} matrices; 95 % intervals by bootstrap over matrices.",
        markdown_table(sized_tables(results["figures"], paper.TABLE_3, {"tricubic": "tricubic"})),
        "![rows](figures/rows.png)",
        "## Mean PSNR [dB] by mixing order, and of rows of noise alone",
        markdown_table(results["by order"]),
    ]
    if config.phantom:
        results["resolution"] = resolution(config, methods, key)
        hours = [paper.calibration_hours(n**3, AVERAGES, 3) for n in (SIZE, -(-SIZE // 2))]
        sections += [
            "## Resolution phantom",
            f"{results['resolution']['rows']} rows of SNR >= {THRESHOLD:g}; calibration of {hours[1]:.1f} h instead of "
            f"{hours[0]:.1f} h (the paper prints 31 min and 4.1 h); nRMSE of images without any scaling.",
            markdown_table(results["resolution"]["table"]),
            "![resolution](figures/resolution.png)",
        ]
    finish(config, "restore_complete", results, sections, time.perf_counter() - started)
    return results


def _noise_rows(
    rows: FixedRows, chosen: np.ndarray, boxes: tuple[int, ...], methods: Mapping[str, Method], key: jax.Array
) -> dict[str, Any]:
    """The same rows with white noise in place of their values, the clean answer included: what rows below rounding look like."""
    noise = np.asarray(complex_normal(rows.values.shape, 1.0, key=key), np.complex64)
    empty = FixedRows(rows.units, rows.extents, rows.matrix, rows.channel, rows.frequency_index, rows.offsets, noise)
    few = chosen[:: max(1, len(chosen) // 60)]
    figures = evaluate(empty, few, boxes, fixed_task("complete"), 0.0, methods, key)
    means = {method: float(np.mean(values["psnr"])) for method, values in figures.values.items()}
    return {"rows": "white noise in place of a row", "share": 0.0, **means}


def resolution(config: EvalConfig, methods: Mapping[str, Method], key: jax.Array) -> dict[str, Any]:
    """Images from the whole calibration and from completed ones."""
    n = 5 if config.smoke else SIZE
    grid = mj.Grid.create((n, n, n), FOV)
    scan = simulate_scan(
        grid, resolution_phantom, amplitude=(12e-3,) * 3, refinement=1 if config.smoke else 2, averages=AVERAGES, channels=3,
        bins=low_orders(3, 3 if config.smoke else 7), immobilized=True, key=jax.random.fold_in(key, 21),
    )  # fmt: skip
    measured, snr, sigma = scan.calibration(AVERAGES)
    keep = snr >= THRESHOLD
    images = measured[keep]
    known = np.asarray(stride_mask(np.array((n, n, n)), (n, n, n), 2)).reshape(n, n, n)
    norms = np.linalg.norm(images, axis=1)
    rows = {"whole calibration": images}
    for name, method in methods.items():
        restored = on_grid(method, (n, n, n), known=known)(images.reshape(-1, n, n, n), np.full(len(images), sigma))
        rows[name] = restored.reshape(images.shape).astype(np.complex64)
    found = {name: scan.image(r, keep, norms, REGULARIZATION, SWEEPS) for name, r in rows.items()}
    panels = {name: np.asarray(grid.to_image(image)) for name, image in found.items()}
    save(plot_slices(panels, grid), config.run_dir / "figures" / "resolution.png")
    return {"rows": int(keep.sum()), "table": compare_images(found, "whole calibration", scan.truth)}


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
