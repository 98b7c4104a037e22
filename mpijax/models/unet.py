"""A small U-Net that restores rows: it denoises, fills missing voxels and upsamples, told what is known and how noisy it is."""

import math
from typing import Any

import einops
import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.typing import Array, Float
from mpijax.models.blocks.convolution import Conv
from mpijax.models.blocks.initial import he_normal, lecun_normal, scaled, zeros
from mpijax.models.blocks.layers import GridNetwork


class MaskedBlock(nnx.Module):
    """x + conv(relu(conv(x))), zero outside the grid."""

    def __init__(self, features: int, dimensions: int, dtype: Any, *, rngs: nnx.Rngs):
        small = scaled(0.1, "truncated_normal")
        self.first = Conv(features, features, dimensions, kernel_init=he_normal, dtype=dtype, rngs=rngs)
        self.second = Conv(features, features, dimensions, kernel_init=small, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array, inside: jax.Array) -> jax.Array:
        """Features (b, *s, k) and the grid's voxels (b, *s, 1) to features."""
        return x + self.second(nnx.relu(self.first(x)) * inside) * inside


def main_phase(x: Float[Array, "b *s 2"]) -> Float[jax.Array, " b"]:
    """Phase phi in (-pi/2, pi/2] of the line through the origin that a row's complex values lie along: arg(sum x^2)/2.

    A row of an equilibrium model with a drive field that is even in time is real up to one phase, so that half of the noise's
    power, that across the line, carries no signal. White noise does not bias the sum.

    Args:
        x: real and imaginary parts, zero at voxels that do not count.
    """
    axes = tuple(range(1, x.ndim - 1))
    re, im = x[..., 0], x[..., 1]
    across, along = 2 * jnp.sum(re * im, axes), jnp.sum(re**2 - im**2, axes)
    silent = (across == 0) & (along == 0)
    return jnp.where(silent, 0, jnp.arctan2(across, jnp.where(silent, 1, along)) / 2)


def rotate(x: Float[Array, "b *s 2"], phase: Float[Array, " b"]) -> Float[jax.Array, "b *s 2"]:
    """Rows times e^{i phase}."""
    phase = phase.reshape(-1, *(1,) * (x.ndim - 2))
    cos, sin = jnp.cos(phase), jnp.sin(phase)
    return jnp.stack([cos * x[..., 0] - sin * x[..., 1], sin * x[..., 0] + cos * x[..., 1]], -1)


def fill(
    x: Float[Array, "b *s c"], known: Float[Array, "b *s 1"], inside: Float[Array, "b *s 1"]
) -> Float[jax.Array, "b *s c"]:
    """Missing voxels as the mean of their known neighbors, weights 1/2 per step along an axis, layer by layer from the known ones.

    Where every second voxel is known that is the multilinear interpolation. What lies deeper than 16 layers stays zero.

    Args:
        x: rows, zero at missing voxels.
        known: 1 at known voxels; inside: 1 at voxels of the grid.
    """

    def blur(values: jax.Array) -> jax.Array:
        for axis in range(1, values.ndim - 1):
            n = values.shape[axis]
            wide = jnp.pad(values, [(int(a == axis),) * 2 for a in range(values.ndim)])
            before, after = (jax.lax.slice_in_dim(wide, start, start + n, axis=axis) for start in (0, 2))
            values = values + (before + after) / 2
        return values

    def grow(_: Any, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        values, have = state
        weight = blur(have)
        new = (have == 0) & (inside > 0) & (weight > 0)
        return jnp.where(new, blur(values) / jnp.where(new, weight, 1), values), jnp.where(new, 1, have)

    return jax.lax.fori_loop(0, LAYERS, grow, (x, known))[0]


class Backbone(nnx.Module):
    """Levels of residual blocks between a first and a last convolution; everything outside the grid is zero at every layer.

    ``patch`` voxels per axis are merged into channels; the grid is halved between levels, and skips are added on the way back. The
    last convolution starts at zero and is computed in float32.

    Args:
        n_in: input channels.
        n_out: output channels.
        dimensions: 2 or 3.
        features: width of each level, the finest first.
        blocks: residual blocks per level and direction.
        patch: voxels per axis merged into channels; 1 keeps them.
        dtype: of the computation.
        rngs: random streams of the initial weights.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        dimensions: int,
        features: tuple[int, ...],
        blocks: int,
        patch: int,
        dtype: Any,
        *,
        rngs: nnx.Rngs,
    ):
        self.patch = patch
        merged = patch**dimensions

        def stack(width: int) -> Any:
            return nnx.List([MaskedBlock(width, dimensions, dtype, rngs=rngs) for _ in range(blocks)])

        def linear(n_in: int, n_out: int) -> nnx.Linear:
            return nnx.Linear(n_in, n_out, use_bias=False, kernel_init=lecun_normal, dtype=dtype, rngs=rngs)

        pairs = list(zip(features, features[1:], strict=False))
        self.stem = Conv(n_in * merged, features[0], dimensions, kernel_init=lecun_normal, dtype=dtype, rngs=rngs)
        self.down = nnx.List([linear(fine * 2**dimensions, coarse) for fine, coarse in pairs])
        self.up = nnx.List([linear(coarse, fine * 2**dimensions) for fine, coarse in pairs])
        self.encoder = nnx.List([stack(width) for width in features])
        self.decoder = nnx.List([stack(width) for width in features[:-1]])
        self.last = Conv(features[0], n_out * merged, dimensions, kernel_init=zeros, use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array, inside: jax.Array) -> jax.Array:
        """Channels (b, *s, n_in) and the voxels of the grid (b, *s, 1) to channels (b, *s, n_out)."""
        step = self.patch * 2 ** len(self.down)
        sizes = x.shape[1:-1]
        padding = [(0, 0), *((0, -n % step) for n in sizes), (0, 0)]
        hidden, grid = (_merge(jnp.pad(a, padding), self.patch) for a in (x, inside))
        grid = jnp.max(grid, -1, keepdims=True)
        hidden = self.stem(hidden) * grid
        skips = []
        for number, blocks in enumerate(self.encoder):
            for block in blocks:
                hidden = block(hidden, grid)
            if number < len(self.down):
                skips.append((hidden, grid))
                grid = jnp.max(_merge(grid, 2), -1, keepdims=True)
                hidden = self.down[number](_merge(hidden, 2)) * grid
        for number in reversed(range(len(self.down))):
            skip, grid = skips[number]
            hidden = skip + _spread(self.up[number](hidden), 2) * grid
            for block in self.decoder[number]:
                hidden = block(hidden, grid)
        out = _spread(self.last(hidden.astype(jnp.float32)), self.patch)
        return out[(slice(None), *(slice(n) for n in sizes))]


class UNet(GridNetwork):
    """Residual U-Net on rows of any grid, conditioned on the known voxels and the noise level.

    out = e^{i phi} (A y + g N(y, known, sigma)), y = e^{-i phi} x, with phi the row's main phase (:func:`main_phase`). At measured
    voxels A y = y and g = sigma/(sigma + 0.01), so that they hardly change where the noise is low, and not at all without. At the
    others g = 1; A y is :func:`fill` at scale 1, and a trained linear interpolation (9 taps per axis, started as windowed sinc
    aligned to the first index) at a larger scale. N, a :class:`Backbone`, starts at zero.

    Everything outside the grid is zero at every layer, so that neither what lies there nor the amount of padding behind a row in
    the corner of its box changes the result.

    Args:
        channels: 2, real and imaginary part.
        scale: upsampling factor per axis, a power of two; None = 1.
        input_shape: kept for the record; any grid works.
        dimensions: 2 or 3.
        features: width of each level, the finest first.
        blocks: residual blocks per level and direction.
        patch: voxels per axis merged into channels at the input; 1 keeps them.
        dtype: of the computation, e.g. "bfloat16"; None = float32. Weights and output are float32.
        rngs: random streams of the initial weights.

    Raises:
        ValueError: a value is out of range.

    Source: this project's network. Levels, sums and the map of the noise level follow the common denoising U-Nets.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        features: tuple[int, ...] | list[int] = (64, 96, 128),
        blocks: int = 2,
        patch: int = 2,
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ):
        scale = 1 if scale is None else scale
        if scale < 1 or scale & (scale - 1):
            raise ValueError(f"scale = {scale}; unet needs a power of two: 1, 2, 4, ...")
        check_sizes(channels, features, blocks, patch)
        super().__init__(
            name="unet",
            channels=channels,
            scale=scale,
            input_shape=input_shape,
            dimensions=dimensions,
            features=tuple(features),
            blocks=blocks,
            patch=patch,
            dtype=dtype,
        )
        self.scale = scale
        compute = jnp.dtype(jnp.float32 if dtype is None else dtype)
        outputs = channels * scale**dimensions
        self.backbone = Backbone(channels + 2, outputs, dimensions, tuple(features), blocks, patch, compute, rngs=rngs)
        if scale > 1:
            self.skip = nnx.Conv(
                channels,
                channels * scale**dimensions,
                (TAPS,) * dimensions,
                use_bias=False,
                kernel_init=_sinc(scale),
                rngs=rngs,
            )

    def forward(
        self, x: Float[Array, "b *s c"], *, mask: Array | None = None, noise_level: Array | None = None
    ) -> Float[Array, "b *t c"]:
        """Rows (b, *s, c) to restored rows (b, *(s scale), c).

        Args:
            x: rows in the corner of their box, (y, x) or (z, y, x); only known voxels are looked at.
            mask: (b, *s, 1 or 2): known voxels, and voxels of the grid; one channel stands for both, None = all.
            noise_level: complex standard deviation of the noise in the scale of x (b,); None = no noise.
        """
        masked, known, inside = self.masked(x, mask)
        level = jnp.zeros(len(masked)) if noise_level is None else jnp.asarray(noise_level)
        level = level.reshape(-1, *(1,) * (masked.ndim - 1))
        phase = main_phase(masked)
        rows = fill(rotate(masked, -phase), known, inside)

        correction = self.backbone(jnp.concatenate([rows, known, level * inside], -1), inside)
        measured, base = known, rows
        if self.scale > 1:
            block = self.scale**self.dimensions
            others = jnp.zeros((*known.shape[:-1], block - 1), known.dtype)
            measured = _spread(jnp.concatenate([known, others], -1), self.scale)
            nearest, smooth = (_spread(a, self.scale) for a in (jnp.repeat(rows, block, -1), self.skip(rows)))
            base = jnp.where(measured > 0, nearest, smooth)
        gain = jnp.where(measured > 0, level / (level + LOW_NOISE), 1)
        return rotate(base + gain * _spread(correction, self.scale), phase)


def check_sizes(channels: int, features: tuple[int, ...] | list[int], blocks: int, patch: int) -> None:
    """Refuse sizes of a U-Net that are out of range."""
    if channels != 2:
        raise ValueError(
            f"channels = {channels}; this network takes complex rows as 2 channels, real and imaginary part."
        )
    if patch < 1 or blocks < 1 or not features or min(features) < 1:
        raise ValueError(f"features = {features}, blocks = {blocks}, patch = {patch}; all must be at least 1.")


LAYERS = 16
"""Depth of missing voxels that :func:`fill` reaches."""

LOW_NOISE = 0.01
"""Noise level at which measured voxels are corrected by half of what the network says."""

TAPS = 9
"""Coarse voxels per axis that the linear interpolation looks at."""


def _sinc(scale: int) -> Any:
    """Initial kernel (*taps, c, c scale^d) of :func:`_spread`: sinc under a Hann window, fine voxel 0 on the coarse voxel."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32, out_sharding: Any = None) -> jax.Array:
        del key, out_sharding
        dimensions, channels = len(shape) - 2, shape[-2]
        offset = jnp.arange(TAPS) - TAPS // 2 - jnp.arange(scale)[:, None] / scale
        one = jnp.sinc(offset) * jnp.cos(math.pi * offset / (TAPS + 1)) ** 2
        one = one / jnp.sum(one, axis=1, keepdims=True)
        kernel = one
        for _ in range(dimensions - 1):
            kernel = kernel[..., None, None] * one.reshape(*(1,) * kernel.ndim, *one.shape)
        kernel = einops.rearrange(kernel, "f i g j -> i j (f g)" if dimensions == 2 else "f i g j h k -> i j k (f g h)")
        kernel = kernel[..., None, None, :] * jnp.eye(channels)[:, :, None]
        return kernel.reshape(shape).astype(dtype)

    return init


def _merge(x: jax.Array, factor: int) -> jax.Array:
    """Blocks of factor voxels per axis as channels (c, *block)."""
    if x.ndim == 4:
        return einops.rearrange(x, "b (h i) (w j) c -> b h w (c i j)", i=factor, j=factor)
    return einops.rearrange(x, "b (d k) (h i) (w j) c -> b d h w (c k i j)", i=factor, j=factor, k=factor)


def _spread(x: jax.Array, factor: int) -> jax.Array:
    """Channels (c, *block) as blocks of factor voxels per axis; inverts :func:`_merge`."""
    if x.ndim == 4:
        return einops.rearrange(x, "b h w (c i j) -> b (h i) (w j) c", i=factor, j=factor)
    return einops.rearrange(x, "b d h w (c k i j) -> b (d k) (h i) (w j) c", i=factor, j=factor, k=factor)
