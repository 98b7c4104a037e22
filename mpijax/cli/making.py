"""One measurement made into images and a picture, alone or as one of many."""

import functools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mpijax as mj
from mpijax.cli.blocks import BlockOptions
from mpijax.cli.paths import by, check_mdf, check_outputs
from mpijax.cli.tally import Tally
from mpijax.core.files import identity
from mpijax.io.formats import FALLBACK, writer
from mpijax.io.mdf.partial import PartialReconstruction, partial_path
from mpijax.io.mdf.reconstruction import UNIT
from mpijax.plans import Calibration, Inputs, Preparation, ReconstructPlan
from mpijax.plans.inputs import unlike
from mpijax.plans.solvers import keyed, record
from mpijax.reconstruction import PreparedSolver, Problem

MOST_FRAMES = 6
"""Frames drawn side by side."""


@dataclass(frozen=True)
class Targets:
    """What is written of one measurement: the images, a picture of them, and perhaps NIfTI."""

    image: Path
    png: Path
    nifti: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """All files."""
        return [self.image, self.png] if self.nifti is None else [self.image, self.png, self.nifti]

    def check(self, inputs: list[Path]) -> None:
        """Raise ValueError or ImportError where they cannot be written, before anything is computed."""
        from mpijax import viz

        check_outputs([*self.paths, partial_path(self.image)], inputs)
        viz.figure_format(self.png)
        form = writer(self.image, mj.io.Reconstruction)
        if form.name == FALLBACK:
            check_mdf(self.image, "--png names the picture, which is drawn beside the output")
        form.check(self.image)
        if self.nifti is not None:
            mj.io.nifti.nifti_writer(self.nifti)

    def words(self) -> str:
        """Their names, with the format of the images where the name does not say it."""
        form = writer(self.image, mj.io.Reconstruction)
        first = str(self.image) if form.recognizes(self.image) else f"{self.image} ({form.name.upper()})"
        return ", ".join([first, *map(str, self.paths[1:])])


@dataclass(frozen=True)
class Made:
    """What there is to say of the images of a measurement; ``unlike``: facts that were not compared, or differ."""

    tallies: dict[str, Tally]
    grid: mj.Grid
    frames: int
    unlike: list[str]

    def words(self, targets: Targets) -> str:
        """What was written."""
        return f"wrote {targets.words()}: {self.frames} frames of {by(self.grid.shape)} voxels"


class Maker:
    """Makes images by a plan.

    Args:
        plan: what decides them.
        solvers: by name, that of the plan last; more than one = compared.
        blocks: how many frames are solved together, and on what.
        bar: of many measurements, for which solvers are prepared once and little is said; None = of a single one.
    """

    def __init__(
        self, plan: ReconstructPlan, solvers: dict[str, Any], blocks: BlockOptions, bar: Progress | None = None
    ):
        self._plan, self._blocks, self._bar, self._sharding = plan, blocks, bar, blocks.sharding()
        self._name = next(reversed(solvers))
        self._solvers = {name: self._ready(solver) for name, solver in solvers.items()}
        self._preparation = None if bar is None else Preparation(self._sharding)

    def _ready(self, solver: Any) -> Any:
        """With its key, and the bar that it draws itself."""
        shown = {"progress": True} if hasattr(solver, "progress") and self._bar is None else {}
        return replace(keyed(solver, self._plan.seed), **shown)

    @property
    def _devices(self) -> int:
        return 1 if self._sharding is None else self._sharding.mesh.size

    def __call__(self, calibration: Path | Calibration, measurement: Path, targets: Targets) -> Made:
        """Read, solve, write and draw.

        Raises:
            FileNotFoundError, MDFError, ValueError: files or options that do not fit.
        """
        from mpijax import viz

        alone = self._bar is None
        compared = len(self._solvers) > 1
        apart = not compared and getattr(self._solvers[self._name], "by_frame", False)
        whole = not apart or writer(targets.image, mj.io.Reconstruction).name != FALLBACK
        size = None if whole else functools.partial(self._blocks.size, devices=self._devices)
        with _step("reading", quiet=not alone):
            found = self._plan.inputs(calibration, measurement, size)
            problem = found.problem()
        if alone:
            print(found.describe(problem))
        shown = sorted({round(i) for i in np.linspace(0, len(found.titles) - 1, MOST_FRAMES)})
        if found.blocks == 1:
            solutions, tallies = self._solve_whole(problem)
            made = self._plan.result(found, problem, solutions[self._name])
            panels = {found.titles[i]: np.asarray(made.images[i]) for i in shown}
            if compared:
                panels = {each: np.asarray(solution.value)[0] for each, solution in solutions.items()}
            mj.io.write(targets.image, made)
        else:
            tally, kept = self._solve_blocks(found, problem, targets.image)
            tallies = {self._name: tally}
            panels = {found.titles[i]: np.asarray(problem.grid.to_image(kept.values(i)))[0] for i in shown}
            kept.finish()
        viz.save(viz.plot_slices(panels, problem.grid, unit=UNIT), targets.png)
        if targets.nifti is not None:
            mj.io.write_nifti(targets.nifti, made if found.blocks == 1 else mj.io.read_reconstruction(targets.image))
        return Made(tallies, problem.grid, len(found.titles), unlike(problem))

    def _solve_whole(self, problem: Problem) -> tuple[dict[str, mj.Solution], dict[str, Tally]]:
        """All frames at once by every solver."""
        solutions, tallies = {}, {name: Tally() for name in self._solvers}
        for name, each in self._solvers.items():
            start = time.perf_counter()
            quiet = self._bar is not None or getattr(each, "progress", False)  # which draws its own
            with _step(f"solving: {name}", quiet=quiet):
                solutions[name] = jax.block_until_ready(self._solve(problem, each))
            tallies[name].add(solutions[name], time.perf_counter() - start)
        return solutions, tallies

    def _solve(self, problem: Problem, solver: Any) -> mj.Solution[Any, Any]:
        if self._preparation is None:
            return mj.reconstruction.solve(problem, solver, sharding=self._sharding)
        return self._preparation.of(problem, solver)(problem)

    def _solve_blocks(self, found: Inputs, problem: Problem, output: Path) -> tuple[Tally, PartialReconstruction]:
        """Solve and write the blocks that are missing, always prepared by the first one: a stop in between changes no bit."""
        tally, total, solver = Tally(), len(found.titles), self._solvers[self._name]
        settings = self._settings(found)
        kept = PartialReconstruction.found(output, settings)
        if kept is not None:
            tally = Tally(**kept.said)
            print(f"going on after {kept.done} of {total} frames in {kept.path}")
        try:
            with progress() if self._bar is None else nullcontext(self._bar) as bar:
                if hasattr(solver, "over_blocks"):
                    problems = bar.track(found.problems(), found.blocks, description="penalty: blocks read")
                    solver = solver.over_blocks(each.equations() for each in problems)
                    bar.remove_task(bar.task_ids[-1])
                prepared = self._prepared(problem, solver)
                done = 0 if kept is None else kept.done
                task = bar.add_task(f"solving: {self._name}, frames", total=total, completed=done)
                for each in found.problems(-(-done // found.block)):
                    start = time.perf_counter()
                    solution = jax.block_until_ready(prepared(each))
                    tally.add(solution, time.perf_counter() - start)
                    if kept is None:
                        first = self._plan.result(found, problem, solution)
                        kept = PartialReconstruction.begin(output, first, total, settings)
                    kept.write(np.asarray(solution.value), asdict(tally))
                    bar.update(task, completed=kept.done)
                bar.remove_task(task)
        except BaseException:
            if kept is not None:
                kept.close()
                print(
                    f"stopped: {kept.done} of {total} frames are kept in {kept.path}; the same command goes on from there.",
                    file=sys.stderr,
                )
            raise
        assert kept is not None
        return tally, kept

    def _prepared(self, problem: Problem, solver: Any) -> PreparedSolver:
        if self._preparation is None:
            return PreparedSolver.create(problem, solver, sharding=self._sharding)
        return self._preparation.of(problem, solver)

    def _settings(self, found: Inputs) -> dict[str, Any]:
        """What the images of all blocks depend on."""
        plan, files = self._plan, {"system matrix": found.calibration.info.path, "measurement": found.path}
        if plan.data.empty is not None:
            files["empty scan"] = plan.data.empty
        return {
            "mpijax": mj.__version__,
            "solver": record(self._name, self._solvers[self._name], plan.seed),
            "rows": asdict(plan.rows),
            "data": asdict(replace(plan.data, empty=None)),
            "devices": self._devices,
            "split": self._blocks.split,
            "block": found.block,
            **{what: identity(path) for what, path in files.items()},
        }


def progress() -> Progress:
    """A bar on standard error with the time that is left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=600)


@contextmanager
def _step(text: str, quiet: bool = False) -> Iterator[None]:
    if quiet:
        yield
        return
    with Console(stderr=True).status(text):
        yield
