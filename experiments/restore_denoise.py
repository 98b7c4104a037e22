"""Denoising system matrices: DCT-F, its other thresholds and networks on the fixed sets, and the snake phantom.

Paper: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), Table 2 and Fig. 3, with a simulated scan for the measured one.

Command:  python -m experiments.restore_denoise [--preset quick|3d] [--networks denoise_2d ...] [--run-dir DIR] ...

Needs ``python -m experiments.fixed_sets`` (``--name restoration_3d`` for the preset 3d). DCT-F is the paper's soft threshold of
2.75 sigma; "tuned" thresholds have the best mean PSNR on rows of other matrices, simulated from another seed, per rule and noise
level. Every method knows sigma, as in the paper.

The snake: 17 x 15 voxels of 2 mm, the reference calibration of 330 averages, the noisy one of 10 (sigma sqrt(33) times larger),
two channels, rows of SNR >= 1.5 of the noisy calibration, 1,000 Kaczmarz sweeps, lambda 0.3 as it is on rows divided by the norms
of the measured rows. Calibrating takes 55 s with 330 averages and 1.7 s with 10.

Expected time: 7 minutes on two busy cores for all 4,800 rows without a network, 11 with one on 1,200 (``--rows-per-matrix 4``) and
the snake. Expected: DCT-F 24.66 / 21.62 / 17.82 / 15.87 dB, where the paper has 25.0 / 21.9 / 18.1 / 16.0; the best tuned
threshold is the garrote at 1.5 to 1.75 sigma, 29.79 / 26.22 / 21.67 / 19.13 dB. PSNR changes little with the mixing order: DCT-F
23.6 dB up to order 4 at 0.1, 21.2 to 21.8 dB above. SSIM does not compare with the paper's, whose data range is not printed.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.support import restoration_paper as paper
from experiments.support.restoration_eval import (
    Method,
    batches,
    by_order,
    choose_rows,
    corrupt,
    evaluate,
    fixed_task,
    load_set,
    smooth_rows,
    summarize,
)
from experiments.support.restoration_methods import dct_filter, find_weights, network, on_grid, tune_threshold
from experiments.support.restoration_report import (
    EvalConfig,
    boxes_of,
    finish,
    load_networks,
    rows_figure,
    table_row,
)
from experiments.support.restoration_scans import SNAKE_GRID, SNAKE_SCAN, Scan, distance, simulate_scan
from experiments.support.run import markdown_table, parse, run_main
from mpijax.datasets import FixedSet, RestorationPrior
from mpijax.datasets.phantoms import snake_phantom
from mpijax.viz import plot_reconstructions, save

SIGMAS = (0.06, 0.1, 0.2, 0.3)
RULES = ("soft", "hard", "garrote")
THRESHOLDS = np.arange(0.5, 4.01, 0.25)
ORDERS = {"1 to 4": (0, 4), "5 to 8": (4, 8), "9 to 16": (8, 16), "17 to 24": (16, 24), "above 24": (24, np.inf)}
REFERENCE, NOISY = 330, 10
THRESHOLD, REGULARIZATION, SWEEPS = 1.5, 0.3, 1000
DCT_F = "DCT-F (soft 2.75)"

PRESETS = {
    "quick": EvalConfig(("denoise_2d",), SIGMAS, Path("runs/restore_denoise")),
    "3d": EvalConfig(
        ("restore_3d",), SIGMAS, Path("runs/restore_denoise_3d"), rows_per_matrix=16, dimensions=3, phantom=False
    ),
    "smoke": EvalConfig(("denoise_2d",), (0.1,), Path("runs/restore_denoise_smoke"), smoke=True),
}


def main(config: EvalConfig) -> dict[str, Any]:
    """Score, reconstruct, report; returns what ``results.json`` holds."""
    started, dimensions = time.perf_counter(), config.dimensions
    name, key = f"restoration_{dimensions}d", jax.random.key(config.seed)
    rows = load_set(name, config.set_dir, config.matrices, config.smoke)
    chosen = choose_rows(rows, config.matrices, config.rows_per_matrix)
    boxes, task = boxes_of(name, config.smoke), fixed_task("denoise")
    networks = load_networks(config)
    tuned = _tune(config)
    results: dict[str, Any] = {"rows": len(chosen), "matrices": len(np.unique(rows.matrix[chosen])), "tuned": tuned}
    table, records, orders = [], {}, []
    for sigma in config.sigmas:
        methods: dict[str, Method] = {"as measured": lambda problem: problem.images, DCT_F: dct_filter(2.75, "soft")}
        methods |= {f"{rule}, tuned": dct_filter(tuned[f"{sigma:g}"][rule], rule) for rule in RULES}
        figures = evaluate(rows, chosen, boxes, task, sigma, {**methods, **networks}, key)
        records[f"{sigma:g}"] = summarize(figures, key=key)
        printed = paper.TABLE_2[dimensions].get(sigma, {})
        for record in records[f"{sigma:g}"]:
            label = record["method"]
            shown = label if ", tuned" not in label else f"{label} ({tuned[f'{sigma:g}'][label.split(',')[0]]:g})"
            table.append(
                table_row(sigma, {**record, "method": shown}, printed.get("DCT-F") if label == DCT_F else None)
            )
        for label in [x for x in printed if x != "DCT-F"]:
            empty = {"method": f"paper's {label}", "psnr": None, "ssim": None}
            table.append(table_row(sigma, empty, printed[label]))
        if sigma == 0.1:
            orders = by_order(rows, figures, ORDERS, "sigma 0.1")
    results |= {"figures": records, "by order": orders}
    shown = {DCT_F: dct_filter(2.75, "soft"), "garrote": dct_filter(2.0, "garrote"), **networks}
    rows_figure(config.run_dir / "figures" / "rows.png", rows, chosen, boxes, task, 0.1, shown, key)
    sections = [
        f"# Denoising, {dimensions}-D",
        f"{results['rows']} rows of {results['matrices']} matrices of {name}; 95 % intervals by bootstrap over matrices.",
        markdown_table(table),
        "![rows](figures/rows.png)",
        "## PSNR [dB] at sigma = 0.1 by mixing order |mx| + |my| + |mz|",
        markdown_table(orders) if orders else "not run",
    ]
    if config.phantom:
        results["snake"] = snake(config, networks, key)
        sections += _snake_text(results["snake"])
    finish(config, "restore_denoise", results, sections, time.perf_counter() - started)
    return results


def _tune(config: EvalConfig) -> dict[str, dict[str, float]]:
    """Noise level -> rule -> threshold [sigma] of the best mean PSNR on rows of another seed."""
    dimensions = config.dimensions
    box = boxes_of(f"restoration_{dimensions}d", config.smoke)
    if config.smoke:
        rows = smooth_rows(dimensions)
    else:
        count, candidates = (48, 64) if dimensions == 2 else (4, 32)
        spec = FixedSet("tuning", RestorationPrior(dimensions), 2311, count, 8, candidates=candidates, boxes=box)
        rows = spec.simulate()
    parts = list(batches(rows, np.arange(len(rows)), box))
    found: dict[str, dict[str, float]] = {}
    for sigma in config.sigmas:
        problems = [corrupt(part, fixed_task("denoise"), sigma, jax.random.key(config.seed + 1)) for part in parts]
        found[f"{sigma:g}"] = {rule: tune_threshold(problems, rule, THRESHOLDS)[0] for rule in RULES}
    return found


def snake(config: EvalConfig, networks: Mapping[str, Method], key: jax.Array) -> dict[str, Any]:
    """Images of the snake from the reference, the noisy and the denoised calibrations, and their distances."""
    scan = simulate_scan(
        SNAKE_GRID, snake_phantom, refinement=1 if config.smoke else 4, averages=1000, channels=2,
        key=jax.random.fold_in(key, 17), **SNAKE_SCAN,
    )  # fmt: skip
    methods = {DCT_F: dct_filter(2.75, "soft"), "garrote 2": dct_filter(2.0, "garrote"), **networks}
    try:
        methods["Langevin-trained"] = network(find_weights("langevin_2d"))
        methods["fluid-trained"] = network(find_weights("fluid_2d"))
    except FileNotFoundError:
        print("no Langevin- and fluid-trained networks yet; the snake is shown without them")
    return _reconstruct(config, scan, methods)


def _reconstruct(config: EvalConfig, scan: Scan, methods: Mapping[str, Method]) -> dict[str, Any]:
    reference, _, _ = scan.calibration(REFERENCE)
    noisy, snr, sigma = scan.calibration(NOISY)
    keep = snr >= THRESHOLD
    nx, ny, _ = scan.grid.shape
    measured = noisy[keep]
    rows = {f"{REFERENCE} averages": reference[keep], f"{NOISY} averages": measured}
    levels = np.full(len(measured), sigma)
    for name, method in methods.items():
        restored = on_grid(method, (ny, nx))(measured.reshape(-1, ny, nx), levels)
        rows[name] = restored.reshape(len(measured), -1).astype(np.complex64)
    sweeps = 3 if config.smoke else SWEEPS
    images, own = (
        {
            name: scan.image(
                r, keep, np.linalg.norm(r if weighted == "own" else measured, axis=1), REGULARIZATION, sweeps
            )
            for name, r in rows.items()
        }
        for weighted in ("measured", "own")
    )
    target = images[f"{REFERENCE} averages"]
    half = np.asarray(scan.grid.fov)[:2] * 500
    shown = {name: np.asarray(scan.grid.to_image(image))[0] for name, image in images.items()}
    truth = np.asarray(scan.grid.to_image(scan.truth))[0]
    save(
        plot_reconstructions(shown, truth, extent=(-half[0], half[0], -half[1], half[1])),
        config.run_dir / "figures/snake.png",
    )
    exact = scan.clean[keep]
    table = [
        {
            "matrix": name,
            "nRMSE of the rows": distance(rows[name], exact),
            f"image to that of {REFERENCE} averages": distance(image, target),
            "image to the phantom": distance(image, scan.truth),
            "the same, W of the restored rows": distance(own[name], scan.truth),
        }
        for name, image in images.items()
    ]
    return {"rows": int(keep.sum()), "table": table}


def _snake_text(found: Mapping[str, Any]) -> list[str]:
    return [
        "## Snake phantom",
        f"{found['rows']} rows of SNR >= {THRESHOLD:g}, the same for all; nRMSE of images without any scaling. Weights W = 1/|s_k| "
        "of the measured rows for all, and in the last column those of each method's own rows: a filter that shrinks weak rows "
        "then raises their weight.",
        markdown_table(found["table"]),
        "![snake](figures/snake.png)",
    ]


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
