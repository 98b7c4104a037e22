"""``mpijax reconstruct``: from two MDF files to images."""

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from jax.sharding import NamedSharding
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.data import BlockOptions, DataOptions, Inputs, RowOptions, read_inputs
from mpijax.cli.paths import Output, by, check_outputs
from mpijax.cli.solvers import Asked, record
from mpijax.cli.tally import STRENGTHS, Tally, print_table
from mpijax.io.formats import FALLBACK, writer
from mpijax.io.mdf.partial import PartialReconstruction, partial_path
from mpijax.io.mdf.reconstruction import UNIT
from mpijax.reconstruction import PreparedSolver, Problem

MOST_FRAMES = 6
"""Frames drawn side by side."""


ROWS, DATA, BLOCKS = RowOptions(), DataOptions(), BlockOptions()


def reconstruct(
    system_matrix: Annotated[Positional[Path], arg(metavar="SYSTEM_MATRIX")],
    measurement: Annotated[Positional[Path], arg(metavar="MEASUREMENT")],
    output: Output,
    solver: Asked,
    compare: bool = False,
    rows: RowOptions = ROWS,
    data: DataOptions = DATA,
    blocks: BlockOptions = BLOCKS,
    seed: int = 0,
    nifti: Path | None = None,
    png: Path | None = None,
) -> None:
    """Reconstruct a measurement; write the images [mmol(Fe)/L] and a picture of them.

    A solver is named behind the files, with its options: kaczmarz (also without a name), tikhonov, admm (L1 norm and total
    variation), neural (a network of the coordinates; minutes) or one that an installed package adds; mpijax reconstruct admm --help
    lists its options.

    Many frames are read, solved and written in blocks. Stopped in the middle, the same command goes on at the first missing block.

    Args:
        system_matrix: MDF file with a calibration; one of several periods (patches) is reconstructed jointly.
        measurement: MDF file with a measurement of the same sequence.
        output: file to write: MDF, NIfTI (.nii, .nii.gz), or a format that an installed package adds.
        solver: how the equations are solved.
        compare: draw kaczmarz, tikhonov, admm and the chosen solver side by side; the file holds the chosen one.
        rows: which rows are used.
        data: which frames are used, and their background.
        blocks: how many frames are solved together, and on what.
        seed: of what is random in a solver, such as the neural field.
        nifti: also write the images as NIfTI (.nii, .nii.gz), all at once.
        png: picture to draw (.png, .pdf, .svg); not given = beside the output.
    """
    from mpijax import viz

    solvers = solver.solvers(seed)
    png = output.with_suffix(".png") if png is None else png
    outputs = [output, png] if nifti is None else [output, png, nifti]
    inputs = [system_matrix, measurement] if data.empty is None else [system_matrix, measurement, data.empty]
    check_outputs([*outputs, partial_path(output)], inputs)
    viz.figure_format(png)
    form = writer(output, mj.io.Reconstruction)
    form.check(output)
    if nifti is not None:
        mj.io.nifti.nifti_writer(nifti)
    sharding = blocks.sharding()

    devices = 1 if sharding is None else sharding.mesh.size
    apart = not compare and all(getattr(each, "by_frame", False) for each in solvers.values())
    size = functools.partial(blocks.size, devices=devices) if apart and form.name == FALLBACK else None
    with _step("reading"):
        found = read_inputs(system_matrix, measurement, rows, data, size)
        problem = found.problem(rows, data)
    print(found.describe(problem))
    name, chosen = next(reversed(solvers.items()))

    def make(solution: mj.Solution) -> mj.io.Reconstruction:
        parameters = {
            **record(name, chosen, seed),
            **{strength: _number(solution.stats[strength]) for strength in STRENGTHS if strength in solution.stats},
            **found.parameters(problem),
            "software": f"mpijax {mj.__version__}",
        }
        images = np.asarray(solution.value)
        return mj.io.Reconstruction.create(images, problem.grid, found.measurement, parameters=parameters)

    shown = sorted({round(i) for i in np.linspace(0, len(found.titles) - 1, MOST_FRAMES)})
    if found.blocks == 1:
        solutions, tallies = _solve_whole(problem, solvers, sharding)
        print_table(tallies, problem.grid)
        made = make(solutions[name])
        panels = {found.titles[i]: np.asarray(made.images[i]) for i in shown}
        if compare:
            panels = {each: np.asarray(solution.value)[0] for each, solution in solutions.items()}
        mj.io.write(output, made)
    else:
        settings = {
            "mpijax": mj.__version__,
            "solver": record(name, chosen, seed),
            "rows": asdict(rows),
            "data": asdict(replace(data, empty=None)),
            "devices": devices,
            "split": blocks.split,
            "block": found.block,
            **dict(zip(("system matrix", "measurement", "empty scan"), map(_identity, inputs), strict=False)),
        }
        start = functools.partial(PartialReconstruction.begin, output, total=len(found.titles), settings=settings)
        kept = PartialReconstruction.found(output, settings)
        tally, kept = _solve_blocks(found, problem, name, chosen, sharding, rows, data, kept, lambda s: start(make(s)))
        print_table({name: tally}, problem.grid)
        panels = {found.titles[i]: np.asarray(problem.grid.to_image(kept.values(i)))[0] for i in shown}
        kept.finish()
    viz.save(viz.plot_slices(panels, problem.grid, unit=UNIT), png)
    if nifti is not None:
        mj.io.write_nifti(nifti, made if found.blocks == 1 else mj.io.read_reconstruction(output))
    names = ", ".join([_with_format(output), *map(str, outputs[1:])])
    print(f"wrote {names}: {len(found.titles)} frames of {by(problem.grid.shape)} voxels")


def _solve_whole(
    problem: Problem, solvers: dict[str, Any], sharding: NamedSharding | None
) -> tuple[dict[str, mj.Solution], dict[str, Tally]]:
    """All frames at once by every solver."""
    solutions, tallies = {}, {name: Tally() for name in solvers}
    for name, each in solvers.items():
        start = time.perf_counter()
        with _step(f"solving: {name}", quiet=getattr(each, "progress", False)):  # which draws its own
            solutions[name] = jax.block_until_ready(mj.reconstruction.solve(problem, each, sharding=sharding))
        tallies[name].add(solutions[name], time.perf_counter() - start)
    return solutions, tallies


def _solve_blocks(
    found: Inputs,
    problem: Problem,
    name: str,
    solver: Any,
    sharding: NamedSharding | None,
    rows: RowOptions,
    data: DataOptions,
    kept: PartialReconstruction | None,
    begin: Callable[[mj.Solution], PartialReconstruction],
) -> tuple[Tally, PartialReconstruction]:
    """Solve and write the blocks that are missing; always prepared by the first block, so that a stop in between changes no bit."""
    tally, total = Tally(), len(found.titles)
    if kept is not None:
        tally = Tally(**kept.said)
        print(f"going on after {kept.done} of {total} frames in {kept.path}")
    try:
        with _progress() as bar:
            if hasattr(solver, "over_blocks"):
                problems = bar.track(found.problems(rows, data), found.blocks, description="penalty: blocks read")
                solver = solver.over_blocks(each.equations() for each in problems)
            prepared = PreparedSolver.create(problem, solver, sharding=sharding)
            done = 0 if kept is None else kept.done
            task = bar.add_task(f"solving: {name}, frames", total=total, completed=done)
            for each in found.problems(rows, data, -(-done // found.block)):
                start = time.perf_counter()
                solution = jax.block_until_ready(prepared(each))
                tally.add(solution, time.perf_counter() - start)
                kept = begin(solution) if kept is None else kept
                kept.write(np.asarray(solution.value), asdict(tally))
                bar.update(task, completed=kept.done)
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


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=600)


def _identity(path: Path) -> dict[str, Any]:
    """What tells one file, and one content of it, from another without reading it."""
    stat = path.stat()
    return {"name": path.name, "bytes": stat.st_size, "modified": stat.st_mtime_ns}


@contextmanager
def _step(text: str, quiet: bool = False) -> Iterator[None]:
    if quiet:
        yield
        return
    with Console(stderr=True).status(text):
        yield


def _number(value: Any) -> Any:
    array = np.asarray(value, np.float64)
    return array.item() if array.size == 1 else tuple(array.ravel().tolist())


def _with_format(path: Path) -> str:
    """The name of an output, with its format where the name does not say it."""
    form = mj.io.formats.writer(path, mj.io.Reconstruction)
    return str(path) if form.recognizes(path) else f"{path} ({form.name.upper()})"
