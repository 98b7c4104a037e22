"""Reports of the TranSMS experiments: the paper's tables beside ours, figures, the order of matrices and images."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

import mpijax as mj
from experiments.support import transms_paper as paper
from experiments.support.fitted import with_refusal
from experiments.support.report import extent_of
from experiments.support.run import csv_table, environment, markdown_table
from experiments.support.transms import DATA_SNR_DB, PENALTY, REFINEMENT, RELATIVE_LAMBDA, SWEEPS
from experiments.support.upsampling import Case, stacked
from mpijax.core.files import write_text
from mpijax.metrics import best_scale
from mpijax.viz import plot_learning_curve, plot_reconstructions, plot_rows, save

FITTED = "fitted simulator (inverse crime)"
HIDDEN = ("consistent-bicubic", "strided bicubic", FITTED)
"""Methods that the figures leave out, for room."""

SHOWN = 5
"""Rows in the figure."""


def write(config: Any, results: Mapping[str, Any], first: Mapping[int, Any]) -> None:
    """Tables, figures and report.md of `transms_simulated` in the run directory."""
    figures = config.run_dir / "figures"
    scales = {int(scale): result for scale, result in results["scales"].items()}
    lines = ["# TranSMS on simulated field-free-line matrices", "", _description(config), ""]
    lines += ["## System matrices", "", *_matrix_tables(scales, results["interpolation"], config)]
    if config.variants:
        lines += ["## Ablation (Table II) and variants", "", _paper_table(scales, paper.ABLATION, noisy_errors), ""]
    lines += ["## Images", "", *image_section(scales, paper.IMAGES)]
    lines += ["## Figures", ""]
    for scale in scales:
        lines += figures_of(figures, f"{scale}x", *first[scale])
    tables = config.run_dir / "tables"
    for scale, result in scales.items():
        for name in ("matrices", "images"):
            if result[name]:
                write_text(tables / f"{name}_{scale}x.csv", csv_table(result[name]))
    lines += made_with(results["seconds"])
    write_text(config.run_dir / "report.md", "\n".join(lines))


def _description(config: Any) -> str:
    noise = "without noise" if config.snr_db is None else f"at {config.snr_db:g} dB SNR of the {config.snr_of} matrix"
    count = "66" if config.matrices is None else str(config.matrices)
    return (
        f"Table I of the paper simulated: {count} matrices of 480 rows to train on, measured with a sample of S x S voxels "
        f"{noise}; "
        "strided and random samples of one voxel meet the same noise with 1/S^2 of the signal. Recipe: "
        f"{config.recipe}{'' if config.steps is None else f', {config.steps} steps'}. nRMSE is the Frobenius error of all test "
        "rows taken as one matrix, every matrix divided by its root mean square."
    )


def noisy_errors(result: Mapping[str, Any]) -> dict[str, float]:
    """Method -> nRMSE of all tested matrices together [%]."""
    records = result["matrices"]
    return {name: 100 * stacked([r for r in records if r["method"] == name]) for name in methods_of(records)}


def methods_of(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Methods in the order of their appearance."""
    return list(dict.fromkeys(r["method"] for r in records))


def _matrix_tables(
    scales: Mapping[int, Any], interpolation: Mapping[str, Mapping[str, float]], config: Any
) -> list[str]:
    rows, said = [], next(iter(scales.values()))["fitted"]
    for name in methods_of(r for result in scales.values() for r in result["matrices"]):
        row: dict[str, Any] = {"method": name}
        for scale, result in scales.items():
            row[f"{scale}x"] = noisy_errors(result).get(name, "-")
            printed = paper.SIMULATED.get(name)
            row[f"{scale}x, paper"] = "-" if printed is None else printed[1][paper.COLUMN[scale]]
        rows.append(row)
    rows = with_refusal(rows, said)
    text = ["nRMSE [%], Table III of the paper beside ours.", "", markdown_table(rows), ""]
    text += ["Interpolation without noise:", "", markdown_table(_clean(interpolation)), ""]
    if config.slow:
        text += [
            said,
            "",
            f"Compressed sensing and the fitted simulator are run on the {config.image_matrices} matrices of the images only. The "
            "latter knows the physics that made the data: a bound, not a competitor.",
            "",
        ]
    if "srcnn" in config.networks:
        text += [
            "The paper's SRCNN is worse than bicubic for a mechanical reason: it is trained without padding and applied with zeros "
            "around rows whose background is 0.5. Here it keeps its grid.",
            "",
        ]
    text += [
        "Apart, noisy: mean (standard deviation over matrices) of each matrix' nRMSE [%].",
        "",
        _groups(scales),
        "",
    ]
    names = list(next(iter(scales.values()))["parameters"])
    counts = [
        {"network": name} | {f"{scale}x": f"{result['parameters'][name]:,}" for scale, result in scales.items()}
        for name in names
    ]
    return [*text, "Weights:", "", markdown_table(counts), ""] if counts else text


def _clean(interpolation: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    rows = []
    for name, errors in interpolation.items():
        printed = paper.SIMULATED.get(name)
        row: dict[str, Any] = {"method": name}
        for scale, error in errors.items():
            row[f"{scale}x"] = 100 * error
            row[f"{scale}x, paper"] = "-" if printed is None else printed[0][paper.COLUMN[int(scale)]]
        rows.append(row)
    return rows


def _groups(scales: Mapping[int, Any]) -> str:
    rows = []
    for name in methods_of(r for result in scales.values() for r in result["matrices"]):
        row: dict[str, Any] = {"method": name}
        for scale, result in scales.items():
            for group in ("extrapolating", "interpolating"):
                errors = [100 * r["nrmse"] for r in result["matrices"] if (r["method"], r["group"]) == (name, group)]
                spread = f" ({np.std(errors):.2g})" if len(errors) > 1 else ""
                row[f"{scale}x, {group}"] = f"{np.mean(errors):.3g}{spread}" if errors else "-"
        rows.append(row)
    return markdown_table(rows)


def _paper_table(scales: Mapping[int, Any], printed: Mapping[str, tuple], ours: Any) -> str:
    """The methods that the paper prints, ours beside them."""
    values = {scale: ours(result) for scale, result in scales.items()}
    names = [name for name in next(iter(values.values())) if name in printed or "without DC" in name]
    rows = []
    for name in names:
        row: dict[str, Any] = {"method": name}
        for scale in scales:
            row[f"{scale}x"] = values[scale].get(name, "-")
            row[f"{scale}x, paper"] = printed[name][paper.COLUMN[scale]] if name in printed else "-"
        rows.append(row)
    return markdown_table(rows)


def image_means(records: list[dict[str, Any]], solver: str, key: str) -> dict[str, float]:
    """Method -> mean pSNR [dB] over cases and phantoms."""
    found: dict[str, float] = {}
    for name in methods_of(records):
        values = [r[key] for r in records if (r["method"], r["solver"]) == (name, solver) and r[key] is not None]
        if values:
            found[name] = float(np.mean(values))
    return found


def image_section(scales: Mapping[int, Any], printed: Mapping[str, tuple]) -> list[str]:
    """pSNR by solver, to both references, beside the paper's; and whether images follow matrices."""
    lines = [
        "Mean pSNR [dB] after one best scale, to the image of the true matrix / to the phantom. Data from a "
        f"{REFINEMENT} times finer grid at {DATA_SNR_DB:g} dB. Kaczmarz: {SWEEPS} sweeps, lambda = {RELATIVE_LAMBDA:g} "
        f"|S|_F^2/n of the true matrix for all; ADMM: {PENALTY:g} of the weight at which the image vanishes, 0.95 L1 and "
        "0.05 TV (penalized: no image meets the paper's bound with a matrix whose error is above the noise). The paper's "
        "numbers are ADMM to the true matrix' image.",
        "",
    ]
    rows = []
    for name in methods_of(r for result in scales.values() for r in result["images"]):
        row: dict[str, Any] = {"method": name}
        for scale, result in scales.items():
            for solver in ("ADMM", "Kaczmarz"):
                to_true, to_phantom = (
                    image_means(result["images"], solver, key).get(name)
                    for key in ("psnr_to_true_matrix", "psnr_to_phantom")
                )
                first = "-" if to_true is None else f"{to_true:.1f}"
                row[f"{scale}x {solver}"] = "-" if to_phantom is None else f"{first} / {to_phantom:.1f}"
            value = printed.get(name, (None, None, None))[paper.COLUMN[scale]]
            row[f"{scale}x, paper"] = "-" if value is None else value
        rows.append(row)
    lines += [markdown_table(rows), ""]
    for scale, result in scales.items():
        for solver in ("ADMM", "Kaczmarz"):
            lines.append(f"- {scale}x, {solver}: {order(result, solver)}")
    return [*lines, ""]


def order(result: Mapping[str, Any], solver: str) -> str:
    """Whether better matrices give better images: rank correlation, and the pairs of methods that do not follow."""
    psnr = image_means(result["images"], solver, "psnr_to_true_matrix")
    cases = {r["case"] for r in result["images"]}
    errors = {
        name: stacked([r for r in result["matrices"] if r["method"] == name and r["case"] in cases]) for name in psnr
    }
    if len(psnr) < 3:
        return "too few methods to compare."
    rank = float(spearmanr([errors[n] for n in psnr], [-psnr[n] for n in psnr]).statistic)
    ordered = sorted(psnr, key=lambda name: errors[name])
    swapped = [
        f"{b} ({psnr[b]:.1f} dB) images better than {a} ({psnr[a]:.1f} dB)"
        for a, b in zip(ordered, ordered[1:], strict=False)
        if psnr[b] > psnr[a]
    ]
    text = f"rank correlation of matrix error and image error {rank:.2f}; "
    return text + (
        "the order is the same." if not swapped else "neighbors that do not follow: " + "; ".join(swapped) + "."
    )


def figures_of(
    folder: Any,
    tag: str,
    case: Case,
    recovered: Mapping[str, np.ndarray],
    images: Mapping[str, Any],
    curves: Mapping[str, Any],
) -> list[str]:
    """Rows with errors, images with errors, learning curves; returns the lines that show them."""
    grid = case.truth.grid
    index = case.truth.row_index()
    # one row per harmonic at a quarter turn, the lowest and the highest among them
    channel = np.asarray(index.channel)
    at_angle = np.flatnonzero(channel == channel[len(channel) // 4])
    chosen = at_angle[np.linspace(0, len(at_angle) - 1, SHOWN).round().astype(int)]
    shown = {"reference": case.images[chosen], "coarse": case.coarse[chosen]}
    shown |= {name: estimate[chosen] for name, estimate in recovered.items() if name not in HIDDEN}
    frequencies = np.asarray(case.truth.row_frequencies)[chosen]
    save(
        plot_rows(shown, reference="reference", frequencies=frequencies, extent=extent_of(grid)),
        folder / f"rows_{tag}.png",
    )
    lines = [f"![rows {tag}](figures/rows_{tag}.png)", ""]
    if images:
        k = len(images["phantoms"]) // 2
        solved = {name: images["images"][name]["ADMM"][k] for name in images["images"] if name not in HIDDEN}
        images_figure(folder / f"images_{tag}.png", solved, images["phantoms"][k], grid)
        lines += [f"![images {tag}, ADMM](figures/images_{tag}.png)", ""]
    if curves:
        save(plot_learning_curve(curves), folder / f"learning_{tag}.png")
        lines += [f"![learning curves {tag}](figures/learning_{tag}.png)", ""]
    return lines


def images_figure(path: Path, images: Mapping[str, np.ndarray], phantom: np.ndarray, grid: mj.Grid) -> None:
    """The phantom and its images (n,), each after its best scale, on a grid of one slice."""
    shape = (grid.shape[1], grid.shape[0])
    panels = {name: (float(best_scale(image, phantom)) * image).reshape(shape) for name, image in images.items()}
    save(plot_reconstructions(panels, phantom.reshape(shape), extent=extent_of(grid)), path)


def made_with(seconds: float) -> list[str]:
    """How the figures were made."""
    return [
        "## How this was made",
        "",
        f"{seconds:.0f} s in this run, less what was continued. {environment()['device']}; versions, commit and settings in "
        "experiment.json, all figures in results.json and tables/.",
        "",
    ]
