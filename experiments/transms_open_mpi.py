"""TranSMS on the measured matrices of the Open MPI data set: another time, another tracer and gradient.

Paper: TranSMS (transformers for super-resolution calibration), Tables V and VI, Figs. 9 and 10.

Command:  python -m experiments.transms_open_mpi --data-root DIR [--preset quick | paper | smoke] [--run-dir DIR] ...

``DIR`` holds the Open MPI data set, which is not part of the project: calibrations 7, 8, 9 and 10 in 3-D and, for the images, a
measurement of the resolution phantom. Protocol *temporal* trains on calibrations 8 and 9, *tracer* on 7; both test on 10. Whole
calibrations are split, never rows; rows of SNR > 5, in units of their noise, cropped to 32 x 32; coarse rows are block means of
the measured ones and the reference is the measured matrix, whose own noise no method can predict (the noise floor).

``quick`` trains small variants at 2x and 4x; ``paper`` is the published recipe at 2x, 4x and 8x with all networks, for a GPU.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support import transms_paper, transms_report
from experiments.support.competitors import NETWORKS, check_request, classical_methods, learning_curve, train_networks
from experiments.support.images import phantom_images
from experiments.support.run import csv_table, markdown_table, parse, run_main, write_record
from experiments.support.sources import MeasuredScan, Source
from experiments.support.upsampling import Case, evaluate
from mpijax.core.checks import check_choice
from mpijax.core.files import write_text
from mpijax.datasets import CoarseMeasurement, open_mpi_pool

PRINTED = {"temporal": transms_paper.TEMPORAL, "tracer": transms_paper.TRACER}
"""nRMSE of the paper by protocol."""


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        data_root: folder of the Open MPI data set.
        run_dir: where results go; unfinished trainings of the same settings are continued, finished ones read.
        protocols: temporal, tracer.
        scales: upsampling factors.
        networks: trained and compared, of srcnn, vdsr, mdsr, smrnet, transms, vrfnet, consistent_unet.
        recipe: quick (small variants) or published.
        steps: of every training; None = the recipe's.
        size: voxels along x and y.
        images: whether the resolution phantom is reconstructed.
        seed: of weights.
        progress: whether to show progress bars.
    """

    data_root: Path | None = None
    run_dir: Path = Path("runs/transms_open_mpi")
    protocols: tuple[str, ...] = ("temporal", "tracer")
    scales: tuple[int, ...] = (2, 4)
    networks: tuple[str, ...] = ("srcnn", "transms", "consistent_unet")
    recipe: str = "quick"
    steps: int | None = None
    size: int = 32
    images: bool = True
    seed: int = 0
    progress: bool = True


PRESETS = {
    "quick": Config(),
    "paper": Config(
        run_dir=Path("runs/transms_open_mpi_paper"),
        scales=(2, 4, 8),
        networks=tuple(NETWORKS),
        recipe="published",
    ),
    "smoke": Config(protocols=("tracer",), scales=(2,), networks=("srcnn",), steps=3, size=8),
}


def main(config: Config) -> dict[str, Any]:
    """Train, evaluate, reconstruct, report; returns what ``results.json`` holds."""
    if config.data_root is None:
        raise ValueError("this experiment needs the Open MPI data set; give its folder with --data-root.")
    for protocol in config.protocols:
        check_choice("protocol", protocol, tuple(PRINTED))
    check_request(config.networks, config.scales)
    started = time.perf_counter()
    config.run_dir.mkdir(parents=True, exist_ok=True)
    write_record(config.run_dir, "transms_open_mpi", config)
    results: dict[str, Any] = {"protocols": {}}
    for protocol in config.protocols:
        results["protocols"][protocol] = {str(scale): at_scale(config, protocol, scale) for scale in config.scales}
    results["seconds"] = time.perf_counter() - started
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_report(config, results)
    return results


def at_scale(config: Config, protocol: str, scale: int) -> dict[str, Any]:
    """Errors and images of one protocol at one scale."""
    assert config.data_root is not None
    pool = open_mpi_pool(config.data_root, protocol, scale=scale, size=config.size)
    training, test = pool.source(), pool.tests[0]
    task = CoarseMeasurement(scale, sample=training.sample, target=training.target)
    methods = classical_methods(task, training, jax.random.key(config.seed + 1))
    runs = config.run_dir / protocol / f"{scale}x"
    methods |= train_networks(
        config.networks, training, scale, runs, config.recipe,
        steps=config.steps, seed=config.seed, progress=config.progress,
    )  # fmt: skip
    ones = np.ones(len(test.sigma), np.float32)
    case = Case(f"calibration {test.number}", test.matrix, ones, task, jax.random.key(config.seed), measured=True)
    records, recovered = evaluate([case], methods)
    scans = _scans(config, case, test.sigma) if config.images else []
    images = phantom_images(Source(training, training.description, [case], scans=scans), methods, recovered)
    central = _central(case)
    figures = config.run_dir / "figures"
    chosen = {name: rows[0].reshape(len(ones), -1, *rows[0].shape[1:]) for name, rows in recovered.items()}
    middle = {name: rows[:, rows.shape[1] // 2] for name, rows in chosen.items()}
    curves = {NETWORKS[name]: learning_curve(runs / name) for name in config.networks}
    transms_report.figures_of(figures, f"{protocol}_{scale}x", central, middle, {}, curves)
    return {"facts": pool.facts, "matrices": records, "images": images.records}


def _scans(config: Config, case: Case, sigma: np.ndarray) -> list[MeasuredScan]:
    """The resolution phantom, where a measurement fits the test calibration."""
    assert config.data_root is not None
    data = mj.io.OpenMPIDataset(config.data_root)
    fitting = [
        m
        for m in data.measurements
        if m.phantom == "resolution" and any(c.number == 10 for c in data.calibrations_for(m))
    ]
    return [MeasuredScan(case, sigma, m.path) for m in fitting[:1]]


def _central(case: Case) -> Case:
    """The case on the middle slice alone, for the figure."""
    nx, ny, _ = case.truth.grid.shape
    return Case(case.name, case.truth.crop((nx, ny, 1)), case.sigma, case.task, case.key, measured=True)


def write_report(config: Config, results: dict[str, Any]) -> None:
    """Tables V and VI beside ours."""
    lines = ["# TranSMS on the Open MPI data set", ""]
    for protocol, scales in results["protocols"].items():
        facts = next(iter(scales.values()))["facts"]
        floor = next(iter(facts["noise_floor"].values()))
        lines += [
            f"## {protocol}",
            "",
            f"nRMSE [%] of all slices in units of their noise; {facts['images']:,} slices to train on. The reference's own "
            f"noise is {100 * floor:.2f} % (paper 3.38 %); pSNR [dB] of the measured phantom to the image with the true "
            "matrix, by Kaczmarz.",
            "",
            _table(scales, protocol),
            "",
        ]
        for scale in scales:
            lines += [f"![rows](figures/rows_{protocol}_{scale}x.png)", ""]
            tables = config.run_dir / "tables"
            for name in ("matrices", "images"):
                if scales[scale][name]:
                    write_text(tables / f"{name}_{protocol}_{scale}x.csv", csv_table(scales[scale][name]))
    lines += transms_report.made_with(results["seconds"])
    write_text(config.run_dir / "report.md", "\n".join(lines))


def _table(scales: dict[str, Any], protocol: str) -> str:
    rows = []
    for name in transms_report.methods_of(r for result in scales.values() for r in result["matrices"]):
        row: dict[str, Any] = {"method": name}
        for scale, result in scales.items():
            at = transms_paper.COLUMN[int(scale)]
            row[f"{scale}x"] = 100 * next(r["nrmse"] for r in result["matrices"] if r["method"] == name)
            row[f"{scale}x, paper"] = PRINTED[protocol][name][at] if name in PRINTED[protocol] else "-"
            psnr = [r["psnr_to_true_matrix"] for r in result["images"] if r["method"] == name]
            row[f"{scale}x, image"] = psnr[0] if psnr else "-"
            if protocol == "tracer":
                value = transms_paper.TRACER_IMAGES.get(name, (None,) * 3)[at]
                row[f"{scale}x, image, paper"] = "-" if value is None else value
        rows.append(row)
    return markdown_table(rows)


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
