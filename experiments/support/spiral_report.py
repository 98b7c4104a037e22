"""Figures and report of the spiral experiment."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mpijax as mj
from experiments.figures.resolution import plot_against_iterations, plot_cross_profiles
from experiments.support import spiral
from experiments.support.run import markdown_table
from mpijax.reconstruction import NeuralField
from mpijax.viz import plot_image_table, save

SIREN, PUBLISHED = "SIREN", "SIREN, omega 30, unconstrained"
UPSAMPLING = ("bilinear", "bicubic")


def figures(
    folder: Path, images: Mapping[int, Mapping[str, np.ndarray]], field: NeuralField, results: Mapping[str, Any]
) -> None:
    """Images on every grid, profiles on the two finest, the uncertainty, and the inner diameter against iterations."""
    true = {n: spiral.truth(n) for n in images}
    rows = {
        "truth": [true[n] for n in images],
        "SIREN": [images[n][SIREN] for n in images],
        "SIREN, omega 30,\nunconstrained": [images[n][PUBLISHED] for n in images],
        "Kaczmarz, tuned,\nbicubic": [_either(images[n], "Kaczmarz, tuned", ", bicubic") for n in images],
        "Kaczmarz,\nlambda 0.5, bicubic": [_either(images[n], "Kaczmarz, lambda 0.5", ", bicubic") for n in images],
        "Kaczmarz on\nthe fine grid": [
            _either(images[n], "Kaczmarz on the fine grid", "", "Kaczmarz, tuned") for n in images
        ],
    }
    titles = [f"{n} x {n}" for n in images]
    width = spiral.FOV * 1e3
    save(plot_image_table(rows, titles, width=width, scale_bar=10.0, limit=50.0), folder / "images.png")
    finest = max(images)
    shape = (finest, finest, 1)
    mean, std = (np.asarray(one(shape)).reshape(finest, finest) for one in (field.sample, field.sample_std))
    scale = float(mj.metrics.best_scale(mean, true[finest]))
    panels = {"SIREN": [scale * mean, scale * std, np.abs(scale * mean - true[finest])]}
    titles = ["mean of the ensemble", "standard deviation", "|mean - truth|"]
    save(plot_image_table(panels, titles, width=width, scale_bar=10.0, limit=50.0), folder / "uncertainty.png")
    profiles = {}
    for n in sorted(images)[-2:]:
        offsets, black = spiral.mean_profile(true[n])
        lines = {"truth": black} | {name: spiral.mean_profile(image)[1] for name, image in images[n].items()}
        profiles[f"{n} x {n}"] = (1e3 * offsets, lines)
    figure = plot_cross_profiles(profiles, xlabel="across the winding / mm", ylabel="mean concentration / mmol(Fe)/L")
    save(figure, folder / "profiles.png")
    curves = {name: (np.asarray(t["step"]), np.asarray(t["quantity"], float)) for name, t in results["traces"].items()}
    chosen = {name: float(np.mean(steps)) for name, steps in results["best_step"].items()}
    reference = 1e3 * spiral.TRUE_INNER_DIAMETER
    figure = plot_against_iterations(curves, ylabel="inner diameter / mm", reference=reference, chosen=chosen)
    save(figure, folder / "inner_diameter.png")


def _either(methods: Mapping[str, np.ndarray], name: str, suffix: str, other: str | None = None) -> np.ndarray:
    """An upsampled image, or the native one on the native grid."""
    return methods[name + suffix] if name + suffix in methods else methods[other or name]


def report(config: Any, results: Mapping[str, Any]) -> str:
    """The text of report.md, made from the results alone."""
    rows, chosen = results["rows"], results["chosen"]
    choices = [
        {"grid": name.removeprefix("Kaczmarz on "), **values} for name, values in chosen.items() if name != SIREN
    ]
    steps = {name: ", ".join(map(str, best)) for name, best in results["best_step"].items()}
    lines = [
        "# Neural implicit reconstruction of the spiral",
        "",
        f"{rows['kept']} of {rows['in band']} rows between 20 and 380 kHz have SNR >= {spiral.SNR_THRESHOLD}; "
        f"{rows['held out']} are held out. Median |signal|/sigma of the kept data: {results['data_snr']:.0f}. "
        f"Networks {config.width} wide, Adam at {config.learning_rate:g}, {config.steps} steps; seed {config.seed}.",
        "",
        *_verdict(results["scores"]),
        "",
        "steepness [1/mm]: largest slope of the mean profile across both windings, relative to its maximum. gap contrast: 1 - "
        "(mean halfway between the windings)/(mean on their center lines). width [mm]: of that profile at half maximum (None: it "
        "does not fall so low). inner diameter [mm]: where the profile of the inner winding has fallen to half on the inside. "
        "All images are scaled to the truth by one factor each; pSNR in dB.",
        "",
    ]
    for n in dict.fromkeys(record["voxels"] for record in results["scores"]):
        table = [{k: v for k, v in r.items() if k != "voxels"} for r in results["scores"] if r["voxels"] == n]
        lines += [f"## {n} x {n} voxels", "", markdown_table(table), ""]
    lines += [
        "![images](figures/images.png)",
        "",
        "![profiles](figures/profiles.png)",
        "",
        "## What the held-out rows chose",
        "",
        markdown_table(choices),
        "",
        f"SIREN: omega {chosen[SIREN]['omega']:g} (held-out loss "
        + ", ".join(f"{loss:.4g} at {omega}" for omega, loss in chosen[SIREN]["held-out loss"].items())
        + f"); stopped at {steps[SIREN]}; unconstrained with omega 30: {steps[PUBLISHED]}.",
        "",
        "## Inner diameter against iterations (Fig. 1e of the paper)",
        "",
        "Dots: where the held-out rows stop the fit. The longer the fit, the wider the hole and the thinner the windings.",
        "",
        "![inner diameter](figures/inner_diameter.png)",
        "",
        "## Uncertainty",
        "",
        f"Standard deviation over {config.ensemble} networks: what the initial weights leave open, not the noise of the data.",
        "",
        "![uncertainty](figures/uncertainty.png)",
        "",
        "Seconds of this run: " + ", ".join(f"{name} {value:.0f}" for name, value in results["seconds"].items()) + ".",
        "",
    ]
    return "\n".join(lines)


def _verdict(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where SIREN is ahead of every rival on the two finest grids, where it is not, and how wide its windings are."""
    lines = []
    for n in sorted({record["voxels"] for record in scores})[-2:]:
        here = {r["method"]: r for r in scores if r["voxels"] == n}
        ours, true = here.pop(SIREN), here.pop("truth")
        for measure, sign in (("steepness", 1), ("gap contrast", 1), ("nRMSE", -1)):
            ahead = [
                f"{name} ({r[measure]:.3f})" for name, r in here.items() if sign * r[measure] >= sign * ours[measure]
            ]
            best = max(here, key=lambda name: sign * here[name][measure])
            text = f"{n} x {n}, {measure}: SIREN {ours[measure]:.3f}, truth {true[measure]:.3f}; "
            if ahead:
                text += f"not ahead of {', '.join(ahead)}"
            else:
                text += f"ahead of every rival, the next is {best} ({here[best][measure]:.3f})"
            lines.append(f"- {text}.")
        widths = {"truth": true, SIREN: ours, **here}
        known = [f"{name} {r['width']:.2f}" for name, r in widths.items() if r["width"] is not None]
        lines.append(f"- {n} x {n}, width in mm: {', '.join(known)}.")
    return lines
