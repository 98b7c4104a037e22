"""Restormer, a U-shaped transformer with attention between channels; MPI-Mamba shares its U and its feed-forward part."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import einops
import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.convolutional_transformer import DepthwiseConv
from mpijax.models.blocks.layers import (
    Network,
    mirror_to_multiple,
    pixel_shuffle,
    pixel_unshuffle,
    torch_conv,
    torch_linear,
)

EXPANSION = 2.66
"""Width of the gated feed-forward part over that of its input."""


class GatedFeedForward(nnx.Module):
    """out(GELU(u) v) with (u, v) = depthwise(linear x), exact GELU, no biases."""

    def __init__(self, features: int, *, rngs: nnx.Rngs):
        hidden = int(EXPANSION * features)
        self.expand = torch_linear(features, 2 * hidden, use_bias=False, rngs=rngs)
        self.depthwise = DepthwiseConv(2 * hidden, use_bias=False, rngs=rngs)
        self.contract = torch_linear(hidden, features, use_bias=False, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        gate, values = jnp.split(self.depthwise(self.expand(x)), 2, axis=-1)
        return self.contract(nnx.gelu(gate, approximate=False) * values)


class ChannelAttention(nnx.Module):
    """out(softmax(t q^T k) v) over the channels of a head, q, k and v = depthwise(linear x), channels of q and k of unit norm."""

    def __init__(self, features: int, heads: int, *, rngs: nnx.Rngs):
        self.heads = heads
        self.project = torch_linear(features, 3 * features, use_bias=False, rngs=rngs)
        self.depthwise = DepthwiseConv(3 * features, use_bias=False, rngs=rngs)
        self.temperature = nnx.Param(jnp.ones((heads, 1, 1)))
        self.out = torch_linear(features, features, use_bias=False, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        query, key, value = einops.rearrange(
            self.depthwise(self.project(x)), "b h w (p n d) -> p b n d (h w)", p=3, n=self.heads
        )
        query, key = (
            y * jax.lax.rsqrt(jnp.maximum(jnp.sum(y**2, axis=-1, keepdims=True), 1e-24)) for y in (query, key)
        )
        weights = nnx.softmax(jnp.einsum("bndl,bnel->bnde", query, key) * self.temperature[...], axis=-1)
        attended = jnp.einsum("bnde,bnel->bndl", weights, value)
        return self.out(einops.rearrange(attended, "b n d (h w) -> b h w (n d)", h=x.shape[1]))


class RestormerBlock(nnx.Module):
    """x += attention(LN x); x += feed_forward(LN x)."""

    def __init__(self, features: int, heads: int, *, rngs: nnx.Rngs):
        self.norm_attention = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.attention = ChannelAttention(features, heads, rngs=rngs)
        self.norm_feed_forward = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.feed_forward = GatedFeedForward(features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        x = x + self.attention(self.norm_attention(x))
        return x + self.feed_forward(self.norm_feed_forward(x))


class Stack(nnx.Module):
    """Blocks one after another; a level of a U that takes no prior."""

    def __init__(self, blocks: list[Any]):
        self.blocks = nnx.List(blocks)

    def __call__(self, x: Float[jax.Array, "b h w k"], prior: None) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        del prior
        for block in self.blocks:
            x = block(x)
        return x


class UShape(nnx.Module):
    """x + last(refine(D_0)): levels E_i down to the coarsest and D_i back, with skips.

    The width doubles from level to level, by a convolution to half the channels and pixel unshuffling; on the way back a
    convolution doubles the channels and pixel shuffling spreads them. Skips are concatenated, and reduced to the width of the
    level everywhere but at the finest, whose decoder is twice as wide. No biases.

    Args:
        channels: Channels of input and output.
        features: Width of the finest level.
        level: ``level(number, width)`` makes level ``number`` (0 = the finest), ``level(None, width)`` the refinement; modules
            of (feature map, prior).
        levels: How many, at least 2.
        rngs: Random streams of the initial weights.
    """

    def __init__(
        self, channels: int, features: int, level: Callable[[int | None, int], Any], levels: int, *, rngs: nnx.Rngs
    ):
        widths = [features * 2**number for number in range(levels)]

        def conv(n_in: int, n_out: int) -> nnx.Conv:
            return torch_conv(n_in, n_out, use_bias=False, rngs=rngs)

        self.first = conv(channels, features)
        self.encoder = nnx.List([level(number, width) for number, width in enumerate(widths)])
        self.down = nnx.List([conv(width, width // 2) for width in widths[:-1]])
        self.up = nnx.List([conv(width, 2 * width) for width in widths[1:]])
        self.reduce = nnx.List([torch_linear(2 * width, width, use_bias=False, rngs=rngs) for width in widths[1:-1]])
        self.decoder = nnx.List([level(n, width) for n, width in enumerate([2 * features, *widths[1:-1]])])
        self.refinement = level(None, 2 * features)
        self.last = conv(2 * features, channels)

    def __call__(self, x: Float[jax.Array, "b h w c"], priors: Sequence[Any]) -> Float[jax.Array, "b h w c"]:
        """Images whose sizes 2^(levels - 1) divides, and a prior for each level, to images."""
        hidden, skips = self.encoder[0](self.first(x), priors[0]), []
        for conv, level, prior in zip(self.down, list(self.encoder)[1:], priors[1:], strict=True):
            skips.append(hidden)
            hidden = level(pixel_unshuffle(conv(hidden), 2), prior)
        for number in reversed(range(len(skips))):
            hidden = jnp.concatenate([pixel_shuffle(self.up[number](hidden), 2), skips[number]], axis=-1)
            if number:
                hidden = self.reduce[number - 1](hidden)
            hidden = self.decoder[number](hidden, priors[number])
        return x + self.last(self.refinement(hidden, priors[0]))


class Restormer(Network):
    """Restormer: out = x + U(x), every level a stack of `RestormerBlock`.

    Images whose sizes 2^(levels - 1) does not divide are mirrored at their far edges, and cropped afterwards.

    Args:
        channels: Channels of input and output: 1, or 3.
        scale: None or 1.
        input_shape: Kept for the record; any size works.
        features: Width of the finest level, even.
        blocks: Blocks per level, the finest first.
        refinement: Blocks behind the last level.
        heads: Heads per level; they divide the level's width.
        rngs: Random streams of the initial weights: PyTorch's uniform ones.

    Raises:
        ValueError: A value is out of range.

    Source: S. W. Zamir et al., CVPR 2022, the deblurring network of its public code (norms with bias).
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        features: int = 48,
        blocks: tuple[int, ...] | list[int] = (4, 6, 6, 8),
        refinement: int = 4,
        heads: tuple[int, ...] | list[int] = (1, 2, 4, 8),
        rngs: nnx.Rngs,
    ):
        check_levels(channels, scale, features, blocks, heads, refinement)
        super().__init__(
            name="restormer",
            channels=channels,
            scale=scale,
            input_shape=input_shape,
            features=features,
            blocks=tuple(blocks),
            refinement=refinement,
            heads=tuple(heads),
        )
        self.multiple = 2 ** (len(blocks) - 1)

        def level(number: int | None, width: int) -> Stack:
            count = refinement if number is None else blocks[number]
            return Stack([RestormerBlock(width, heads[number or 0], rngs=rngs) for _ in range(count)])

        self.u = UShape(channels, features, level, len(blocks), rngs=rngs)

    def forward(self, x: Float[Array, "b h w c"]) -> Float[jax.Array, "b h w c"]:
        """Images (b, h, w, c) to restored images.

        Args:
            x: Images of any size.

        Raises:
            ValueError: Images of other channels.
        """
        self.check_images(x)
        padded = mirror_to_multiple(x, self.multiple)
        return self.u(padded, [None] * len(self.u.encoder))[:, : x.shape[1], : x.shape[2]]


def check_levels(
    channels: int,
    scale: int | None,
    features: int,
    blocks: Sequence[int],
    heads: Sequence[int],
    refinement: int,
) -> None:
    """Raise ValueError where the sizes of a `UShape` do not fit each other."""
    check_count("channels", channels)
    check_choice("scale", scale, (None, 1))
    check_count("features", features)
    check_count("refinement", refinement, 0)
    if len(blocks) < 2 or len(heads) != len(blocks) or min(*blocks, *heads) < 1:
        raise ValueError(
            f"blocks = {tuple(blocks)}, heads = {tuple(heads)}; expected one count of at least 1 for each of two or more levels."
        )
    unit = math.lcm(2, *(h // math.gcd(h, 2**number) for number, h in enumerate(heads)))
    if features % unit:
        raise ValueError(f"features = {features}; heads = {tuple(heads)} need a multiple of {unit}.")
