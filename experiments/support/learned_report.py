"""Figures and report of the experiment on learned row weights."""

from pathlib import Path
from typing import Any

import numpy as np

import mpijax as mj
from experiments.figures.row_weights import plot_row_weights
from experiments.support.phantom_scan import Phantoms, Scan, image_of
from experiments.support.run import markdown_table
from mpijax.viz import plot_learning_curve, plot_reconstructions, save


def write_figures(
    scan: Scan,
    sets: dict[str, Phantoms],
    tuned: dict[str, Any],
    learned: dict[str, Any],
    records: dict[str, Any],
    folder: Path,
) -> None:
    """Learning curves, learned weights, and of each set the images of the phantom with the median gain."""
    save(plot_learning_curve(records, ["loss", "validation.nrmse"]), folder / "learning_curve.png")
    factors = np.exp(np.asarray(learned["Kaczmarz"].log_weights - tuned["Kaczmarz"].log_weights))
    save(plot_row_weights(factors, scan.frequencies, scan.snr, scan.orders), folder / "weights.png")
    half = float(scan.grid.fov[0]) * 500
    for number, phantoms in enumerate(sets.values()):
        layers = {"Kaczmarz, tuned": tuned["Kaczmarz"], "Kaczmarz, learned": learned["Kaczmarz"]}
        layers |= {"Tikhonov, tuned": tuned["Tikhonov"], "Tikhonov, learned": learned["Tikhonov"]}
        images = {name: np.asarray(image_of(layer, scan.matrix, phantoms.data)) for name, layer in layers.items()}
        errors = [np.asarray(mj.metrics.nrmse(image, phantoms.images, axis=-1)) for image in images.values()]
        median = int(np.argsort(errors[1] / errors[0])[len(errors[0]) // 2])
        shown = {name: scan.grid.to_image(image[median])[0] for name, image in images.items()}
        truth = scan.grid.to_image(phantoms.images[median])[0]
        save(plot_reconstructions(shown, truth, extent=(-half, half, -half, half)), folder / f"images_{number}.png")


def report_text(config: Any, results: dict[str, Any], resamples: int) -> str:
    """report.md from what results.json holds."""
    comparison, learned = results["comparison"], results["learned"]
    best = {
        name: min((r for r in results["tuning"] if r["method"] == name), key=lambda r: r["nRMSE"]) for name in learned
    }
    shown = [
        {
            "phantoms": row["phantoms"],
            "method": row["method"],
            "sweeps": "-" if row["sweeps"][0] is None else " / ".join(map(str, row["sweeps"])),
            "nRMSE": f"{row['nRMSE']['hand-tuned']:.4f} / {row['nRMSE']['learned']:.4f}",
            "difference (95 %)": _interval(row["nRMSE"], 4),
            "better on": f"{row['nRMSE']['better on']:.0%}",
            "pSNR [dB]": f"{row['pSNR']['hand-tuned']:.2f} / {row['pSNR']['learned']:.2f}",
            "difference (95 %) [dB]": _interval(row["pSNR"], 2),
        }
        for row in comparison
    ]
    lines = [
        "# Learned row weights and lambda against the best hand-tuned setting",
        "",
        f"{results['rows']} rows, {results['voxels']} voxels; {config.training} phantoms to train on, {config.held_out} to "
        f"choose on, {config.held_out} of each set to test. Hand-tuned / learned, means over phantoms; differences are paired, "
        f"their intervals from {resamples:,} bootstrap resamples of the phantoms.",
        "",
        markdown_table(shown),
        "",
        *(
            f"{name}: hand-tuned best with {row['weighting']} weights"
            + (f", {row['sweeps']} sweeps" if row["sweeps"] != "-" else "")
            + f", relative lambda {row['lambda, relative']:.3g}; learned lambda {learned[name]['lambda after']:.3g}, weights "
            f"changed by factors that spread over {learned[name]['spread of the factors']:.2f}."
            for name, row in best.items()
        ),
        "",
        "## What was learned: mean factor on the weights of Kaczmarz",
        "",
        markdown_table([{"rows with": name, **group} for name, group in learned["Kaczmarz"]["groups"].items()]),
        "",
        "![weights](figures/weights.png)",
        "",
        "## Tuning by hand, on the validation phantoms",
        "",
        markdown_table(results["tuning"]),
        "",
        "## Images: the phantom with the median gain of each set",
        "",
        "![test phantom](figures/images_0.png)",
        "",
        "![unseen kind](figures/images_1.png)",
        "",
        "![learning curve](figures/learning_curve.png)",
        "",
        "Seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in results["seconds"].items()) + ".",
        "",
    ]
    return "\n".join(lines)


def _interval(figures: dict[str, Any], digits: int) -> str:
    low, high = figures["interval"]
    return f"{figures['difference']:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
