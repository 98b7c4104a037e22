"""The equations that a solver is given."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax

from mpijax.core.typing import Array, Float, Matrix, Scalar, Shaped, Vector
from mpijax.reconstruction.inputs import check_regularization
from mpijax.reconstruction.scaling import Scaled, number
from mpijax.reconstruction.weights import relative_regularization

if TYPE_CHECKING:
    from mpijax.reconstruction.problem import Problem


@dataclass(frozen=True, eq=False)
class Equations:
    """min over x of |W (A x - b)|, and what a solver may ask besides. Made by :meth:`Problem.equations`.

    Attributes:
        matrix: A (m, n), complex.
        data: b (frames, m), complex: the frames of the problem.
        row_weights: diagonal of W (m,), or None.
        problem: where the equations come from.
    """

    matrix: Matrix
    data: Matrix
    row_weights: Vector | None
    problem: "Problem"

    def __iter__(self) -> Iterator[Matrix | Vector | None]:
        """Matrix, data and row weights, in this order."""
        return iter((self.matrix, self.data, self.row_weights))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(nx, ny, nz) of the one image that x is.

        Raises:
            ValueError: x holds several contrasts.
        """
        if self.problem.contrasts > 1:
            raise ValueError(
                f"there are {self.problem.contrasts} contrasts, and a solver that uses the image's shape reconstructs one "
                "contrast; use 'kaczmarz' or 'tikhonov' for several."
            )
        return self.problem.grid.shape

    @property
    def weights_chosen(self) -> bool:
        """Whether rows are weighted, here or, with drift, before they were projected."""
        return self.problem.row_weights is not None

    def noise_norm(self) -> float:
        """Norm that the noise of W b is expected to have; see :meth:`Problem.noise_norm`."""
        return self.problem.noise_norm()

    def unknowns(self, images: Shaped[Array, "..."] | None) -> Float[jax.Array, "..."] | None:
        """Images in mmol(Fe)/L as x; None stays. See :meth:`Problem.unknowns`."""
        return None if images is None else self.problem.unknowns(images)

    def absolute(self, regularization: Scalar | None, relative: bool) -> Scaled:
        """The absolute lambda of a relative or absolute one: regularization |W A|_F^2 / n; ``.number()`` is its value.

        Raises:
            ValueError: no finite number >= 0, or none > 0 for each voxel.
        """
        check_regularization(regularization, self.matrix.shape[1])
        assert regularization is not None  # which is no number
        if relative:
            return relative_regularization(self.matrix, regularization, self.row_weights)
        return number(regularization, self.matrix.dtype)
