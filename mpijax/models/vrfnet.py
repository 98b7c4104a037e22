"""VRF-Net: a vision transformer and a residual convolutional path that recover a fine row from a coarse one."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import lecun_normal, normal
from mpijax.models.blocks.layers import EncoderLayer, Network, batch_norm, conv3x3, keys_upsample, pixel_shuffle


def default_patch_size(height: int, width: int) -> int:
    """Largest of 4, 2, 1 that divides both sides and leaves at least eight tokens per side, else 1."""
    fitting = (p for p in (4, 2) if height % p == 0 and width % p == 0 and 8 * p <= min(height, width))
    return next(fitting, 1)


ABLATIONS: dict[str, dict[str, Any]] = {
    "vit_rb": dict(serial=True),
    "vit_cnn": dict(serial=True, skips=False),
    "vit_only": dict(serial=True, blocks=0),
}
"""Options of the networks that the paper's Table 8 compares with; Table 9 varies ``heads`` (``head_features=8``) and ``depth``."""


class ResidualBlock(nnx.Module):
    """x + ReLU(BN(conv(ReLU(BN(conv x))))); without ``x +`` where ``skip`` is false."""

    def __init__(self, features: int, *, skip: bool = True, rngs: nnx.Rngs):
        self.skip = skip
        self.conv1 = conv3x3(features, features, rngs=rngs)
        self.norm1 = batch_norm(features, rngs=rngs)
        self.conv2 = conv3x3(features, features, rngs=rngs)
        self.norm2 = batch_norm(features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        hidden = nnx.relu(self.norm1(self.conv1(x)))
        hidden = nnx.relu(self.norm2(self.conv2(hidden)))
        return x + hidden if self.skip else hidden


class PatchEncoder(nnx.Module):
    """Global path: patches -> tokens + position -> transformer -> feature map on the input's grid.

    A grid that the patch does not divide is padded at its far edges by repeating the last cell, and cropped afterwards.
    The position embedding is learned on the token grid of ``input_shape`` and resized bilinearly to any other one.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        depth: int,
        heads: int,
        head_features: int,
        hidden: int,
        patch_size: int,
        input_shape: tuple[int, int],
        *,
        rngs: nnx.Rngs,
    ):
        self.patch_size = patch_size
        self.token_grid = (math.ceil(input_shape[0] / patch_size), math.ceil(input_shape[1] / patch_size))
        patch = (patch_size, patch_size)
        self.embed = nnx.Conv(
            channels, features, patch, strides=patch, padding="VALID", kernel_init=lecun_normal, rngs=rngs
        )
        self.position = nnx.Param(normal(0.02)(rngs.params(), (1, math.prod(self.token_grid), features)))
        self.layers = nnx.List(
            [EncoderLayer(features, heads, hidden, head_features=head_features, rngs=rngs) for _ in range(depth)]
        )
        self.unpatchify = nnx.Linear(features, features * patch_size**2, kernel_init=lecun_normal, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w c"]) -> Float[jax.Array, "b h w k"]:
        """Images (b, h, w, channels) to a feature map (b, h, w, features)."""
        batch, height, width, _ = x.shape
        pad = [(0, 0), (0, -height % self.patch_size), (0, -width % self.patch_size), (0, 0)]
        tokens = self.embed(jnp.pad(x, pad, mode="edge"))
        grid = (tokens.shape[1], tokens.shape[2])
        tokens = tokens.reshape(batch, grid[0] * grid[1], -1) + self._position(grid)
        for layer in self.layers:
            tokens = layer(tokens)
        features = self.unpatchify(tokens).reshape(batch, *grid, -1)
        return pixel_shuffle(features, self.patch_size)[:, :height, :width]

    def _position(self, grid: tuple[int, int]) -> jax.Array:
        learned = self.position[...]
        if grid == self.token_grid:
            return learned
        features = learned.shape[-1]
        on_grid = learned.reshape(1, *self.token_grid, features)
        return jax.image.resize(on_grid, (1, *grid, features), "bilinear").reshape(1, grid[0] * grid[1], features)


class VRFNet(Network):
    """VRF-Net with parallel (default) or serial global and local paths.

    Parallel: out = K x + last(up(B(f) + f)), f = fuse[encoder(x), stem(x)], where K is Keys upsampling (``residual``),
    B the residual blocks and ``up`` log2(scale) steps of convolution and pixel shuffle. Serial: f = fuse(encoder(x)),
    without the stem and the skip over B. Without ``skips`` neither B nor its blocks have one. With ``residual`` the last
    convolution starts at zero, so that the untrained network is Keys upsampling. `ABLATIONS` are the paper's variants.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: Upsampling factor per axis, a power of two.
        input_shape: Coarse grid (h, w) for which the position embedding is made; other grids work as well.
        features: Width of the residual path.
        blocks: Number of residual blocks.
        embed: Width of the tokens and of the stem.
        depth: Number of encoder layers.
        heads: Attention heads. None = embed / 8, heads of dimension 8, as in the paper.
        head_features: Width of a head; None = embed / heads, which must be whole.
        mlp: Hidden width of the encoder's MLP; None = 2 embed, as in the paper.
        patch_size: Side of a patch in coarse cells; None = `default_patch_size` of ``input_shape``.
        residual: Whether the network corrects Keys upsampling instead of making the row from nothing.
        serial: Whether the encoder feeds the residual path alone.
        skips: Whether the residual path has its skips.
        rngs: Random streams of the initial weights.

    Raises:
        ValueError: A value is out of range.

    Source: VRF-Net paper, section 2.2-2.3, Fig. 2, Eqs. 1-4. The paper is silent on, and chosen here: pre-norm encoder
    layers with skips, the fusion by concatenation, one pixel shuffle per factor of two, and ``residual``; its patch of
    10 cells (``patch_size=10``) does not fit a 16 x 16 grid.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        features: int = 128,
        blocks: int = 10,
        embed: int = 64,
        depth: int = 3,
        heads: int | None = None,
        head_features: int | None = None,
        mlp: int | None = None,
        patch_size: int | None = None,
        residual: bool = True,
        serial: bool = False,
        skips: bool = True,
        rngs: nnx.Rngs,
    ):
        if scale is None or scale < 2 or scale & (scale - 1):
            raise ValueError(f"scale = {scale}; vrfnet needs a power of two: 2, 4, 8, ...")
        if input_shape is None:
            raise ValueError("input_shape is missing; vrfnet needs the coarse grid (h, w) of its input, e.g. (16, 16).")
        if len(input_shape) != 2 or min(input_shape) < 1:
            raise ValueError(f"input_shape = {input_shape}; expected the coarse grid (h, w), e.g. (16, 16).")
        height, width = input_shape
        heads = max(1, embed // 8) if heads is None else heads
        check_count("heads", heads)
        if head_features is None and embed % heads:
            raise ValueError(
                f"embed = {embed} is not divisible by heads = {heads}; choose a multiple of heads, or give head_features."
            )
        head_features = embed // heads if head_features is None else head_features
        mlp = 2 * embed if mlp is None else mlp
        if patch_size is None:
            patch_size = default_patch_size(height, width)
        sizes = dict(channels=channels, features=features, embed=embed, mlp=mlp, patch_size=patch_size)
        sizes |= dict(heads=heads, head_features=head_features)
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} = {size}; must be at least 1.")
        if min(blocks, depth) < 0:
            raise ValueError(f"blocks = {blocks}, depth = {depth}; must not be negative.")
        super().__init__(
            name="vrfnet",
            scale=scale,
            input_shape=(height, width),
            blocks=blocks,
            depth=depth,
            residual=residual,
            serial=serial,
            skips=skips,
            **sizes,
        )
        self.scale = scale
        self.residual = residual
        self.serial = serial
        self.skip = skips and not serial
        self.encoder = PatchEncoder(
            channels, embed, depth, heads, head_features, mlp, patch_size, (height, width), rngs=rngs
        )
        if not serial:
            self.stem = conv3x3(channels, embed, rngs=rngs)
        self.fuse = conv3x3(embed if serial else 2 * embed, features, rngs=rngs)
        self.blocks = nnx.List([ResidualBlock(features, skip=skips, rngs=rngs) for _ in range(blocks)])
        self.upsample = nnx.List([conv3x3(features, 4 * features, rngs=rngs) for _ in range(scale.bit_length() - 1)])
        self.last = conv3x3(features, channels, rngs=rngs, zero=residual)

    def forward(self, x: Float[Array, "b h w c"]) -> Float[Array, "b _ _ c"]:
        """Coarse rows (b, h, w, c) to fine rows (b, h * scale, w * scale, c)."""
        rows = jnp.asarray(x)
        hidden = self.encoder(rows)
        if not self.serial:
            hidden = jnp.concatenate([hidden, self.stem(rows)], axis=-1)
        fused = hidden = self.fuse(hidden)
        for block in self.blocks:
            hidden = block(hidden)
        if self.skip:
            hidden = hidden + fused
        for conv in self.upsample:
            hidden = pixel_shuffle(conv(hidden), 2)
        out = self.last(hidden)
        return out + keys_upsample(rows, self.scale) if self.residual else out
