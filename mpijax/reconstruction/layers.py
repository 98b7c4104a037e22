"""Reconstruction as layers: row weights and the regularization parameter are leaves that a gradient can train.

Both layers hold the logarithms of the row weights and of the relative regularization parameter, so that every value of
the leaves is admissible. A common factor of all weights changes nothing, because lambda is relative to the weighted
matrix; it is fixed by the geometric mean of the weights, which is 1 at the start.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mpijax.core.checks import check_choice, check_range, check_shape
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Inexact, Num, Shaped, Values, Vector
from mpijax.reconstruction.inputs import check_iteration, check_problem, complex_pair
from mpijax.reconstruction.solvers.kaczmarz.blocks import kaczmarz_solve
from mpijax.reconstruction.solvers.kaczmarz.factors import kaczmarz_factor
from mpijax.reconstruction.solvers.tikhonov.minimizer import tikhonov
from mpijax.reconstruction.weights import relative_regularization


@pytree
class UnrolledKaczmarz:
    """A fixed number of Kaczmarz sweeps as a layer, ``layer(matrix, data) -> image``. Make it with :meth:`create`.

    The gradient goes through every sweep (reverse mode); with all frames in one call the matrix is prepared once.

    Attributes:
        log_weights: log of the row weights (m,).
        log_regularization: log of lambda / (|W A|_F^2 / n), a scalar.
        sweeps: passes over all rows (static).
        constraint: "nonnegative", "real" or None, as in ``kaczmarz`` (static).

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """

    log_weights: Vector
    log_regularization: Values
    sweeps: int = static()
    constraint: str | None = static()

    @staticmethod
    def create(
        row_weights: Shaped[Array, " m"],
        regularization: ArrayLike = 1e-3,
        *,
        sweeps: int = 3,
        constraint: str | None = "nonnegative",
    ) -> "UnrolledKaczmarz":
        """A layer that starts from given weights and a given relative regularization.

        Args:
            row_weights: positive weights (m,), for example ones or ``row_norm_weights(matrix)``.
            regularization: lambda relative to |W A|_F^2 / n, > 0.
            sweeps: passes over all rows.
            constraint: projection after every sweep.

        Raises:
            ValueError: weights or a regularization that are not positive, no sweep, an unknown constraint.
        """
        check_iteration(sweeps, constraint)
        return UnrolledKaczmarz(*_logarithms(row_weights, regularization), sweeps, constraint)

    def __call__(self, matrix: Inexact[Array, "m n"], data: Num[Array, "..."]) -> Inexact[jax.Array, "..."]:
        """Images of the data.

        Args:
            matrix: A, complex (m, n), any unit.
            data: b, complex (m,) or (frames, m), the same unit times that of the image.

        Returns:
            Image (n,) or (frames, n), real with a constraint; of ``kaczmarz`` with these weights and this lambda.

        Raises:
            ValueError: shapes that do not agree with each other or with the weights.
        """
        matrix, data, weights = _checked(self, matrix, data)
        regularization = relative_regularization(matrix, jnp.exp(self.log_regularization), weights)
        factors = kaczmarz_factor(matrix, regularization, row_weights=weights)
        return kaczmarz_solve(factors, data, sweeps=self.sweeps, constraint=self.constraint).value


@pytree
class ImplicitTikhonov:
    r"""The Tikhonov minimizer as a layer, ``layer(matrix, data) -> image``. Make it with :meth:`create`.

    .. math:: \min_x\ \|W(Ax - b)\|^2 + \lambda \|x\|^2

    Its gradient is that of the linear equations it solves, no iteration is kept.

    Attributes:
        log_weights: log of the row weights (m,).
        log_regularization: log of lambda / (|W A|_F^2 / n), a scalar.
        constraint: "real" for the minimizer among real images, or None (static).

    Source: Tikhonov (1963); Hansen, Rank-Deficient and Discrete Ill-Posed Problems (1998), ch. 5.
    """

    log_weights: Vector
    log_regularization: Values
    constraint: str | None = static()

    @staticmethod
    def create(
        row_weights: Shaped[Array, " m"], regularization: ArrayLike = 1e-3, *, constraint: str | None = "real"
    ) -> "ImplicitTikhonov":
        """A layer that starts from given weights and a given relative regularization.

        Args:
            row_weights: positive weights (m,), for example ones or ``row_norm_weights(matrix)``.
            regularization: lambda relative to |W A|_F^2 / n, > 0.
            constraint: "real" or None.

        Raises:
            ValueError: weights or a regularization that are not positive, an unknown constraint.
        """
        check_choice("constraint", constraint, ("real", None))
        return ImplicitTikhonov(*_logarithms(row_weights, regularization), constraint)

    def __call__(self, matrix: Inexact[Array, "m n"], data: Num[Array, "..."]) -> Inexact[jax.Array, "..."]:
        """Images of the data.

        Args:
            matrix: A, complex (m, n), any unit.
            data: b, complex (m,) or (frames, m), the same unit times that of the image.

        Returns:
            Image (n,) or (frames, n), real with the constraint "real".

        Raises:
            ValueError: shapes that do not agree with each other or with the weights.
        """
        matrix, data, weights = _checked(self, matrix, data)
        regularization = relative_regularization(matrix, jnp.exp(self.log_regularization), weights)
        return tikhonov(matrix, data, regularization, row_weights=weights, constraint=self.constraint).value


def _logarithms(row_weights: Values, regularization: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Checked leaves: log weights of mean zero, and log lambda, of one dtype."""
    check_shape("row_weights", row_weights, (np.size(row_weights),))
    tiny = float(np.finfo(jnp.result_type(float)).tiny)
    hint = "Leave rows out of matrix and data instead of giving them the weight 0."
    check_range("row_weights", row_weights, tiny, float("inf"), "", hint)
    check_shape("regularization", regularization, ())
    check_range("regularization", regularization, tiny, float("inf"), "")
    logs = jnp.log(jnp.asarray(row_weights, jnp.result_type(float, row_weights)))
    return logs - jnp.mean(logs), jnp.log(jnp.asarray(regularization, logs.dtype))


def _checked(
    layer: "UnrolledKaczmarz | ImplicitTikhonov", matrix: Values, data: Values
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Matrix and data, complex, and the weights."""
    matrix, data = check_problem(matrix, data)
    check_shape("log_weights", layer.log_weights, np.shape(matrix)[:1])
    matrix, data = complex_pair(matrix, data)
    return matrix, data, jnp.exp(jnp.asarray(layer.log_weights, matrix.real.dtype))
