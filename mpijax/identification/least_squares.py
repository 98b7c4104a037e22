"""Levenberg-Marquardt inside the unit box, for few parameters."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float, Mask, Matrix, Scalar, Values, Vector

OPTIMALITY = 1e-6
"""Largest cosine between the residual and a free column of the Jacobian at which the search has converged."""

EXACT = 1e-20
"""Cost, relative to the cost of a residual of norm 1, below which it has converged whatever the cosine."""


@pytree
class Search:
    """Where a search stands.

    Attributes:
        unit: coordinates in the box, (p,).
        cost: |r|^2.
        residual: r, (k,); jacobian (k, p).
        damping: of the next step, relative to the diagonal of J^T J.
        optimality: largest cosine between r and a column of J whose parameter is not held by a bound.
        iterations: evaluations so far.
    """

    unit: Vector
    cost: Values
    residual: Vector
    jacobian: Matrix
    damping: Scalar
    optimality: Values
    iterations: Scalar

    @property
    def converged(self) -> Mask:
        """Whether no parameter can lower the cost any further."""
        return (self.optimality <= OPTIMALITY) | (self.cost <= EXACT)


def levenberg_marquardt(residual: Callable[[jax.Array], Array], start: Float[Array, " p"], iterations: int) -> Search:
    """Minimize |r(u)|^2 over the box 0 <= u <= 1.

    A step solves (J^T J + damping diag(J^T J)) d = -J^T r over the parameters that no bound holds, is clipped to the box and
    kept if the cost falls. J by forward mode: there are few parameters.

    Args:
        residual: r(u), (p,) -> (k,).
        start: (p,) in the box.
        iterations: most evaluations of residual and Jacobian.

    Returns:
        The state of the search at the end; a search that did not converge says so.
    """

    def linearize(unit: jax.Array, damping: Scalar, count: Scalar) -> Search:
        jacobian, value = jax.jacfwd(lambda u: (residual(u),) * 2, has_aux=True)(unit)
        cost = value @ value
        slope = jacobian.T @ value
        scale = jnp.linalg.norm(jacobian, axis=0) * jnp.sqrt(cost)
        cosine = jnp.where(_held(unit, slope) | (scale == 0), 0, jnp.abs(slope) / jnp.where(scale == 0, 1, scale))
        return Search(unit, cost, value, jacobian, damping, jnp.max(cosine), count)

    def step(state: Search) -> Search:
        slope = state.jacobian.T @ state.residual
        held = _held(state.unit, slope)
        normal = jnp.where(held[:, None] | held[None], 0, state.jacobian.T @ state.jacobian)
        diagonal = jnp.diagonal(normal)
        flat = diagonal <= jnp.finfo(slope.dtype).eps ** 2 * jnp.max(diagonal)
        normal = normal + jnp.diag(jnp.where(flat, 1, state.damping * diagonal))
        move = -jnp.linalg.solve(normal, jnp.where(held | flat, 0, slope))
        trial = linearize(jnp.clip(state.unit + move, 0, 1), state.damping / 5, state.iterations + 1)
        better = trial.cost < state.cost
        kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), trial, state)
        return Search(
            kept.unit, kept.cost, kept.residual, kept.jacobian,
            jnp.where(better, trial.damping, state.damping * 4), kept.optimality, trial.iterations,
        )  # fmt: skip

    def unfinished(state: Search) -> Mask:
        return ~state.converged & (state.iterations < iterations) & (state.damping < 1e10)

    start = jnp.asarray(start)
    infinite = jnp.asarray(jnp.inf, start.dtype)
    shape = jax.eval_shape(residual, start).shape
    # a state before the first evaluation, whose step is zero: the loop's body is the only place that is compiled
    nowhere = Search(
        start, infinite, jnp.zeros(shape, start.dtype), jnp.zeros((*shape, start.size), start.dtype),
        jnp.asarray(5e-2, start.dtype), infinite, jnp.asarray(0),
    )  # fmt: skip
    return jax.lax.while_loop(unfinished, step, nowhere)


def _held(unit: Vector, slope: Vector) -> Mask:
    """Parameters at a bound that the descent pushes against."""
    return ((unit <= 0) & (slope > 0)) | ((unit >= 1) & (slope < 0))
