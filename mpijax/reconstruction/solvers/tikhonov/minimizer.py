"""Tikhonov-regularized least squares: one minimizer, by Cholesky factors, by conjugate gradients or compressed."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import cho_solve
from jax.sharding import PartitionSpec
from jax.typing import ArrayLike

from mpijax.core.checks import check_choice, check_count, check_finite, is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.sharding import each_device, shared_out
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Inexact, Matrix, Num, Scalar, Shaped, Values
from mpijax.reconstruction.inputs import (
    check_data,
    check_key,
    check_matrix,
    check_problem,
    check_regularization,
    check_row_weights,
    check_same_field,
    complex_pair,
    is_complex,
)
from mpijax.reconstruction.scaling import Scaled, normalize, number, scaled_frames, scaled_rows, shift
from mpijax.reconstruction.solvers.tikhonov.cgnr import solve_augmented, solve_unrefined
from mpijax.reconstruction.solvers.tikhonov.low_rank import check_rank, randomized_svd
from mpijax.reconstruction.solvers.tikhonov.normal_equations import (
    apply,
    apply_adjoint,
    check_not_empty,
    gram,
    join,
    matmul,
    split,
    squares,
    stack,
    unstack,
)

MOST_CONDITION = 1e6
"""Bound of the normal matrix' condition, its trace over lambda, up to which it is inverted."""

METHODS = ("auto", "primal", "dual", "cgnr", "low_rank")
CONSTRAINTS = ("real", None)


@pytree
class TikhonovFactors:
    """What ``tikhonov_factor`` prepares for many frames.

    Attributes:
        stacked: (2m, n) real, weighted matrix divided by 2^exponent: of every row the real and the imaginary part.
        subspace: (2m, k) real, U of a low-rank compression, or None.
        reduced: (2k, n) real, U^H A, or None.
        regularization: lambda of the scaled matrix.
        triangle: lower Cholesky factor of the normal matrix, or None.
        inverse: of the normal matrix in place of its factor, real (k, k) or in real parts (2k, k), or None. Without
            either conjugate gradients are not preconditioned.
        scale: that the columns were divided by besides, (n,) or one.
        exponent: of the power of two that the matrix was divided by.
        row_weights: ``Scaled`` (m,) or None.
        dual: whether the normal matrix is that of the rows (static).
        constraint: "real" or None (static).
        complex_rows: whether the matrix was complex (static).

    Source: Tikhonov (1963); Hansen, Rank-Deficient and Discrete Ill-Posed Problems (1998), ch. 5.
    """

    stacked: Matrix
    subspace: Matrix | None
    reduced: Matrix | None
    regularization: Scalar
    triangle: Matrix | None
    inverse: Matrix | None
    scale: Values
    exponent: Values
    row_weights: Scaled | None
    dual: bool = static()
    constraint: str | None = static()
    complex_rows: bool = static()


def tikhonov(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    regularization: ArrayLike | Scaled,
    *,
    method: str = "auto",
    row_weights: Shaped[Array, "..."] | None = None,
    constraint: str | None = None,
    tolerance: ArrayLike | None = None,
    max_iterations: int | None = None,
    rank: int | None = None,
    key: jax.Array | None = None,
) -> Solution[dict[str, Any], jax.Array]:
    r"""The minimizer of |W(Ax - b)|^2 + lambda |x|^2, by every method the same.

    .. math:: x = (A^H W^2 A + \lambda I)^{-1} A^H W^2 b = A^H W (W A A^H W + \lambda I)^{-1} W b

    and with ``constraint="real"``

    .. math:: x = \left( \operatorname{Re}(A^H W^2 A) + \lambda I \right)^{-1} \operatorname{Re}(A^H W^2 b)

    "primal" and "dual" factor a normal matrix once for all frames, "cgnr" takes products with A and A^H only,
    "low_rank" solves the problem compressed to ``rank`` singular vectors. All end with conjugate gradients on the
    unfactored matrix, for which the factor is a preconditioner: in single precision a normal matrix is rounded by more
    than a small lambda. Matrix and data are scaled by powers of two, so that signals in SI units do not underflow.

    With lambda = 0 a matrix of full rank gives the least-squares solution or, if it is wide, the image of least norm
    that explains the data. The larger of its two normal matrices is singular then: "primal" of a wide matrix and "dual"
    of a tall one are refused, and a traced lambda must not become 0 with them. Of a matrix that is not of full rank in
    the working precision the iterations keep the part that they resolve: look at "normal_residual". A wide
    matrix with empty or dependent rows that the data contradict needs lambda > 0 or "cgnr": the equations of "dual", and
    so of "auto", have no solution then.

    Differentiable in matrix, data, weights and lambda, in forward and reverse mode, at lambda = 0 as well if the matrix
    has full rank; the derivatives are those of the minimizer, whatever the iterations. "low_rank" holds the singular
    vectors U fixed. Frames go in as rows of ``data``: under ``jax.vmap`` over matrices or lambdas the Cholesky
    factorization becomes a batched one, which is slow on a CPU; use "cgnr" or a loop there.

    Args:
        matrix: A, complex (m, n).
        data: b, complex (m,) or (frames, m).
        regularization: lambda >= 0 [unit of the matrix squared], absolute; ``relative_lambda`` converts. Or lambda_j > 0
            per voxel (n,), for the penalty sum_j lambda_j |x_j|^2.
        method: "auto" is "primal" or "dual", whose normal matrix is the smaller; "primal" where devices hold some rows each.
        row_weights: diagonal of W (m,), real.
        constraint: "real" for the exact minimizer among real images, or None.
        tolerance: relative error of x at which a frame is done, as estimated with the factor or, for "cgnr", bounded by
            the residual of the normal equations over lambda; None: 8 roundings, 1e-6 in single precision. Iterations end
            as well where the residual is as small as rounding lets it be.
        max_iterations: of conjugate gradients; None: 100 with a factor (2 to 10 are usual; 1 is the factor's
            solution unrefined, and faster), 1000 for "cgnr", whose iterations grow like sqrt(s_1^2 / lambda).
        rank: of "low_rank".
        key: of "low_rank", see ``randomized_svd``.

    Returns:
        Solution: value (n,) or (frames, n), real with a constraint, else complex; stats per frame, constants under
        differentiation: "residual" = |W(Ax - b)| / |Wb| and "normal_residual" =
        |A^H W^2 (b - Ax) - lambda x| / |A^H W^2 b| of the whole matrix (with "real" of the real parts of A^H ..),
        whatever the method; "iterations" of the slowest frame. The distance to the minimizer is at most
        normal_residual |A^H W^2 b| / lambda. Not converged shows there; nothing is raised. With a lambda per voxel the
        normal equations are those of sqrt(lambda_j / max lambda) x_j.

    Raises:
        ValueError: wrong shapes, a negative lambda, NaN or infinite entries, a matrix of zeros, an unknown method or
            constraint, an impossible rank, lambda = 0 with the singular normal matrix.
        TypeError: no arrays, a complex lambda or row weight, real data for a complex matrix, a low rank without rank or
            key, and the two with another method.

    Source: Tikhonov (1963); normal equations in Hansen, Rank-Deficient and Discrete Ill-Posed Problems (1998), ch. 5;
        refinement by the augmented system: Bjorck, BIT 7 (1967) 257.
    """
    if max_iterations is not None:
        check_count("max_iterations", max_iterations, static=True)
    matrix, data = check_problem(matrix, data)
    dtype = jnp.result_type(matrix, data)
    matrix, data = jnp.asarray(matrix, dtype), jnp.asarray(data, dtype)
    factors = _prepared(matrix, regularization, method, row_weights, constraint, rank, key)
    return tikhonov_solve(factors, data, tolerance=tolerance, max_iterations=max_iterations)


def tikhonov_factor(
    matrix: Inexact[Array, "m n"],
    regularization: ArrayLike | Scaled,
    *,
    method: str = "auto",
    row_weights: Shaped[Array, "..."] | None = None,
    constraint: str | None = None,
    rank: int | None = None,
    key: jax.Array | None = None,
) -> TikhonovFactors:
    """Prepare a matrix for ``tikhonov_solve``; arguments and errors as in ``tikhonov``.

    Where lambda keeps the normal matrix away from singular, that is inverted: products take a fraction of the time of two
    triangular solves, and what the inverse lacks in accuracy the conjugate gradients make up.

    Memory: one copy of the matrix and its smaller normal matrix.

    Source: Tikhonov (1963); Hansen, Rank-Deficient and Discrete Ill-Posed Problems (1998), ch. 5.
    """
    return _prepared(matrix, regularization, method, row_weights, constraint, rank, key, invert=True)


def _prepared(matrix, regularization, method, row_weights, constraint, rank, key, invert=False):
    """Checked arguments to factors; with an inverse where that is wanted and safe."""
    matrix = check_matrix(matrix)
    check_choice("method", method, METHODS)
    check_choice("constraint", constraint, CONSTRAINTS)
    check_regularization(regularization, matrix.shape[1])
    check_row_weights(row_weights, matrix.shape[0])
    check_finite("matrix", matrix)
    if shared_out(matrix) is not None:
        method = _by_rows(method)
    _check_method(method, regularization, matrix.shape, constraint, rank, key)
    complex_rows = is_complex(matrix)
    matrix, _ = complex_pair(matrix, matrix)
    weights = number(row_weights, matrix.dtype)
    scaled, peak = _scale(matrix, number(regularization, matrix.dtype), weights)
    check_not_empty(peak, matrix.shape)
    basis = None
    if method == "low_rank":
        assert rank is not None and key is not None
        basis = randomized_svd(lax.stop_gradient(_join_rows(scaled[0])), rank, key=key).u
    known = is_concrete(scaled)
    invert = invert and known and bool(_trace(scaled[0]) < MOST_CONDITION * scaled[1])
    return _factor(
        scaled, weights, basis, method=method, constraint=constraint, complex_rows=complex_rows, invert=invert
    )


def _by_rows(method):
    """The method where devices hold some rows each: the normal matrix of the rows has products of all of them."""
    if method == "dual":
        raise ValueError(
            "method = 'dual' needs products of all rows, and they are shared out over devices; use 'primal' or 'cgnr', or share "
            "out the frames."
        )
    return "primal" if method == "auto" else method


def _check_method(method, regularization, shape, constraint, rank, key):
    """Rank and key belong to "low_rank"; without lambda the larger normal matrix is singular."""
    if method == "low_rank":
        if rank is None or key is None:
            raise TypeError("method = 'low_rank' needs rank= (how many singular vectors) and key=jax.random.key(0).")
        check_rank(rank, shape)
        check_key(key)
    elif rank is not None or key is not None:
        name = "key" if rank is None else "rank"
        raise TypeError(f"{name} is given, but method = {method!r} has none; leave it out or use method='low_rank'.")
    known = regularization.value if isinstance(regularization, Scaled) else regularization
    if is_concrete(known) and not np.any(np.asarray(known)):
        rows, voxels = shape[0] * (2 if constraint == "real" else 1), shape[1]
        better = {"primal": "dual", "dual": "primal"}.get(method)
        if better and (rows < voxels if method == "primal" else rows > voxels):
            raise ValueError(
                f"regularization = 0 with method = {method!r}: the normal matrix of {rows} equations for {voxels} unknowns is "
                f"singular in this form. Use method={better!r} or 'auto'."
            )


def tikhonov_solve(
    factors: TikhonovFactors,
    data: Num[Array, "..."],
    *,
    tolerance: ArrayLike | None = None,
    max_iterations: int | None = None,
) -> Solution[dict[str, Any], jax.Array]:
    """The minimizers for prepared factors, all frames together.

    Args:
        factors: from ``tikhonov_factor``.
        data: b, complex (m,) or (frames, m), without the row weights.
        tolerance, max_iterations: as in ``tikhonov``; 0 iterations take the prepared inverse for exact, without refinement
            (times: ``python -m benchmarks.bench_tikhonov``): residuals are then not computed, and are NaN.

    Returns:
        Solution as in ``tikhonov``.

    Raises:
        ValueError: wrong shapes, NaN or infinite data, a tolerance that is not positive.
        TypeError: real data for a complex matrix, or the reverse.

    Source: Tikhonov (1963); Hansen, Rank-Deficient and Discrete Ill-Posed Problems (1998), ch. 5.
    """
    data = check_data(data, len(factors.stacked) // 2)
    check_same_field(factors.complex_rows, data)
    if tolerance is None:
        tolerance = 8 * float(jnp.finfo(factors.stacked.dtype).eps)
    if max_iterations is None:
        max_iterations = 1000 if factors.triangle is None and factors.inverse is None else 100
    if is_concrete(tolerance) and not 0 < float(np.asarray(tolerance)) < np.inf:
        raise ValueError(f"tolerance = {tolerance}; expected a positive number, e.g. 1e-6.")
    check_count("max_iterations", max_iterations, 0, static=True)
    if max_iterations == 0 and factors.triangle is None and factors.inverse is None:
        raise ValueError(
            "max_iterations = 0 takes the prepared inverse for exact, but method 'cgnr' has none; give 1 or more."
        )
    rows = shared_out(data) if np.ndim(data) == 2 else None
    if rows is None:
        value, stats = _solve(factors, data, tolerance, max_iterations)
    else:
        value, stats = _solve_apart(factors, data, tolerance, max_iterations, rows)
    return Solution(value, stats)


def _join_rows(stacked):
    """A of [P; Q]."""
    return lax.complex(*unstack(stacked))


@jax.jit
def _scale(matrix, regularization, row_weights):
    """Weighted matrix of largest entry about 1, its lambda and what its columns were divided by.

    A penalty per voxel becomes lambda = max_j lambda_j by the substitution x_j = sqrt(lambda / lambda_j) x'_j.
    """
    scaled = scaled_rows(matrix, row_weights)
    scale: Array = jnp.ones((), matrix.real.dtype)
    stacked: Array = stack(scaled.value)
    exponent, value = scaled.exponent, regularization.value
    if value.ndim:
        largest = jnp.max(value)
        scale = jnp.sqrt(value / largest)
        again, value = normalize(stacked / scale), largest
        stacked, exponent = again.value, exponent + again.exponent
    value = Scaled(value, regularization.exponent).within(2 * exponent)
    return (stacked, value, scale, exponent), jnp.max(jnp.abs(stacked))


@partial(jax.jit, static_argnames=("method", "constraint", "complex_rows", "invert"))
def _factor(scaled, row_weights, basis, *, method, constraint, complex_rows, invert):
    stacked, regularization, scale, exponent = scaled
    parts = 1 if constraint == "real" else 2
    subspace = reduced = triangle = inverse = None
    if basis is not None:
        subspace = stack(basis)
        reduced = stack(join(apply_adjoint(stacked, split(basis.T), 2)).conj())  # U^H A = (A^H U)^H
    inner = stacked if reduced is None else reduced
    rows = len(inner) // parts
    dual = method == "dual" or (method in ("auto", "low_rank") and rows < inner.shape[1])
    if method != "cgnr":
        fixed = lax.stop_gradient(inner)
        normal = gram(fixed, dual=dual, parts=parts)
        # beyond lambda, so that the rounded normal matrix is positive; conjugate gradients take the shift out again
        shift = 0 if invert else 2 * jnp.finfo(fixed.dtype).eps * jnp.linalg.norm(normal)
        triangle = jnp.linalg.cholesky(
            normal + (lax.stop_gradient(regularization) + shift) * jnp.eye(len(normal), dtype=normal.dtype)
        )
    if invert and triangle is not None:
        triangle, inverse = None, _inverse(triangle)
    return TikhonovFactors(
        *(stacked, subspace, reduced, regularization, triangle, inverse, scale, exponent, row_weights),
        dual=dual,
        constraint=constraint,
        complex_rows=complex_rows,
    )


@partial(jax.jit, static_argnames="max_iterations")
def _solve(factors, data, tolerance, max_iterations):
    stacked, regularization = factors.stacked, factors.regularization
    parts = 1 if factors.constraint == "real" else 2
    frames = scaled_frames(jnp.atleast_2d(data), factors.row_weights)
    b = split(frames.value).astype(stacked.dtype)
    inner, rhs = stacked, b
    if factors.reduced is not None:
        inner, rhs = factors.reduced, apply_adjoint(factors.subspace, b, 2)
    inverse, form = _preconditioner(factors), {"dual": factors.dual, "parts": parts}
    iterations = jnp.zeros((), jnp.int32)
    if max_iterations:
        x, iterations = solve_augmented(
            inner, regularization, rhs, inverse, **form, tolerance=tolerance, max_iterations=max_iterations
        )
        stats = lax.stop_gradient(_residuals(stacked, regularization, b, x))
    else:
        x = solve_unrefined(inner, regularization, rhs, inverse, **form)
        stats = {"residual": jnp.full((len(x), 1, 1), jnp.nan), "normal_residual": jnp.full((len(x), 1, 1), jnp.nan)}
    stats = {name: value.reshape(data.shape[:-1]) for name, value in stats.items()}
    value = shift(join(x / factors.scale), frames.exponent - factors.exponent)
    value = value.reshape(*data.shape[:-1], stacked.shape[1])
    return value, {**stats, "iterations": iterations}


@jax.jit
def _trace(stacked):
    """Of the normal matrix, which is above its largest eigenvalue."""
    return jnp.sum(jnp.square(stacked))


def _inverse(triangle):
    """Of the normal matrix, by which frames are multiplied."""
    inverse = cho_solve((triangle, True), jnp.eye(len(triangle), dtype=triangle.dtype))
    inverse = (inverse + inverse.T.conj()) / 2
    return stack(inverse) if jnp.iscomplexobj(inverse) else inverse


def _preconditioner(factors):
    """What applies the inverse of the normal matrix to frames (frames, parts, k), or None."""
    if factors.inverse is None:
        return None if factors.triangle is None else partial(_precondition, factors.triangle)
    if factors.inverse.shape[0] == factors.inverse.shape[1]:
        return lambda s: matmul(s.reshape(len(s), -1), factors.inverse).reshape(s.shape)  # symmetric
    return partial(apply, factors.inverse)


@partial(jax.jit, static_argnames=("max_iterations", "rows"))
def _solve_apart(factors, data, tolerance, max_iterations, rows):
    """Every device solves its own frames; left alone, XLA gives the triangular solves of all frames to each of them."""

    def solve(factors, data, tolerance):
        value, stats = _solve(factors, data, tolerance, max_iterations)
        return value, stats | {"iterations": lax.pmax(stats["iterations"], rows.spec[0])}

    whole, frames = PartitionSpec(), PartitionSpec(rows.spec[0])
    results = frames, {"residual": frames, "normal_residual": frames, "iterations": whole}
    return each_device(solve, rows, (whole, frames, whole), results)(factors, data, tolerance)


def _precondition(triangle, s):
    """The factored inverse on every frame (frames, parts, k)."""
    if jnp.iscomplexobj(triangle):
        return split(cho_solve((triangle, True), join(s).T).T)
    return cho_solve((triangle, True), s.reshape(len(s), -1).T).T.reshape(s.shape)


def _residuals(stacked, regularization, b, x):
    """Relative residuals of data and normal equations; 0 where b = 0."""
    difference = b - apply(stacked, x)
    normal = apply_adjoint(stacked, difference, x.shape[1]) - regularization * x

    def relative(value, reference):
        value, reference = jnp.sqrt(squares(value)), jnp.sqrt(squares(reference))
        return jnp.where(reference > 0, value / jnp.where(reference > 0, reference, 1), 0)

    return {
        "residual": relative(difference, b),
        "normal_residual": relative(normal, apply_adjoint(stacked, b, x.shape[1])),
    }
