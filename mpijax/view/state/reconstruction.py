"""A reconstruction that is tuned: a plan, what is prepared for it, and the images that it makes."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mpijax.core.typing import Float
from mpijax.io import write, write_nifti
from mpijax.plans import DataOptions, ReconstructPlan
from mpijax.plans.inputs import Calibration, Inputs
from mpijax.plans.solvers import name_of
from mpijax.reconstruction import Admm, Kaczmarz, PreparedSolver, Problem, Tikhonov, kaczmarz_refactor
from mpijax.reconstruction.scaling import number
from mpijax.system import Grid
from mpijax.view.state.spectrum import Spectrum
from mpijax.view.state.watch import Watch
from mpijax.viz import plot_slices, save
from mpijax.viz.film import save_film

T = TypeVar("T")

SOLVERS: dict[str, Any] = {"kaczmarz": Kaczmarz, "tikhonov": Tikhonov, "admm": Admm}
"""Solvers that answer fast enough to be tuned."""

LAMBDAS = (-7.0, 2.0)
"""log10 of the relative lambdas that the slider reaches."""

UNIT = "mmol(Fe)/L"

READ = ("calibration", "inputs", "problem")
"""What is made of the files, in this order."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One image and how it came about.

    Attributes:
        image: (nz, ny, nx) [mmol(Fe)/L]; grid: its voxels.
        plan: by which plan; measurement: of which file; frame: which of its images.
        residual: |W(Ax - b)| / |Wb|; norm: root of the sum of the squared voxels [mmol(Fe)/L].
        rows: of the matrix; seconds: from the plan to the image.
        remarks: warnings of how matrix and measurement fit, a sentence each.
    """

    image: Float[np.ndarray, "z y x"]
    grid: Grid
    plan: ReconstructPlan
    measurement: Path
    frame: int
    residual: float
    norm: float
    rows: int
    seconds: float
    remarks: tuple[str, ...]

    @property
    def settings(self) -> tuple[str, str, str]:
        """Solver, lambda, and number of rows, in words."""
        solver = self.plan.solver
        return name_of(solver), f"{relative_lambda(solver):.3g}", str(self.rows)


class ReconstructionState:
    """What is reconstructed. Reading, equations and factors are kept until a choice that they depend on changes.

    Args:
        system_matrix: file of the calibration.
        measurements: files of measurements.
        empty: of an empty scan.
        watch: what the files were when they were opened; None = what they are now.

    Attributes:
        plan: everything that decides the image; change it with :meth:`change`.
        measurement: which file; frame: which of its images is shown.
        history: images that were kept, the last one last.
    """

    def __init__(
        self, system_matrix: Path, measurements: list[Path], empty: Path | None = None, watch: Watch | None = None
    ):
        self.system_matrix, self.measurements = system_matrix, measurements
        self.plan = ReconstructPlan(data=DataOptions(empty=empty))
        self.measurement, self.frame = measurements[0], 0
        self.history: list[Shown] = []
        self._watch = watch or Watch(path for path in (system_matrix, *measurements, empty) if path is not None)
        self._kept: dict[str, tuple[Any, Any]] = {}
        self._warnings: dict[str, tuple[str, ...]] = {}

    @property
    def lam(self) -> float:
        """The relative lambda."""
        return relative_lambda(self.plan.solver)

    def change(self, part: str, **choices: Any) -> None:
        """Change fields of ``rows``, ``data`` or ``solver``.

        Raises:
            ValueError, TypeError: a choice that cannot be; the plan stays.
        """
        plan = replace(self.plan, **{part: replace(getattr(self.plan, part), **choices)})
        plan.check()
        self.plan = plan

    def choose_solver(self, name: str) -> None:
        """Another solver, with the same lambda and, where it has one, constraint."""
        self.plan = replace(self.plan, solver=SOLVERS[name](regularization=self.lam))

    @property
    def prepared(self) -> bool:
        """Whether what takes long before the image, reading the files and preparing the solver, has been done for this plan."""
        name, key = self._preparation()
        return name in self._kept and self._kept[name][0] == key

    def titles(self) -> tuple[str, ...]:
        """The frames that each image is made of.

        Raises:
            OSError, MDFError, ValueError: files that cannot be read, or do not belong together.
        """
        return self._inputs().titles

    def show(self) -> Shown:
        """The image of the frame by the plan.

        Raises:
            OSError, MDFError, ValueError: files that cannot be read or do not belong together, options that cannot be.
        """
        inputs, problem = self._inputs(), self._problem()
        self.frame = min(max(self.frame, 0), len(inputs.titles) - 1)
        start = time.perf_counter()
        image, residual = self._solve(problem)
        return Shown(
            image, problem.grid, self.plan, self.measurement, self.frame, residual, float(np.linalg.norm(image)),
            len(problem.matrix), time.perf_counter() - start, self._remarks,
        )  # fmt: skip

    def keep(self, shown: Shown) -> None:
        """Put an image into the history, in place of one by the same plan of the same frame."""
        key = shown.plan, shown.measurement, shown.frame
        self.history = [s for s in self.history if (s.plan, s.measurement, s.frame) != key][-99:] + [shown]

    def return_to(self, shown: Shown) -> None:
        """The plan, file and frame of an image of the history."""
        self.plan, self.measurement, self.frame = shown.plan, shown.measurement, shown.frame

    def frames(self) -> Float[np.ndarray, "frames z y x"]:
        """The images of all frames, by the plan's own solver.

        Raises:
            OSError, MDFError, ValueError: see :meth:`show`.
        """
        return np.asarray(self._solution().value)

    def save(self, path: Path, kind: str) -> Path:
        """Write what the plan makes, as ``mpijax reconstruct --plan`` would, or the plan itself.

        Args:
            path: without its suffix.
            kind: mdf, nii, png, gif, mp4 or toml.

        Returns:
            The file that was written.

        Raises:
            ValueError: it is there already, or cannot be made.
            OSError: it cannot be written.
        """
        target = path.with_name(f"{path.name}.{kind}")
        if target.exists():
            raise ValueError(f"{target} is there already; give another name.")
        if kind == "toml":
            self.plan.save(target)
            return target
        inputs, problem, solution = self._inputs(), self._problem(), self._solution()
        images = np.asarray(solution.value)
        if kind == "png":
            save(plot_slices(images[self.frame], problem.grid, unit=UNIT), target)
        elif kind in ("gif", "mp4"):
            save_film(images, problem.grid, target, titles=inputs.titles, unit=UNIT)
        else:
            result = self.plan.result(inputs, problem, solution)
            write_nifti(target, result) if kind == "nii" else write(target, result)
        return target

    def _solve(self, problem: Problem) -> tuple[np.ndarray, float]:
        """The image of the frame, and its residual. Factors and decompositions are kept."""
        solver = self.plan.solver
        one = replace(problem, data=problem.data[self.frame : self.frame + 1])
        if isinstance(solver, Tikhonov) and one.contrasts == 1:
            real = solver.constraint is not None
            spectrum = self._once(*self._preparation(), lambda: Spectrum.create(one, real))
            if spectrum is not None:
                data = spectrum.data(one)
                absolute = one.equations().absolute(solver.regularization, solver.relative).number()
                x = spectrum.solve(data, float(absolute))
                return np.asarray(one.images(x))[0], float(spectrum.residual(x, data)[0])
        if isinstance(solver, Kaczmarz):
            solution, place = self._kaczmarz(solver, one)(one), 0
        elif isinstance(solver, Admm):  # whose frames share lambda and the last iteration
            solution, place = self._solution(), self.frame
        else:
            prepared = self._once("prepared", (self._choices, solver), lambda: PreparedSolver.create(one, solver))
            solution, place = prepared(one), 0
        residual = solution.stats.residual
        return np.asarray(solution.value)[place], float("nan") if residual is None else float(residual[place])

    def _kaczmarz(self, solver: Kaczmarz, one: Problem) -> PreparedSolver:
        """Kaczmarz for its lambda, from rows that were prepared for another one."""
        same = _unregularized(solver)
        prepared, unit = self._once(
            *self._preparation(),
            lambda: (PreparedSolver.create(one, same), one.equations().absolute(1.0, True)),
        )
        equations, _, factors = prepared.prepared
        absolute = unit.times(number(relative_lambda(solver), one.matrix.dtype))
        again = equations, absolute, kaczmarz_refactor(factors, absolute)
        return replace(prepared, solver=solver, prepared=again)

    @property
    def _choices(self) -> Any:
        """What the equations depend on."""
        return self.plan.rows, self.plan.data, self.measurement

    def _calibration(self) -> Calibration:
        data = DataOptions(background=self.plan.data.background, transfer_function=self.plan.data.transfer_function)

        def read() -> Calibration:
            self._watch.check(self.system_matrix)
            found = Calibration.open(self.system_matrix, self.plan.rows, data)
            _ = found.matrices  # which are read when they are asked for first, and the file may be another one then
            return found

        return self._heard("calibration", (self.plan.rows, data), read)

    def _inputs(self) -> Inputs:
        def read() -> Inputs:
            calibration = self._calibration()
            self._watch.check(self.measurement, self.plan.data.empty)
            return self.plan.inputs(calibration, self.measurement)

        return self._heard("inputs", self._choices, read)

    def _problem(self) -> Problem:
        return self._heard("problem", self._choices, lambda: self._inputs().problem())

    def _solution(self) -> Any:
        key = self._choices, self.plan.solver, self.plan.seed
        return self._once("solution", key, lambda: self.plan.solve(self._problem()))

    def _preparation(self) -> tuple[str, Any]:
        """Under which name and key :meth:`_once` keeps what the solver takes long for."""
        solver = self.plan.solver
        if isinstance(solver, Tikhonov):
            return "spectrum", (self._choices, solver.constraint is not None)
        if isinstance(solver, Kaczmarz):
            return "rows", (self._choices, _unregularized(solver))
        return "solution", (self._choices, solver, self.plan.seed)

    @property
    def _remarks(self) -> tuple[str, ...]:
        """What reading and comparing the files gave warning of."""
        return tuple(dict.fromkeys(text for name in READ for text in self._warnings.get(name, ())))

    def _heard(self, name: str, key: Any, make: Callable[[], T]) -> T:
        """As :meth:`_once`; warnings are kept beside what was made, for whoever looks at the page does not see the terminal."""

        def listening() -> T:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always", UserWarning)
                made = make()
            self._warnings[name] = tuple(str(w.message) for w in heard if issubclass(w.category, UserWarning))
            return made

        return self._once(name, key, listening)

    def _once(self, name: str, key: Any, make: Callable[[], T]) -> T:
        """What was made for this key last, or made anew."""
        if name not in self._kept or self._kept[name][0] != key:
            self._kept.pop(name, None)  # before its successor is made: both may not fit
            self._kept[name] = key, make()
        found: T = self._kept[name][1]
        return found


def _unregularized(solver: Kaczmarz) -> Kaczmarz:
    """What the rows are prepared for, whatever lambda, sweeps and constraint."""
    return replace(solver, regularization=1.0, sweeps=1, constraint=None)


def relative_lambda(solver: Any) -> float:
    """The lambda of a solver, its default where none is given."""
    given = solver.regularization
    return float(type(solver).DEFAULT if given is None else given)
