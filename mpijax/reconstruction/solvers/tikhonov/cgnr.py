"""Conjugate gradients on the normal equations, with implicit gradients.

Primal and dual form of the Tikhonov problem are one symmetric system,

    [[alpha I, A], [A^H, -beta I]] (y; x) = (b; 0),    alpha beta = lambda,

with (alpha, beta) = (1, lambda): y = b - Ax and (A^H A + lambda) x = A^H b, or (lambda, 1): x = A^H y and
(A A^H + lambda) y = b. The solver eliminates one half and needs products with A and A^H only. Residuals are formed from
the data, A^H (b - Ax) - lambda x and never A^H b - A^H A x: in single precision that is the difference between an image
and noise.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from mpijax.core.typing import Array, Float
from mpijax.reconstruction.scaling import power_of_two
from mpijax.reconstruction.solvers.tikhonov.normal_equations import apply, apply_adjoint, squares

Map = Callable[[jax.Array], jax.Array]


def solve_augmented(
    stacked: Float[Array, "rows n"],
    regularization: Float[Array, ""],
    data: Float[Array, "b 2 m"],
    precondition: Map | None,
    *,
    dual: bool,
    parts: int,
    tolerance: ArrayLike,
    max_iterations: int,
) -> tuple[Float[jax.Array, "b parts n"], jax.Array]:
    """Solve the augmented system for every frame; differentiable in matrix, lambda and data, forward and reverse.

    The derivatives come from the same solver at the solution (``jax.lax.custom_linear_solve``), not through its steps.

    Args:
        stacked: matrix, see ``normal_equations``.
        regularization: lambda.
        data: b.
        precondition: an approximate inverse of the normal matrix on x (dual: on y), symmetric and positive; None where
            there is none.
        dual: eliminate x instead of y.
        parts: 1 for real images, 2 for complex ones.
        tolerance: relative error of x at which a frame is done, as estimated by the approximate inverse, or bounded by
            |A^H (b - Ax) - lambda x| / lambda without one.
        max_iterations: largest number of iterations.

    Returns:
        x, and the number of iterations of the slowest frame.
    """
    one = jnp.ones_like(regularization)
    alpha, beta = (regularization, one) if dual else (one, regularization)
    forward, adjoint = partial(apply, stacked), partial(apply_adjoint, stacked, parts=parts)
    unit = one if precondition else regularization  # of the preconditioned residual, as an error
    iterate = partial(
        _conjugate_gradients,
        regularization,
        precondition or (lambda s: s),
        unit,
        dual=dual,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )

    rows, voxels = len(stacked) // 2, stacked.shape[1]

    def pair(vectors):
        y, x = jnp.split(vectors, [2 * rows], axis=1)
        return y.reshape(-1, 2, rows), x.reshape(-1, parts, voxels)

    def flat(y, x):  # one array, because custom_linear_solve does not take cotangents of one half only
        return jnp.concatenate([y.reshape(len(y), -1), x.reshape(len(x), -1)], axis=1)

    def system(vectors):
        y, x = pair(vectors)
        return flat(alpha * y + forward(x), adjoint(y) - beta * x)

    def solve(_, rhs):
        scale = power_of_two(rhs, axis=1)
        f, g = pair(rhs / scale)  # cotangents can be so small that their squares underflow
        if dual:
            minus_x, y, count = iterate(adjoint, forward, g, -f)
            return scale * flat(y, -minus_x), count
        y, x, count = iterate(forward, adjoint, f, g)
        return scale * flat(y, x), count

    rhs = flat(data, jnp.zeros((len(data), parts, voxels), data.dtype))
    solution, count = lax.custom_linear_solve(system, rhs, solve, symmetric=True, has_aux=True)
    return pair(solution)[1], count


def solve_unrefined(
    stacked: Float[Array, "rows n"],
    regularization: Float[Array, ""],
    data: Float[Array, "b 2 m"],
    inverse: Map,
    *,
    dual: bool,
    parts: int,
) -> Float[jax.Array, "b parts n"]:
    """x = N^-1 A^H b, or A^H N^-1 b (dual), by an inverse that is taken for exact; arguments as in :func:`solve_augmented`.

    Derivatives are those of the exact minimizer, by the same inverse.
    """
    forward, adjoint = partial(apply, stacked), partial(apply_adjoint, stacked, parts=parts)

    def normal(vectors):
        product = forward(adjoint(vectors)) if dual else adjoint(forward(vectors))
        return product + regularization * vectors

    right = data if dual else adjoint(data)
    found = lax.custom_linear_solve(normal, right, lambda _, rhs: inverse(rhs), symmetric=True)
    return adjoint(found) if dual else found


def _conjugate_gradients(
    regularization, precondition, unit, forward, adjoint, f, g, *, dual, tolerance, max_iterations
):
    """z with (C^H C + lambda) z = C^H f - g, and w = f - C z; frames that are done stay as they are.

    A frame is done where the estimated error of x is below ``tolerance``, or where the residual is what rounding makes
    of its terms.
    """
    rounding = (4 * jnp.finfo(f.dtype).eps) ** 2

    def residual(w, z):
        return adjoint(w) - g - regularization * z

    def energy(s, h):
        return jnp.sum(s * h, axis=(1, 2), keepdims=True)

    def unfinished(state):
        _, z, w, s, h, _, rho, norm = state
        # the energy of the dual error is |dx|^2 + lambda |dy|^2
        error, size = (rho, squares(w)) if dual else (squares(h), jnp.square(unit) * squares(z))
        rounded = squares(s) <= rounding * (norm * squares(w) + squares(g))
        return (error > tolerance**2 * size) & ~rounded

    def go_on(state):
        return (state[0] < max_iterations) & jnp.any(unfinished(state))

    def step(state):
        count, z, w, s, _, p, rho, norm = state
        q = forward(p)
        curvature = squares(q) + regularization * squares(p)
        active = unfinished(state) & (curvature > 0)
        # <s, p> and the difference s - previous keep a descent where rounding has spoilt the conjugacy
        length = jnp.where(active, energy(s, p) / jnp.where(active, curvature, 1), 0)
        z, w = z + length * p, w - length * q
        previous, s = s, residual(w, z)
        h = precondition(s)
        weight = jnp.where(active, jnp.maximum(energy(s - previous, h), 0) / jnp.where(active, rho, 1), 0)
        norm = jnp.where(active, jnp.maximum(norm, squares(q) / jnp.where(active, squares(p), 1)), norm)
        return count + 1, z, w, s, h, h + weight * p, energy(s, h), norm

    z = jnp.zeros_like(g)
    s = residual(f, z)
    h = precondition(s)
    start = (jnp.zeros((), jnp.int32), z, f, s, h, h, energy(s, h), jnp.zeros_like(squares(s)))
    count, z, w, *_ = lax.while_loop(go_on, step, start)
    return w, z, count
