"""``mpijax reconstruct``: from two MDF files to images."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.data import DataOptions, RowOptions, read_inputs
from mpijax.cli.paths import Output, by, check_outputs
from mpijax.cli.solvers import Asked, record
from mpijax.io.formats import writer
from mpijax.reconstruction import Problem

STRENGTHS = ("lambda", "l1", "tv", "epsilon")
"""What a solver's stats say of its penalty."""
MOST_FRAMES = 6
"""Frames drawn side by side."""


ROWS, DATA = RowOptions(), DataOptions()


def reconstruct(
    system_matrix: Annotated[Positional[Path], arg(metavar="SYSTEM_MATRIX")],
    measurement: Annotated[Positional[Path], arg(metavar="MEASUREMENT")],
    output: Output,
    solver: Asked,
    compare: bool = False,
    rows: RowOptions = ROWS,
    data: DataOptions = DATA,
    seed: int = 0,
    nifti: Path | None = None,
    png: Path | None = None,
) -> None:
    """Reconstruct a measurement; write the images [mmol(Fe)/L] and a picture of them.

    A solver is named behind the files, with its options: kaczmarz (also without a name), tikhonov, admm (L1 norm and total
    variation), neural (a network of the coordinates; minutes) or one that an installed package adds; mpijax reconstruct admm --help
    lists its options.

    Args:
        system_matrix: MDF file with a calibration; one of several periods (patches) is reconstructed jointly.
        measurement: MDF file with a measurement of the same sequence.
        output: file to write: MDF, NIfTI (.nii, .nii.gz), or a format that an installed package adds.
        solver: how the equations are solved.
        compare: draw kaczmarz, tikhonov, admm and the chosen solver side by side; the file holds the chosen one.
        rows: which rows are used.
        data: which frames are used, and their background.
        seed: of what is random in a solver, such as the neural field.
        nifti: also write the images as NIfTI (.nii, .nii.gz).
        png: picture to draw (.png, .pdf, .svg); not given = beside the output.
    """
    from mpijax import viz

    solvers = solver.solvers(seed)
    png = output.with_suffix(".png") if png is None else png
    outputs = [output, png] if nifti is None else [output, png, nifti]
    inputs = [system_matrix, measurement] if data.empty is None else [system_matrix, measurement, data.empty]
    check_outputs(outputs, inputs)
    viz.figure_format(png)
    writer(output, mj.io.Reconstruction).check(output)
    if nifti is not None:
        mj.io.nifti.nifti_writer(nifti)

    with _step("reading"):
        found = read_inputs(system_matrix, measurement, rows, data)
        problem = found.problem(None if rows.weights == "none" else rows.weights, data.drift_components)
    print(found.describe(problem))
    solutions, seconds = {}, {}
    for name, each in solvers.items():
        start = time.perf_counter()
        with _step(f"solving: {name}", quiet=getattr(each, "progress", False)):  # which draws its own
            solutions[name] = jax.block_until_ready(mj.reconstruction.solve(problem, each))
        seconds[name] = time.perf_counter() - start
    _print_results(problem, solutions, seconds)
    _warn(solutions)

    name, chosen = next(reversed(solvers.items()))
    images, stats = np.asarray(solutions[name].value), solutions[name].stats
    parameters = {
        **record(name, chosen, seed),
        **{strength: _number(stats[strength]) for strength in STRENGTHS if strength in stats},
        **found.parameters(problem),
        "software": f"mpijax {mj.__version__}",
    }
    made = mj.io.Reconstruction.create(images, problem.grid, found.measurement, parameters=parameters)
    if compare:
        panels = {each: np.asarray(solution.value)[0] for each, solution in solutions.items()}
    else:
        shown = sorted({round(i) for i in np.linspace(0, len(images) - 1, MOST_FRAMES)})
        panels = {found.titles[i]: images[i] for i in shown}
    mj.io.write(output, made)
    viz.save(viz.plot_slices(panels, problem.grid, unit=made.unit), png)
    if nifti is not None:
        mj.io.write_nifti(nifti, made)
    names = ", ".join([_with_format(output), *map(str, outputs[1:])])
    print(f"wrote {names}: {len(images)} frames of {by(problem.grid.shape)} voxels")


@contextmanager
def _step(text: str, quiet: bool = False) -> Iterator[None]:
    if quiet:
        yield
        return
    with Console(stderr=True).status(text):
        yield


def _print_results(problem: Problem, solutions: dict[str, mj.Solution], seconds: dict[str, float]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in (
        "method",
        "lambda",
        "residual",
        "largest / mmol(Fe)/L",
        "at x, y, z / mm",
        "seconds",
    ):
        table.add_column(title)
    for name, solution in solutions.items():
        images = np.asarray(solution.value)
        position = np.asarray(problem.grid.positions)[int(np.argmax(images)) % problem.grid.size]
        strength = ", ".join(
            f"{'' if key == 'lambda' else key + ' '}{np.max(np.asarray(solution.stats[key])):.3g}"
            for key in STRENGTHS
            if key in solution.stats
        )
        table.add_row(
            name,
            strength,
            f"{float(np.mean(np.asarray(solution.stats['residual']))):.2%}" if "residual" in solution.stats else "-",
            f"{images.max():.4g}",
            ", ".join(f"{1e3 * p + 0.0:.1f}" for p in position),
            f"{seconds[name]:.2f}",
        )
    Console().print(table)
    print("seconds include compilation")


def _warn(solutions: dict[str, mj.Solution]) -> None:
    """One line for every method that stopped before it had converged."""
    for name, solution in solutions.items():
        converged = np.atleast_1d(np.asarray(solution.stats.get("converged", True)))
        if not converged.all():
            print(
                f"warning: {name} has not converged for {np.count_nonzero(~converged)} of {converged.size} images after "
                f"{int(solution.stats['iterations'])} iterations; raise --iterations or the penalty.",
                file=sys.stderr,
            )


def _number(value: Any) -> Any:
    array = np.asarray(value, np.float64)
    return array.item() if array.size == 1 else tuple(array.ravel().tolist())


def _with_format(path: Path) -> str:
    """The name of an output, with its format where the name does not say it."""
    form = mj.io.formats.writer(path, mj.io.Reconstruction)
    return str(path) if form.recognizes(path) else f"{path} ({form.name.upper()})"
