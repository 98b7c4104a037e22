"""What decides the image of a measurement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mpijax.core.checks import check_seed
from mpijax.core.solution import Solution
from mpijax.core.version import VERSION
from mpijax.io import MDFInfo, Reconstruction, read_info
from mpijax.plans.fields import check_plain, nearest
from mpijax.plans.inputs import Calibration, Inputs, read_inputs, stored_files
from mpijax.plans.options import DataOptions, RowOptions
from mpijax.plans.plan import Plan
from mpijax.plans.solvers import NO_CHOICES, keyed, name_of, record
from mpijax.reconstruction import Kaczmarz, Problem, solve
from mpijax.reconstruction.solvers.registry import resolve, solver_class, solver_names

PLAN = "plan"
"""The parameter of a result that holds the plan."""

FILES = {
    "systemMatrixFile": "system matrix",
    "measurementFile": "measurement",
    "emptyScanFile": "empty scan",
}
"""Parameter of a result -> what file it tells of."""

STRENGTHS = ("lambda", "l1", "tv", "epsilon")
"""What a solver's stats say of its penalty."""


@dataclass(frozen=True)
class ReconstructPlan(Plan):
    """Everything but the files that decides an image.

    Attributes:
        rows: which rows of the system matrix.
        data: which frames of the measurement, and their background.
        solver: a solver that has a name, or its name.
        seed: of what is random in the solver.
    """

    kind = "reconstruct"

    rows: RowOptions = RowOptions()
    data: DataOptions = DataOptions()
    solver: Any = field(default_factory=Kaczmarz)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "solver", resolve(self.solver, {}))
        name_of(self.solver)
        check_seed(self.seed)
        if getattr(self.solver, "key", None) is not None:
            raise ValueError("solver.key is given; a plan has a seed instead, ReconstructPlan(solver=..., seed=0).")
        check_plain("solver", self.solver)

    def check(self) -> None:
        """Raise ValueError for choices that cannot be, as far as that can be told without files."""
        self.rows.check()
        self.data.check()
        getattr(self.solver, "check", lambda: None)()

    @property
    def keyed_solver(self) -> Any:
        """The solver as :func:`mpijax.reconstruction.solve` takes it: with the key of the seed, where it needs one."""
        return keyed(self.solver, self.seed)

    def calibration(self, system_matrix: str | Path) -> Calibration:
        """The rows of a system matrix, for :meth:`inputs` of many measurements.

        Raises:
            FileNotFoundError, MDFError, ValueError: no calibration, or options that cannot be.
        """
        return Calibration.open(system_matrix, self.rows, self.data)

    def inputs(
        self,
        system_matrix: str | Path | Calibration,
        measurement: str | Path,
        size: Callable[[MDFInfo, int], int] | None = None,
    ) -> Inputs:
        """What both files hold of a reconstruction; ``inputs.problem()`` are its equations, whatever the solver.

        Args:
            system_matrix: MDF file, or its rows as :meth:`calibration` of the same ``rows`` and ``data`` gives them.
            measurement: MDF file.
            size: see :func:`read_inputs`.

        Raises:
            FileNotFoundError, MDFError, ValueError: files or options that do not fit.
        """
        if not isinstance(system_matrix, Calibration):
            system_matrix = self.calibration(system_matrix)
        return read_inputs(system_matrix, measurement, self.data, size)

    def solve(self, problem: Problem) -> Solution[Any, Any]:
        """The images of a problem, as from :func:`mpijax.reconstruction.solve`."""
        return solve(problem, self.keyed_solver)

    def reconstruct(self, system_matrix: str | Path | Calibration, measurement: str | Path) -> Reconstruction:
        """The images of a measurement, as ``mpijax reconstruct`` writes them.

        Args:
            system_matrix, measurement: see :meth:`inputs`.

        Raises:
            FileNotFoundError, MDFError, ValueError: files or options that do not fit.
        """
        inputs = self.inputs(system_matrix, measurement)
        problem = inputs.problem()
        return self.result(inputs, problem, self.solve(problem))

    def result(self, inputs: Inputs, problem: Problem, solution: Solution[Any, Any]) -> Reconstruction:
        """Images with the record of how they were made.

        Args:
            inputs: what was read.
            problem: its equations, or those of one of its blocks.
            solution: of the problem.
        """
        stats = solution.stats
        parameters = {
            **record(name_of(self.solver), self.keyed_solver, self.seed),
            **{strength: _number(stats[strength]) for strength in STRENGTHS if strength in stats},
            **inputs.parameters(problem),
            "software": f"mpijax {VERSION}",
            PLAN: self.text(),
        }
        return Reconstruction.create(
            np.asarray(solution.value), problem.grid, inputs.measurement, parameters=parameters
        )

    @staticmethod
    def of_image(path: str | Path) -> "ReconstructPlan":
        """The plan by which an image was made, from the record in its file.

        Raises:
            FileNotFoundError, MDFError: no such file, or no MDF file.
            ValueError: it holds no image, or one whose record is no plan: of an earlier version, or of another program.
        """
        image = read_info(path).reconstruction
        if image is None:
            raise ValueError(f"{path} holds no reconstruction; a plan is recorded in the images of mpijax reconstruct.")
        text = image.parameters.get(PLAN)
        if not isinstance(text, str):
            by = image.parameters.get("software", "another program")
            raise ValueError(f"{path} was made by {by} and records no plan; reconstruct it anew to have one.")
        return ReconstructPlan.parse(text, str(path), Path(path).absolute().parent)

    def differing(self, image: str | Path, system_matrix: Path, measurement: Path) -> list[str]:
        """In what an image that is there differs from what this plan makes of two files, in words; empty = in nothing.

        Raises:
            OSError, MDFError, ValueError: no image, or one that records no plan.
        """
        old = ReconstructPlan.of_image(image).text().splitlines()
        found = read_info(image).reconstruction
        assert found is not None
        new = self.text().splitlines()
        texts = [f"with {line}" for line in old if line not in new]
        named = {line.partition(" =")[0] for line in old}
        texts += [f"without {line}" for line in new if line.partition(" =")[0] not in named]
        texts += [] if texts or new == old else ["by another plan"]
        for name, stored in stored_files(system_matrix, measurement, self.data.empty).items():
            if found.parameters.get(name) != stored:
                texts.append(f"of another {FILES[name]}")
        return texts

    def _name(self, table: str) -> list[str]:
        return [f'name = "{name_of(self.solver)}"'] if table == "solver" else []

    def _hidden(self, value: Any) -> frozenset[str]:
        return NO_CHOICES if value is self.solver else frozenset()

    @classmethod
    def _class(cls, table: str, content: dict[str, Any]) -> tuple[type, frozenset[str]]:
        if table != "solver":
            return super()._class(table, content)
        name = content.pop("name", None)
        if name not in solver_names():
            given = "[solver] name is not given" if name is None else f"[solver] name = {name!r} is not known"
            raise ValueError(f"{given}; {nearest(str(name), solver_names())}")
        return solver_class(name), NO_CHOICES


def _number(value: Any) -> Any:
    array = np.asarray(value, np.float64)
    return array.item() if array.size == 1 else tuple(array.ravel().tolist())
