"""Pieces shared by the networks: the base class, resampling and shuffling, the transformer encoder layer.

Feature maps are NHWC float32.
"""

from typing import Any

import einops
import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.interpolation import keys_matrix
from mpijax.core.pytree import FrozenMapping
from mpijax.core.typing import Array, Float


class Network(nnx.Module):
    """Base of all networks: carries the configuration from which `mpijax.models.create` rebuilds it."""

    _config: FrozenMapping

    def __init__(self, **config: Any):
        self._config = FrozenMapping(config)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration including the network's name; survives a JSON round trip unchanged."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self._config.items()}


def pixel_shuffle(x: Float[Array, "b h w k"], factor: int) -> Float[jax.Array, "b _ _ _"]:
    """Rearrange channels into space: out[b, h f + i, w f + j, c] = x[b, h, w, (c f + i) f + j].

    Args:
        x: Feature map (b, h, w, c * factor^2); the channel is the slowest of (c, i, j), as in PyTorch.
        factor: Upsampling factor f per axis.

    Returns:
        Feature map (b, h * factor, w * factor, c).
    """
    return einops.rearrange(jnp.asarray(x), "b h w (c i j) -> b (h i) (w j) c", i=factor, j=factor)


def keys_upsample(x: Float[Array, "b h w c"], scale: int) -> Float[jax.Array, "b _ _ c"]:
    """Bicubic (Keys, a = -1/2) upsampling between cell-centered grids of the same extent, mirrored at the border.

    Args:
        x: Images (b, h, w, c).
        scale: Upsampling factor per axis.

    Returns:
        Images (b, h * scale, w * scale, c).
    """
    rows = jnp.asarray(keys_matrix(x.shape[1], x.shape[1] * scale), x.dtype)
    columns = jnp.asarray(keys_matrix(x.shape[2], x.shape[2] * scale), x.dtype)
    return jnp.einsum("yh,bhwc,xw->byxc", rows, x, columns, precision="highest")


def conv3x3(n_in: int, n_out: int, *, rngs: nnx.Rngs, zero: bool = False) -> nnx.Conv:
    """A 3x3 convolution of stride one that keeps the grid; ``zero`` starts it at zero."""
    if zero:
        return nnx.Conv(n_in, n_out, (3, 3), kernel_init=nnx.initializers.zeros_init(), rngs=rngs)
    return nnx.Conv(n_in, n_out, (3, 3), rngs=rngs)


def batch_norm(features: int, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """Batch normalization with PyTorch's defaults: running averages keep 0.9 of their value a step, epsilon 1e-5."""
    return nnx.BatchNorm(features, momentum=0.9, epsilon=1e-5, rngs=rngs)


class EncoderLayer(nnx.Module):
    """Pre-norm transformer encoder layer: x += MHSA(LN x); x += MLP(LN x) with one ReLU layer."""

    def __init__(self, features: int, heads: int, hidden: int, *, rngs: nnx.Rngs):
        self.heads = heads
        self.norm_attention = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.query_key_value = nnx.Linear(features, 3 * features, rngs=rngs)
        self.projection = nnx.Linear(features, features, rngs=rngs)
        self.norm_mlp = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.expand = nnx.Linear(features, hidden, rngs=rngs)
        self.contract = nnx.Linear(hidden, features, rngs=rngs)

    def __call__(self, tokens: Float[jax.Array, "b n e"]) -> Float[jax.Array, "b n e"]:
        """Tokens (b, n, features) to tokens of the same shape."""
        qkv = einops.rearrange(
            self.query_key_value(self.norm_attention(tokens)), "b n (k h d) -> k b n h d", k=3, h=self.heads
        )
        attended = jax.nn.dot_product_attention(qkv[0], qkv[1], qkv[2])  # softmax(q k^T / sqrt(d)) v
        tokens = tokens + self.projection(einops.rearrange(attended, "b n h d -> b n (h d)"))
        return tokens + self.contract(nnx.relu(self.expand(self.norm_mlp(tokens))))
