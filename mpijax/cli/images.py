"""``mpijax reconstruct``: from two MDF files to images."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.data import DataOptions, RowOptions, read_inputs
from mpijax.cli.options import Output, by, check_outputs
from mpijax.core.checks import check_choice, check_count, check_range
from mpijax.reconstruction import Problem
from mpijax.reconstruction.pipeline import LAMBDA, SOLVERS, SWEEPS

COMPARED = ("kaczmarz", "tikhonov", "admm")
CONSTRAINTS = ("nonnegative", "real", "none")
WEIGHTS = ("none", "row_norm", "whitening")
MOST_FRAMES = 6
"""Frames drawn side by side."""


@dataclass(frozen=True)
class SolverOptions:
    """How the equations are solved.

    Attributes:
        regularization: lambda, the penalty on large concentrations; not given = 0.01, of ADMM 0.001; the neural field has none.
        absolute: lambda as it is; otherwise relative to |W S|_F^2/n (ADMM: to the penalty that gives a zero image).
        sweeps: of Kaczmarz over all rows.
        l1: share of the L1 norm in ADMM's penalty, >= 0; not given = the library's.
        tv: share of the total variation, >= 0; not given = the library's.
        epsilon: ADMM bounds the residual instead of penalizing it, and lambda plays no part: noise (the norm that the noise is
            expected to have) or a number, the norm of the weighted residual.
        iterations: of ADMM at most, or training steps of the neural field; not given = the method's own.
        constraint: on the image: nonnegative, real or none. Tikhonov's is real in any case.
        weights: of the rows: none, row_norm or whitening (by the background frames).
        drift_components: principal components of the background frames that are fitted beside the image.
        seed: of the neural field.
    """

    regularization: Annotated[float | None, arg(aliases=["--lambda"])] = None
    absolute: bool = False
    sweeps: int = SWEEPS
    l1: float | None = None
    tv: float | None = None
    epsilon: str | None = None
    iterations: int | None = None
    constraint: str = "nonnegative"
    weights: str = "none"
    drift_components: int = 0
    seed: int = 0

    def check(self, methods: list[str]) -> None:
        """Raise ValueError for what none of the methods can take, before any file is read."""
        for name, bound in self.penalties.items():
            if "admm" not in methods:
                raise ValueError(f"{name} = {bound} is an option of ADMM; choose --method admm, or leave out --{name}.")
            if bound != "noise":
                check_range(name, bound, 0, float("inf"), "")
        if self.penalties.get("l1") == 0 == self.penalties.get("tv"):
            raise ValueError("l1 = 0 and tv = 0 leave no penalty; give one of them a share.")
        if self.regularization is not None and not set(methods) & set(LAMBDA):
            raise ValueError("the neural field has no lambda; leave out --lambda, or choose another method.")
        if self.regularization is not None and methods == ["admm"] and self.epsilon is not None:
            raise ValueError("lambda plays no part where epsilon bounds the residual; give --lambda or --epsilon.")
        if self.regularization is not None:
            check_range("regularization", self.regularization, 0, float("inf"), "", "It is lambda, not its logarithm.")
        elif self.absolute:
            raise ValueError("an absolute lambda has no default; give it with --lambda.")
        check_count("sweeps", self.sweeps)
        check_count("drift_components", self.drift_components, 0)
        if self.iterations is not None:
            check_count("iterations", self.iterations)
        check_choice("constraint", self.constraint, CONSTRAINTS)
        check_choice("weights", self.weights, WEIGHTS)

    @property
    def penalties(self) -> dict[str, float | str]:
        """What was given of ADMM's own: l1, tv and epsilon, "noise" or a number."""
        given = {"l1": self.l1, "tv": self.tv, "epsilon": self.epsilon}
        if self.epsilon not in (None, "noise"):
            try:
                given["epsilon"] = float(self.epsilon)
            except ValueError:
                raise ValueError(f"epsilon = {self.epsilon!r}; give noise or a number.") from None
        return {name: item for name, item in given.items() if item is not None}

    def strength(self, method: str) -> float | None:
        """Lambda of a method as it was given, or its default; None where it plays no part."""
        if method not in LAMBDA or (method == "admm" and self.epsilon is not None):
            return None
        return LAMBDA[method] if self.regularization is None else self.regularization

    def solve(self, problem: Problem, method: str) -> mj.Solution:
        """The images of one method, once they have arrived on the host."""
        options: dict[str, Any] = {"constraint": None if self.constraint == "none" else self.constraint}
        if self.strength(method) is not None:
            options |= {"regularization": self.strength(method), "relative": not self.absolute}
        if method == "kaczmarz":
            options["sweeps"] = self.sweeps
        if method == "admm":
            options |= self.penalties
            options["constraint"] = options["constraint"] or "real"
        if method == "neural":
            options |= {"key": jax.random.key(self.seed), "progress": True}
        if self.iterations is not None and method in ("admm", "neural"):
            options["iterations" if method == "admm" else "steps"] = self.iterations
        return jax.block_until_ready(mj.reconstruction.solve(problem, method, **options))

    def parameters(self, method: str, stats: dict[str, Any]) -> dict[str, Any]:
        """What was used, for the file that is written; None where it plays no part."""
        used: dict[str, Any] = {
            "method": method,
            "regularization": self.strength(method),
            "relative": None if self.strength(method) is None else not self.absolute,
            "sweeps": self.sweeps if method == "kaczmarz" else None,
            "iterations": self.iterations if method in ("admm", "neural") else None,
            "constraint": self.constraint,
            "rowWeights": self.weights,
            "driftComponents": self.drift_components,
            "seed": self.seed if method == "neural" else None,
        }
        return used | {name: _number(stats[name]) for name in ("lambda", "l1", "tv", "epsilon") if name in stats}


SOLVER, ROWS, DATA = SolverOptions(), RowOptions(), DataOptions()


def reconstruct(
    system_matrix: Annotated[Positional[Path], arg(metavar="SYSTEM_MATRIX")],
    measurement: Annotated[Positional[Path], arg(metavar="MEASUREMENT")],
    output: Output,
    method: str = "kaczmarz",
    compare: bool = False,
    solver: SolverOptions = SOLVER,
    rows: RowOptions = ROWS,
    data: DataOptions = DATA,
    nifti: Path | None = None,
    png: Path | None = None,
) -> None:
    """Reconstruct a measurement; write the images [mmol(Fe)/L] as MDF and a picture of them.

    Args:
        system_matrix: MDF file with a calibration; one of several periods (patches) is reconstructed jointly.
        measurement: MDF file with a measurement of the same sequence.
        output: MDF file to write.
        method: kaczmarz, tikhonov, admm (L1 norm and total variation) or neural (a network of the coordinates; minutes).
        compare: draw kaczmarz, tikhonov, admm and the chosen method side by side; the file holds the chosen one.
        solver: how the equations are solved.
        rows: which rows are used.
        data: which frames are used, and their background.
        nifti: also write the images as NIfTI (.nii, .nii.gz).
        png: picture to draw (.png, .pdf, .svg); not given = beside the output.
    """
    from mpijax import viz

    check_choice("method", method, SOLVERS)
    methods = list(dict.fromkeys([*COMPARED, method])) if compare else [method]
    solver.check(methods)
    png = output.with_suffix(".png") if png is None else png
    outputs = [output, png] if nifti is None else [output, png, nifti]
    inputs = [system_matrix, measurement] if data.empty is None else [system_matrix, measurement, data.empty]
    check_outputs(outputs, inputs)
    viz.figure_format(png)
    if nifti is not None:
        mj.io.nifti.nifti_writer(nifti)

    with _step("reading"):
        found = read_inputs(system_matrix, measurement, rows, data)
        problem = found.problem(None if solver.weights == "none" else solver.weights, solver.drift_components)
    print(found.describe(problem))
    solutions, seconds = {}, {}
    for name in methods:
        start = time.perf_counter()
        with _step(f"solving: {name}", quiet=name == "neural"):  # which draws its own progress
            solutions[name] = solver.solve(problem, name)
        seconds[name] = time.perf_counter() - start
    _print_results(problem, solutions, seconds)
    _warn(solutions)

    chosen = solutions[method]
    images = np.asarray(chosen.value)
    parameters = {
        **solver.parameters(method, chosen.stats),
        **found.parameters(problem),
        "software": f"mpijax {mj.__version__}",
    }
    made = mj.io.Reconstruction.create(images, problem.grid, found.measurement, parameters=parameters)
    if compare:
        panels = {name: np.asarray(solutions[name].value)[0] for name in methods}
    else:
        shown = sorted({round(i) for i in np.linspace(0, len(images) - 1, MOST_FRAMES)})
        panels = {found.titles[i]: images[i] for i in shown}
    mj.io.write_reconstruction(output, made)
    viz.save(viz.plot_slices(panels, problem.grid, unit=made.unit), png)
    if nifti is not None:
        mj.io.write_nifti(nifti, made)
    print(f"wrote {', '.join(map(str, outputs))}: {len(images)} frames of {by(problem.grid.shape)} voxels")


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
            for key in ("lambda", "l1", "tv", "epsilon")
            if key in solution.stats
        )
        table.add_row(
            name,
            strength,
            f"{float(np.mean(np.asarray(solution.stats['residual']))):.2%}",
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
