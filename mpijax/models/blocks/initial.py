"""Random initial weights: the numbers of `jax.nn.initializers`, drawn by a handful of compiled programs.

JAX compiles one program per shape, up to a second each: most of the time that it took to make a network. Number i of a draw
depends on the key and on i alone; so weights of all shapes are cut from rows of few lengths.
"""

import math
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.nn.initializers import Initializer

SHORTEST = 1024
"""Length of the rows that weights are cut from, times powers of four."""


class _Counted(nnx.RngStream):
    """A stream that counts its keys in Python: of a traced counter, flax prints the whole trace so far at every key.

    What a module keeps of it (dropout forks a stream) is flax's own, since it draws in calls, of which one may be traced for many.
    """

    def __init__(self, seed: int):
        super().__init__(seed, tag="default")
        self.drawn = 0

    def __call__(self) -> jax.Array:
        """The next key, which is that of `flax.nnx.RngStream`."""
        self.drawn += 1
        return jax.random.fold_in(self.key[...], self.drawn - 1)

    def fork(self, **options: Any) -> nnx.RngStream:
        """What `flax.nnx.RngStream` forks."""
        return self._own().fork(**options)

    def split(self, *shape: Any, **options: Any) -> nnx.RngStream:
        """What `flax.nnx.RngStream` splits into."""
        return self._own().split(*shape, **options)

    def _own(self) -> nnx.RngStream:
        """Flax's stream where this one is, which is then a key further."""
        stream = nnx.RngStream(self.key[...], tag="default")
        stream.count[...] += self.drawn
        self.drawn += 1
        return stream


def streams(seed: int) -> nnx.Rngs:
    """The keys of ``flax.nnx.Rngs(seed)``, for one network; traced, they cost a tenth of the time."""
    rngs = nnx.Rngs(seed)
    rngs.default = _Counted(seed)  # type: ignore[attr-defined]
    return rngs


def uniform(low: float, high: float) -> Initializer:
    """U(low, high)."""

    def row(key: jax.Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, low, high)

    return partial(_cut, row)


def normal(deviation: float) -> Initializer:
    """N(0, deviation^2)."""
    return partial(_cut, nnx.initializers.normal(deviation))


def scaled(scale: float, distribution: Literal["uniform", "normal", "truncated_normal"]) -> Initializer:
    """Variance scale / fan in, as `jax.nn.initializers.variance_scaling`; fan in = product of all axes but the last.

    Args:
        scale: 1 for LeCun's initial weights, 2 for He's, 1/3 and "uniform" for U(+-1/sqrt(fan in)).
        distribution: of the weights; the truncated one ends at two standard deviations.
    """

    def draw(key: jax.Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None) -> jax.Array:
        # a row has a fan in of one
        row = nnx.initializers.variance_scaling(scale / math.prod(shape[:-1]), "fan_in", distribution)
        return _cut(row, key, shape, dtype)

    return draw


lecun_normal = scaled(1.0, "truncated_normal")
he_normal = scaled(2.0, "truncated_normal")
zeros = nnx.initializers.zeros_init()


def _cut(row: Initializer, key: jax.Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None) -> jax.Array:
    """``row(key, shape, dtype)`` of an initializer that draws all numbers of an array alike."""
    size = math.prod(shape)
    if isinstance(key, jax.core.Tracer):
        return jnp.reshape(row(key, (1, size), dtype), shape)
    length = SHORTEST
    while length < size:
        length *= 4
    return jnp.asarray(np.asarray(row(key, (1, length), dtype))[0, :size].reshape(shape))
