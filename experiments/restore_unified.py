"""One 2-D network for all tasks, conditioned on mask and noise level, against networks for one task and classical methods.

Command:  python -m experiments.restore_unified [--preset quick] [--run-dir DIR] ...

Needs the fixed sets restoration_2d and upsampling_2d, and ``python -m experiments.train_restoration --preset inpaint_2d`` and
``complete_2d``, which do not ship. Denoising and inpainting (a block of 10 %) on calibrations of Table 1 of the
restoration paper; completing (every second voxel per axis is known) on the same, and on grids twice as fine, where it is what an
upsampler is trained for. Every method sees the same corrupted rows. The inpainter and the completer have the form and the recipe
of the network for all tasks; denoiser and upsampler are those that ship, with other forms and longer training.
"""

import time
from pathlib import Path
from typing import Any

import jax

from experiments.support.restoration_eval import choose_rows, evaluate, fixed_task, load_set, summarize
from experiments.support.restoration_methods import (
    after_garrote,
    biharmonic,
    coarsened,
    dct_filter,
    interpolation,
    wiener,
)
from experiments.support.restoration_report import EvalConfig, boxes_of, finish, interval, load_networks
from experiments.support.run import markdown_table, parse, run_main

NETWORKS = ("restore_2d", "denoise_2d", "inpaint_2d", "complete_2d", "upsample_2d")
PRESETS = {
    "quick": EvalConfig(NETWORKS, (0.0, 0.1, 0.3), Path("runs/restore_unified"), rows_per_matrix=4),
    "smoke": EvalConfig(NETWORKS, (0.1,), Path("runs/restore_unified_smoke"), smoke=True),
}


def main(config: EvalConfig) -> dict[str, Any]:
    """Score and report; returns what ``results.json`` holds."""
    if len(config.networks) != len(NETWORKS):
        raise ValueError(
            f"networks = {config.networks}; give those for all tasks, denoise, inpaint, complete and upsample."
        )
    started, key = time.perf_counter(), jax.random.key(config.seed)
    unified, denoiser, inpainter, completer, upsampler = load_networks(config).values()
    one, spline = {"one for all": unified}, interpolation("spline")
    splines = {"wiener": wiener(2), "spline": spline, "spline after garrote": coarsened(after_garrote(spline))}
    tables = {
        ("denoise", "restoration_2d"): {**one, "denoiser": denoiser, "garrote 2": dct_filter(2.0, "garrote")},
        ("inpaint", "restoration_2d"): {
            **one,
            "inpainter": inpainter,
            "biharmonic": biharmonic(),
            "biharmonic after garrote": biharmonic(denoise=True),
            "wiener": wiener(2),
        },
        ("complete", "restoration_2d"): {**one, "completer": completer, **splines},
        ("complete", "upsampling_2d"): {**one, "completer": completer, "upsampler": coarsened(upsampler), **splines},
    }
    results: dict[str, Any] = {}
    lines = []
    for (task, name), methods in tables.items():
        rows = load_set(name, config.set_dir, config.matrices, config.smoke)
        chosen = choose_rows(rows, config.matrices, config.rows_per_matrix)
        for sigma in config.sigmas:
            figures = evaluate(rows, chosen, boxes_of(name, config.smoke), fixed_task(task), sigma, methods, key)
            results[f"{task}, {name}, {sigma:g}"] = records = summarize(figures, key=key)
            for record in records:
                columns = (("PSNR [dB] (95 %)", "psnr"), ("missing", "psnr_missing"), ("known", "psnr_known"))
                shown = {title: interval(record.get(figure), 2) for title, figure in columns}
                lines.append({"task": task, "set": name, "sigma": f"{sigma:g}", "method": record["method"], **shown})
    sections = [
        "# One network for all tasks",
        "95 % intervals by bootstrap over matrices.",
        markdown_table(lines),
    ]
    finish(config, "restore_unified", {"figures": results}, sections, time.perf_counter() - started)
    return results


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
