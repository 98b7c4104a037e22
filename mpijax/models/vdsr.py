"""VDSR: twenty convolutions without bias that add detail to a bicubically upsampled row."""

import math

import jax
from flax import nnx

from mpijax.core.checks import check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import normal
from mpijax.models.blocks.layers import Network, keys_upsample


class VDSR(Network):
    """VDSR: out = K x + last(ReLU(conv .. ReLU(conv K x))) with K Keys upsampling, ``layers`` 3 x 3 convolutions, no bias.

    Without biases it is positively homogeneous, c x gives c out for c > 0: the unit of a row does not matter.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: Upsampling factor per axis, any whole number from 2.
        input_shape: Kept for the record; any grid works.
        features: Width.
        layers: Convolutions, the last one included.
        rngs: Random streams of the initial weights: normal of variance 2 / (9 outputs). Published training clips gradients.

    Raises:
        ValueError: A value is out of range.

    Source: J. Kim et al., CVPR 2016, with the two channels of the TranSMS code.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        features: int = 64,
        layers: int = 20,
        rngs: nnx.Rngs,
    ):
        if scale is None or scale < 2:
            raise ValueError(f"scale = {scale}; vdsr needs a whole number from 2.")
        sizes = dict(channels=channels, features=features)
        for name, size in sizes.items():
            check_count(name, size)
        check_count("layers", layers, 2)
        super().__init__(name="vdsr", scale=scale, input_shape=input_shape, layers=layers, **sizes)
        self.scale = scale
        widths = (channels, *(features,) * (layers - 1), channels)
        self.convs = nnx.List(
            [
                nnx.Conv(
                    n_in,
                    n_out,
                    (3, 3),
                    use_bias=False,
                    kernel_init=normal(math.sqrt(2 / (9 * n_out))),
                    rngs=rngs,
                )
                for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)
            ]
        )

    def forward(self, x: Float[Array, "b h w c"]) -> Float[jax.Array, "b _ _ c"]:
        """Coarse rows (b, h, w, c) to fine rows (b, h * scale, w * scale, c)."""
        upsampled = hidden = keys_upsample(x, self.scale)
        for conv in self.convs[:-1]:
            hidden = nnx.relu(conv(hidden))
        return upsampled + self.convs[-1](hidden)
