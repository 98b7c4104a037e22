"""DnCNN: a plain stack of convolutions that predicts the noise of a row."""

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import he_normal, zeros
from mpijax.models.blocks.layers import GridNetwork, MaskedBatchNorm, conv


class DnCNN(GridNetwork):
    """DnCNN: out = x - N(x) with N = conv, (layers - 2) times [ReLU, conv, batch norm], ReLU, conv.

    Features outside the grid are zeroed before every convolution, and left out of the statistics: neither what lies outside
    nor where the row lies in its box changes the result.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: None or 1.
        input_shape: Kept for the record; any grid works.
        dimensions: 2 or 3.
        features: Width of the hidden layers.
        layers: Number of convolutions; 17 as in the paper for a known noise level, 20 for an unknown one.
        norm: "batch" or "none".
        dtype: Of the computation, "bfloat16" or None; see `GridNetwork`.
        rngs: Random streams of the initial weights.

    Raises:
        ValueError: A value is out of range.

    Source: Zhang et al., IEEE TIP 2017, section III; Tsanda et al., PMB 71, 095029 (2026), section 3.2, which names
    the network in 2-D and 3-D without its sizes.
    A bias in every convolution, also before a batch norm, follows public code. Chosen here: the masks, and a last
    convolution that starts at zero, so that the untrained network is the identity.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        features: int = 64,
        layers: int = 17,
        norm: str = "batch",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ):
        check_choice("scale", scale, (None, 1))
        check_count("features", features)
        check_count("layers", layers, 2)
        check_choice("norm", norm, ("batch", "none"))
        super().__init__(
            name="dncnn",
            channels=channels,
            input_shape=input_shape,
            dimensions=dimensions,
            features=features,
            layers=layers,
            norm=norm,
            dtype=dtype,
        )
        sizes = [channels, *[features] * (layers - 1)]
        self.convs = nnx.List(
            [conv(n_in, features, dimensions=dimensions, init=he_normal, dtype=dtype, rngs=rngs) for n_in in sizes[:-1]]
        )
        count = layers - 2 if norm == "batch" else 0
        self.norms = nnx.List([MaskedBatchNorm(features, rngs=rngs) for _ in range(count)])
        self.last = conv(features, channels, dimensions=dimensions, init=zeros, dtype=dtype, rngs=rngs)

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
        hidden = rows.astype(compute)
        for number, layer in enumerate(self.convs):
            hidden = layer(hidden)
            if number and self.norms:
                hidden = self.norms[number - 1](hidden, inside)
            hidden = nnx.relu(hidden) * zero_outside
        return rows - self.last(hidden).astype(rows.dtype) * inside
