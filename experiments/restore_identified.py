"""What fitting one particle to the whole matrix adds to a restoration that takes every row by itself.

Command:  python -m experiments.restore_identified [--half test|development] [--families neel coils ...] [--task denoise ...]

The sets of :mod:`experiments.reality_gap`: matrices of 16 rows, white noise of 0.1 of a row's largest modulus. Every matrix goes
through ``mpijax.restore`` three times: by Wiener filtering, by the network that ships (the better of it and the Wiener filter, row
by row), and with ``identify=True``. What the file says of the geometry is what was drawn, which in two families is not the truth.

"in model" means that the truth is of the family that the fit searches: an inverse crime, not to be ranked with networks, which are
told neither geometry nor the other rows. Neel rotation is one of the fit's models; Brownian rotation and the two families that are
held out (Neel and Brown together, dipolar pairs) are not.

Figures of a matrix and method that the run directory holds are not computed again. Expected time: an hour on one core for a half.
"""

import functools
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import mpijax as mj
from experiments.figures.identified import plot_identified
from experiments.support import identified_report
from experiments.support.reality_families import BY_NAME, FAMILIES
from experiments.support.reality_scores import problems
from experiments.support.reality_sets import FOLDER, read_set
from experiments.support.restoration_eval import Problem
from experiments.support.run import parse, run_main, write_record
from mpijax import restoration
from mpijax.core.checks import check_choice
from mpijax.core.files import write_text
from mpijax.rows.tasks import task_of
from mpijax.system import Setup
from mpijax.viz import save


@dataclass(frozen=True)
class Config:
    """What is restored.

    Attributes:
        families: names; none = all planar ones that are stored.
        task: denoise, inpaint, complete or upsample.
        scale: of upsample, from every scale-th position.
        half: test or development.
        noise: white or background.
        matrices: most matrices of a family; None = all of the half.
        other: run directory or weights of another network, to restore row by row beside the one that ships.
        wrong_sigma: factor on the noise that methods are told.
        seed: of masks, phases and noise.
        set_dir: where the sets are.
        run_dir: where results go.
    """

    families: tuple[str, ...] = ()
    task: str = "denoise"
    scale: int = 2
    half: str = "test"
    noise: str = "white"
    matrices: int | None = None
    other: Path | None = None
    wrong_sigma: float = 1.0
    seed: int = 0
    set_dir: Path = FOLDER
    run_dir: Path = Path("runs/restore_identified")

    def __post_init__(self) -> None:
        check_choice("half", self.half, ("test", "development"))
        check_choice("task", self.task, ("denoise", "inpaint", "complete", "upsample"))
        for name in self.families:
            check_choice("families", name, tuple(BY_NAME))


PRESETS = {"standard": Config(), "smoke": Config(families=("equilibrium",), matrices=1)}


def main(config: Config) -> dict[str, Any]:
    """Restore, compare; returns what ``results.json`` holds."""
    wrong = "" if config.wrong_sigma == 1 else f"-sigma-{config.wrong_sigma:g}"
    task = config.task if config.task != "upsample" else f"upsample-{config.scale}x"
    folder = config.run_dir / f"{task}-{config.half}-{config.noise}{wrong}"
    chosen = [f for f in FAMILIES if f.name in config.families or (f.dimensions == 2 and not config.families)]
    for family in chosen:
        found = read_set(family.name, config.set_dir)
        stored = found.of_half(found.rows, config.half)
        done = 0
        # coarse grids are made of the sets' rows, which are many, and not of their fine rows, which are few
        problem_task = "denoise" if config.task == "upsample" else config.task
        for numbers, problem in problems(found, problem_task, config.noise, config.half, config.seed):
            for matrix in np.unique(numbers):
                path = folder / f"{family.name}-{matrix}.json"
                done += 1
                known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"psnr": {}}
                methods = {
                    name: how
                    for name, how in methods_of(config, family.dimensions).items()
                    if name not in known["psnr"]
                }
                if not methods or (config.matrices is not None and done > config.matrices):
                    continue
                rows = stored[found.rows.matrix[stored] == matrix]
                number = int(matrix) - (0 if config.half == "development" else family.half)
                _, case = family.draw(config.half, number)
                index = np.flatnonzero(numbers == matrix)
                where = found.rows.channel[rows], found.rows.frequency_index[rows]
                heard = replace(problem, sigma=problem.sigma * config.wrong_sigma)
                figures = restored_figures(case.told, *where, heard, index, given_of(config), methods)
                figures = known | figures | {"psnr": known["psnr"] | figures["psnr"]}
                write_text(path, json.dumps(figures, indent=1) + "\n")
                means = {name: round(float(np.mean(v)), 2) for name, v in figures["psnr"].items()}
                print(f"{family.name} {matrix}: {means}", file=sys.stderr, flush=True)
    results = {
        family.name: [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{family.name}-*.json"))
        ]
        for family in FAMILIES
    }
    results = {name: each for name, each in results.items() if each}
    write_record(config.run_dir, "restore_identified", config)
    text = identified_report.report(results, config.task, config.half)
    write_text(folder / "report.md", text)
    picture = plot_identified(results, {name: identified_report.kind(name) for name in results})
    save(picture, folder / "figures" / "identified.png")
    print(text)
    return {"families": results}


def axes_in_use(grid: mj.Grid) -> list[int]:
    """Voxels along x, y, z, where they are more than one."""
    return [n for n in grid.shape if n > 1]


def every_nth(grid: mj.Grid, scale: int) -> mj.Grid:
    """Every ``scale``-th position of the axes in use, from the first."""
    shape, fov = np.asarray(grid.shape), np.asarray(grid.fov, float)
    step, used = fov / shape, shape > 1
    count = np.where(used, -(-shape // scale), 1)
    center = np.asarray(grid.center, float) + np.where(used, step / 2 - fov / 2 + scale * step * (count - 1) / 2, 0)
    nx, ny, nz = (int(n) for n in count)
    return mj.Grid.create((nx, ny, nz), np.where(used, scale * step * count, fov), center)


def calibration(
    told: Setup, grid: mj.Grid, channel: np.ndarray, bins: np.ndarray, values: np.ndarray
) -> mj.SystemMatrix:
    """A system matrix of a few rows (r, n), with what its file says."""
    different = np.unique(bins)
    whole = np.zeros((3, len(different), values.shape[1]), np.complex64)
    kept = np.zeros(whole.shape[:2], bool)
    at = channel, np.searchsorted(different, bins)
    whole[at], kept[at] = values, True
    sequence = told.sequence
    return mj.SystemMatrix.create(
        whole, sequence.frequencies[different], grid, frequency_indices=different,
        scanner=told.scanner, sequence=sequence, row_mask=kept,
    )  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What is restored of one matrix: as it was measured, the truth (m, *s), measured positions, noise (m,)."""

    matrix: mj.SystemMatrix
    clean: np.ndarray
    known: np.ndarray
    sigma: np.ndarray

    @property
    def counted(self) -> np.ndarray:
        """Positions at which errors count: those that were not measured, where there are any."""
        return np.ones_like(self.known) if self.known.all() else ~self.known

    def psnr(self, restored: np.ndarray) -> np.ndarray:
        """PSNR [dB] of every row of largest modulus one."""
        error = np.mean(np.abs(restored - self.clean)[:, self.counted] ** 2, axis=1)
        return -10 * np.log10(np.maximum(error, 1e-12))


def measured(
    told: Setup,
    channel: np.ndarray,
    bins: np.ndarray,
    problem: Problem,
    index: np.ndarray,
    given: Mapping[str, Any],
) -> Measured:
    """Rows ``index`` of a problem as a calibration; ``given`` is the task as ``mpijax.restore`` is told it."""
    task, scale = given["task"], given.get("scale", 2)
    inside = tuple(slice(int(n)) for n in problem.extents[index[0]])
    images, clean = (values[index][:, *inside] for values in (problem.images, problem.clean))
    known = problem.known[index[0]][inside]
    order = np.lexsort((bins, channel))  # as the matrix keeps its rows
    grid, seen_rows = told.grid(), images
    if task in ("complete", "upsample"):
        seen = tuple(slice(None, None, scale) for _ in inside)
        grid, seen_rows = every_nth(grid, scale), images[:, *seen]
        # as far as the measured positions reach
        inside = tuple(slice(scale * (n - 1) + 1) for n in seen_rows.shape[1:])
        clean, known = clean[:, *inside], np.zeros(clean.shape[1:], bool)[inside]
        known[seen] = True
    matrix = calibration(told, grid, channel[order], bins[order], seen_rows[order].reshape(len(index), -1))
    return Measured(matrix, clean[order], known, problem.sigma[index][order].astype(float))


def restored_figures(
    told: Setup,
    channel: np.ndarray,
    bins: np.ndarray,
    problem: Problem,
    index: np.ndarray,
    given: Mapping[str, Any],
    methods: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """PSNR [dB] of every row of one matrix by every method, at voxels that were not measured where there are any.

    ``given`` is the task as ``mpijax.restore`` is told it.
    """
    case = measured(told, channel, bins, problem, index, given)
    figures: dict[str, Any] = {"psnr": {}, "rows": len(index), "voxels": int(case.counted.sum())}
    given = dict(given)
    if given["task"] == "inpaint":
        given["missing"] = np.flatnonzero(~case.known.reshape(-1))
    for name, options in methods.items():
        began = time.perf_counter()
        try:
            solution = mj.restore(case.matrix, **given, noise_std=case.sigma, **options)
        except ValueError as refusal:  # of a noise that no row agrees with
            if "no row would change" not in str(refusal):
                raise
            solution = None
        seconds, stats = time.perf_counter() - began, None if solution is None else solution.stats
        result = case.matrix if solution is None else solution.value
        restored = np.asarray(result.grid.to_image(result.rows())).reshape(
            len(index), *reversed(axes_in_use(result.grid))
        )
        figures["psnr"][name] = case.psnr(restored[:, *(slice(n) for n in case.known.shape)]).tolist()
        if options.get("identify"):
            figures |= {"seconds": seconds, "changed": [False] * len(index), "method": [""] * len(index)}
            if stats is not None:
                figures |= {"changed": stats.trusted.tolist(), "method": stats.method.tolist()}
                figures["told"] = stats.identification
        if stats is not None and stats.identified is not None:
            figures |= {"chi2": stats.identified.chi2, "relaxes": stats.identified.physics.relaxes}
    return figures


@functools.lru_cache
def network(task: str, dimensions: int, model: Path | None) -> restoration.Method:
    """The network, compiled once."""
    wanted = task_of(task, sampling="stride") if task == "upsample" else task_of(task)
    return restoration.find_method(wanted, dimensions, model)[0]


def given_of(config: Config) -> dict[str, Any]:
    """The task as ``mpijax.restore`` is told it."""
    more = {"scale": config.scale, "sampling": "stride"} if config.task == "upsample" else {}
    return {"task": config.task} | more


def methods_of(config: Config, dimensions: int = 2) -> dict[str, dict[str, Any]]:
    """By name: how ``mpijax.restore`` is called."""
    found: dict[str, dict[str, Any]]
    if config.task == "upsample":
        found = {name: {"method": name, "trust": False} for name in ("spline", "filtered-spline")}
        found["identified"] = {"method": "fitted", "identify": True}
        if config.scale == 2:
            shipped = network("upsample", dimensions, None)
            found |= {"row by row": {"method": shipped, "identify": False}, "default": {"method": shipped}}
        return found
    shipped = network(config.task, dimensions, None)
    found = {
        "wiener": {"method": "wiener", "trust": False},
        "row by row": {"method": shipped, "identify": False},
        "identified": {"method": shipped, "identify": True},
    }
    if config.other is not None:
        found["other network"] = {"method": network(config.task, dimensions, config.other), "identify": False}
    return found


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
