"""VRF-Net and its competitors on the two simulated scans of its paper.

Paper: VRF-Net (high-resolution system matrix recovery with a vision transformer and a residual feature network), Table 5,
Figs. 5 and 6, sections 3.1.2 and 4.1.2.

Command:  python -m experiments.vrfnet_simulated [--preset quick | paper | smoke] [--run-dir DIR] ...

Scan 1: 26, 25, 27 kHz, 30 mm, 15.7 nm; scan 2: 30, 36, 39 kHz, 45 mm, 25 nm; 12 mT, 1-1-2 T/m, three receive loops whose
sensitivities are drawn, slices z = const of 32^3 voxels. Every method recovers the same slices; networks are also tested on the
other scan, because within a scan the drawn sensitivities only scale the rows. A resolution phantom in the middle slice is
reconstructed with every matrix (Kaczmarz, 3 sweeps, lambda 1e-3 of the squared Frobenius norm per voxel).

Expected on two cores: ``quick`` (scale 2, small SRCNN, TranSMS and VRF-Net, 1,200 to 2,500 steps of 16 rows) about 11 minutes.
``paper`` (scales 2, 4 and 8, all networks at full size and with their published recipes) is for a GPU. Finished trainings in the
run directory are read again, interrupted ones continued.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from experiments.support import upsampling
from experiments.support import vrfnet_paper as paper
from experiments.support.competitors import (
    NETWORKS,
    check_request,
    classical_methods,
    learning_curve,
    train_networks,
    training_facts,
)
from experiments.support.images import DATA_SNR, REFINEMENT, RELATIVE_LAMBDA, SWEEPS, phantom_images
from experiments.support.report import images_figure, rows_at, rows_figure
from experiments.support.run import csv_table, markdown_table, parse, run_main, write_record
from experiments.support.sources import Source, coil_source
from experiments.support.upsampling import Case, Method, from_upsampler
from experiments.support.vrfnet_report import TINY, coils_figure, error_table, printed_section, write_report
from mpijax.core.checks import check_choice, check_range
from mpijax.core.files import write_text
from mpijax.datasets import CoarseMeasurement
from mpijax.restoration import load_upsampler
from mpijax.viz import plot_learning_curve, save

SHOWN_FREQUENCIES = (71e3, 110e3, 290e3)
"""Of Fig. 6 [Hz]; where a scan has no usable row there, the nearest one is shown."""

POOLED = "bicubic of pooled rows"
"""Bicubic interpolation of what the paper feeds its networks: maxima, then means."""


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        run_dir: where results go; finished trainings of the same settings are used again.
        scans: 1, 2 or both.
        scales: upsampling factors.
        networks: which are trained: srcnn, vdsr, mdsr, smrnet, transms, vrfnet, consistent_unet.
        recipe: "quick" (small) or "published".
        steps: of each network, in their order; empty = the recipe's.
        test_matrices: slices tested per scan.
        compressed_sensing: iterations of calibration at random positions, 0 = without it.
        snr_threshold: rows below it are left out.
        tiny: networks of a few channels, for tests.
        seed: of weights, data and noise.
        progress: whether to show a progress bar.
    """

    run_dir: Path = Path("runs/vrfnet_simulated")
    scans: tuple[int, ...] = (1, 2)
    scales: tuple[int, ...] = (2,)
    networks: tuple[str, ...] = ("srcnn", "transms", "vrfnet")
    recipe: str = "quick"
    steps: tuple[int, ...] = (1500, 1200, 2500)
    test_matrices: int = 4
    compressed_sensing: int = 300
    snr_threshold: float = 10.0
    tiny: bool = False
    seed: int = 0
    progress: bool = True


PRESETS = {
    "quick": Config(),
    "paper": Config(
        scales=(2, 4, 8),
        networks=tuple(name for name in NETWORKS if name != "consistent_unet"),
        recipe="published",
        steps=(),
        test_matrices=32,
        compressed_sensing=1000,
    ),
    "smoke": Config(
        run_dir=Path("runs/vrfnet_simulated_smoke"),
        scans=(2,),
        networks=("vrfnet",),
        steps=(6,),
        test_matrices=1,
        compressed_sensing=5,
        snr_threshold=50.0,
        tiny=True,
    ),
}


def main(config: Config) -> dict[str, Any]:
    """Train, evaluate, reconstruct, report; returns the results that ``results.json`` holds."""
    check_range("test_matrices", config.test_matrices, 1, 10_000, "")
    check_request(config.networks, config.scales)
    for scan in config.scans:
        check_choice("scan", scan, (1, 2))
    if config.steps and len(config.steps) != len(config.networks):
        raise ValueError(f"steps = {config.steps}; give one number for each of {config.networks}, or none.")
    started = time.perf_counter()
    figures = config.run_dir / "figures"
    results: dict[str, Any] = {}
    for scale in config.scales:
        task = CoarseMeasurement(scale=scale)
        sources = {
            scan: coil_source(scan, task, config.test_matrices, config.snr_threshold, config.seed)
            for scan in config.scans
        }
        methods = {scan: _methods(config, scan, source, task) for scan, source in sources.items()}
        for scan, source in sources.items():
            others = [case for other, s in sources.items() if other != scan for case in s.tests]
            results[f"scan {scan}, {scale}x"] = _evaluate(config, scan, source, methods[scan], others, scale)
    for scan in config.scans:
        coils_figure(scan, figures / f"coils_{scan}.png")
    results["seconds"] = time.perf_counter() - started
    write_record(config.run_dir, "vrfnet_simulated", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_report(config.run_dir, _report(config, results))
    return results


def _methods(config: Config, scan: int, source: Source, task: CoarseMeasurement) -> dict[str, Method]:
    """Classical methods and networks trained on one scan."""
    key = jax.random.key(config.seed + 1)
    iterations = config.compressed_sensing
    return {
        **classical_methods(
            task,
            source.training,
            key,
            compressed=iterations > 0,
            iterations=max(iterations, 1),
            batches=2 if config.tiny else 32,
        ),
        POOLED: from_upsampler(load_upsampler("bicubic", task.scale), "maxavg"),
        **train(config, scan, source, task.scale),
    }


def train(config: Config, scan: int, source: Source, scale: int) -> dict[str, Method]:
    """The networks of one scan and scale, trained where they are not yet."""
    return train_networks(
        config.networks,
        source.training,
        scale,
        training_dir(config, scan, scale),
        config.recipe,
        steps=dict(zip(config.networks, config.steps, strict=True)) if config.steps else None,
        seed=config.seed,
        progress=config.progress,
        options=TINY if config.tiny else None,
    )


def training_dir(config: Config, scan: int, scale: int) -> Path:
    """Where the networks of a scan and scale are."""
    return config.run_dir / f"scan_{scan}" / f"{scale}x"


def _evaluate(
    config: Config, scan: int, source: Source, methods: dict[str, Method], others: list[Case], scale: int
) -> dict[str, Any]:
    """All figures of merit of a scan at a scale, and its figures and tables."""
    records, recovered = upsampling.evaluate(source.tests, methods, keep=1)
    images = phantom_images(source, methods, recovered)
    trained = {name: m for name, m in methods.items() if name in (*NETWORKS.values(), "bicubic", "linear filter 5x5")}
    figures, name = config.run_dir / "figures", f"scan_{scan}_{scale}x"
    case = source.tests[0]
    rows_figure(
        case, rows_at(case, SHOWN_FREQUENCIES), {n: e[0] for n, e in recovered.items()}, figures / f"rows_{name}.png"
    )
    images_figure(images, figures / f"images_{name}.png")
    folder = training_dir(config, scan, scale)
    curves = {NETWORKS[network]: learning_curve(folder / network) for network in config.networks}
    save(plot_learning_curve(curves), figures / f"learning_curve_{name}.png")
    write_text(config.run_dir / "tables" / f"{name}.csv", csv_table(records))
    floors = {r["case"]: r["noise_floor"] for r in records}
    return {
        "description": source.description,
        "rows": {case.name: len(case.images) for case in source.tests},
        "matrices": records,
        "noise_floor": floors,
        "apart": {reason: upsampling.evaluate(cases, trained, keep=0)[0] for reason, cases in source.apart.items()},
        "other scan": upsampling.evaluate(others, trained, keep=0)[0],
        "images": images.records,
        "training": training_facts(config.networks, folder),
    }


def _report(config: Config, results: dict[str, Any]) -> list[str]:
    sections = [
        "# VRF-Net and its competitors on the simulated scans of its paper",
        f"Networks by the {config.recipe} recipe, seed {config.seed}. All figures are medians over {config.test_matrices} slices, "
        f"rows of SNR >= {config.snr_threshold:g} from 80 kHz on (the paper keeps all rows of its simulated matrices). "
        f"{results['seconds']:.0f} s in this run (less where trainings were finished before).",
        paper.NOT_COMPARABLE,
        "Coarse rows here are block means, as a large sample measures them. The paper pools instead: maxima of blocks of two by "
        f"two of real and imaginary parts, then means; what this alone does to bicubic's error, *{POOLED}* says.",
    ]
    for scale in config.scales:
        for scan in config.scans:
            sections += _part(config, scan, scale, results[f"scan {scan}, {scale}x"])
    sections += ["## Receive loops (Fig. 5)", "Sensitivity in the middle slice over that at the center."]
    return sections + [f"![coils](figures/coils_{scan}.png)" for scan in config.scans]


def _part(config: Config, scan: int, scale: int, part: dict[str, Any]) -> list[str]:
    name = f"scan_{scan}_{scale}x"
    rows = part["rows"].values()
    shown = {
        "psnr_to_true_matrix": "pSNR to the true matrix's image [dB]",
        "psnr_to_phantom": "pSNR to the phantom [dB]",
    }
    lines = [
        {
            "method": r["method"],
            **{text: "-" if r[key] is None else r[key] for key, text in shown.items()},
            "nRMSE to the true matrix's image": r["nrmse_to_true_matrix"],
        }
        for r in part["images"]
    ]
    sections = [
        *printed_section(
            f"## Scan {scan}, scale {scale}",
            paper.TABLE_5[scale],
            part["matrices"],
            f"{min(rows)} to {max(rows)} rows per slice. Table 5 does not say which scan it is of. Noise floor (what a fully "
            f"measured matrix's own noise adds): nRMSE {100 * min(part['noise_floor'].values()):.2f} % and more.",
        ),
        "Networks trained:",
        markdown_table(part["training"]),
        f"![rows](figures/rows_{name}.png)",
        "The paper's Fig. 6 shows 71, 110 and 290 kHz; of these the rows next to them that are usable are shown.",
        f"![learning curve](figures/learning_curve_{name}.png)",
    ]
    if part["other scan"]:
        sections += [
            f"### Trained on scan {scan}, tested on the other scan",
            "Other frequencies, field of view and cores: with the rows below 80 kHz, all that the networks cannot have seen.",
            error_table(part["other scan"]),
        ]
    for reason, records in part["apart"].items():
        sections += [f"### Apart: {reason}", error_table(records)]
    sections += [
        "### Resolution phantom in the middle slice",
        f"Kaczmarz, {SWEEPS} sweeps, non-negative, lambda = {RELATIVE_LAMBDA:g} |S|_F^2/n of the true matrix for all; data from a "
        f"{REFINEMENT} times finer grid, SNR {DATA_SNR:g}; after one best scale.",
        markdown_table(lines),
        f"![images](figures/images_{name}.png)",
    ]
    description = part["description"].split("\n\n")
    return [*sections[:1], f"```\n{description[0]}\n```", description[1], *sections[1:]]


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
