"""The choice of lambda: L-curve and discrepancy principle, each from one singular value decomposition.

With W A = U S V^H, coefficients beta = U^H W b and filters f_i = s_i^2/(s_i^2 + lambda), g_i = lambda/(s_i^2 + lambda),

    |W(Ax - b)|^2 = sum_i g_i^2 |beta_i|^2 + |Wb - U beta|^2,    |x|^2 = sum_i (s_i/(s_i^2 + lambda))^2 |beta_i|^2

for every lambda at once. Several frames share one lambda: |.|^2 is the sum over frames.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from mpijax.core.checks import check_choice, check_finite, check_range, is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Float, Inexact, Mask, Num, Scalar, Shaped, Values, Vector
from mpijax.reconstruction.inputs import check_problem, check_row_weights, complex_pair
from mpijax.reconstruction.scaling import Scaled, common_exponent, number, scaled_frames, scaled_rows
from mpijax.reconstruction.solvers.tikhonov.normal_equations import check_not_empty, matmul, split, stack

CONSTRAINTS = ("real", None)
RELATIVE_LAMBDAS = (1e-8, 1e1, 121)
"""First and last value, in units of |W A|_F^2/n, and number of the lambdas of an L-curve."""

_ZOOM = 65  # lambdas between the neighbors of the best one
_STEPS = 60  # of the root finder; it stops earlier


@pytree
class LCurve:
    """Solution norm over residual norm, for all lambdas.

    Attributes:
        regularization: lambda of the corner, the point of largest curvature.
        corner: |W(Ax - b)| and |x| at the corner.
        interior: whether the corner lies inside the range; at an end of it the curve has none.
        lambdas: (l,) absolute [unit of the matrix squared].
        residual_norm: |W(Ax - b)| (l,).
        solution_norm: |x| (l,).
        curvature: of the curve (log |W(Ax - b)|, log |x|) (l,); positive where it bends like an L.

    Source: Hansen and O'Leary, SIAM J. Sci. Comput. 14 (1993) 1487.
    """

    regularization: Scalar
    corner: tuple[Scalar, Scalar]
    interior: Mask
    lambdas: Vector
    residual_norm: Values
    solution_norm: Values
    curvature: Values


@pytree
class _Spectrum:
    """Scaled squares: s_i^2 (k,), |beta_i|^2 (k,), the unreachable rest, and the exponents of matrix and data."""

    values: Vector
    coefficients: Values
    rest: Values
    matrix: Values
    data: Values


def l_curve(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    *,
    lambdas: Shaped[Array, "..."] | None = None,
    row_weights: Shaped[Array, "..."] | None = None,
    constraint: str | None = None,
) -> LCurve:
    r"""The L-curve of the Tikhonov problem and its corner.

    .. math:: \kappa = \frac{u' v'' - u'' v'}{({u'}^2 + {v'}^2)^{3/2}}, \qquad u = \log \|W(Ax - b)\|, \quad v = \log \|x\|

    with ' = d/d log lambda. The derivatives are analytic. The corner is searched among the lambdas and once more between the
    neighbors of the best. Several frames share one lambda. The cost is one singular value decomposition of size min(m, n)
    (real: min(2m, n)); compress large problems with ``randomized_svd`` first, to which the arguments can be ``matrix`` and
    ``compress(data)``.

    Args:
        matrix: A, complex (m, n).
        data: b, complex (m,) or (frames, m).
        lambdas: lambda > 0 (l,) in rising order, absolute; None: 121 values from 1e-8 to 10 times |W A|_F^2/n.
        row_weights: diagonal of W (m,), real.
        constraint: "real" or None, as in ``tikhonov``.

    Returns:
        The curve; a constant under differentiation.

    Raises:
        ValueError: wrong shapes, NaN or infinite entries, lambdas that are not positive and rising.

    Source: Hansen and O'Leary, SIAM J. Sci. Comput. 14 (1993) 1487.
    """
    spectrum = _checked_spectrum(matrix, data, row_weights, constraint)
    if lambdas is not None:
        if np.ndim(lambdas) != 1 or np.size(lambdas) < 3:
            raise ValueError(f"lambdas has shape {np.shape(lambdas)}; expected a vector of at least 3.")
        check_range("lambdas", lambdas, float(np.finfo(float).tiny), np.inf, "", "Give them in rising order.")
        if is_concrete(lambdas) and not np.all(np.diff(np.asarray(lambdas)) > 0):
            raise ValueError("lambdas must rise strictly; sort them.")
    scaled = number(lambdas, spectrum.values.dtype)
    return _numbers(lax.stop_gradient(_l_curve(spectrum, scaled, voxels=matrix.shape[1])))


def _numbers(tree: Any) -> Any:
    """The numbers of what is ``Scaled`` in a tree."""

    def scaled(leaf):
        return isinstance(leaf, Scaled)

    return jax.tree.map(lambda leaf: leaf.number() if scaled(leaf) else leaf, tree, is_leaf=scaled)


def discrepancy(
    matrix: Inexact[Array, "m n"],
    data: Num[Array, "..."],
    noise_norm: ArrayLike,
    *,
    safety: float = 1.0,
    row_weights: Shaped[Array, "..."] | None = None,
    constraint: str | None = None,
) -> Solution[dict[str, Any], jax.Array]:
    r"""The lambda whose minimizer explains the data as well as the noise allows.

    .. math:: \|W(A x(\lambda) - b)\| = \text{safety} \cdot \text{noise norm}

    The left side rises with lambda, from the least residual to |Wb|; the root is found by Newton's method in log lambda,
    safeguarded by bisection. Several frames share one lambda, and ``noise_norm`` is that of all frames together.

    Args:
        matrix: A, complex (m, n).
        data: b, complex (m,) or (frames, m).
        noise_norm: expected norm of the noise in W b, e.g. sigma sqrt(m frames) for a complex noise of variance sigma^2.
        safety: factor >= 1 that trades resolution for smoothness.
        row_weights: diagonal of W (m,), real.
        constraint: "real" or None, as in ``tikhonov``; it takes part of the data out of reach, so that the noise norm must
            hold the whole of W b as well.

    Returns:
        Solution: value lambda, absolute; stats "residual_norm", "solution_norm",
        "least_residual", "data_norm" = |Wb| and "attainable". Where
        traced values are not attainable, lambda is 0 (noise below the least residual) or infinite (above |Wb|). A
        constant under differentiation.

    Raises:
        ValueError: wrong shapes, NaN or infinite entries, a concrete noise norm that no lambda attains, safety
            below 1.

    Source: Morozov, Soviet Math. Dokl. 7 (1966) 414.
    """
    check_range("noise_norm", noise_norm, 0, np.inf, "")
    check_range("safety", safety, 1, np.inf, "")
    spectrum = _checked_spectrum(matrix, data, row_weights, constraint)
    dtype = spectrum.rest.dtype
    value, stats = _numbers(lax.stop_gradient(_discrepancy(spectrum, number(noise_norm, dtype), safety)))
    if is_concrete(stats["attainable"]) and not stats["attainable"]:
        raise ValueError(
            f"safety * noise_norm = {float(np.asarray(noise_norm)) * safety:g} is not the residual of any lambda: residuals "
            f"go from {stats['least_residual']:g} (lambda = 0) to {stats['data_norm']:g} (lambda infinite, image zero). "
            "Give the norm of the noise in the same rows and weights as the data."
        )
    return Solution(value, stats)


def _checked_spectrum(matrix, data, row_weights, constraint):
    matrix, data = check_problem(matrix, data)
    check_row_weights(row_weights, matrix.shape[0])
    check_choice("constraint", constraint, CONSTRAINTS)
    check_finite("matrix", matrix)
    matrix, data = complex_pair(matrix, data)
    spectrum = _spectrum(matrix, data, number(row_weights, matrix.dtype), constraint=constraint)
    check_not_empty(jnp.max(spectrum.values), matrix.shape)
    return spectrum


@partial(jax.jit, static_argnames="constraint")
def _spectrum(matrix, data, row_weights, *, constraint):
    """From the matrix itself, not from a normal matrix, whose rounding hides all s_i below 3e-4 s_1 in single precision."""
    matrix, data = scaled_rows(matrix, row_weights), scaled_frames(jnp.atleast_2d(data), row_weights)
    unit = common_exponent(data)
    scaled, rows = lax.stop_gradient((matrix.value, data.within(unit)))
    if constraint == "real":  # the real matrix [P; Q] as a complex one without imaginary part
        scaled, rows = stack(scaled), split(rows).swapaxes(1, 2).reshape(len(rows), -1)
    wide = scaled.shape[0] < scaled.shape[1]
    basis, triangle = jnp.linalg.qr(scaled.T.conj() if wide else scaled)
    u, s, _ = jnp.linalg.svd(triangle.T.conj() if wide else triangle, full_matrices=False)
    if not wide:
        u = matmul(basis, u)
    beta = matmul(rows, u.conj())
    rest = _energy(rows - matmul(beta, u.T))
    known = s > max(scaled.shape) * jnp.finfo(s.dtype).eps * s[0]
    coefficients = jnp.sum(jnp.square(jnp.abs(beta)), axis=0)
    rest = rest + jnp.sum(jnp.where(known, 0, coefficients))
    return _Spectrum(jnp.where(known, jnp.square(s), 0), jnp.where(known, coefficients, 0), rest, matrix.exponent, unit)


def _energy(values):
    return jnp.sum(jnp.square(jnp.abs(values)))


@partial(jax.jit, static_argnames="voxels")
def _l_curve(spectrum, lambdas, *, voxels):
    if lambdas is None:
        low, high, count = RELATIVE_LAMBDAS
        mean = jnp.sum(spectrum.values) / voxels
        scaled = mean * jnp.geomspace(low, high, count, dtype=mean.dtype)
    else:
        scaled = lambdas.within(2 * spectrum.matrix)
    residual, solution, curvature = _curve(spectrum, scaled)
    best = jnp.argmax(curvature)
    last = len(scaled) - 1
    fine = jnp.geomspace(scaled[jnp.maximum(best - 1, 0)], scaled[jnp.minimum(best + 1, last)], _ZOOM)
    fine_residual, fine_solution, fine_curvature = _curve(spectrum, fine)
    corner = jnp.argmax(fine_curvature)
    square, image = 2 * spectrum.matrix, spectrum.data - spectrum.matrix
    found: Any = (
        Scaled(fine[corner], square),
        (Scaled(fine_residual[corner], spectrum.data), Scaled(fine_solution[corner], image)),
        (best > 0) & (best < last),
        Scaled(scaled, square),
        Scaled(residual, spectrum.data),
        Scaled(solution, image),
        curvature,
    )
    return LCurve(*found)


def _curve(spectrum: _Spectrum, lambdas: Float[Array, " l"]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Residual norm, solution norm and curvature; every sum has bounded, non-negative terms."""
    residual, solution, _ = _norms(spectrum, lambdas[:, None])
    f, g = _filters(spectrum, lambdas[:, None])
    b = spectrum.coefficients
    image = b * spectrum.values / jnp.square(spectrum.values + lambdas[:, None])
    first, second = jnp.sum(image * g, 1) / solution, jnp.sum(image * g * g, 1) / solution
    misfit, misfit2 = jnp.sum(b * f * g**2, 1) / residual, jnp.sum(b * f * g**3, 1) / residual
    u, uu = misfit, 2 * misfit - 3 * misfit2 - 2 * misfit**2
    v, vv = -first, 3 * second - first - 2 * first**2
    curvature = (u * vv - uu * v) / (u**2 + v**2) ** 1.5
    return jnp.sqrt(residual), jnp.sqrt(solution), curvature


def _filters(spectrum, lam):
    return spectrum.values / (spectrum.values + lam), lam / (spectrum.values + lam)


def _norms(spectrum, lam):
    """Squared norms of residual and solution, and d log residual^2 / d log lambda; lam (..., 1)."""
    f, g = _filters(spectrum, lam)
    residual = jnp.sum(spectrum.coefficients * g**2, -1) + spectrum.rest
    solution = jnp.sum(spectrum.coefficients * spectrum.values / jnp.square(spectrum.values + lam), -1)
    return residual, solution, 2 * jnp.sum(spectrum.coefficients * f * g**2, -1) / residual


@jax.jit
def _discrepancy(spectrum, noise_norm, safety):
    target = jnp.square(noise_norm.within(spectrum.data) * jnp.asarray(safety, spectrum.rest.dtype))
    least, most = spectrum.rest, spectrum.rest + jnp.sum(spectrum.coefficients)
    attainable = (target > least) & (target < most)
    inside = jnp.where(attainable, target, 0.5 * (least + most))
    # with g_1 <= g_i <= g_k for the largest and the smallest singular value, these enclose the root
    share = jnp.sqrt((inside - least) / (most - least))
    smallest = jnp.min(jnp.where(spectrum.values > 0, spectrum.values, jnp.inf))
    odds = share / (1 - share)
    low, high = jnp.log(smallest * odds), jnp.log(jnp.max(spectrum.values) * odds)
    tolerance = 4 * jnp.finfo(target.dtype).eps

    def go_on(state):
        count, _, _, _, error = state
        return (count < _STEPS) & (jnp.abs(error) > tolerance)

    def step(state):
        count, low, high, t, _ = state
        residual, _, slope = _norms(spectrum, jnp.exp(t)[None])
        error = jnp.log(residual / inside)
        low, high = jnp.where(error < 0, t, low), jnp.where(error < 0, high, t)
        newton = t - error / jnp.where(slope > 0, slope, 1)
        safe = (slope > 0) & (newton > low) & (newton < high)
        following = jnp.where(safe, newton, 0.5 * (low + high))
        return count + 1, low, high, jnp.where(jnp.abs(error) > tolerance, following, t), error

    start = (0, low, high, 0.5 * (low + high), jnp.full_like(low, jnp.inf))
    _, _, _, t, _ = lax.while_loop(go_on, step, start)
    residual, solution, _ = _norms(spectrum, jnp.exp(t)[None])
    used = spectrum.values > 0
    longest = jnp.sum(jnp.where(used, spectrum.coefficients / jnp.where(used, spectrum.values, 1), 0))

    def outcome(root, zero, infinite):
        return jnp.where(attainable, root, jnp.where(target <= least, zero, infinite))

    lam, residual = outcome(jnp.exp(t), 0.0, jnp.inf), outcome(residual, least, most)
    solution = outcome(solution, longest, 0.0)
    stats = {
        "residual_norm": Scaled(jnp.sqrt(residual), spectrum.data),
        "solution_norm": Scaled(jnp.sqrt(solution), spectrum.data - spectrum.matrix),
        "least_residual": Scaled(jnp.sqrt(least), spectrum.data),
        "data_norm": Scaled(jnp.sqrt(most), spectrum.data),
        "attainable": attainable,
    }
    return Scaled(lam, 2 * spectrum.matrix), stats
