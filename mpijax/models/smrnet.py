"""SMRnet: residual-in-residual dense blocks and nearest-neighbor upsampling, from a coarse row to a fine one."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import scaled
from mpijax.models.blocks.layers import GridNetwork, conv, nearest_upsample

DENSE_LAYERS = 5
"""Convolutions of a dense block."""
DENSE_BLOCKS = 3
"""Dense blocks of a residual-in-residual block."""
RESIDUAL_SCALE = 0.2
"""Factor of both residuals."""

_leaky_relu = functools.partial(nnx.leaky_relu, negative_slope=0.2)


class DenseBlock(nnx.Module):
    """x + 0.2 y_5 with y_i = act(conv[x, y_1, .., y_(i-1)]), act = leaky ReLU (0.2) but for the last; zero outside."""

    def __init__(self, features: int, growth: int, **common):
        sizes = [features + growth * layer for layer in range(DENSE_LAYERS)]
        self.convs = nnx.List([conv(n, growth, **common) for n in sizes[:-1]])
        self.last = conv(sizes[-1], features, **common)

    def __call__(self, x: Float[jax.Array, "b *s k"], inside: Float[jax.Array, "b *s 1"]) -> Float[jax.Array, "b *s k"]:
        """Features (b, *s, k), zero outside the grid, to features of the same kind."""
        dense = x
        for layer in self.convs:
            dense = jnp.concatenate([dense, _leaky_relu(layer(dense)) * inside], axis=-1)
        return x + RESIDUAL_SCALE * (self.last(dense) * inside)


class SMRnet(GridNetwork):
    """SMRnet: out = last act(conv up(f + conv B(f))), f = conv x; B are blocks x + 0.2 R(x), R three dense blocks in a row.

    ``up`` is log2(scale) steps of nearest-neighbor upsampling by two, convolution and leaky ReLU (0.2). Fine voxels 2 i and
    2 i + 1 grow out of coarse voxel i, whichever of them the coarse grid measured; the convolutions learn the shift. For a fine
    grid of odd size crop the output: 19 voxels, every second one measured, are 10 coarse ones and come back as 20.

    Features outside the grid are zeroed before every convolution, on the fine grid outside the voxels that grow out of the
    grid: neither what lies outside nor where the row lies in its box changes the result.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: Upsampling factor per axis, a power of two.
        input_shape: Kept for the record; any grid works.
        dimensions: 2 or 3.
        features: Width between the dense blocks.
        growth: Width that every dense layer adds.
        blocks: Number of residual-in-residual blocks.
        dtype: Of the computation, "bfloat16" or None; see `GridNetwork`.
        rngs: Random streams of the initial weights: normal, of a tenth of He's standard deviation.

    Raises:
        ValueError: A value is out of range.

    Source: Baltruschat et al., MICCAI 2020 (3d-SMRnet), with the sizes of its public code (64, 32, 9);
    Tsanda et al., PMB 71, 095029 (2026), section 3.2.
    Chosen here: the masks.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        features: int = 64,
        growth: int = 32,
        blocks: int = 9,
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ):
        if scale is None or scale < 2 or scale & (scale - 1):
            raise ValueError(f"scale = {scale}; smrnet needs a power of two: 2, 4, 8, ...")
        sizes = dict(features=features, growth=growth, blocks=blocks)
        for name, size in sizes.items():
            check_count(name, size)
        super().__init__(
            name="smrnet",
            channels=channels,
            scale=scale,
            input_shape=input_shape,
            dimensions=dimensions,
            dtype=dtype,
            **sizes,
        )
        small = scaled(0.02, "normal")
        common: dict = dict(dimensions=dimensions, init=small, dtype=dtype, rngs=rngs)
        self.first = conv(channels, features, **common)
        self.blocks = nnx.List(
            [nnx.List([DenseBlock(features, growth, **common) for _ in range(DENSE_BLOCKS)]) for _ in range(blocks)]
        )
        self.trunk = conv(features, features, **common)
        self.upsample = nnx.List([conv(features, features, **common) for _ in range(scale.bit_length() - 1)])
        self.fine = conv(features, features, **common)
        self.last = conv(features, channels, **common)

    def forward(
        self,
        x: Float[Array, "b *s c"],
        *,
        mask: Float[Array, "b *s m"] | None = None,
    ) -> Float[jax.Array, "b *t c"]:
        """Coarse rows (b, *s, c) to fine rows (b, *(s scale), c), zero outside the grid.

        Args:
            x: Rows on a grid (y, x) or (z, y, x).
            mask: (b, *s, 1 or 2): known voxels, and voxels inside the grid; one channel stands for both, None = all.
        """
        rows, _, inside = self.masked(x, mask)
        compute = rows.dtype if self.dtype is None else jnp.dtype(self.dtype)
        inside = inside.astype(compute)
        shallow = hidden = self.first(rows.astype(compute)) * inside
        for dense_blocks in self.blocks:
            inner = hidden
            for block in dense_blocks:
                inner = block(inner, inside)
            hidden = hidden + RESIDUAL_SCALE * inner
        hidden = shallow + self.trunk(hidden) * inside
        for layer in self.upsample:
            inside = nearest_upsample(inside)
            hidden = _leaky_relu(layer(nearest_upsample(hidden))) * inside
        hidden = _leaky_relu(self.fine(hidden)) * inside
        return (self.last(hidden) * inside).astype(rows.dtype)
