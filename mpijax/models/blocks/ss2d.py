"""SS2D: the selective scan on images, along rows and columns, forwards and backwards."""

import math

import einops
import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.typing import Array, Float
from mpijax.models.blocks.convolutional_transformer import DepthwiseConv
from mpijax.models.blocks.initial import uniform
from mpijax.models.blocks.layers import torch_linear, torch_uniform
from mpijax.models.blocks.selective_scan import selective_scan

DIRECTIONS = 4
STEPS = (1e-3, 0.1)
"""Widths of the first steps, before training, are drawn between these, uniformly in their logarithm."""


def image_to_sequences(x: Float[Array, "b h w d"]) -> Float[jax.Array, "b 4 l d"]:
    """Cells row by row, column by column, and both in reverse order.

    Args:
        x: Feature map (b, h, w, d).

    Returns:
        Sequences (b, 4, h w, d).
    """
    rows = einops.rearrange(jnp.asarray(x), "b h w d -> b (h w) d")
    columns = einops.rearrange(jnp.asarray(x), "b h w d -> b (w h) d")
    both = jnp.stack([rows, columns], axis=1)
    return jnp.concatenate([both, both[:, :, ::-1]], axis=1)


def sequences_to_image(y: Float[Array, "b 4 l d"], height: int, width: int) -> Float[jax.Array, "b h w d"]:
    """Sum over the directions of what every cell has in them; the transpose of `image_to_sequences`.

    Args:
        y: Sequences (b, 4, h w, d).
        height: Rows h.
        width: Columns w.

    Returns:
        Feature map (b, h, w, d).
    """
    both = jnp.asarray(y[:, :2] + y[:, 2:, ::-1])
    rows = einops.rearrange(both[:, 0], "b (h w) d -> b h w d", h=height, w=width)
    return rows + einops.rearrange(both[:, 1], "b (w h) d -> b h w d", h=height, w=width)


class SS2D(nnx.Module):
    """out(LN(s(u)) SiLU(z)) with (v, z) = linear x, u = SiLU(depthwise v) and s the sum of four selective scans.

    Every direction has step = softplus(W_step W_low u + bias), b = W_b u, c = W_c u, decay rates a = -exp(a_log) and a skip of
    its own. Before training a = -1, .., -states and the skip is 1.

    Args:
        features: Width d of input and output.
        states: States n of every channel.
        expand: Channels scanned per feature.
        scan: Whether there is a scan; without, s(u) = u.
        rngs: Random streams of the initial weights.

    Source: Liu et al., VMamba, arXiv:2401.10166; sizes and initial weights of the public code of MambaIR.
    """

    def __init__(self, features: int, *, states: int = 16, expand: int = 2, scan: bool = True, rngs: nnx.Rngs):
        inner, rank = expand * features, math.ceil(features / 16)
        self.rank, self.states, self.scan = rank, states, scan
        self.project = torch_linear(features, 2 * inner, use_bias=False, rngs=rngs)
        self.depthwise = DepthwiseConv(inner, rngs=rngs)
        self.norm = nnx.LayerNorm(inner, epsilon=1e-5, rngs=rngs)
        self.out = torch_linear(inner, features, use_bias=False, rngs=rngs)
        if not scan:
            return

        low, high = (math.log(width) for width in STEPS)
        widths = jnp.exp(uniform(low, high)(rngs.params(), (DIRECTIONS, inner)))
        rates = jnp.log(jnp.arange(1.0, states + 1))
        self.select = nnx.Param(torch_uniform(inner)(rngs.params(), (DIRECTIONS, inner, rank + 2 * states)))
        self.widen = nnx.Param(torch_uniform(rank)(rngs.params(), (DIRECTIONS, rank, inner)))
        self.step_bias = nnx.Param(widths + jnp.log(-jnp.expm1(-widths)))  # softplus of it is the width
        self.a_log = nnx.Param(jnp.broadcast_to(rates, (DIRECTIONS, inner, states)))
        self.skip = nnx.Param(jnp.ones((DIRECTIONS, inner)))

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        values, gate = jnp.split(self.project(x), 2, axis=-1)
        hidden = nnx.silu(self.depthwise(values))
        if self.scan:
            hidden = self._scan(hidden).astype(x.dtype)
        return self.out(self.norm(hidden) * nnx.silu(gate))

    def _scan(self, u: jax.Array) -> jax.Array:
        sequences = image_to_sequences(u)
        selected = jnp.einsum("zkld,kdr->zklr", sequences, self.select[...])
        low, b, c = jnp.split(selected, [self.rank, self.rank + self.states], axis=-1)
        widths = jnp.einsum("zklr,krd->zkld", low, self.widen[...]).astype(jnp.float32)
        step = nnx.softplus(widths + self.step_bias[...][:, None])
        y = selective_scan(sequences, step, -jnp.exp(self.a_log[...]), b, c, self.skip[...])
        return sequences_to_image(y, *u.shape[1:3])
