"""What a reconstruction says of its work."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mpijax.core.pytree import pytree, static
from mpijax.core.record import Record
from mpijax.core.typing import Matrix, Scalar, Vector
from mpijax.system import Grid
from mpijax.system.facts.compare import Comparison


@pytree
class SolverStats(Record):
    """The ``stats`` of :func:`reconstruct` and :func:`solve`; also a mapping, ``stats["lambda"]``, of what is not None.

    Attributes:
        residual: |W(Ax - b)| / |Wb| of every frame (frames,).
        lambda_: the absolute lambda [unit of the matrix squared], of solvers that have one.
        comparison: which facts of matrix and measurement were compared, one per matrix; static.
        drift: coefficients of the drift (frames, q).
        grid: the union of the patches.
        own: what the solver says besides, by name; ``stats.history`` is ``stats.own["history"]``.
    """

    residual: Vector | None = None
    lambda_: Scalar | None = None
    comparison: tuple[Comparison, ...] | None = static(default=None)
    drift: Matrix | None = None
    grid: Grid | None = None
    own: dict[str, Any] | None = None

    @staticmethod
    def create(found: Mapping[str, Any], **more: Any) -> "SolverStats":
        """The record of what a solver says, a mapping or a record, and of what the pipeline adds.

        Args:
            found: by name; what is no field is the solver's own.
            more: fields.
        """
        own = {name.replace("lambda", "lambda_"): value for name, value in found.items()} | more
        common = {part.name: own.pop(part.name) for part in fields(SolverStats) if part.name in own}
        return SolverStats(**common, own=own)
