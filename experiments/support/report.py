"""The report of a recovery experiment: report.md, tables and figures, made from the results alone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mpijax as mj
from experiments.support import vrfnet_paper as paper
from experiments.support.competitors import learning_curve
from experiments.support.fitted import with_refusal
from experiments.support.images import DATA_SNR, REFINEMENT, RELATIVE_LAMBDA, SWEEPS, PhantomImages
from experiments.support.run import csv_table, environment, markdown_table
from experiments.support.sources import Source
from experiments.support.upsampling import Case, medians
from mpijax.core.files import write_text
from mpijax.viz import plot_learning_curve, plot_reconstructions, plot_rows, save

ROW_FIGURES = ("nrmse", "nrmse_scaled", "nrmse_row", "nrmse_range", "ssim", "psnr")
IMAGE_FIGURES = ("psnr_to_true_matrix", "psnr_to_phantom", "nrmse_to_true_matrix", "ssim_to_true_matrix")
HEADINGS = {
    "method": "method",
    "nrmse": "nRMSE",
    "nrmse_scaled": "nRMSE, rows scaled to maximum 1",
    "nrmse_row": "nRMSE, mean over rows",
    "nrmse_range": "error / range (eq. 11)",
    "ssim": "SSIM",
    "psnr": "pSNR [dB]",
    "psnr_to_true_matrix": "pSNR to the true matrix's image [dB]",
    "psnr_to_phantom": "pSNR to the phantom [dB]",
    "nrmse_to_true_matrix": "nRMSE",
    "ssim_to_true_matrix": "SSIM",
}
LEFT_OUT = (
    "consistent-bicubic",
    "strided bicubic",
    "strided bicubic, misaligned",
    "compressed sensing",
    "bicubic of pooled rows",
)
"""Methods that figures leave out where there are too many for a page."""

SHOWN = 7
"""Methods that a figure has room for."""


def write(
    config: Any,
    source: Source,
    results: Mapping[str, Any],
    recovered: Mapping[str, list[np.ndarray]],
    images: PhantomImages,
    seconds: Mapping[str, float],
) -> None:
    """Write figures, tables (one line per test matrix and method) and report.md into the run directory."""
    figures = config.run_dir / "figures"
    case = source.tests[0]
    rows_figure(case, spread_rows(case), {n: e[0] for n, e in recovered.items()}, figures / "rows.png")
    if config.steps:
        save(plot_learning_curve({"VRF-Net": learning_curve(config.run_dir)}), figures / "learning_curve.png")
    if images.first:
        images_figure(images, figures / "images.png")
    for name in ("matrices", "images"):
        if results[name]:
            write_text(config.run_dir / "tables" / f"{name}.csv", csv_table(results[name]))
    write_text(config.run_dir / "report.md", _text(config, source, results, seconds))


def _text(config: Any, source: Source, results: Mapping[str, Any], seconds: Mapping[str, float]) -> str:
    table = medians(results["matrices"], ROW_FIGURES)
    bicubic = next(r for r in table if r["method"] == "bicubic")
    floors = [r["noise_floor"] for r in results["matrices"] if r["noise_floor"] is not None]
    calibration = results["calibration"]
    n = len(source.tests)
    lines = [
        f"# VRF-Net and its competitors on {source.name}, scale {config.scale}",
        "",
        source.description,
        "",
        f"VRF-Net with {config.features} features, {config.blocks} residual blocks and embedding {config.embed}: "
        f"{results['parameters']:,} weights, {config.steps:,} steps of 64 rows."
        if config.steps
        else "Without VRF-Net.",
        "",
        "## System matrices",
        "",
        f"Median over {n} test matrices ({min(results['rows'].values())} to {max(results['rows'].values())} rows each). "
        "nRMSE is the Frobenius error over all rows, whitened.",
        "",
        markdown_table(with_refusal([_relative(row, bicubic) for row in table], results["fitted"])),
        "",
        *([results["fitted"], ""] if results["fitted"] else []),
    ]
    if floors:
        lines += [f"Noise floor (a fully measured fine matrix's own noise): nRMSE {np.median(floors):.4f}.", ""]
    for reason, records in results["apart"].items():
        lines += [f"### Apart: {reason}", "", markdown_table(_named(medians(records, ROW_FIGURES))), ""]
    if results["images"]:
        keys = tuple(k for k in IMAGE_FIGURES if any(r[k] is not None for r in results["images"]))
        filled = [{**r, **{k: np.nan if r[k] is None else r[k] for k in keys}} for r in results["images"]]
        lines += [
            "## Resolution phantom",
            "",
            f"Kaczmarz, {SWEEPS} sweeps, non-negative, lambda = {RELATIVE_LAMBDA:g} |S|_F^2/n of the true matrix for all. "
            "pSNR after one best scale, median over the test matrices."
            + (
                f" Data simulated on a {REFINEMENT} times finer grid, SNR {DATA_SNR:g}."
                if "psnr_to_phantom" in keys
                else ""
            ),
            "",
            markdown_table(_named(medians(filled, keys))),
            "",
            "nRMSE and SSIM: to the true matrix's image, after one best scale.",
            "",
            "![images](figures/images.png)",
            "",
        ]
    lines += _printed(config.scale, table, results["images"])
    lines += [
        "## Calibration time",
        "",
        f"{calibration['positions_coarse']:.0f} positions instead of {calibration['positions']:.0f}: "
        f"{calibration['hours_coarse']:.2f} h instead of {calibration['hours']:.2f} h at {config.position_seconds:g} s a position.",
        "",
        "## Figures",
        "",
        "![rows](figures/rows.png)",
        "",
        *(["![learning curve](figures/learning_curve.png)", ""] if config.steps else []),
        "## How this was made",
        "",
        f"Training {seconds['training']:.0f} s of {seconds['total']:.0f} s in this run (less where it was continued). "
        f"{environment()['device']}; versions, commit and every setting in experiment.json, all figures in results.json.",
        "",
    ]
    return "\n".join(lines)


def _printed(scale: int, table: Sequence[Mapping[str, Any]], images: Sequence[Mapping[str, Any]]) -> list[str]:
    """The paper's Tables 4 and 6 beside ours."""
    lines = [
        "## The paper's tables",
        "",
        paper.NOT_COMPARABLE,
        "",
        f"Table 4, scale {scale}, matrices. {paper.TABLE_4_NOTE}",
        "",
        markdown_table(paper.beside(paper.TABLE_4[scale], table)),
        "",
    ]
    scored = [{**r, "psnr": r["psnr_to_true_matrix"]} for r in images if r["psnr_to_true_matrix"] is not None]
    if scored:
        ours = medians(scored, ("nrmse_to_true_matrix", "psnr", "ssim_to_true_matrix"))
        printed = paper.TABLE_6[scale]
        lines += [
            f"Table 6, scale {scale}, images of the resolution phantom, to that of the true matrix. {paper.TABLE_6_NOTE}",
            "",
            markdown_table([_image_line(r, printed.get(r["method"])) for r in ours]),
            "",
        ]
    return lines


def _image_line(ours: Mapping[str, Any], printed: tuple[float, float, float] | None) -> dict[str, Any]:
    values = ("-", "-", "-") if printed is None else printed
    return {
        "method": ours["method"],
        **dict(zip(("paper: nRMSE", "pSNR", "SSIM"), values, strict=True)),
        "here: nRMSE [%]": 100 * ours["nrmse_to_true_matrix"],
        "pSNR [dB]": ours["psnr"],
        "SSIM ": ours["ssim_to_true_matrix"],
    }


def _relative(row: Mapping[str, Any], bicubic: Mapping[str, Any]) -> dict[str, Any]:
    named = _named([row])[0]
    named["nRMSE / bicubic"] = row["nrmse"] / bicubic["nrmse"]
    named["scaled / bicubic"] = row["nrmse_scaled"] / bicubic["nrmse_scaled"]
    return named


def _named(rows: list[Any]) -> list[dict[str, Any]]:
    return [
        {HEADINGS.get(k, k): ("-" if isinstance(v, float) and np.isnan(v) else v) for k, v in row.items()}
        for row in rows
    ]


def spread_rows(case: Case, count: int = 5) -> np.ndarray:
    """Rows of a case spread over frequency."""
    index = case.truth.row_index()
    order = np.argsort(index.frequency_index, kind="stable")
    return order[(len(order) - 1) * np.arange(1, count + 1) // (count + 1)]


def rows_at(case: Case, frequencies: Sequence[float]) -> np.ndarray:
    """The strongest row of a case at the frequency next to each wanted one [Hz]."""
    present = np.asarray(case.truth.row_frequencies)
    power = np.linalg.norm(case.images.reshape(len(present), -1), axis=1)
    chosen = []
    for wanted in frequencies:
        nearest = present == present[np.argmin(np.abs(present - wanted))]
        chosen.append(int(np.argmax(np.where(nearest, power, -1))))
    return np.asarray(chosen)


def rows_figure(case: Case, chosen: np.ndarray, recovered: Mapping[str, np.ndarray], path: Path) -> None:
    """Some rows of a case: reference, input, what the methods made of it, and their errors (fits a page)."""
    index = case.truth.row_index()
    position = case.truth.kept_rows()[1][chosen]
    sequence = case.truth.sequence
    shown = {"reference": case.images[chosen], "coarse": case.coarse[chosen]}
    shown |= {name: recovered[name][chosen] for name in for_a_page(recovered)}
    figure = plot_rows(
        shown,
        reference="reference",
        frequencies=np.asarray(case.truth.frequencies)[position],
        mixing_orders=None if sequence is None else sequence.mixing_orders()[index.frequency_index[chosen]],
        channels=["xyz"[int(c)] for c in np.asarray(index.channel)[chosen]],
        extent=extent_of(case.truth.grid),
    )
    save(figure, path)


def images_figure(images: PhantomImages, path: Path) -> None:
    """The middle slice of the phantom's images."""
    grid = images.grid
    assert grid is not None
    slices = {name: image[image.shape[0] // 2] for name, image in images.first.items()}
    truth = slices.pop("phantom", None)
    kept = ("true matrix", *for_a_page([name for name in slices if name != "true matrix"]))
    save(plot_reconstructions({name: slices[name] for name in kept}, truth, extent=extent_of(grid)), path)


def for_a_page(names: Iterable[str]) -> list[str]:
    """Methods that a figure shows: without those of `LEFT_OUT`, the last `SHOWN` of the others."""
    return [name for name in names if name not in LEFT_OUT][-SHOWN:]


def extent_of(grid: mj.Grid) -> tuple[float, float, float, float]:
    """Field of view of a grid for figures [mm]."""
    half, center = np.asarray(grid.fov)[:2] * 500, np.asarray(grid.center)[:2] * 1e3
    return (center[0] - half[0], center[0] + half[0], center[1] - half[1], center[1] + half[1])
