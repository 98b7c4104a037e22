"""Report of `mpi_mamba_simulation`: the paper's tables beside ours, where the network is not ahead, figures with error maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.support import mpi_mamba_paper as paper
from experiments.support.run import csv_table, environment, markdown_table
from experiments.support.xspace_cases import HELD_OUT, Cases
from mpijax.core.files import write_text
from mpijax.viz import plot_learning_curve, plot_reconstructions, save

FIGURES = {"psnr": "pSNR [dB]", "ssim": "SSIM", "nrmse": "nRMSE"}
MEASURED = "measured data, not comparable"
MAIN = tuple(f"{kind} (held out)" for kind in HELD_OUT)
"""Sets of the main table."""


def write(config: Any, results: Mapping[str, Any], cases: Cases, images: Mapping[str, np.ndarray], curves: Any) -> None:
    """Tables, figures and report.md in the run directory."""
    records, names = results["records"], results["networks"]
    lines = ["# MPI-Mamba on simulated x-space images", "", _description(config, results), ""]
    lines += ["## Held-out kinds of phantoms (Table 1)", "", _main_table(records, results["facts"]), ""]
    lines += [
        "Mean over seeds and images, in brackets the standard deviation over seeds. All by the range of the reference; the last "
        "column as in the public code, on 8-bit images by the range of the estimate. The paper does not print its kernel, label "
        "or phantoms, so its figures are beside ours for orientation only.",
        "",
        "## Other phantoms, noise and scanners",
        "",
        "Mean pSNR [dB]:",
        "",
        _set_table(records),
        "",
        *_behind(records, names),
        "",
    ]
    if set(paper.TABLE_4) & set(names) - {"MPI-Mamba"}:
        lines += ["## Parts of the network (Table 4)", "", _printed_table(records, paper.TABLE_4), ""]
    if config.patches:
        edges = sorted({*config.patches, config.crop or config.size})
        named = {_patch(edge, config): paper.TABLE_5.get(edge, ("-",) * 3) for edge in edges}
        lines += ["## Patches in training (Table 5)", "", _printed_table(records, named), ""]
    lines += ["## Not run", "", *(f"- {what}: {why}." for what, why in paper.NOT_RUN.items()), "", "## Figures", ""]
    figures = config.run_dir / "figures"
    for kind, number in zip(("largest", "median"), _examples(cases), strict=True):
        shown, target = {name: stack[number] for name, stack in images.items()}, cases.targets[number]
        errors = [np.abs(image - target).max() for name, image in shown.items() if name != "input"]
        figure = plot_reconstructions(
            shown, target, extent=(-15, 15, -15, 15), unit="input's peak", error_limit=float(max(errors))
        )
        save(figure, figures / f"{kind}.png")
        lines += [f"{cases.name}, {kind} content (x across, z up):", "", f"![{kind}](figures/{kind}.png)", ""]
    save(plot_learning_curve(curves), figures / "learning.png")
    lines += ["![learning curves](figures/learning.png)", "", "## How this was made", "", _made(results), ""]
    write_text(config.run_dir / "tables" / "images.csv", csv_table(records))
    write_text(config.run_dir / "report.md", "\n".join(lines))


def _patch(edge: int, config: Any) -> str:
    return "MPI-Mamba" if edge == (config.crop or config.size) else f"MPI-Mamba, patches {edge}"


def _description(config: Any, results: Mapping[str, Any]) -> str:
    target = (
        "the mean of an x and a z scan, which is round"
        if config.label == "isotropic"
        else "the phantom itself (0 to 1)"
    )
    tuned = ", ".join(f"{name} {value:.3g}" for name, value in results["tuned"].items())
    noise = (
        "white noise" if not config.textures else f"{results['textures']} recorded backgrounds, others in the tests,"
    )
    return (
        f"Field-free line over 30 mm, {config.size} x {config.size} pixels, scan along x, {noise} at 15 to 20 dB; to be found is "
        f"{target}. Networks are trained on shapes, bars and dots and see neither kernel nor scan axis; Wiener and "
        f"Richardson-Lucy know the kernel and are tuned on {results['validation_images']} images of the training's kinds "
        f"({tuned}: regularization, iterations). Recipe: {config.recipe}."
    )


def mean_of(records: Sequence[Mapping[str, Any]], method: str, sets: Sequence[str], key: str) -> tuple[float, float]:
    """Mean over seeds and images, and standard deviation over seeds (NaN with one)."""
    chosen = [r for r in records if r["method"] == method and r["set"] in sets]
    seeds = sorted({r["seed"] for r in chosen})
    means = [float(np.mean([r[key] for r in chosen if r["seed"] == seed])) for seed in seeds]
    return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def _methods(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(r["method"] for r in records))


def _cell(mean: float, spread: float, digits: int) -> str:
    return f"{mean:.{digits}f}" + ("" if np.isnan(spread) else f" ({spread:.{digits}f})")


def _main_table(records: Sequence[Mapping[str, Any]], facts: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name in _methods(records):
        row: dict[str, Any] = {"method": name}
        printed = paper.TABLE_1.get(name)
        for i, (key, title) in enumerate(FIGURES.items()):
            row[title] = _cell(*mean_of(records, name, MAIN, key), 2 if key == "psnr" else 4)
            row[f"{title}, paper"] = "-" if printed is None else printed[i]
        row["nRMSE, 8 bit"] = _cell(*mean_of(records, name, MAIN, "nrmse_legacy"), 4)
        own = facts.get(name)
        row["weights"] = "-" if own is None else f"{own['weights']:,}"
        row["steps"] = "-" if own is None else f"{own['steps']:,}"
        row["training [s]"] = "-" if own is None else f"{own['seconds']:.0f}"
        rows.append(row)
    return markdown_table(rows)


def _set_table(records: Sequence[Mapping[str, Any]]) -> str:
    sets = list(dict.fromkeys(r["set"] for r in records))
    return markdown_table(
        [
            {"method": name, **{s: _cell(*mean_of(records, name, (s,), "psnr"), 2) for s in sets}}
            for name in _methods(records)
        ]
    )


def _behind(records: Sequence[Mapping[str, Any]], networks: Sequence[str]) -> list[str]:
    """Where MPI-Mamba is not ahead: sets by mean pSNR, and the share of images."""
    if "MPI-Mamba" not in networks:
        return []
    lines = []
    ours = {(r["set"], r["image"], r["seed"]): r["psnr"] for r in records if r["method"] == "MPI-Mamba"}
    for name in _methods(records):
        theirs = {(r["set"], r["image"], r["seed"]): r["psnr"] for r in records if r["method"] == name}
        if name in ("MPI-Mamba", "input"):
            continue
        behind = []
        for group in dict.fromkeys(key[0] for key in ours):
            gain = np.array([ours[key] - theirs[key] for key in ours if key[0] == group])
            if np.mean(gain) < 0:
                behind.append(f"{group} ({-np.mean(gain):.2f} dB)")
        main = np.array([ours[key] > theirs[key] for key in ours if key[0] in MAIN])
        where = f"behind on {', '.join(behind)}" if behind else "nowhere behind"
        lines.append(f"- MPI-Mamba against {name}: {where}; ahead on {np.mean(main):.0%} of the held-out images.")
    return lines


def _printed_table(records: Sequence[Mapping[str, Any]], printed: Mapping[str, Sequence[Any]]) -> str:
    rows = []
    for name, values in printed.items():
        if name not in _methods(records):
            continue
        row: dict[str, Any] = {"method": name}
        for i, (key, title) in enumerate(FIGURES.items()):
            row[title] = _cell(*mean_of(records, name, MAIN, key), 2 if key == "psnr" else 4)
            row[f"{title}, {MEASURED}"] = values[i]
        rows.append(row)
    return markdown_table(rows)


def _examples(cases: Cases) -> tuple[int, int]:
    """Images with the most and with median content."""
    order = np.argsort(cases.targets.mean((1, 2)))
    return int(order[-1]), int(order[len(order) // 2])


def _made(results: Mapping[str, Any]) -> str:
    return (
        f"{results['seconds']:.0f} s in this run, less what was continued. {environment()['device']}; versions, commit and "
        "settings in experiment.json, every image's figures in tables/images.csv."
    )
