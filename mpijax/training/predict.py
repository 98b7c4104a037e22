"""Trained networks as plain functions of rows."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_finite
from mpijax.core.typing import Array, Float
from mpijax.training.state import PureNetwork, Weights, abstract


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A trained network as a function ``predict(x, *, mask=None, noise_level=None)`` of any number of rows (n, h, w, c).

    It is in evaluation mode, refuses entries that are not finite, and inputs that ``network`` has no use for.
    """

    network: PureNetwork
    apply: Callable[..., jax.Array]

    def __call__(self, x: Float[Array, "b ..."], **inputs: Array | None) -> Float[jax.Array, "b ..."]:
        """Output for rows."""
        return self.apply(x, **inputs)


def make_predict(model_config: dict[str, Any], weights: Weights, *, batch_size: int = 64) -> Predictor:
    """A trained network as a function of rows.

    Args:
        model_config: ``model.config`` of the network.
        weights: Its weights.
        batch_size: Rows per call of the network; the last batch is padded, so that it compiles once per grid.
    """
    network, _ = abstract(model_config)
    return Predictor(network, functools.partial(predict_rows, jax.jit(network.evaluate), weights, batch_size))


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
