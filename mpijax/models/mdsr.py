"""MDSR: one residual network for several upsampling factors, with a head and a tail for each."""

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.layers import Network, pixel_shuffle, torch_conv


class ResidualBlock(nnx.Module):
    """x + conv ReLU(conv x)."""

    def __init__(self, features: int, kernel: int, *, rngs: nnx.Rngs):
        self.conv1 = torch_conv(features, features, kernel, rngs=rngs)
        self.conv2 = torch_conv(features, features, kernel, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        return x + self.conv2(nnx.relu(self.conv1(x)))


class MDSR(Network):
    """MDSR: out = last(up_s(f + conv B(f))), f = head_s(first x), for one of several factors s.

    head_s are two residual blocks of 5 x 5 convolutions, B ``blocks`` shared ones of 3 x 3, up_s log2(s) steps of convolution and
    pixel shuffle. ``scale`` says which factor a call upsamples by; networks that differ in ``scale`` alone have the same
    weights, so that one set of weights can be trained and used with all of them, a step each. Heads and tails of the other factors
    get no gradient in a step, but Adam's averages still move them and weight decay still shrinks them.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: Upsampling factor per axis, one of ``scales``.
        input_shape: Kept for the record; any grid works.
        scales: Factors that the network holds heads and tails for, powers of two.
        features: Width.
        blocks: Shared residual blocks.
        rngs: Random streams of the initial weights: PyTorch's uniform ones, biases too.

    Raises:
        ValueError: A value is out of range.

    Source: B. Lim et al., CVPR workshops 2017; 16 blocks and no residual scaling as in its public code (80 in the paper).
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        scales: tuple[int, ...] | list[int] = (2, 4, 8),
        features: int = 64,
        blocks: int = 16,
        rngs: nnx.Rngs,
    ):
        scales = tuple(scales)
        if not scales or any(s < 2 or s & (s - 1) for s in scales) or len(set(scales)) < len(scales):
            raise ValueError(f"scales = {scales}; mdsr needs different powers of two, e.g. (2, 4, 8).")
        check_choice("scale", scale, scales)
        sizes = dict(channels=channels, features=features, blocks=blocks)
        for name, size in sizes.items():
            check_count(name, size)
        super().__init__(name="mdsr", scale=scale, scales=scales, input_shape=input_shape, **sizes)
        self.branch = scales.index(scale)
        self.first = torch_conv(channels, features, rngs=rngs)
        self.heads = nnx.List(
            [nnx.List([ResidualBlock(features, 5, rngs=rngs) for _ in range(2)]) for _ in scales],
        )
        self.blocks = nnx.List([ResidualBlock(features, 3, rngs=rngs) for _ in range(blocks)])
        self.trunk = torch_conv(features, features, rngs=rngs)
        self.tails = nnx.List(
            [
                nnx.List([torch_conv(features, 4 * features, rngs=rngs) for _ in range(s.bit_length() - 1)])
                for s in scales
            ]
        )
        self.last = torch_conv(features, channels, rngs=rngs)

    def forward(self, x: Float[Array, "b h w c"]) -> Float[jax.Array, "b _ _ c"]:
        """Coarse rows (b, h, w, c) to fine rows (b, h * scale, w * scale, c)."""
        shallow = self.first(jnp.asarray(x))
        for block in self.heads[self.branch]:
            shallow = block(shallow)
        hidden = shallow
        for block in self.blocks:
            hidden = block(hidden)
        hidden = shallow + self.trunk(hidden)
        for conv in self.tails[self.branch]:
            hidden = pixel_shuffle(conv(hidden), 2)
        return self.last(hidden)
