"""Isotropic images from a scan along one axis: MPI-Mamba and its competitors on simulated x-space images.

Paper: MPI-Mamba, Tables 1, 4 and 5, Figs. 6 and 7 (4, 5 and 7 on simulated images, the paper's being measured).

Command:  python -m experiments.mpi_mamba_simulation [--preset quick | ablation | paper | smoke] [--run-dir DIR] ...

Phantoms, scanners and noise are drawn while the networks train; test images are of kinds of phantoms, and some of scanners, that no
training has seen. Wiener and Richardson-Lucy deconvolution know the kernel, the networks do not, but for "guided": a NAFNet that
corrects the deconvolved image, this project's own. MPI-Mamba is trained in two stages, together as long as networks of one stage.
``--label phantom`` asks for the phantom in place of the isotropic image, ``--textures FILES`` for recorded noise.

Expected on two cores: ``quick`` (32 x 32 pixels, small variants, whole images) at most 20 minutes. ``ablation`` trains the parts of
Table 4 and smaller patches, for 800 steps. ``paper`` (120 x 120, patches of 64, published sizes, two stages of 100,000 steps,
three seeds) is for a GPU. Runs resume, and finished trainings in the run directory are read again:
``--networks mpi_mamba nafnet guided restormer nafnet_longer guided_longer`` adds Restormer and trainings of MPI-Mamba's length.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

import mpijax as mj
from experiments.support import mpi_mamba_report
from experiments.support.competitors import learning_curve
from experiments.support.run import parse, run_main, write_record
from experiments.support.xspace_cases import (
    TRAINED,
    Cases,
    classical_methods,
    evaluate,
    prior_of,
    split_textures,
    test_sets,
)
from experiments.support.xspace_networks import NETWORKS, SIZES, Training, facts_of
from mpijax.core.checks import check_choice, check_count
from mpijax.core.files import write_text

FIRST_TEST_KEY = 10_000
"""Seed of the validation images; those of the tests are larger, those of trainings smaller."""


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        run_dir: where results go; unfinished trainings of the same settings are continued, finished ones read.
        networks: trained and compared, of mpi_mamba, nafnet, restormer, guided, nafnet_longer, guided_longer, backbone, mamba,
            diffusion.
        patches: edges of patches that MPI-Mamba is trained on as well.
        label: isotropic or phantom.
        size: pixels per side of an image.
        crop: edge of the patches in training; None = whole images.
        recipe: quick (small variants), published or tiny (for tests).
        steps: of every network, two stages together; None = the recipe's.
        test_images: of every kind of test.
        textures: files with recorded background images, every fourth kept for the tests; none = white noise.
        seeds: of weights and batches, one training of every network each.
        progress: whether to show progress bars.
    """

    run_dir: Path = Path("runs/mpi_mamba_simulation")
    networks: tuple[str, ...] = ("mpi_mamba", "nafnet", "guided")
    patches: tuple[int, ...] = ()
    label: str = "isotropic"
    size: int = 32
    crop: int | None = None
    recipe: str = "quick"
    steps: int | None = None
    test_images: int = 64
    textures: tuple[Path, ...] = ()
    seeds: tuple[int, ...] = (0,)
    progress: bool = True


PRESETS = {
    "quick": Config(),
    "ablation": Config(
        run_dir=Path("runs/mpi_mamba_ablation"),
        networks=("mpi_mamba", "backbone", "mamba", "diffusion"),
        patches=(16,),
        steps=800,
    ),
    "paper": Config(
        run_dir=Path("runs/mpi_mamba_paper"),
        networks=("mpi_mamba", "nafnet", "restormer", "guided", "backbone", "mamba", "diffusion"),
        patches=(16, 32),
        size=120,
        crop=64,
        recipe="published",
        test_images=200,
        seeds=(0, 1, 2),
    ),
    "smoke": Config(run_dir=Path("runs/mpi_mamba_smoke"), recipe="tiny", steps=4, test_images=2),
}


def main(config: Config) -> dict[str, Any]:
    """Train, evaluate, report; returns what ``results.json`` holds."""
    _check(config)
    started = time.perf_counter()
    textures, held_out = split_textures(mj.io.read_textures(config.textures)) if config.textures else (None, None)
    config.run_dir.mkdir(parents=True, exist_ok=True)
    write_record(config.run_dir, "mpi_mamba_simulation", config)
    sets = test_sets(config.label, config.size, config.test_images, held_out)
    validation = Cases.draw(
        "validation",
        prior_of("training", config.size),
        config.label,
        TRAINED,
        config.test_images,
        jax.random.key(FIRST_TEST_KEY),
        textures=textures,
    )
    classical, tuned = classical_methods(validation, config.label)
    records, images = evaluate(classical, sets)
    records = [r | {"seed": config.seeds[0]} for r in records]
    results: dict[str, Any] = {"tuned": tuned, "validation_images": len(validation.inputs), "facts": {}}
    results["textures"] = 0 if textures is None else len(textures)
    curves: dict[str, Any] = {}
    for seed in config.seeds:
        training = Training(
            run_dir=config.run_dir / f"seed_{seed}",
            label=config.label,
            size=config.size,
            recipe=config.recipe,
            steps=config.steps,
            textures=textures,
            validation=validation,
            seed=seed,
            progress=config.progress,
        )
        methods, folders = {}, {}
        for name in config.networks:
            entry = NETWORKS[name]
            methods[entry.label], folders[entry.label] = training.run(name, config.crop), (name, entry.stages)
        for edge in config.patches:
            label, folder = f"MPI-Mamba, patches {edge}", f"patches_{edge}"
            methods[label], folders[label] = training.run("mpi_mamba", edge, folder), (folder, (1, 2))
        found, first = evaluate(methods, sets)
        records += [r | {"seed": seed} for r in found]
        if seed == config.seeds[0]:
            images |= first
            for label, (folder, stages) in folders.items():
                path = training.run_dir / folder
                results["facts"][label] = facts_of(path, stages)
                curves[label] = learning_curve(path if stages == (None,) else path / f"stage_{stages[-1]}")
    results |= {"networks": list(results["facts"]), "records": _repeated(records, config.seeds)}
    results["seconds"] = time.perf_counter() - started
    write_text(config.run_dir / "results.json", json.dumps(results, indent=1) + "\n")
    mpi_mamba_report.write(config, results, sets[0], images, curves)
    return results


def _repeated(records: list[dict[str, Any]], seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """Methods without training have the same figures for all seeds."""
    once = {r["method"] for r in records} - {r["method"] for r in records if r["seed"] != seeds[0]}
    if len(seeds) == 1:
        return records
    return records + [r | {"seed": seed} for seed in seeds[1:] for r in records if r["method"] in once]


def _check(config: Config) -> None:
    """Refuse what cannot be run before anything is written."""
    for name in config.networks:
        check_choice("network", name, tuple(NETWORKS))
    check_choice("label", config.label, ("isotropic", "phantom"))
    check_choice("recipe", config.recipe, tuple(SIZES))
    check_count("size", config.size, 32)
    check_count("test_images", config.test_images, 2)
    if config.steps is not None:
        check_count("steps", config.steps, 2)
    largest = config.crop or config.size
    if config.crop is not None and not 8 <= config.crop <= config.size:
        raise ValueError(f"crop = {config.crop}; allowed are 8 to {config.size}, the size of the images.")
    for edge in config.patches:
        if not 8 <= edge < largest:
            raise ValueError(
                f"patches of {edge} pixels; allowed are 8 to {largest - 1}, less than what MPI-Mamba sees."
            )
    for name, values in (("networks", config.networks), ("patches", config.patches), ("seeds", config.seeds)):
        if len(set(values)) < len(values):
            raise ValueError(f"{name} = {values}; give each once.")
    if not config.seeds or not all(0 <= seed < FIRST_TEST_KEY for seed in config.seeds):
        raise ValueError(
            f"seeds = {config.seeds}; give at least one, 0 to {FIRST_TEST_KEY - 1}: tests have the others."
        )


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
