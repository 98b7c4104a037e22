"""What Kaczmarz can be told."""

from dataclasses import dataclass
from typing import Any

from mpijax.reconstruction.solvers.settings import Array, Equations, Found, Key, Regularized, Values


@dataclass(frozen=True)
class Kaczmarz(Regularized):
    """Regularized Kaczmarz; few sweeps stop early, a regularization of their own. See :func:`kaczmarz`.

    Attributes:
        regularization: lambda, the penalty on large concentrations, or one per voxel; not given = 0.01.
        relative: lambda is relative to |W S|_F^2/n; otherwise as it is.
        sweeps: passes over all rows; 10 with a lambda of 0.01 are those of the Open MPI reference for 2-D data.
        constraint: on the image after every sweep: nonnegative, real or none.
        row_order: row indices in the order of their visits, or randomized, which needs a key; not given = as they come.
        key: random key of a randomized order.
        init: prior image [mmol(Fe)/L].
        tolerance: relative change of the image at which to stop before the last sweep; not given = do all.
        block_size: most rows per block; changes the speed only.

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """

    DEFAULT = 1e-2

    regularization: float | Array | None = None
    relative: bool = True
    sweeps: int = 10
    constraint: str | None = "nonnegative"
    row_order: str | Array | None = None
    key: Key | None = None
    init: Values | None = None
    tolerance: float | Array | None = None
    block_size: int | None = None

    by_frame = True
    """Every frame is a problem of its own."""

    @property
    def is_random(self) -> bool:
        """Whether a key is needed."""
        return isinstance(self.row_order, str)

    def check(self) -> None:
        """Raise ValueError for sweeps, an order, a constraint, a tolerance or a lambda that cannot be."""
        from mpijax.reconstruction.inputs import check_iteration, check_order_word

        super().check()
        check_order_word(self.row_order)
        check_iteration(self.sweeps, self.constraint, self.tolerance)

    def prepare(self, equations: Equations) -> Any:
        """Equations, lambda and the factors of the blocks of rows; of rows drawn anew there are none."""
        from mpijax.reconstruction.solvers.kaczmarz.factors import kaczmarz_factor

        self.check()
        absolute = equations.absolute(self.regularization, self.relative)
        if self.is_random:
            return equations, absolute, None
        few = len(equations.data) < 32
        factors = kaczmarz_factor(
            equations.matrix,
            absolute,
            row_weights=equations.row_weights,
            row_order=self.row_order,
            block_size=(32 if few else 64) if self.block_size is None else self.block_size,
        )
        return equations, absolute, factors

    def solve(self, prepared: Any, data: Array) -> Found:
        """The sweeps over all frames."""
        from mpijax.core.solution import Solution
        from mpijax.reconstruction.solvers.kaczmarz.rows import kaczmarz, kaczmarz_solve

        equations, absolute, factors = prepared
        options: dict[str, Any] = {
            "sweeps": self.sweeps,
            "constraint": self.constraint,
            "init": equations.unknowns(self.init),
            "tolerance": self.tolerance,
        }
        if factors is not None:
            found = kaczmarz_solve(factors, data, **options)
        else:
            options |= {"row_weights": equations.row_weights, "row_order": self.row_order, "key": self.key}
            found = kaczmarz(equations.matrix, data, absolute, block_size=self.block_size, **options)
        return Solution(found.value, {**found.stats, "lambda": absolute.number()})
