"""Transformers on feature maps: with convolutional projections and strided embeddings (CvT), and without (ViT).

Feature maps stay (b, h, w, k); a token is a cell. Attention needs b heads (h w)^2 numbers at a time, on a CPU heads (h w)^2.
"""

import einops
import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.typing import Float
from mpijax.models.blocks.initial import normal
from mpijax.models.blocks.layers import attention, batch_norm, pixel_shuffle, torch_conv, torch_linear, torch_uniform

STRIDES = (1, 1, 2)
"""Of the embeddings of the three stages."""


class DepthwiseConv(nnx.Module):
    """3 x 3 convolution of every channel by itself, zeros outside: out[i, j, k] = sum_mn w[m, n, k] x[i+m-1, j+n-1, k] + b[k].

    Without ``use_bias``, b = 0. It is written as nine shifted products: XLA's grouped convolution is slow on a CPU.
    """

    def __init__(self, features: int, *, use_bias: bool = True, rngs: nnx.Rngs):
        init = torch_uniform(9)
        self.kernel = nnx.Param(init(rngs.params(), (3, 3, 1, features)))
        self.bias = nnx.Param(init(rngs.params(), (features,))) if use_bias else None

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        h, w = x.shape[1:3]
        kernel = self.kernel[...]
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        taps = (padded[:, m : m + h, n : n + w] * kernel[m, n, 0] for m in range(3) for n in range(3))
        return sum(taps, jnp.zeros((), x.dtype) if self.bias is None else self.bias[...])


class ConvProjection(nnx.Module):
    """Depthwise separable projection: pointwise(BN(depthwise x))."""

    def __init__(self, features: int, inner: int, *, rngs: nnx.Rngs):
        self.depthwise = DepthwiseConv(features, rngs=rngs)
        self.norm = batch_norm(features, rngs=rngs)
        self.pointwise = torch_conv(features, inner, 1, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w d"]:
        """Feature map (b, h, w, features) to (b, h, w, inner)."""
        return self.pointwise(self.norm(self.depthwise(x)))


class TransformerBlock(nnx.Module):
    """x += attention(LN x); x += MLP(LN x), with exact GELU.

    attention(x) = out(softmax(q k^T / sqrt(d)) v) in heads of dimension d = features each; q, k and v are projected by
    convolutions or by linear maps without bias.
    """

    def __init__(self, features: int, heads: int, *, convolutional: bool, rngs: nnx.Rngs):
        self.heads, inner = heads, heads * features

        def projection() -> nnx.Module:
            if convolutional:
                return ConvProjection(features, inner, rngs=rngs)
            return torch_linear(features, inner, use_bias=False, rngs=rngs)

        self.norm_attention = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.query, self.key, self.value = projection(), projection(), projection()
        self.out = torch_linear(inner, features, rngs=rngs)
        self.norm_mlp = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.expand = torch_linear(features, 2 * features, rngs=rngs)
        self.contract = torch_linear(2 * features, features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        normal = self.norm_attention(x)
        query, key, value = (
            einops.rearrange(project(normal), "b h w (n d) -> b (h w) n d", n=self.heads)
            for project in (self.query, self.key, self.value)
        )
        attended = attention(query, key, value)
        x = x + self.out(attended.reshape(*x.shape[:-1], -1))
        return x + self.contract(nnx.gelu(self.expand(self.norm_mlp(x)), approximate=False))


class ConvTransformer(nnx.Module):
    """Three stages x = block(LN(conv x)), the last with stride 2, then two convolutions, pixel shuffle and leaky ReLU."""

    def __init__(self, n_in: int, features: int, heads: int, *, rngs: nnx.Rngs):
        sizes = (n_in, features, features)
        self.embed = nnx.List(
            [torch_conv(n, features, stride=stride, rngs=rngs) for n, stride in zip(sizes, STRIDES, strict=True)]
        )
        self.norms = nnx.List([nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs) for _ in STRIDES])
        self.blocks = nnx.List([TransformerBlock(features, heads, convolutional=True, rngs=rngs) for _ in STRIDES])
        self.conv = torch_conv(features, features, rngs=rngs)
        self.upsample = torch_conv(features, 4 * features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w d"]:
        """Feature map (b, h, w, n_in), h and w even, to (b, h, w, features)."""
        for embed, norm, block in zip(self.embed, self.norms, self.blocks, strict=True):
            x = block(norm(embed(x)))
        return nnx.leaky_relu(pixel_shuffle(self.upsample(self.conv(x)), 2))


class VisionTransformer(nnx.Module):
    """Vanilla transformer: blocks(linear x + position) with one token per cell.

    The position embedding is learned on the grid ``shape`` and resized bilinearly to any other one.
    """

    def __init__(self, n_in: int, features: int, heads: int, shape: tuple[int, int], *, rngs: nnx.Rngs):
        self.embed = torch_linear(n_in, features, rngs=rngs)
        self.position = nnx.Param(normal(0.02)(rngs.params(), (1, *shape, features)))
        self.blocks = nnx.List([TransformerBlock(features, heads, convolutional=False, rngs=rngs) for _ in STRIDES])

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w d"]:
        """Feature map (b, h, w, n_in) to (b, h, w, features)."""
        position, grid = self.position[...], x.shape[1:3]
        if grid != position.shape[1:3]:
            position = jax.image.resize(position, (1, *grid, position.shape[-1]), "bilinear")
        x = self.embed(x) + position
        for block in self.blocks:
            x = block(x)
        return x
