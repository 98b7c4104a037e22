"""What Tikhonov's minimizer can be told."""

from dataclasses import dataclass
from typing import Any

from mpijax.reconstruction.solvers.settings import Array, Equations, Found, Key, Regularized


@dataclass(frozen=True)
class Tikhonov(Regularized):
    """The minimizer of |W(Ax - b)|^2 + lambda |x|^2 itself, by default among real images. See :func:`tikhonov`.

    Attributes:
        regularization: lambda, the penalty on large concentrations, or one per voxel; not given = 0.01.
        relative: lambda is relative to |W S|_F^2/n; otherwise as it is.
        constraint: real or none; the real part of a complex image is shown. The image can be negative: nonnegative means real here.
        method: auto, primal, dual, cgnr or low_rank, which needs a rank and a key.
        tolerance: relative error at which a frame is done; not given = 8 roundings.
        max_iterations: of conjugate gradients; not given = as many as are usual.
        rank: of low_rank.
        key: random key of low_rank.

    Source: Tikhonov (1963); Hansen, Rank-Deficient and Discrete Ill-Posed Problems (1998), ch. 5.
    """

    DEFAULT = 1e-2

    regularization: float | Array | None = None
    relative: bool = True
    constraint: str | None = "real"
    method: str = "auto"
    tolerance: float | Array | None = None
    max_iterations: int | None = None
    rank: int | None = None
    key: Key | None = None

    by_frame = True
    """Every frame is a problem of its own."""
    row_sums = True
    """Rows enter sums alone."""

    @property
    def is_random(self) -> bool:
        """Whether a key is needed."""
        return self.method == "low_rank"

    def check(self) -> None:
        """Raise ValueError for a constraint, a method or a lambda that cannot be."""
        from mpijax.core.checks import check_choice
        from mpijax.reconstruction.inputs import CONSTRAINTS
        from mpijax.reconstruction.solvers.tikhonov.minimizer import METHODS

        super().check()
        check_choice("constraint", self.constraint, CONSTRAINTS)
        check_choice("method", self.method, METHODS)

    def prepare(self, equations: Equations) -> Any:
        """Lambda and the factors of the normal matrix."""
        from mpijax.reconstruction.solvers.tikhonov.minimizer import tikhonov_factor

        self.check()
        absolute = equations.absolute(self.regularization, self.relative)
        factors = tikhonov_factor(
            equations.matrix,
            absolute,
            method=self.method,
            row_weights=equations.row_weights,
            constraint="real" if self.constraint else None,
            rank=self.rank,
            key=self.key if self.is_random else None,
        )
        return absolute, factors

    def solve(self, prepared: Any, data: Array) -> Found:
        """The minimizers of all frames."""
        from mpijax.core.solution import Solution
        from mpijax.reconstruction.solvers.tikhonov.minimizer import tikhonov_solve

        absolute, factors = prepared
        found = tikhonov_solve(factors, data, tolerance=self.tolerance, max_iterations=self.max_iterations)
        return Solution(found.value, {**found.stats, "lambda": absolute.number()})
