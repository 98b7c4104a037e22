"""How every shipped network and classical method does where the truth is not the equilibrium model that networks were trained on.

Command:  python -m experiments.reality_gap [--families neel coils ...] [--tasks denoise ...] [--half test|development]
          python -m experiments.reality_gap --make        (makes the stored sets that are missing, checks the others)

The sets (`experiments.support.reality_sets`) are stored in data/reality_gap with checksums and never trained on: of every family 8
matrices for development and 8 for the test. Families marked as held out are in no training and no fit, now or later. Whatever is
tuned is tuned on development halves. Denoising takes the rows as they are; inpainting hides one block of 10 % in scan order, as in
training; completion keeps every second position per axis; upsampling starts from every second voxel of rows twice as fine, which is
a calibration as dense as those trained on. sigma is 0.1 of a row's largest modulus, told to the methods; a background of correlated
noise with drift comes as a second kind.

Figures of a family are written as results/NAME.json under the run directory; those of families not asked for stay, so that several
commands, also at the same time, fill one report.
"""

import json
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from experiments.support.reality_families import BY_NAME, FAMILIES
from experiments.support.reality_images import image_scores
from experiments.support.reality_report import gap_figure, report_text
from experiments.support.reality_scores import NOISES, TASKS, methods_of, scores, tuned_threshold
from experiments.support.reality_sets import FOLDER, make_all, read_card, read_set
from experiments.support.run import parse, run_main, write_record
from mpijax.core.checks import check_choice
from mpijax.core.files import write_text


@dataclass(frozen=True)
class Config:
    """What is scored.

    Attributes:
        families: names; none = all that were made.
        tasks: of denoise, inpaint, complete, upsample, images.
        noises: white, background.
        half: test or development.
        others: weights (RUN_DIR/weights.npz) of further networks that denoise planes.
        image_matrices: matrices of each family whose images are reconstructed.
        make: make and check the stored sets, and score nothing.
        smoke: two matrices' images and one noise, for tests.
        seed: of masks, phases, noise and phantoms.
        set_dir: where the sets are.
        run_dir: where results go.
    """

    families: tuple[str, ...] = ()
    tasks: tuple[str, ...] = (*TASKS, "images")
    noises: tuple[str, ...] = NOISES
    half: str = "test"
    others: tuple[Path, ...] = ()
    image_matrices: int = 2
    make: bool = False
    smoke: bool = False
    seed: int = 0
    set_dir: Path = FOLDER
    run_dir: Path = Path("runs/reality_gap")

    def __post_init__(self) -> None:
        check_choice("half", self.half, ("test", "development"))
        for name, values, known in (
            ("families", self.families, tuple(BY_NAME)),
            ("tasks", self.tasks, (*TASKS, "images")),
            ("noises", self.noises, NOISES),
        ):
            for value in values:
                check_choice(name, value, known)


PRESETS = {"quick": Config(), "smoke": Config(families=("equilibrium",), tasks=("denoise",), smoke=True)}


def main(config: Config) -> dict[str, Any]:
    """Score, report; returns what ``results.json`` holds."""
    if config.make:
        make_all(config.families, config.set_dir)
        return read_card(config.set_dir)
    started = time.perf_counter()
    cards = read_card(config.set_dir)
    asked = [f for f in FAMILIES if f.name in (config.families or cards)]
    absent = [f.name for f in FAMILIES if f.name not in cards]
    if absent:
        print(f"not made yet, see --make: {', '.join(absent)}", file=sys.stderr, flush=True)
    sets = [read_set(family.name, config.set_dir) for family in asked]
    plane = [found for found in sets if found.family.dimensions == 2] or sets
    everywhere = [read_set(f.name, config.set_dir) for f in FAMILIES if f.dimensions == 2 and f.name in cards]
    noises = config.noises[:1] if config.smoke else config.noises
    tuned = {noise: tuned_threshold(plane if config.smoke else everywhere, noise, config.seed) for noise in noises}

    @lru_cache(None)
    def methods(task: str, noise: str, dimensions: int) -> Any:
        return methods_of(task, dimensions, tuned[noise], config.others)

    folder = config.run_dir / "results"
    for found in sets:
        name = found.family.name
        path = folder / f"{name}.json"
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for task in config.tasks:
            begun = time.perf_counter()
            if task == "images" and found.family.dimensions == 2:
                known["images"] = image_scores(found.family, config.half, config.image_matrices, config.seed)
            elif task != "images":
                for noise in noises:
                    apply = lambda d, task=task, noise=noise: methods(task, noise, d)  # noqa: E731
                    known[f"{task}, {noise}"] = scores(found, task, noise, config.half, apply, config.seed)
            print(f"{name}, {task}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
            write_text(path, json.dumps(known, indent=1) + "\n")
    results = {
        f: json.loads((folder / f"{f}.json").read_text("utf-8")) for f in BY_NAME if (folder / f"{f}.json").exists()
    }
    write_record(config.run_dir, "reality_gap", config)
    seconds = time.perf_counter() - started
    record = {"half": config.half, "tuned": tuned, "seconds": seconds, "families": results}
    write_text(config.run_dir / "results.json", json.dumps(record, indent=1) + "\n")
    text = report_text(results, cards, tuned)
    write_text(config.run_dir / "report.md", text)
    gap_figure(results, config.run_dir / "figures" / "reality_gap.png")
    print(text)
    return record


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
