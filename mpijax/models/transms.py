"""TranSMS: a convolutional transformer beside a residual dense network, and a projection onto the measured coarse row."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.convolutional_transformer import ConvTransformer, VisionTransformer
from mpijax.models.blocks.data_consistency import data_consistent
from mpijax.models.blocks.layers import Network, pixel_shuffle, torch_conv

PUBLISHED = {2: dict(features=24, layers=5), 4: dict(features=24, layers=8), 8: dict(features=64, layers=9)}
"""Scale -> the published sizes that depend on it."""

ABLATIONS: dict[str, dict[str, Any]] = {
    "rdsr": dict(context=None),
    "ctsr": dict(local=None),
    "cnn_vit": dict(context="vit", local="cnn"),
    "rd_vit": dict(context="vit"),
    "cnn_ct": dict(local="cnn"),
    "without_dc": dict(data_consistency=False),
}
"""Options of the networks that the paper's Table II and Fig. 4 compare with."""

PLAIN_LAYERS = 9
"""Convolutions of the plain convolutional path."""


class DenseBlock(nnx.Module):
    """x + fuse[x, y_1, .., y_C] with y_c = ReLU(conv[x, y_1, .., y_(c-1)])."""

    def __init__(self, features: int, growth: int, layers: int, *, rngs: nnx.Rngs):
        sizes = [features + growth * layer for layer in range(layers + 1)]
        self.convs = nnx.List([torch_conv(n, growth, rngs=rngs) for n in sizes[:-1]])
        self.fuse = torch_conv(sizes[-1], features, 1, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w k"]:
        """Feature map to feature map of the same shape."""
        dense = x
        for conv in self.convs:
            dense = jnp.concatenate([dense, nnx.relu(conv(dense))], axis=-1)
        return x + self.fuse(dense)


class ResidualDense(nnx.Module):
    """f + last(fuse[F_1, .., F_D]) with f = stem x, F_0 = first f, F_d = block(F_(d-1))."""

    def __init__(self, n_in: int, features: int, growth: int, blocks: int, layers: int, *, rngs: nnx.Rngs):
        self.stem = torch_conv(n_in, features, rngs=rngs)
        self.first = torch_conv(features, features, rngs=rngs)
        self.blocks = nnx.List([DenseBlock(features, growth, layers, rngs=rngs) for _ in range(blocks)])
        self.fuse = torch_conv(blocks * features, features, 1, rngs=rngs)
        self.last = torch_conv(features, features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w d"]:
        """Feature map (b, h, w, n_in) to (b, h, w, features)."""
        stem = self.stem(x)
        hidden, outputs = self.first(stem), []
        for block in self.blocks:
            hidden = block(hidden)
            outputs.append(hidden)
        return stem + self.last(self.fuse(jnp.concatenate(outputs, axis=-1)))


class PlainConvolutions(nnx.Module):
    """Convolutions, each followed by a leaky ReLU."""

    def __init__(self, n_in: int, features: int, layers: int, *, rngs: nnx.Rngs):
        sizes = (n_in, *(features,) * (layers - 1))
        self.convs = nnx.List([torch_conv(n, features, rngs=rngs) for n in sizes])

    def __call__(self, x: Float[jax.Array, "b h w k"]) -> Float[jax.Array, "b h w d"]:
        """Feature map (b, h, w, n_in) to (b, h, w, features)."""
        for conv in self.convs:
            x = nnx.leaky_relu(conv(x))
        return x


class TranSMS(Network):
    """TranSMS: out = P(last(up(fuse[T(f), C(f)])), x) with f = first x.

    T is the contextual path, three stages of a convolutional transformer, C the local one, residual dense blocks, ``up``
    log2(scale) steps of convolution, pixel shuffle and leaky ReLU (0.01), and P the projection `data_consistent` onto the fine rows
    whose block means are x, up to the noise: within sqrt(h w) noise_level. Rows are box means, whatever their scale.

    The last stage of T halves the grid. Grids of odd size are padded at their far edges by repeating the last cell, and the fine
    row is cropped before P; the same for all variants.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: Upsampling factor per axis: 2, 4 or 8.
        input_shape: Coarse grid (h, w); ``context="vit"`` needs it for its position embedding. Other grids work as well.
        features: Width of f; None = 24, 24, 64 at scale 2, 4, 8, as in the paper's code.
        layers: Dense layers per block; None = 5, 8, 9 at scale 2, 4, 8, as in the paper's code.
        embed: Width of the tokens and of each head.
        heads: Attention heads.
        local_features: Width of the local path.
        growth: Width that every dense layer adds.
        blocks: Residual dense blocks.
        fused_features: Width behind the fusion.
        context: "cvt", "vit" (a vanilla transformer) or None, without this path.
        local: "rdn", "cnn" (nine plain convolutions) or None, without this path.
        data_consistency: Whether P is part of the network.
        rngs: Random streams of the initial weights: PyTorch's uniform ones, biases too.

    Raises:
        ValueError: A value is out of range, or both paths are None.

    Source: A. Gungor et al., IEEE TMI 41(12):3562 (2022), Eqs. 5-22; from its public code: the scale of the attention, the norm
    before it, the convolution before the upsampling of T, the sizes. `ABLATIONS` are the networks of Table II; what "ViT" and "CNN"
    are in them the paper does not say (here: linear projections without bias, one token per cell, a learned position; as many
    plain convolutions at every scale).
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        features: int | None = None,
        layers: int | None = None,
        embed: int = 64,
        heads: int = 4,
        local_features: int = 24,
        growth: int = 6,
        blocks: int = 4,
        fused_features: int = 48,
        context: str | None = "cvt",
        local: str | None = "rdn",
        data_consistency: bool = True,
        rngs: nnx.Rngs,
    ):
        if scale is None or scale not in PUBLISHED:
            raise ValueError(f"scale = {scale}; transms knows 2, 4 and 8.")
        check_choice("context", context, ("cvt", "vit", None))
        check_choice("local", local, ("rdn", "cnn", None))
        if context is None and local is None:
            raise ValueError("context = None and local = None; transms needs at least one of its two paths.")
        if input_shape is None and context == "vit":
            raise ValueError("input_shape is missing; context = 'vit' needs the coarse grid (h, w), e.g. (16, 16).")
        if input_shape is not None and (len(input_shape) != 2 or min(input_shape) < 1):
            raise ValueError(f"input_shape = {input_shape}; expected the coarse grid (h, w), e.g. (16, 16).")
        features = PUBLISHED[scale]["features"] if features is None else features
        layers = PUBLISHED[scale]["layers"] if layers is None else layers
        sizes = dict(channels=channels, features=features, layers=layers, embed=embed, heads=heads, growth=growth)
        sizes |= dict(local_features=local_features, blocks=blocks, fused_features=fused_features)
        for name, size in sizes.items():
            check_count(name, size)
        super().__init__(
            name="transms",
            scale=scale,
            input_shape=input_shape,
            context=context,
            local=local,
            data_consistency=data_consistency,
            **sizes,
        )
        self.scale = scale
        self.data_consistency = data_consistency
        self.first = torch_conv(channels, features, rngs=rngs)
        self.paths: nnx.Dict = nnx.Dict()
        if context == "cvt":
            self.paths["context"] = ConvTransformer(features, embed, heads, rngs=rngs)
        elif input_shape is not None and context == "vit":
            h, w = input_shape
            self.paths["context"] = VisionTransformer(features, embed, heads, (h + h % 2, w + w % 2), rngs=rngs)
        if local == "rdn":
            self.paths["local"] = ResidualDense(features, local_features, growth, blocks, layers, rngs=rngs)
        elif local == "cnn":
            self.paths["local"] = PlainConvolutions(features, local_features, PLAIN_LAYERS, rngs=rngs)
        fused = (context is not None) * embed + (local is not None) * local_features
        self.fuse = torch_conv(fused, fused_features, rngs=rngs)
        self.upsample = nnx.List(
            [torch_conv(fused_features, 4 * fused_features, rngs=rngs) for _ in range(scale.bit_length() - 1)]
        )
        self.last = torch_conv(fused_features, channels, rngs=rngs)

    @property
    def takes(self) -> tuple[str, ...]:
        """The noise level, where P uses it."""
        return ("noise_level",) if self.data_consistency else ()

    def forward(
        self,
        x: Float[Array, "b h w c"],
        *,
        noise_level: Array | None = None,
    ) -> Float[jax.Array, "b _ _ c"]:
        """Coarse rows (b, h, w, c) to fine rows (b, h * scale, w * scale, c).

        Args:
            x: Block means, real and imaginary part.
            noise_level: Complex standard deviation of the noise in the scale of x (b,); None = no noise: the block means of the
                result are x.
        """
        rows = jnp.asarray(x)
        h, w = rows.shape[1:3]
        padded = jnp.pad(rows, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
        first = self.first(padded)
        hidden = self.fuse(jnp.concatenate([path(first) for path in self.paths.values()], axis=-1))
        for conv in self.upsample:
            hidden = nnx.leaky_relu(pixel_shuffle(conv(hidden), 2))
        fine = self.last(hidden)[:, : h * self.scale, : w * self.scale]
        if not self.data_consistency:
            return fine
        level = jnp.zeros(()) if noise_level is None else jnp.asarray(noise_level)
        return data_consistent(fine, rows, math.sqrt(h * w) * level)
