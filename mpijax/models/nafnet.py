"""NAFNet: a U-shaped convolutional network without activation functions; gates are products of two halves of the channels."""

from typing import Any

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
    torch_conv,
    torch_linear,
    torch_uniform,
)


def halves_multiplied(x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w d"]:
    """First half of the channels times the second one."""
    first, second = jnp.split(x, 2, axis=-1)
    return first * second


class NAFBlock(nnx.Module):
    """x += beta mix(a mean-weighted gate(depthwise(expand LN x))); x += gamma contract(gate(widen LN x)).

    The weights of the channels in the first sum are a linear map of their means over the image. beta and gamma start at zero.
    """

    def __init__(self, features: int, *, rngs: nnx.Rngs):
        def linear(n_in: int, n_out: int) -> nnx.Linear:
            return torch_linear(n_in, n_out, rngs=rngs)

        self.norm_mix = nnx.LayerNorm(features, epsilon=1e-6, rngs=rngs)
        self.expand = linear(features, 2 * features)
        self.depthwise = DepthwiseConv(2 * features, rngs=rngs)
        self.weigh = linear(features, features)
        self.mix = linear(features, features)
        self.norm_gate = nnx.LayerNorm(features, epsilon=1e-6, rngs=rngs)
        self.widen = linear(features, 2 * features)
        self.contract = linear(features, features)
        self.beta = nnx.Param(jnp.zeros(features))
        self.gamma = nnx.Param(jnp.zeros(features))

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        hidden = halves_multiplied(self.depthwise(self.expand(self.norm_mix(x))))
        hidden = hidden * self.weigh(jnp.mean(hidden, axis=(1, 2), keepdims=True))
        x = x + self.beta[...] * self.mix(hidden)
        return x + self.gamma[...] * self.contract(halves_multiplied(self.widen(self.norm_gate(x))))


class NAFNet(Network):
    """NAFNet: out = x + last(U(first x)), every level a stack of `NAFBlock`.

    With ``guided`` it takes a second image g, one that physics makes of x, and corrects it: out = g + last(U(first [x, g])).

    Images whose sizes 2^levels does not divide are mirrored at their far edges, and cropped afterwards.

    Args:
        channels: Channels of input and output: 1, or 3.
        scale: None or 1.
        input_shape: Kept for the record; any size works.
        features: Width of the finest level; it doubles from level to level.
        encoder: Blocks per level on the way down, the finest first.
        middle: Blocks at the coarsest grid.
        decoder: Blocks per level on the way back, the finest first.
        guided: Whether it takes a guide; see `mpijax.datasets.XSpaceTask`.
        rngs: Random streams of the initial weights: PyTorch's uniform ones.

    Raises:
        ValueError: A value is out of range.

    Source: L. Chen et al., ECCV 2022; the sizes are those of its public code for deblurring at width 32. Chosen here: mirrored
    edges, where it pads with zeros.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        features: int = 32,
        encoder: tuple[int, ...] | list[int] = (1, 1, 1, 28),
        middle: int = 1,
        decoder: tuple[int, ...] | list[int] = (1, 1, 1, 1),
        guided: bool = False,
        rngs: nnx.Rngs,
    ):
        check_count("channels", channels)
        check_choice("scale", scale, (None, 1))
        check_count("features", features)
        if not encoder or len(encoder) != len(decoder) or min(*encoder, *decoder, middle) < 0:
            raise ValueError(
                f"encoder = {tuple(encoder)}, middle = {middle}, decoder = {tuple(decoder)}; expected a number of blocks for "
                "each level, as many on the way down as back."
            )
        super().__init__(
            name="nafnet",
            channels=channels,
            scale=scale,
            input_shape=input_shape,
            features=features,
            encoder=tuple(encoder),
            middle=middle,
            decoder=tuple(decoder),
            guided=guided,
        )
        self.guided = guided
        widths = [features * 2**number for number in range(len(encoder))]
        self.multiple = 2 ** len(widths)

        def stack(width: int, blocks: int) -> Any:
            return nnx.List([NAFBlock(width, rngs=rngs) for _ in range(blocks)])

        def halve(width: int) -> nnx.Conv:
            init = torch_uniform(4 * width)
            return nnx.Conv(
                width, 2 * width, (2, 2), strides=2, padding="VALID", kernel_init=init, bias_init=init, rngs=rngs
            )

        self.first = torch_conv(2 * channels if guided else channels, features, rngs=rngs)
        self.encoder = nnx.List([stack(width, n) for width, n in zip(widths, encoder, strict=True)])
        self.down = nnx.List([halve(width) for width in widths])
        self.middle = stack(2 * widths[-1], middle)
        self.up = nnx.List([torch_linear(2 * width, 4 * width, use_bias=False, rngs=rngs) for width in widths])
        self.decoder = nnx.List([stack(width, n) for width, n in zip(widths, decoder, strict=True)])
        self.last = torch_conv(features, channels, rngs=rngs)

    def forward(
        self,
        x: Float[Array, "b h w c"],
        *,
        guide: Float[Array, "b h w c"] | None = None,
    ) -> Float[jax.Array, "b h w c"]:
        """Images (b, h, w, c) to restored images.

        Args:
            x: Images of any size.
            guide: What a guided network corrects, needed there and only there.

        Raises:
            ValueError: The guide is missing, or there is one that the network has no use for, or images of other channels.
        """
        self.check_images(x)
        if (guide is not None) != self.guided:
            raise ValueError(
                f"guided = {self.guided}, but a guide is {'missing' if self.guided else 'given'}; "
                "create the network with guided=True to use one."
            )
        given = x if guide is None else jnp.concatenate([jnp.asarray(x), jnp.asarray(guide)], axis=-1)
        hidden, skips = self.first(mirror_to_multiple(given, self.multiple)), []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            for block in blocks:
                hidden = block(hidden)
            skips.append(hidden)
            hidden = down(hidden)
        for block in self.middle:
            hidden = block(hidden)
        for number in reversed(range(len(skips))):
            hidden = pixel_shuffle(self.up[number](hidden), 2) + skips[number]
            for block in self.decoder[number]:
                hidden = block(hidden)
        return jnp.asarray(x if guide is None else guide) + self.last(hidden)[:, : x.shape[1], : x.shape[2]]
