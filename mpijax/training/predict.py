"""Trained networks as plain functions of rows."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_finite
from mpijax.core.typing import Array, Float
from mpijax.training.state import Weights, abstract


def make_predict(
    model_config: dict[str, Any], weights: Weights, *, batch_size: int = 64
) -> Callable[..., Float[jax.Array, "b ..."]]:
    """A function ``predict(x, *, mask=None, noise_level=None)`` that applies a trained network to any number of rows.

    Args:
        model_config: ``model.config`` of the network.
        weights: Its weights.
        batch_size: Rows per call of the network; the last batch is padded, so that it compiles once per grid.

    Returns:
        Function of rows (n, h, w, c), in evaluation mode; it refuses entries that are not finite.
    """
    network, _ = abstract(model_config)
    return functools.partial(predict_rows, jax.jit(network.evaluate), weights, batch_size)


def predict_rows(
    evaluate: Callable[..., jax.Array],
    weights: Weights,
    batch_size: int,
    x: Float[Array, "b ..."],
    **inputs: Array | None,
) -> Float[jax.Array, "b ..."]:
    """Apply a compiled ``evaluate(weights, x, **inputs)`` batch by batch; every input has the rows' leading axis.

    Raises:
        ValueError: no rows, or entries that are not finite.
    """
    n = x.shape[0]
    if n == 0:
        raise ValueError("x has no rows; pass at least one.")
    check_finite("x", x)
    given = {"x": x} | {name: value for name, value in inputs.items() if value is not None}
    pieces = []
    for start in range(0, n, batch_size):
        batch = {name: _padded(value[start : start + batch_size], batch_size) for name, value in given.items()}
        pieces.append(evaluate(weights, batch.pop("x"), **batch))
    return jnp.concatenate(pieces)[:n]


def _padded(rows: Array, size: int) -> jax.Array:
    return jnp.concatenate([jnp.asarray(rows), jnp.repeat(rows[-1:], size - rows.shape[0], axis=0)])
