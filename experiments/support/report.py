"""The report of a recovery experiment: report.md, tables and figures, made from the results alone."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.support.images import DATA_SNR, REFINEMENT, RELATIVE_LAMBDA, SWEEPS, PhantomImages
from experiments.support.recovery import medians
from experiments.support.run import csv_table, environment, markdown_table
from experiments.support.sources import Source
from mpijax.core.files import write_text
from mpijax.viz import plot_learning_curve, plot_reconstructions, plot_rows, save

ROW_FIGURES = ("nrmse", "nrmse_scaled", "nrmse_row", "ssim", "psnr")
IMAGE_FIGURES = ("psnr_to_true_matrix", "psnr_to_phantom")
HEADINGS = {
    "method": "method",
    "nrmse": "nRMSE",
    "nrmse_scaled": "nRMSE, rows scaled to maximum 1",
    "nrmse_row": "nRMSE, mean over rows",
    "ssim": "SSIM",
    "psnr": "pSNR [dB]",
    "psnr_to_true_matrix": "pSNR to the true matrix's image [dB]",
    "psnr_to_phantom": "pSNR to the phantom [dB]",
}


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
    _rows_figure(source, recovered, figures / "rows.png")
    with open(config.run_dir / "metrics.jsonl", encoding="utf-8") as stream:
        records = [json.loads(line) for line in stream]
    save(plot_learning_curve({"VRF-Net": records}), figures / "learning_curve.png")
    if images.first:
        _images_figure(images, figures / "images.png")
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
        f"# VRF-Net on {source.name}, scale {config.scale}",
        "",
        source.description,
        "",
        f"VRF-Net with {config.features} features, {config.blocks} residual blocks and embedding {config.embed}: "
        f"{results['parameters']:,} weights, {config.steps:,} steps of 64 rows.",
        "",
        "## System matrices",
        "",
        f"Median over {n} test matrices ({min(results['rows'].values())} to {max(results['rows'].values())} rows each). "
        "nRMSE is the Frobenius error over all rows, whitened.",
        "",
        markdown_table([_relative(row, bicubic) for row in table]),
        "",
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
            "![images](figures/images.png)",
            "",
        ]
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
        "![learning curve](figures/learning_curve.png)",
        "",
        "## How this was made",
        "",
        f"Training {seconds['training']:.0f} s of {seconds['total']:.0f} s in this run (less where it was continued). "
        f"{environment()['device']}; versions, commit and every setting in experiment.json, all figures in results.json.",
        "",
    ]
    return "\n".join(lines)


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


def _rows_figure(source: Source, recovered: Mapping[str, list[np.ndarray]], path: Any) -> None:
    """Five rows of the first test matrix, spread over frequency: reference, input and the methods (fits a page)."""
    case = source.tests[0]
    images = case.images
    index = case.truth.row_index()
    chosen = np.argsort(index.frequency_index, kind="stable")[(len(images) - 1) * np.arange(1, 6) // 6]
    position = np.searchsorted(np.asarray(case.truth.frequency_indices), np.asarray(index.frequency_index)[chosen])
    orders = (
        None
        if case.truth.sequence is None
        else case.truth.sequence.mixing_orders()[np.asarray(index.frequency_index)[chosen]]
    )
    half = np.asarray(case.truth.grid.fov)[:2] * 500
    center = np.asarray(case.truth.grid.center)[:2] * 1e3
    shown = {"reference": images[chosen], "coarse": case.coarse[chosen]}
    shown |= {name: estimates[0][chosen] for name, estimates in recovered.items() if name != "consistent-bicubic"}
    figure = plot_rows(
        shown,
        reference="reference",
        frequencies=np.asarray(case.truth.frequencies)[position],
        mixing_orders=orders,
        channels=["xyz"[int(c)] for c in np.asarray(index.channel)[chosen]],
        extent=(center[0] - half[0], center[0] + half[0], center[1] - half[1], center[1] + half[1]),
    )
    save(figure, path)


def _images_figure(images: PhantomImages, path: Any) -> None:
    grid = images.grid
    assert grid is not None
    half, center = np.asarray(grid.fov) * 500, np.asarray(grid.center) * 1e3
    slices = {name: image[image.shape[0] // 2] for name, image in images.first.items()}
    truth = slices.pop("phantom", None)
    extent = (center[0] - half[0], center[0] + half[0], center[1] - half[1], center[1] + half[1])
    save(plot_reconstructions(slices, truth, extent=extent), path)
