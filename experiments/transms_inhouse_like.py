"""TranSMS on matrices like those of the authors' scanner: another gradient, and a coarse scan with a large sample.

Paper: TranSMS (transformers for super-resolution calibration), Table VII, Figs. 11 to 14.

Command:  python -m experiments.transms_inhouse_like [--preset quick | paper | smoke] [--run-dir DIR] ...

The measured data are not public, so a field-free line is simulated: gradients 0.3, 0.4 and 0.6 T/m to train, 0.5 T/m to test, 9 mT
at 23.2 kHz, harmonics 2 to 11, 32 x 16 voxels of 2 mm, noise of 4.36 % of a matrix (the paper's), rows of SNR > 5. What the scanner
has and the simulation lacks: a coil of limited sensitivity, relaxation, drift and misplaced samples. Errors are those of the middle
23 x 13 voxels. *Retrospective* coarse rows are block means of noisy fine ones (noise sigma/S), *prospective* ones are measured
with a sample of S x S voxels (sigma/S^2); networks are trained retrospectively and used on both, as in the paper.

Expected on two cores: ``quick`` (2x and 4x) about 8 minutes. ``paper`` is the published recipe at 2x, 4x, 8x with all networks.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.support import transms, transms_paper, transms_report
from experiments.support.competitors import NETWORKS, check_request, classical_methods, learning_curve, train_networks
from experiments.support.run import csv_table, markdown_table, parse, run_main, write_record
from experiments.support.upsampling import Case, evaluate, row_metrics
from mpijax.core.files import write_text
from mpijax.datasets import CoarseMeasurement, InHouseSet
from mpijax.datasets.phantoms import stenosis_phantom
from mpijax.datasets.samplers.in_house import NOISE, SENSITIVE
from mpijax.datasets.sources import MIN_SNR, in_house_source
from mpijax.physics import complex_normal


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        run_dir: where results go; unfinished trainings of the same settings are continued, finished ones read.
        scales: upsampling factors.
        networks: trained and compared, of srcnn, vdsr, mdsr, smrnet, transms, vrfnet, consistent_unet.
        recipe: quick (small variants) or published.
        steps: of every training; None = the recipe's.
        compressed: whether compressed sensing is run.
        seed: of weights and noise.
        progress: whether to show progress bars.
    """

    run_dir: Path = Path("runs/transms_inhouse_like")
    scales: tuple[int, ...] = (2, 4)
    networks: tuple[str, ...] = ("srcnn", "transms", "consistent_unet")
    recipe: str = "quick"
    steps: int | None = None
    compressed: bool = True
    seed: int = 0
    progress: bool = True


PRESETS = {
    "quick": Config(),
    "paper": Config(
        run_dir=Path("runs/transms_inhouse_paper"),
        scales=(2, 4, 8),
        networks=tuple(NETWORKS),
        recipe="published",
    ),
    "smoke": Config(scales=(2,), networks=("srcnn",), steps=3, compressed=False),
}


def main(config: Config) -> dict[str, Any]:
    """Train, evaluate, reconstruct, report; returns what ``results.json`` holds."""
    check_request(config.networks, config.scales)
    started = time.perf_counter()
    config.run_dir.mkdir(parents=True, exist_ok=True)
    write_record(config.run_dir, "transms_inhouse_like", config)
    results: dict[str, Any] = {"scales": {}}
    test = transms.Matrices.of(InHouseSet().test)
    for scale in config.scales:
        results["scales"][str(scale)] = at_scale(config, scale, test)
    results["seconds"] = time.perf_counter() - started
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_report(config, results)
    return results


def test_cases(test: transms.Matrices, task: CoarseMeasurement, seed: int) -> tuple[Case, Case]:
    """The test matrix measured with noise (retrospective), and the clean one, to be measured with a large sample (prospective)."""
    clean, key = test.matrices[0], jax.random.key(seed + 700)
    noise = np.asarray(complex_normal(clean.values.shape, NOISE, key=key, dtype=np.dtype(np.complex64)))
    noisy = np.asarray(clean.values) + noise
    kept = np.sqrt(np.mean(np.abs(noisy) ** 2, axis=-1)) > MIN_SNR * NOISE
    measured, true = (replace(clean, values=values, row_mask=kept) for values in (noisy, np.asarray(clean.values)))
    sigma, region = np.full(int(kept.sum()), NOISE, np.float32), InHouseSet.sensitive()
    later = jax.random.fold_in(key, 1)
    return (
        Case("retrospective", measured, sigma, task, key, measured=True, region=region),
        Case("prospective", true, sigma, replace(task, sample="large"), later, region=region),
    )


def at_scale(config: Config, scale: int, test: transms.Matrices) -> dict[str, Any]:
    """Errors to the measured and to the clean matrix, and the phantoms' images, at one scale."""
    source = in_house_source(seed=config.seed)
    task = CoarseMeasurement(scale, sample=source.sample, target=source.target)
    methods = classical_methods(task, source, jax.random.key(config.seed + 1), compressed=config.compressed)
    runs = config.run_dir / f"{scale}x"
    methods |= train_networks(
        config.networks, source, scale, runs, config.recipe,
        steps=config.steps, seed=config.seed, progress=config.progress,
    )  # fmt: skip
    retrospective, prospective = test_cases(test, task, config.seed)
    records, recovered = evaluate([retrospective], methods)
    clean = replace(retrospective, truth=prospective.truth)
    for record in records:
        record["nrmse_clean"] = row_metrics(recovered[record["method"]][0], clean)["nrmse"]
    large, recovered_large = evaluate([prospective], methods)
    tubes = {name: rows[0] for name, rows in recovered.items()}
    both = {f"{name} (retrosp.)": rows for name, rows in tubes.items()}
    both |= {f"{name} (prosp.)": rows[0] for name, rows in recovered_large.items()}
    images, _ = phantom_images(test, retrospective, tubes, transms.tube_phantoms, config.seed)
    narrow, figure = phantom_images(
        test, retrospective, both, lambda grid: stenosis_phantom(grid)[None], config.seed + 1
    )
    figures = config.run_dir / "figures"
    curves = {NETWORKS[name]: learning_curve(runs / name) for name in config.networks}
    transms_report.figures_of(figures, f"{scale}x", retrospective, tubes, {}, curves)
    _stenosis_figure(figures / f"stenosis_{scale}x.png", *figure)
    return {"matrices": records, "prospective": large, "images": images, "stenosis": narrow}


def phantom_images(
    test: transms.Matrices, case: Case, recovered: dict[str, np.ndarray], phantoms: Any, seed: int
) -> tuple[list[dict[str, Any]], Any]:
    """Records of the images on the sensitive region; and images, phantoms and grid."""

    def cropped(rows: np.ndarray) -> np.ndarray:
        return np.asarray(case.truth.with_rows(rows.reshape(len(rows), -1)).crop(SENSITIVE).rows())

    truth = case.truth.crop(SENSITIVE)
    data = transms.phantom_data(test.items[0], truth, test.rms[0], phantoms, jax.random.key(seed + 800))
    rows = {"true matrix": np.asarray(truth.rows())} | {name: cropped(images) for name, images in recovered.items()}
    images, true = transms.reconstruct(rows, data, truth.grid.shape), phantoms(truth.grid)
    return transms.image_records(case.name, images, true), (images, true, truth.grid)


def _stenosis_figure(path: Path, images: Any, phantoms: np.ndarray, grid: Any) -> None:
    """The stenosis by ADMM, with matrices recovered both ways."""
    shown = ("true matrix", "bicubic", "TranSMS", "consistent U")
    chosen = {name: solved["ADMM"][0] for name, solved in images.items() if name.startswith(shown)}
    transms_report.images_figure(path, chosen, phantoms[0], grid)


def write_report(config: Config, results: dict[str, Any]) -> None:
    """Table VII beside ours, prospective against retrospective, figures."""
    scales = {int(scale): result for scale, result in results["scales"].items()}
    lines = ["# TranSMS on matrices like those of the authors' scanner (simulated)", "", *_matrix_table(scales)]
    lines += ["## Images of two tubes", "", *transms_report.image_section(scales, transms_paper.IN_HOUSE_IMAGES)]
    lines += ["## Stenosis: prospective against retrospective", "", *_stenosis_table(scales), "## Figures", ""]
    for scale, result in scales.items():
        for name in ("rows", "stenosis", "learning"):
            lines += [f"![{name} {scale}x](figures/{name}_{scale}x.png)", ""]
        for name in ("matrices", "prospective", "images", "stenosis"):
            write_text(config.run_dir / "tables" / f"{name}_{scale}x.csv", csv_table(result[name]))
    lines += transms_report.made_with(results["seconds"])
    write_text(config.run_dir / "report.md", "\n".join(lines))


def _matrix_table(scales: dict[int, Any]) -> list[str]:
    rows = []
    for name in transms_report.methods_of(r for result in scales.values() for r in result["matrices"]):
        row: dict[str, Any] = {"method": name}
        for scale, result in scales.items():
            own = next(r for r in result["matrices"] if r["method"] == name)
            large = next(r for r in result["prospective"] if r["method"] == name)
            printed = transms_paper.IN_HOUSE.get(name)
            row[f"{scale}x"] = 100 * own["nrmse"]
            row[f"{scale}x, to the clean matrix"] = 100 * own["nrmse_clean"]
            row[f"{scale}x, prospective"] = 100 * large["nrmse"]
            row[f"{scale}x, paper"] = "-" if printed is None else printed[transms_paper.COLUMN[scale]]
        rows.append(row)
    floor = next(iter(scales.values()))["matrices"][0]["noise_floor"]
    return [
        "nRMSE [%] of the middle 23 x 13 voxels, Table VII of the paper beside ours. The first column of a scale compares "
        f"with the noisy matrix, as the paper does: its noise alone is {100 * floor:.2f} % (paper 4.36 %). Then the same rows "
        "against the clean matrix, and rows from a scan with a large sample (prospective) against the clean matrix, which "
        "only a simulation knows.",
        "",
        markdown_table(rows),
        "",
    ]


def _stenosis_table(scales: dict[int, Any]) -> list[str]:
    rows = []
    for name in transms_report.methods_of(r for result in scales.values() for r in result["matrices"]):
        row: dict[str, Any] = {"method": name}
        for scale, result in scales.items():
            means = transms_report.image_means(result["stenosis"], "ADMM", "psnr_to_phantom")
            for way, short in (("retrospective", "retrosp."), ("prospective", "prosp.")):
                row[f"{scale}x, {way}"] = means[f"{name} ({short})"]
        rows.append(row)
    true = transms_report.image_means(next(iter(scales.values()))["stenosis"], "ADMM", "psnr_to_phantom")["true matrix"]
    text = f"pSNR to the phantom [dB], ADMM; with the measured fine matrix {true:.1f} dB."
    return [text, "", markdown_table(rows), ""]


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
