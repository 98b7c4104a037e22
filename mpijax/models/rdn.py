"""RDN: residual dense blocks whose outputs are fused, as a denoiser without upsampling."""

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import zeros
from mpijax.models.blocks.layers import GridNetwork, conv


class ResidualDenseBlock(nnx.Module):
    """x + fuse[x, y_1, .., y_C] with y_c = ReLU(conv[x, y_1, .., y_(c-1)]); zero outside the grid."""

    def __init__(self, features: int, growth: int, layers: int, *, dimensions: int, dtype: str | None, rngs: nnx.Rngs):
        sizes = [features + growth * layer for layer in range(layers + 1)]
        self.convs = nnx.List([conv(n, growth, dimensions=dimensions, dtype=dtype, rngs=rngs) for n in sizes[:-1]])
        self.fuse = conv(sizes[-1], features, 1, dimensions=dimensions, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b *s k"], inside: Float[jax.Array, "b *s 1"]) -> Float[jax.Array, "b *s k"]:
        """Features (b, *s, k), zero outside the grid, to features of the same kind."""
        dense = x
        for layer in self.convs:
            dense = jnp.concatenate([dense, nnx.relu(layer(dense)) * inside], axis=-1)
        return x + self.fuse(dense) * inside


class RDN(GridNetwork):
    """RDN for denoising: out = x + last(f + fuse[F_1, .., F_D]), f = conv x, F_d = block(F_(d-1)), F_0 = conv f.

    Features outside the grid are zeroed before every convolution: neither what lies outside nor where the row lies in its box
    changes the result.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: None or 1.
        input_shape: Kept for the record; any grid works.
        dimensions: 2 or 3.
        features: Width G0 between the blocks.
        growth: Width G that every dense layer adds.
        blocks: Number D of residual dense blocks.
        layers: Number C of dense layers per block.
        dtype: Of the computation, "bfloat16" or None; see `GridNetwork`.
        rngs: Random streams of the initial weights.

    Raises:
        ValueError: A value is out of range.

    Source: Zhang et al., IEEE TPAMI 2021, sections 3 and 4 (64, 64, 16, 8, the defaults; 22 million weights in 2-D, 65 million
    in 3-D); Tsanda et al., PMB 71, 095029 (2026), section 3.2, which names the network in 2-D and 3-D without its sizes.
    Chosen here: the masks, a last
    convolution that starts at zero, so that the untrained network is the identity, and as light sizes
    ``growth=32, blocks=8, layers=6`` in 2-D and ``features=32, growth=32, blocks=6, layers=4`` in 3-D.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        features: int = 64,
        growth: int = 64,
        blocks: int = 16,
        layers: int = 8,
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ):
        check_choice("scale", scale, (None, 1))
        sizes = dict(features=features, growth=growth, blocks=blocks, layers=layers)
        for name, size in sizes.items():
            check_count(name, size)
        super().__init__(
            name="rdn", channels=channels, input_shape=input_shape, dimensions=dimensions, dtype=dtype, **sizes
        )
        common: dict = dict(dimensions=dimensions, dtype=dtype, rngs=rngs)
        self.stem = conv(channels, features, **common)
        self.first = conv(features, features, **common)
        self.blocks = nnx.List([ResidualDenseBlock(features, growth, layers, **common) for _ in range(blocks)])
        self.fuse = conv(blocks * features, features, 1, **common)
        self.merge = conv(features, features, **common)
        self.last = conv(features, channels, init=zeros, **common)

    def forward(
        self,
        x: Float[Array, "b *s c"],
        *,
        mask: Float[Array, "b *s m"] | None = None,
    ) -> Float[jax.Array, "b *s c"]:
        """Rows (b, *s, c) to restored rows, zero outside the grid.

        Args:
            x: Rows on a grid (y, x) or (z, y, x).
            mask: (b, *s, 1 or 2): known voxels, and voxels inside the grid; one channel stands for both, None = all.
        """
        rows, _, inside = self.masked(x, mask)
        compute = rows.dtype if self.dtype is None else jnp.dtype(self.dtype)
        zero_outside = inside.astype(compute)
        shallow = self.stem(rows.astype(compute)) * zero_outside
        hidden = self.first(shallow) * zero_outside
        outputs = []
        for block in self.blocks:
            hidden = block(hidden, zero_outside)
            outputs.append(hidden)
        fused = self.fuse(jnp.concatenate(outputs, axis=-1)) * zero_outside
        deep = shallow + self.merge(fused) * zero_outside
        return rows + self.last(deep).astype(rows.dtype) * inside
