"""Fitting neural fields: one program for a chunk of Adam steps of a whole ensemble."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from mpijax.core.pytree import pytree
from mpijax.core.typing import IntVector, Matrix, Scalar, Values, Vector
from mpijax.models.siren import PureSiren
from mpijax.reconstruction.solvers.neural.field import NeuralField

_matmul = partial(jnp.matmul, precision="highest")


@pytree
class NeuralProblem:
    """The equations of one frame, real and scaled: rows @ phi = targets with |targets| = 1.

    Attributes:
        rows: (r, n) real, training rows, real above imaginary parts; targets: (r,).
        held_rows, held_targets: the same of the rows kept for early stopping; None = every row is trained on.
        points: for s = 1, 2, .. max_factor the points (n, s^d, d) of `cell_points`.
    """

    rows: Matrix
    targets: Vector
    held_rows: Matrix | None
    held_targets: Vector | None
    points: tuple[Values, ...]


@pytree
class NeuralState:
    """Everything that changes while a field is fitted; ``neural_implicit`` continues from it.

    Attributes:
        field: as it is now.
        best: at the least held-out loss so far; as it is now where no row is held out.
        best_loss: (members,) its held-out loss; best_step: (members,).
        moments: Adam's.
        step: steps done, ().
    """

    field: NeuralField
    best: NeuralField
    best_loss: Vector
    best_step: IntVector
    moments: "optax.OptState"
    step: Values


@partial(jax.jit, static_argnums=(0, 1, 3))
def initial_state(
    network: PureSiren, image_shape: tuple[int, int, int], scale: Scalar, ensemble: int, *, key: jax.Array
) -> NeuralState:
    """The state before the first step; network j of an ensemble of any size starts from the same weights."""
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(ensemble))
    field = NeuralField(jax.vmap(network.init)(keys), jnp.asarray(scale, jnp.float32), network, image_shape)
    return NeuralState(
        field=field,
        best=field,
        best_loss=jnp.full(ensemble, jnp.inf),
        best_step=jnp.zeros(ensemble, jnp.int32),
        moments=_adam(0.0).init(field.params),
        step=jnp.zeros((), jnp.int32),
    )


@partial(jax.jit, static_argnames="steps")
def advance(
    problem: NeuralProblem, state: NeuralState, learning_rate: Scalar, *, key: jax.Array, steps: int
) -> tuple[NeuralState, jax.Array, jax.Array]:
    """Take Adam steps, then score the held-out rows.

    Step i draws one factor s for the whole ensemble from ``fold_in(key, i)`` and descends the sum over networks of
    |rows D phi - targets|^2, D the mean over the s^d points of a voxel.

    Args:
        problem: what is fitted.
        state: where to start.
        learning_rate: Adam's.
        key: of the factors.
        steps: how many (static).

    Returns:
        The new state, the mean training loss of these steps (members,), and the held-out loss after them (members,), inf
        where no row is held out.
    """
    network, optimizer = state.field.network, _adam(learning_rate)

    def objective(points: jax.Array, params: Any) -> tuple[jax.Array, jax.Array]:
        losses = _losses(network, params, points, problem.rows, problem.targets)
        return jnp.sum(losses), losses

    branches = [partial(jax.value_and_grad(objective, argnums=1, has_aux=True), points) for points in problem.points]

    def step(carry: tuple[Any, Any], number: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
        params, moments = carry
        choice = jax.random.randint(jax.random.fold_in(key, number), (), 0, len(branches))
        (_, losses), gradients = lax.switch(choice, branches, params)
        updates, moments = optimizer.update(gradients, moments)
        return (optax.apply_updates(params, updates), moments), losses

    numbers: Any = state.step + jnp.arange(steps)
    start: tuple[Any, Any] = state.field.params, state.moments
    (params, moments), losses = lax.scan(step, start, numbers)
    field = _with_params(state.field, params)
    done = state.step + steps
    if problem.held_rows is None:
        held, better = jnp.full(len(state.best_loss), jnp.inf), jnp.ones(len(state.best_loss), bool)
    else:
        held = _losses(network, params, problem.points[-1], problem.held_rows, problem.held_targets)
        better = held < state.best_loss
    best = jax.tree.map(
        lambda new, old: jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old), params, state.best.params
    )
    return (
        NeuralState(
            field=field,
            best=_with_params(field, best),
            best_loss=jnp.where(better, held, state.best_loss),
            best_step=jnp.where(better, done, state.best_step),
            moments=moments,
            step=done,
        ),
        jnp.mean(losses, axis=0),
        held,
    )


def _losses(network: PureSiren, params: Any, points: Any, rows: Any, targets: Any) -> jax.Array:
    """|rows D phi - targets|^2 of every network."""
    pooled = jnp.mean(jax.vmap(network.apply, in_axes=(0, None))(params, points)[..., 0], axis=-1)
    return jnp.sum((_matmul(pooled, rows.T) - targets) ** 2, axis=-1)


def _with_params(field: NeuralField, params: Any) -> NeuralField:
    return NeuralField(params, field.scale, field.network, field.image_shape)


def _adam(learning_rate: Scalar) -> optax.GradientTransformation:
    return optax.adam(learning_rate)
