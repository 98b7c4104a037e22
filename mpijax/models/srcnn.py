"""SRCNN: three convolutions that correct a bicubically upsampled row."""

import math

import jax
from flax import nnx

from mpijax.core.checks import check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import normal
from mpijax.models.blocks.layers import Network, keys_upsample

KERNELS = (9, 1, 5)
"""Sides of the three convolutions. Their outputs less than 4 + 0 + 2 fine cells from a border see the zeros beyond it."""


class SRCNN(Network):
    """SRCNN: out = conv5 ReLU(conv1 ReLU(conv9 K x)) with K Keys upsampling.

    Convolutions keep the grid, zeros outside. Published code trains without padding, on outputs cropped by 6 fine cells a side,
    and evaluates with zeros around rows whose background is 0.5, which is why its SRCNN falls behind plain bicubic
    interpolation. A "weight" in the loss that is zero within 6 cells of the border trains the same network as no padding does.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: Upsampling factor per axis, any whole number from 2.
        input_shape: Kept for the record; any grid works.
        features: Widths behind the first and the second convolution.
        rngs: Random streams of the initial weights: normal of variance 2 / (k^2 outputs), the last 1e-6; biases are zero.

    Raises:
        ValueError: A value is out of range.

    Source: C. Dong et al., IEEE TPAMI 38(2):295 (2016), with the sizes (64, 32) and the two channels of the TranSMS code.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        features: tuple[int, ...] | list[int] = (64, 32),
        rngs: nnx.Rngs,
    ):
        if scale is None or scale < 2:
            raise ValueError(f"scale = {scale}; srcnn needs a whole number from 2.")
        check_count("channels", channels)
        if len(features) != 2:
            raise ValueError(f"features = {features}; srcnn has two widths, e.g. (64, 32).")
        for size in features:
            check_count("features", size)
        super().__init__(
            name="srcnn", channels=channels, scale=scale, input_shape=input_shape, features=tuple(features)
        )
        self.scale = scale
        sizes = (channels, *features, channels)
        deviations = [math.sqrt(2 / (k**2 * n)) for k, n in zip(KERNELS[:2], features, strict=True)] + [1e-3]
        self.convs = nnx.List(
            [
                nnx.Conv(n_in, n_out, (k, k), kernel_init=normal(deviation), rngs=rngs)
                for n_in, n_out, k, deviation in zip(sizes[:-1], sizes[1:], KERNELS, deviations, strict=True)
            ]
        )

    def forward(self, x: Float[Array, "b h w c"]) -> Float[jax.Array, "b _ _ c"]:
        """Coarse rows (b, h, w, c) to fine rows (b, h * scale, w * scale, c)."""
        hidden = keys_upsample(x, self.scale)
        for conv in self.convs[:-1]:
            hidden = nnx.relu(conv(hidden))
        return self.convs[-1](hidden)
