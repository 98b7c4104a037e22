"""TranSMS: super-resolving the matrices of a simulated field-free line, and imaging with them.

Paper: TranSMS (transformers for super-resolution calibration), Tables II, III and IV, Figs. 4 to 8.

Command:  python -m experiments.transms_simulated [--preset quick | ablation | paper | smoke] [--run-dir DIR] ...

Table I simulated: 66 matrices of 60 angles by 8 harmonics to train on, 30 to validate on, 34 to test on, of which 19 lie at the
largest gradient or diameter (extrapolating) and 15 among the training ones (interpolating). Low-resolution rows are measured
with a sample of S x S voxels at 30 dB, strided and random ones with a sample of one voxel over the same noise.

Expected on two cores: ``quick`` (2x and 4x, small variants) about 20 minutes, TranSMS at less than half of bicubic's error.
``ablation`` repeats Table II and Fig. 4 at 4x in 17 minutes. ``paper`` is the published recipe (200,000 steps) at 2x, 4x
and 8x with all networks, for a GPU. Runs resume, and a run directory that holds trained networks is read again:
``--run-dir runs/transms_simulated --variants small unaligned untold inconsistent`` adds what shows why the consistent U-Net is
ahead. ``--networks`` without names compares what needs no training on the same test matrices.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.support import transms, transms_report
from experiments.support.competitors import (
    NETWORKS,
    check_request,
    classical_methods,
    compressed_sensing,
    learning_curve,
    read_card,
    train_networks,
    weights_of,
)
from experiments.support.fitted import evaluate_fitted
from experiments.support.run import parse, run_main, write_record
from experiments.support.transms_report import FITTED
from experiments.support.upsampling import evaluate
from mpijax.core.checks import check_choice, check_count
from mpijax.core.files import write_text
from mpijax.datasets import CoarseMeasurement, FieldFreeLineSet
from mpijax.datasets.sources import SPLIT, field_free_line_source
from mpijax.models.consistent_unet import ABLATIONS as CONSISTENT
from mpijax.models.transms import ABLATIONS as TRANSMS

VARIANTS = {
    "rdsr": ("transms", TRANSMS["rdsr"], "RDSR"),
    "ctsr": ("transms", TRANSMS["ctsr"], "CTSR"),
    "cnn_vit": ("transms", TRANSMS["cnn_vit"], "CNN-ViT"),
    "rd_vit": ("transms", TRANSMS["rd_vit"], "RD-ViT"),
    "cnn_ct": ("transms", TRANSMS["cnn_ct"], "CNN-CT"),
    "without_dc": ("transms", TRANSMS["without_dc"], "TranSMS without DC"),
    "small": ("consistent_unet", {"features": (32, 40, 48)}, "consistent U-Net, small"),
    "unaligned": ("consistent_unet", CONSISTENT["without_alignment"], "consistent U-Net, rows not turned"),
    "untold": ("consistent_unet", CONSISTENT["without_noise_level"], "consistent U-Net, noise not told"),
    "inconsistent": ("consistent_unet", CONSISTENT["without_dc"], "consistent U-Net without DC"),
}
"""Name -> network, options and what reports call it."""


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        run_dir: where results go; unfinished trainings of the same settings are continued, finished ones read.
        scales: upsampling factors.
        networks: trained and compared, of srcnn, vdsr, mdsr, smrnet, transms, vrfnet, consistent_unet; none = what needs no
            training alone.
        variants: trained as well, of TranSMS rdsr, ctsr, cnn_vit, rd_vit, cnn_ct, without_dc, of the consistent U-Net small
            (about as many weights as the small TranSMS), unaligned, untold, inconsistent.
        recipe: quick (small variants) or published.
        steps: of every training; None = the recipe's.
        snr_db: of the measurement ``snr_of`` [dB]; None = without noise.
        snr_of: coarse or fine.
        matrices: how many of the 66 train; None = all.
        test_matrices: how many of the 34 are tested on, spread over both kinds; None = all.
        image_matrices: test matrices that phantoms are reconstructed with.
        slow: whether rows are fitted, and compressed sensing and the fitted simulator run on the matrices of the images.
        seed: of weights and noise; the split is always the same.
        progress: whether to show progress bars.
    """

    run_dir: Path = Path("runs/transms_simulated")
    scales: tuple[int, ...] = (2, 4)
    networks: tuple[str, ...] = ("srcnn", "transms", "consistent_unet")
    variants: tuple[str, ...] = ()
    recipe: str = "quick"
    steps: int | None = None
    snr_db: float | None = 30.0
    snr_of: str = "coarse"
    matrices: int | None = None
    test_matrices: int | None = None
    image_matrices: int = 4
    slow: bool = True
    seed: int = 0
    progress: bool = True


PRESETS = {
    "quick": Config(),
    "ablation": Config(
        run_dir=Path("runs/transms_ablation"), scales=(4,), networks=("transms",), variants=tuple(TRANSMS), slow=False
    ),
    "paper": Config(
        run_dir=Path("runs/transms_paper"),
        scales=(2, 4, 8),
        networks=tuple(NETWORKS),
        variants=tuple(TRANSMS),
        recipe="published",
        image_matrices=34,
    ),
    "smoke": Config(
        scales=(4,), networks=("srcnn",), steps=3, matrices=1, test_matrices=2, image_matrices=1, slow=False
    ),
}  # fmt: skip


def main(config: Config) -> dict[str, Any]:
    """Train, evaluate, reconstruct, report; returns what ``results.json`` holds."""
    check_request(config.networks, config.scales)
    for name in config.variants:
        check_choice("variant", name, tuple(VARIANTS))
    check_count("image_matrices", config.image_matrices)
    started = time.perf_counter()
    config.run_dir.mkdir(parents=True, exist_ok=True)
    write_record(config.run_dir, "transms_simulated", config)
    matrices, groups = test_matrices(config)
    results: dict[str, Any] = {"groups": groups, "interpolation": transms.interpolation(matrices), "scales": {}}
    first: dict[int, Any] = {}
    for scale in config.scales:
        results["scales"][str(scale)], first[scale] = at_scale(config, scale, matrices, groups)
    results["seconds"] = time.perf_counter() - started
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    transms_report.write(config, results, first)
    return results


def test_matrices(config: Config) -> tuple[transms.Matrices, list[str]]:
    """Matrices to test on, those with images first, and whether each extrapolates or interpolates."""
    parts = FieldFreeLineSet.create(jax.random.key(SPLIT))
    pairs = [(item, "extrapolating") for item in parts.extrapolation] + [
        (i, "interpolating") for i in parts.interpolation
    ]
    # spread over both kinds, so that the first ones stand for all
    order = np.argsort(np.modf(np.arange(len(pairs)) * (np.sqrt(5) - 1) / 2)[0], kind="stable")
    chosen = [pairs[i] for i in order[: config.test_matrices]]
    return transms.Matrices.of(item for item, _ in chosen), [group for _, group in chosen]


def at_scale(config: Config, scale: int, matrices: transms.Matrices, groups: list[str]) -> tuple[dict[str, Any], Any]:
    """Everything at one scale: errors, images, learning curves; and the first case for the figures."""
    source = field_free_line_source(
        scale, snr_db=config.snr_db, snr_of=config.snr_of, matrices=config.matrices, seed=config.seed
    )
    task = CoarseMeasurement(scale, sample=source.sample)
    key = jax.random.key(config.seed + 1)
    methods = classical_methods(task, source, key)
    settings: dict[str, Any] = {"steps": config.steps, "seed": config.seed, "progress": config.progress}
    runs = config.run_dir / f"{scale}x"
    methods |= train_networks(config.networks, source, scale, runs, config.recipe, **settings)
    for name in config.variants:
        network, options, label = VARIANTS[name]
        trained = train_networks(
            (network,), source, scale, runs / name, config.recipe, options={network: options}, **settings
        )
        methods[label] = trained[NETWORKS[network]]
    cases = transms.simulated_cases(matrices, task, config.snr_db, config.snr_of, config.seed)
    with_images = min(config.image_matrices, len(cases))
    records, recovered = evaluate(cases, methods, keep=with_images)
    for record, group in zip(records, [g for g in groups for _ in methods], strict=True):
        record["group"] = group
    fitted, more, said = evaluate_fitted(cases if config.slow else [], keep=with_images)
    recovered |= more
    records += [record | {"group": group} for record, group in zip(fitted, groups, strict=False)]
    if config.slow:
        random_key = jax.random.split(key)[1]  # as classical_methods draws it
        slow = {"compressed sensing": compressed_sensing(scale, random_key), FITTED: transms.fitted_simulator}
        extra, more = evaluate(cases[:with_images], slow)
        recovered |= more
        records += [r | {"group": groups[i // len(slow)]} for i, r in enumerate(extra)]
    images, first = transms.images_of(matrices, cases[:with_images], recovered, jax.random.key(config.seed + 2))
    folders = {NETWORKS[name]: runs / name for name in config.networks}
    folders |= {VARIANTS[name][2]: runs / name / VARIANTS[name][0] for name in config.variants}
    curves = {label: learning_curve(folder) for label, folder in folders.items()}
    result = {
        "matrices": records,
        "images": images,
        "fitted": said,
        "parameters": {label: weights_of(read_card(folder)) for label, folder in folders.items()},
    }
    return result, (cases[0], {name: estimates[0] for name, estimates in recovered.items()}, first, curves)


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
