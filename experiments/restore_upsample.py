"""Upsampling 2-D system matrices twofold: bicubic, aligned and misaligned, spline and a network; the spiral phantom.

Paper: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), Table 4 and Fig. 5, with a simulated scan for the measured one.

Command:  python -m experiments.restore_upsample [--preset quick] [--networks upsample_2d ...] [--run-dir DIR] ...

Needs ``python -m experiments.fixed_sets --name upsampling_2d``: 100 matrices on grids twice as fine as calibrations of Table 1, of
which every second voxel from the first is given. The paper does not say which grids its clean rows have; with those of Table 1
themselves the coarse rows have 3 to 4 voxels per FWHM and alias. Classical figures on that set (restoration_2d) stand beside
ours. "misaligned" takes coarse voxels for blocks, as programs that enlarge pictures do: half a fine voxel off.

The spiral: 29 x 29 voxels of 1 mm, 1,000 averages of the matrix and 500 of the data, two channels, SNR >= 1.5, 1,000 Kaczmarz
sweeps, lambda 0.4 as it is on rows divided by their norms; matrices upsampled to 58 x 58 as measured and after a garrote.

Expected time: 11 minutes on two busy cores without a network. Expected: bicubic 33.3 dB clean (misaligned 20.6; on grids of Table 1
themselves 21.9 and 15.9, so that the paper's 28.4 lies between the two sets) and 20.6 dB at 0.1; spline 38.7 dB clean.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support import restoration_paper as paper
from experiments.support.restoration_eval import Method, choose_rows, evaluate, fixed_task, load_set, summarize
from experiments.support.restoration_methods import after_garrote, dct_filter, interpolation, on_grid
from experiments.support.restoration_report import EvalConfig, boxes_of, finish, load_networks, rows_figure, table_row
from experiments.support.restoration_scans import distance, simulate_scan, twice_as_fine
from experiments.support.run import markdown_table, parse, run_main
from mpijax.datasets.phantoms import spiral_phantom
from mpijax.viz import plot_reconstructions, save

PRESETS = {
    "quick": EvalConfig(("upsample_2d",), (0.0, 0.1), Path("runs/restore_upsample")),
    "smoke": EvalConfig(("upsample_2d",), (0.1,), Path("runs/restore_upsample_smoke"), smoke=True),
}
SIZE, FOV, SLICE = 29, 29e-3, 1.5e-3
AVERAGES, DATA_AVERAGES = 1000, 500
THRESHOLD, REGULARIZATION, SWEEPS = 1.5, 0.4, 1000


def main(config: EvalConfig) -> dict[str, Any]:
    """Score, reconstruct, report; returns what ``results.json`` holds."""
    started, key = time.perf_counter(), jax.random.key(config.seed)
    classical = {
        "bicubic": interpolation("bicubic"),
        "bicubic, misaligned": interpolation("bicubic, misaligned"),
        "spline": interpolation("spline"),
    }
    networks = load_networks(config)
    task = fixed_task("upsample")
    results: dict[str, Any] = {"figures": {}}
    table = []
    for name in ("upsampling_2d", "restoration_2d"):
        rows = load_set(name, config.set_dir, config.matrices, config.smoke)
        ours = name == "upsampling_2d"
        chosen = choose_rows(rows, config.matrices, config.rows_per_matrix if ours else config.rows_per_matrix or 4)
        boxes = boxes_of(name, config.smoke)
        for sigma in config.sigmas:
            methods = {
                **classical,
                **({f"{k} after garrote": after_garrote(m) for k, m in classical.items()} if sigma else {}),
            }
            methods |= networks if ours else {}
            figures = evaluate(rows, chosen, boxes, task, sigma, methods, key)
            results["figures"][f"{name}, {sigma:g}"] = records = summarize(figures, key=key)
            printed = paper.TABLE_4.get(sigma, {}).get(2, {})
            for record in records:
                found = (
                    printed.get("bicubic")
                    if record["method"].startswith("bicubic") and "garrote" not in record["method"]
                    else None
                )
                table.append({"set": name, **table_row(sigma, record, found)})
            if ours and printed:
                empty = {"method": "paper's SMRnet", "psnr": None, "ssim": None}
                table.append({"set": "-", **table_row(sigma, empty, printed["SMRnet"])})
        if ours:
            rows_figure(
                config.run_dir / "figures" / "rows.png", rows, chosen, boxes, task, 0.0, {**classical, **networks}, key
            )
    sections = [
        "# Upsampling twofold, 2-D",
        "Means over rows; 95 % intervals by bootstrap over matrices.",
        markdown_table(table),
        "![rows](figures/rows.png)",
    ]
    if config.phantom:
        results["spiral"] = spiral(config, {**classical, **networks}, key)
        sections += [
            "## Spiral phantom",
            f"{results['spiral']['rows']} rows of SNR >= {THRESHOLD:g}; nRMSE to the phantom on the image's own "
            "voxels, 58 x 58 where not said otherwise, without any scaling. Finer voxels show more of the phantom's edges.",
            markdown_table(results["spiral"]["table"]),
            "![spiral](figures/spiral.png)",
        ]
    finish(config, "restore_upsample", results, sections, time.perf_counter() - started)
    return results


def spiral(config: EvalConfig, methods: Mapping[str, Method], key: jax.Array) -> dict[str, Any]:
    """Images on 58 x 58 voxels, aligned to the first voxel of the calibration, and their distances to the phantom."""
    n = 9 if config.smoke else SIZE
    grid = mj.Grid.create((n, n, 1), (FOV, FOV, SLICE))
    scan = simulate_scan(
        grid, _phantom, amplitude=(12e-3, 12e-3, 0.0), refinement=1 if config.smoke else 3, averages=DATA_AVERAGES, channels=2,
        key=jax.random.fold_in(key, 20),
    )  # fmt: skip
    measured, snr, sigma = scan.calibration(AVERAGES)
    keep = snr >= THRESHOLD
    images = measured[keep].reshape(-1, n, n)
    levels = np.full(len(images), sigma)
    denoised = on_grid(dct_filter(2.0, "garrote"), (n, n))(images, levels)
    fine = twice_as_fine(grid)
    truth = np.asarray(_phantom(fine))
    sweeps = 3 if config.smoke else SWEEPS
    norms = np.linalg.norm(images.reshape(len(images), -1), axis=1)
    native = scan.image(measured[keep], keep, norms, REGULARIZATION, sweeps)
    found: dict[str, np.ndarray] = {}
    for source, rows in (("", images), (" after garrote", denoised)):
        for name, method in methods.items():
            upsampled = on_grid(method, (n, n), scale=2)(rows, levels if not source else 0.3 * levels)
            # the sample of a fine voxel holds a quarter of the particles; the norms are those of rows with four times the voxels
            flat = (upsampled.reshape(len(rows), -1) / 4).astype(np.complex64)
            found[name + source] = scan.image(flat, keep, norms / 2, REGULARIZATION, sweeps)
    half = 500 * FOV
    shown = {k: np.asarray(fine.to_image(v))[0] for k, v in found.items() if "after" not in k}
    save(
        plot_reconstructions(shown, np.asarray(fine.to_image(truth))[0], extent=(-half, half, -half, half)),
        config.run_dir / "figures" / "spiral.png",
    )
    table = [{"matrix": f"as measured, {n} x {n} voxels", "nRMSE to the phantom": distance(native, scan.truth)}]
    table += [{"matrix": name, "nRMSE to the phantom": distance(image, truth)} for name, image in found.items()]
    return {"rows": int(keep.sum()), "table": table}


_phantom: Callable[[mj.Grid], np.ndarray] = spiral_phantom


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
