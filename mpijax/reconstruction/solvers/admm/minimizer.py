"""Sparse images by ADMM: L1 and total variation, under a bound of the residual or as a penalty."""

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import cho_solve
from jax.typing import ArrayLike
from scipy.optimize import nnls

from mpijax.core.checks import check_choice, check_count, check_range, check_shape, is_concrete
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Float, Inexact, Matrix, Num, Scalar, Shaped, Vector
from mpijax.reconstruction.equations import Equations
from mpijax.reconstruction.inputs import check_data, check_problem, check_row_weights, check_same_field
from mpijax.reconstruction.prox import safe_norm
from mpijax.reconstruction.scaling import Scaled, common_exponent, number, scaled_frames, scaled_rows, shift
from mpijax.reconstruction.solvers.admm.factor import (
    AdmmFactors,
    admm_factor,
    check_nonnegative,
    check_rho,
    stack_parts,
    unit_frames,
)
from mpijax.reconstruction.solvers.admm.iteration import Terms, iterate, iterate_fixed, matmul, normal_inverse, or_one
from mpijax.reconstruction.solvers.admm.penalties import Held, Term
from mpijax.reconstruction.solvers.settings import Penalties

CENTER = 1e-4
"""Tikhonov parameter of the image that residuals are counted from, in units of |WA|^2; it only affects rounding."""
ROUNDING = 1e-6
"""Residuals below this part of |Wb| count as zero where a bound is compared with what an image can reach."""


def admm(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    image_shape: tuple[int, ...],
    *,
    l1: ArrayLike | Scaled = 0.0,
    tv: ArrayLike | Scaled = 0.0,
    epsilon: ArrayLike | None = None,
    rho: ArrayLike | None = None,
    iterations: int = 5000,
    tolerance: float | None = 1e-4,
    constraint: str = "nonnegative",
    isotropic: bool = True,
    row_weights: Shaped[Array, "..."] | None = None,
    penalties: Penalties = (),
) -> Solution[dict[str, Any], jax.Array]:
    r"""Real images of least L1 norm and total variation that explain the data.

    .. math:: \min_x\ l_1 \|x\|_1 + t\, \mathrm{TV}(x) \quad\text{subject to}\quad \|W(Ax - b)\|_2 \le \epsilon

    or, with ``epsilon`` = None,

    .. math:: \min_x\ \tfrac12 \|W(Ax - b)\|_2^2 + l_1 \|x\|_1 + t\, \mathrm{TV}(x), \qquad t = \text{tv}

    over x >= 0 or all real x. TV sums, over voxels, the length of the gradient (isotropic) or the absolute values of its
    components. Only the ratio of ``l1`` and ``tv`` matters under a bound. With l1 = tv = 0 and no bound the result is the
    (non-negative) least-squares image.

    The iterations stop when the relative primal and dual residuals of all frames are below ``tolerance``; rho is then
    balanced, unless given. With ``tolerance`` = None the number of iterations and rho are fixed and the result has
    reverse-mode derivatives in matrix, data, l1, tv, epsilon and weights; a good rho is stats["rho"] of an earlier run.
    Stack frames into ``data`` rather than mapping over them: they share one factorization.

    Args:
        matrix: A, (m, n), complex as a rule.
        data: b, (m,) or (frames, m).
        image_shape: (nx, ny, nz) = grid.shape, n voxels.
        l1: weight of the L1 norm, >= 0, absolute [unit of A b]; from ``penalty_scale`` on the image is zero.
        tv: weight of the total variation, >= 0, absolute, same unit.
        epsilon: bound of the weighted residual's norm, [unit of W b], a scalar or (frames,); sqrt(m) after whitening to
            unit variance of complex noise. None: the penalized form.
        rho: > 0; penalty parameter in units of the squared scale of WA (penalized), or that makes 1 / rho
            of the image's peak the threshold (bounded).
            None: chosen and balanced.
        iterations: most iterations.
        tolerance: relative residual at which to stop, or None.
        constraint: "nonnegative" or "real".
        isotropic: which total variation.
        row_weights: diagonal of W (m,), real; 1 / noise standard deviation whitens.
        penalties: further convex terms f of the penalized form. Each has ``prox(z, step)`` = argmin_y step f(y) + |y - z|^2 / 2
            of one image (nz, ny, nx) in the unit of the result, in JAX. One of f(K x) has an ``operator`` besides, of vectors x
            (n,), with ``operator(x)``, ``operator.adjoint(p)`` and ``operator.matrix(dtype)`` = K^T K; ``prox`` gets K x.

    Returns:
        Solution: value real (n,) or (frames, n); stats "iterations", "rho" (common to all frames) and, per frame,
        "converged", "primal_residual", "dual_residual", "objective" and "residual" = |W(Ax - b)| / |Wb|. The statistics
        are constants under differentiation. The objective does not count ``penalties``.

    Raises:
        ValueError: shapes that do not fit, negative weights, NaN or infinite entries, a matrix of zeros, an epsilon below
            the least residual that an image under the constraint can reach (known values only; in traced code
            "converged" stays False).
        TypeError: real data for a complex matrix, or complex data for a real one.

    Source: Boyd et al., Found. Trends Mach. Learn. 3 (2011) 1, sections 3.1 to 3.4; the bounded problem for MPI in
        Gungor et al., IEEE Trans. Med. Imaging 41 (2022) 3562, eq. 3.
    """
    matrix, data = check_problem(matrix, data)
    factors = admm_factor(
        matrix,
        image_shape,
        total_variation=not is_zero(tv),
        bounded=epsilon is not None,
        rho=None if epsilon is not None else rho,
        row_weights=row_weights,
        penalties=penalties,
    )
    return admm_solve(
        factors,
        data,
        l1=l1,
        tv=tv,
        epsilon=epsilon,
        rho=rho,
        iterations=iterations,
        tolerance=tolerance,
        constraint=constraint,
        isotropic=isotropic,
        penalties=penalties,
    )


def admm_solve(
    factors: AdmmFactors,
    data: Num[Array, "..."],
    *,
    l1: ArrayLike | Scaled = 0.0,
    tv: ArrayLike | Scaled = 0.0,
    epsilon: ArrayLike | None = None,
    rho: ArrayLike | None = None,
    iterations: int = 5000,
    tolerance: float | None = 1e-4,
    constraint: str = "nonnegative",
    isotropic: bool = True,
    penalties: Penalties = (),
    factor: ArrayLike | Scaled = 1.0,
) -> Solution[dict[str, Any], jax.Array]:
    """ADMM with prepared factors; arguments, result and errors are those of ``admm``. ``factor`` multiplies ``penalties``.

    Source: Boyd et al., Found. Trends Mach. Learn. 3 (2011) 1, section 3.
    """
    data = check_data(data, factors.n_rows, factors.gram.shape[0])
    check_same_field(factors.is_complex, data)
    for name, value in (("l1", l1), ("tv", tv)):
        check_shape(name, value.value if isinstance(value, Scaled) else value, ())
        check_nonnegative(name, value)
    if not (factors.total_variation or is_zero(tv)):
        raise ValueError("tv > 0 needs factors with total_variation=True.")
    if epsilon is not None:
        if penalties:
            raise ValueError("a bound of the residual takes l1 and tv only; leave out epsilon, or the other penalties.")
        if np.shape(epsilon) not in ((), np.shape(data)[:-1]):
            raise ValueError(
                f"epsilon has shape {np.shape(epsilon)}; allowed: () or {np.shape(data)[:-1]}, one per frame."
            )
        check_nonnegative("epsilon", epsilon)
    check_rho(rho)
    check_count("iterations", iterations)
    if tolerance is not None:
        check_range("tolerance", tolerance, 0, 1, "")
    check_choice("constraint", constraint, ("nonnegative", "real"))
    value, stats = _solve(
        factors,
        data,
        *(number(value, factors.gram.dtype) for value in (l1, tv, epsilon)),
        rho,
        iterations,
        tolerance,
        fixed=iterations if tolerance is None else None,
        constraint=constraint,
        isotropic=bool(isotropic),
        penalties=tuple(map(Held, penalties)),
        factor=number(factor, factors.gram.dtype) if penalties else None,
    )
    if epsilon is not None and is_concrete((value, factors)):
        _check_feasible(factors, data, epsilon, stats, constraint)
    return Solution(value, stats | {"objective": stats["objective"].number()})


def penalty_scale(
    matrix: Inexact[Array, "m n"], data: Num[Array, "..."], row_weights: Shaped[Array, "..."] | None = None
) -> float | Float[Array, "..."]:
    r"""The L1 weight from which on the image of the penalized form is zero, :math:`\max_j |\operatorname{Re} (A^H W^2 b)_j|`.

    Relative weights are fractions of it.

    Args:
        matrix: A, (m, n).
        data: b, (m,) or (frames, m).
        row_weights: diagonal of W (m,), or None.

    Returns:
        The scale [unit of A b], a number or (frames,); in double precision where matrix and data are known.

    Raises:
        ValueError: wrong shapes, NaN or infinite data.

    Source: Boyd et al., Found. Trends Mach. Learn. 3 (2011) 1, section 11.1 (critical lambda).
    """
    return relative_penalty(matrix, data, row_weights).number()


def relative_penalty(matrix: Matrix, data: Matrix, row_weights: Vector | None) -> Scaled:
    """``penalty_scale`` where it can be smaller than the precision allows; one exponent for all frames."""
    matrix, data = check_problem(matrix, data)
    check_row_weights(row_weights, matrix.shape[0])
    matrix, data = jnp.asarray(matrix), jnp.asarray(data)
    return _relative_penalty(matrix, data, number(row_weights, matrix.dtype))


@jax.jit
def _relative_penalty(matrix, data, row_weights):
    rows, frames = scaled_rows(matrix, row_weights), scaled_frames(jnp.atleast_2d(data), row_weights)
    back = jnp.max(jnp.abs(matmul(stack_parts(frames.value), stack_parts(rows.value, axis=0))), axis=-1)
    found = Scaled(back, rows.exponent + frames.exponent[:, 0])
    unit = common_exponent(found)
    return Scaled(found.within(unit).reshape(data.shape[:-1]), unit)


def scaled_shares(
    equations: Equations,
    data: Array,
    shares: tuple[Scalar | None, ...],
    regularization: Scalar | None,
    relative: bool,
) -> tuple[tuple[Scaled, ...], Scaled]:
    """Shares of a penalty times lambda, and lambda, absolute; relative to the largest ``penalty_scale`` of the frames if asked."""
    factor = number(cast(Scalar, regularization), equations.matrix.dtype)
    if relative:
        most = relative_penalty(equations.matrix, data, equations.row_weights)
        factor = factor.times(Scaled(jnp.max(most.value), most.exponent))
    return tuple(number(cast(Scalar, share), equations.matrix.dtype).times(factor) for share in shares), factor


@partial(jax.jit, static_argnames=("fixed", "constraint", "isotropic", "penalties"))
def _solve(
    factors, data, l1, tv, epsilon, rho, iterations, tolerance, *, fixed, constraint, isotropic, penalties, factor
):
    operator, inverse = factors.operator, factors.inverse
    frames = unit_frames(data, factors.row_weights, factors.parts.dtype)
    b, unit = frames.value, frames.exponent[:, 0]
    back = matmul(b, factors.parts)
    given = rho is not None
    if epsilon is None:
        weights = tuple(weight.within(factors.exponent + unit) for weight in (l1, tv))
        bound: tuple = (None, None, None, None)
        rho = jnp.asarray(rho if given else factors.rho, b.dtype)
        if given:
            make = partial(normal_inverse, factors.gram, rho, operator, [penalty.held for penalty in penalties])
            inverse = lax.cond(rho == factors.rho, lambda: inverse, make)
    else:
        center = _center(factors.gram, back)
        share = common_exponent(l1, tv)
        shares = tuple(weight.within(share) for weight in (l1, tv))
        peak = or_one(jnp.max(jnp.abs(center), axis=-1) / or_one(jnp.maximum(*shares)))
        weights = tuple(weight * peak for weight in shares)
        center = lax.stop_gradient(center)
        rest = b - matmul(center, factors.parts.T)
        bound = (epsilon.within(unit), center, matmul(rest, factors.parts), jnp.sum(rest**2, -1))
        rho = jnp.asarray(rho if given else 10.0, b.dtype)
    terms = Terms(
        factors.gram,
        back,
        weights[0][:, None],
        weights[1][:, None, None] if operator else None,
        bound[0],
        1 / factors.rho,
        *bound[1:],
    )
    if penalties:
        strength, to_image = factor.within(2 * factors.exponent), frames.exponent - factors.exponent
        others = (Term(penalty.held, strength, to_image, factors.image_shape[::-1]) for penalty in penalties)
        terms = terms._replace(others=tuple(others))
    if fixed is not None:
        z, rho, count, found = iterate_fixed(terms, operator, inverse, rho, fixed, constraint, isotropic)
        converged = jnp.full(unit.shape, False)
    else:
        z, rho, count, found = iterate(
            terms, operator, inverse, rho, iterations, tolerance, constraint, isotropic, balance=not given
        )
        converged = jnp.maximum(*found) <= tolerance
    x = z.image
    misfit = safe_norm(matmul(x, factors.parts.T) - b)
    sums = jnp.sum(jnp.abs(x), -1), _variation(operator(x), isotropic) if operator else 0
    if epsilon is None:
        objective = Scaled(weights[0] * sums[0] + weights[1] * sums[1] + jnp.square(misfit) / 2, 2 * unit)
    else:
        objective = Scaled(shares[0] * sums[0] + shares[1] * sums[1], share + unit - factors.exponent)
    norm = safe_norm(b)
    per_frame = {
        "converged": converged,
        "primal_residual": found[0],
        "dual_residual": found[1],
        "objective": objective,
        "residual": jnp.where(norm > 0, misfit / or_one(norm), 0),
    }
    stats = jax.tree.map(lambda s: s.reshape(data.shape[:-1]), per_frame)
    stats |= {"iterations": count, "rho": rho}
    value = shift(x, frames.exponent - factors.exponent)
    return value.reshape(*data.shape[:-1], x.shape[-1]), lax.stop_gradient(stats)


def _center(gram, back):
    """A Tikhonov image of every frame."""
    factor = jnp.linalg.cholesky(gram + CENTER * jnp.eye(len(gram), dtype=gram.dtype))
    return cho_solve((factor, True), back.T).T


def _variation(differences, isotropic):
    """TV per frame of differences (frames, d, n)."""
    lengths = safe_norm(differences, axis=-2) if isotropic else jnp.sum(jnp.abs(differences), axis=-2)
    return jnp.sum(lengths, axis=-1)


def is_zero(value: Any) -> bool:
    """Whether a weight is known and zero."""
    value = value.value if isinstance(value, Scaled) else value
    return bool(is_concrete(value) and np.ndim(value) == 0 and value == 0)


def _check_feasible(factors, data, epsilon, stats, constraint):
    """Raise if frames missed the bound and no image under the constraint meets it.

    Known matrix and data in float64: R of the QR decomposition has the same residuals but for the part of b outside of
    the columns' space, so that the least residual costs about as much for many rows as for few.
    """
    b = np.atleast_2d(np.asarray(data, np.complex128 if np.iscomplexobj(data) else np.float64))
    if factors.row_weights is not None:
        b = b * factors.row_weights.number()
    b = np.asarray(stack_parts(b))
    norm = np.linalg.norm(b, axis=1)
    epsilon = np.broadcast_to(np.asarray(epsilon, np.float64), len(b))
    missed = np.flatnonzero(np.atleast_1d(stats["residual"]) * norm > 1.01 * epsilon + ROUNDING * norm)
    if not len(missed):
        return
    images = "non-negative" if constraint == "nonnegative" else "real"
    for frame, least in zip(missed, _least_residuals(factors, b[missed], constraint), strict=True):
        if epsilon[frame] < least - ROUNDING * norm[frame]:
            raise ValueError(
                f"epsilon = {epsilon[frame]:.6g} for frame {frame}, but no {images} image has a weighted residual below "
                f"{least:.6g}. Check the noise level and the row weights that epsilon was made from; if they are right, "
                "the errors of the matrix itself (its noise, a coarse grid) exceed the noise: give epsilon = "
                f"{_rounded_up(least)} (--epsilon {_rounded_up(least)}) or more, or leave it out, which penalizes the residual."
            )


def _rounded_up(value: float) -> str:
    """To two digits, e.g. 1.1e-05 for 1.03e-5."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return f"{np.ceil(value / unit) * unit:.2g}"


def _least_residuals(factors, b, constraint):
    """Least |parts x - b| over x >= 0 or all x, for every row of b."""
    parts = np.asarray(factors.parts, np.float64)
    if constraint == "real":
        return np.linalg.norm(parts @ np.linalg.lstsq(parts, b.T)[0] - b.T, axis=0)
    q, r = np.linalg.qr(parts)
    norm = np.linalg.norm(b, axis=1)
    images = np.stack(
        [nnls(r, q.T @ (frame / size), maxiter=30 * r.shape[1])[0] for frame, size in zip(b, norm, strict=True)]
    )
    return np.linalg.norm(images @ parts.T * norm[:, None] - b, axis=1)
