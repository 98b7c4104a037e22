"""What the simulation model is worth: denoisers trained with and without anisotropy, on matrices of fluid particles.

Paper: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), section 3.5 and Table 6.

Command:  python -m experiments.restore_model_ablation [--preset quick] [--networks fluid_2d langevin_2d] [--run-dir DIR] ...

Needs ``python -m experiments.fixed_sets`` and the two trainings ``python -m experiments.train_restoration --preset fluid_2d`` and
``langevin_2d``: the same network, steps, scanners, grids, cores and keys; only the anisotropy is left out of the second, K = 0.
Scored on the fluid matrices of restoration_2d that fit the box of the training, 32 voxels per axis, and on the larger ones.
"""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support import restoration_paper as paper
from experiments.support.restoration_eval import choose_rows, evaluate, fixed_task, load_set, summarize
from experiments.support.restoration_methods import dct_filter
from experiments.support.restoration_report import (
    EvalConfig,
    boxes_of,
    finish,
    interval,
    load_networks,
    rows_figure,
    table_row,
)
from experiments.support.run import markdown_table, parse, run_main

PRESETS = {
    "quick": EvalConfig(("fluid_2d", "langevin_2d"), (0.06, 0.1, 0.2, 0.3), Path("runs/restore_model_ablation")),
    "smoke": EvalConfig(("fluid_2d", "langevin_2d"), (0.1,), Path("runs/restore_model_ablation_smoke"), smoke=True),
}
TRAINED = 32
"""Voxels per axis of the largest grids trained on."""


def main(config: EvalConfig) -> dict[str, Any]:
    """Score and report; returns what ``results.json`` holds."""
    if len(config.networks) != 2:
        raise ValueError(
            f"networks = {config.networks}; give the one trained with anisotropy and the one trained without."
        )
    started, key = time.perf_counter(), jax.random.key(config.seed)
    rows = load_set("restoration_2d", config.set_dir, config.matrices, config.smoke)
    fluid = np.ones(len(rows.units), bool) if config.smoke else rows.units[:, 2] < 0.5
    chosen = choose_rows(rows, config.matrices, config.rows_per_matrix, fluid)
    boxes, task = boxes_of("restoration_2d", config.smoke), fixed_task("denoise")
    with_anisotropy, without = load_networks(config).values()
    methods = {"anisotropy": with_anisotropy, "Langevin": without, "garrote 2": dct_filter(2.0, "garrote")}
    within = rows.extents[rows.matrix[chosen]].max(axis=1) <= TRAINED
    results: dict[str, Any] = {"figures": {}, "gain": {}}
    table = []
    for title, part in ((f"up to {TRAINED} voxels", chosen[within]), ("larger", chosen[~within])):
        if not len(part):
            continue
        for sigma in config.sigmas:
            figures = evaluate(rows, part, boxes, task, sigma, methods, key)
            records = summarize(figures, key=key)
            values = figures.values
            gain = mj.metrics.bootstrap_mean(
                values["anisotropy"]["psnr"] - values["Langevin"]["psnr"], figures.matrix, key=key
            )
            results["figures"][f"{title}, {sigma:g}"], results["gain"][f"{title}, {sigma:g}"] = records, gain
            printed = paper.TABLE_6.get(sigma, {})
            for record in records:
                line = table_row(sigma, record, printed.get(record["method"]))
                shown = interval(gain, 2) if record["method"] == "anisotropy" else "-"
                table.append({"grids": title, "matrices": record["matrices"], **line, "ahead of Langevin [dB]": shown})
    rows_figure(config.run_dir / "figures" / "rows.png", rows, chosen, boxes, task, config.sigmas[0], methods, key)
    sections = [
        "# Trained with and without anisotropy, on fluid matrices",
        f"{len(chosen)} rows; 95 % intervals by bootstrap over matrices, of the difference paired by row.",
        markdown_table(table),
        "![rows](figures/rows.png)",
    ]
    finish(config, "restore_model_ablation", results, sections, time.perf_counter() - started)
    return results


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
