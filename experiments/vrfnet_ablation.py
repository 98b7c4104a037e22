"""Parts of VRF-Net left out or changed, at equal steps and keys.

Paper: VRF-Net (high-resolution system matrix recovery with a vision transformer and a residual feature network), Tables 8 and 9,
Fig. 12.

Command:  python -m experiments.vrfnet_ablation [--preset quick | paper | smoke] [--data-root DIR] [--run-dir DIR] ...

Architecture: ViT-RB (serial: the encoder feeds the residual path alone), ViT-CNN (serial, without skips), ViT-only (without the
residual path). Heads 2, 4, 6 of dimension 8 instead of 8; depth 2, 4, 6 instead of 3. Degradation: block mean (box), the paper's
maximum-then-mean (maxavg), the entry of largest modulus (absmax), every S-th voxel (stride); each network recovers rows of its
own degradation, bicubic beside it. On slices of a simulated scan, or with ``--data-root`` on calibrations 9, 10 and 3 of the
Open MPI data set. One training each: differences of a few percent may be chance.

Expected on two cores: ``quick`` (scale 2, 16 features, 13 trainings of 700 steps of 16 rows) about 7 minutes. ``paper`` (scales 2
and 4, 128 features, 32,812 steps each) is for a GPU. Finished trainings in the run directory are read again.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.support import upsampling
from experiments.support import vrfnet_paper as paper
from experiments.support.competitors import check_request, learning_curve, read_card, train_networks, weights_of
from experiments.support.report import rows_figure, spread_rows
from experiments.support.run import csv_table, markdown_table, parse, run_main, write_record
from experiments.support.sources import Source, coil_source, open_mpi_source
from experiments.support.upsampling import Method, from_upsampler, medians
from experiments.support.vrfnet_report import TINY, printed_section, write_report
from mpijax.core.checks import check_choice, check_range
from mpijax.core.files import write_text
from mpijax.datasets import CoarseMeasurement
from mpijax.models.vrfnet import ABLATIONS
from mpijax.restoration import load_upsampler
from mpijax.viz import plot_learning_curve, save

BASE = "VRF-Net"
HEADS = {f"{n} heads": dict(heads=n, head_features=8) for n in (2, 4, 6)}
DEPTHS = {f"depth {n}": dict(depth=n) for n in (2, 4, 6)}
PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "architecture": {
        "ViT-RB": ABLATIONS["vit_rb"],
        "ViT-CNN": ABLATIONS["vit_cnn"],
        "ViT-only": ABLATIONS["vit_only"],
    },
    "heads": HEADS,
    "depth": DEPTHS,
    "degradation": {"maxavg": {}, "absmax": {}, "stride": {}},
}
"""Part -> name of a variant -> options in place of the base's; the degradations name themselves."""


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        run_dir: where results go; finished trainings of the same settings are used again.
        data_root: a copy of the Open MPI data set; None = a simulated scan.
        scan: of the simulated ones, 1 or 2.
        scales: upsampling factors.
        parts: architecture, heads, depth, degradation.
        variants: which of the parts' variants are trained beside VRF-Net; empty = all.
        recipe: "quick" (small) or "published".
        steps: of every training; None = the recipe's.
        test_matrices: slices tested.
        snr_threshold: rows below it are left out.
        tiny: networks of a few channels, for tests.
        seed: of weights, data and noise.
        progress: whether to show a progress bar.
    """

    run_dir: Path = Path("runs/vrfnet_ablation")
    data_root: Path | None = None
    scan: int = 2
    scales: tuple[int, ...] = (2,)
    parts: tuple[str, ...] = tuple(PARTS)
    variants: tuple[str, ...] = ()
    recipe: str = "quick"
    steps: int | None = 700
    test_matrices: int = 4
    snr_threshold: float = 10.0
    tiny: bool = False
    seed: int = 0
    progress: bool = True


PRESETS = {
    "quick": Config(),
    "paper": Config(scales=(2, 4), recipe="published", steps=None, test_matrices=32),
    "smoke": Config(
        run_dir=Path("runs/vrfnet_ablation_smoke"),
        parts=("architecture", "degradation"),
        variants=("ViT-only", "stride"),
        steps=4,
        test_matrices=1,
        snr_threshold=50.0,
        tiny=True,
    ),
}


def main(config: Config) -> dict[str, Any]:
    """Train, evaluate, report; returns the results that ``results.json`` holds."""
    check_range("test_matrices", config.test_matrices, 1, 10_000, "")
    check_choice("scan", config.scan, (1, 2))
    check_request((), config.scales)
    for part in config.parts:
        check_choice("parts", part, tuple(PARTS))
    for name in config.variants:
        check_choice("variants", name, tuple(name for part in config.parts for name in PARTS[part]))
    started = time.perf_counter()
    results: dict[str, Any] = {"scales": {}}
    for scale in config.scales:
        task = CoarseMeasurement(scale=scale)
        if config.data_root is None:
            source = coil_source(config.scan, task, config.test_matrices, config.snr_threshold, config.seed)
        else:
            source = open_mpi_source(config.data_root, task, config.snr_threshold, config.seed)
        results["source"], results["description"] = source.name, source.description
        results["scales"][str(scale)] = _scale(config, source, scale)
    results["seconds"] = time.perf_counter() - started
    write_record(config.run_dir, "vrfnet_ablation", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_report(config.run_dir, _report(config, results))
    return results


def _scale(config: Config, source: Source, scale: int) -> dict[str, Any]:
    """All variants of one scale: figures of merit by part, number of weights."""
    folder, figures = config.run_dir / f"{scale}x", config.run_dir / "figures"
    parts = {part: _variants(config, part) for part in config.parts}
    variants: dict[str, dict[str, Any]] = {BASE: {}}
    for chosen in parts.values():
        variants |= chosen
    runs = {name: folder / name.lower().replace(" ", "_") for name in variants}
    methods: dict[str, Method] = {}
    weights: dict[str, int] = {}
    for name, options in variants.items():
        methods[name] = _train(config, source, scale, runs[name], name, options)
        weights[name] = weights_of(read_card(runs[name] / "vrfnet"))
    case = source.tests[0]
    result: dict[str, Any] = {"weights": weights, "records": {}}
    for part, names in parts.items():
        compared = {"bicubic": _bicubic(scale, "box"), BASE: methods[BASE]}
        if part == "degradation":
            compared = {f"bicubic, {name}": _bicubic(scale, name) for name in ("box", *names)} | {"box": methods[BASE]}
            weights["box"] = weights[BASE]
        compared |= {name: methods[name] for name in names}
        records, recovered = upsampling.evaluate(source.tests, compared, keep=1)
        result["records"][part] = records
        shown = {n: e[0] for n, e in recovered.items() if not n.startswith("bicubic,")}
        rows_figure(case, spread_rows(case, 3), shown, figures / f"{part}_{scale}x.png")
        write_text(config.run_dir / "tables" / f"{part}_{scale}x.csv", csv_table(records))
    kept = {n: learning_curve(runs[n] / "vrfnet") for n in (BASE, *parts.get("architecture", ()))}
    save(plot_learning_curve(kept), figures / f"learning_curve_{scale}x.png")
    return result


def _variants(config: Config, part: str) -> dict[str, dict[str, Any]]:
    return {name: options for name, options in PARTS[part].items() if not config.variants or name in config.variants}


def _train(config: Config, source: Source, scale: int, run_dir: Path, name: str, options: dict[str, Any]) -> Method:
    base = TINY["vrfnet"] if config.tiny else dict(heads=8, head_features=8)
    (method,) = train_networks(
        ("vrfnet",),
        source.training,
        scale,
        run_dir,
        config.recipe,
        steps=config.steps,
        seed=config.seed,
        progress=config.progress,
        method=name if name in PARTS["degradation"] else None,
        options={"vrfnet": base | options},
    ).values()
    return method


def _bicubic(scale: int, method: str) -> Method:
    return from_upsampler(load_upsampler("bicubic", scale, "stride" if method == "stride" else "box"), method)


def _report(config: Config, results: dict[str, Any]) -> list[str]:
    steps = "the recipe's steps" if config.steps is None else f"{config.steps:,} steps"
    sections = [
        f"# Ablations of VRF-Net on {results['source']}",
        f"{config.recipe} recipe, {steps} each with the same keys, seed {config.seed}; one training each, so that differences of "
        f"a few percent may be chance. {results['seconds']:.0f} s in this run (less where trainings were finished before).",
        f"```\n{results['description']}\n```",
        paper.NOT_COMPARABLE,
    ]
    for scale, result in results["scales"].items():
        sections += [f"## Scale {scale}"]
        for part, records in result["records"].items():
            sections += _part(part, int(scale), records, result["weights"])
        sections += ["### Training", f"![learning curve](figures/learning_curve_{scale}x.png)"]
    return sections


def _part(part: str, scale: int, records: list[dict[str, Any]], weights: dict[str, int]) -> list[str]:
    picture = f"![{part}](figures/{part}_{scale}x.png)"
    if part == "architecture":
        sections = printed_section(
            "### Architecture (Table 8)",
            paper.TABLE_8.get(scale, {}),
            records,
            "What the variants are is our reading: all of them correct Keys interpolation, as VRF-Net here does.",
        )
    elif part == "degradation":
        sections = printed_section(
            "### Degradation (Fig. 12)",
            paper.FIGURE_12.get(scale, {}),
            records,
            "Every network recovers rows of its own degradation. The paper's numbers are of one row at 4x and strides 2 and 4 of "
            "the pooling; its maximum is taken of real and imaginary parts, ours (absmax) of the modulus. maxavg at scale 2 is the "
            "maximum of the parts alone. Only box and stride are what a scanner measures.",
        )
    else:
        sections = printed_section(
            f"### {part.capitalize()} (Table 9)",
            paper.TABLE_9.get(scale, {}),
            records,
            "VRF-Net has 8 heads of dimension 8 and depth 3. The paper changed the learning rate to 1e-8 with the heads and added "
            "dropout with the depth; here nothing else changes.",
        )
    sizes = [
        {"network": r["method"], "weights": f"{weights[r['method']]:,}", "nRMSE [%]": 100 * r["nrmse"]}
        for r in medians(records, ("nrmse",))
        if r["method"] in weights
    ]
    return [*sections, markdown_table(sizes), picture]


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
