"""Denoising and filling that correct a classical filter: local Wiener shrinkage of the cosine transform, then a U-Net."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.typing import Array, Float
from mpijax.models.blocks.layers import GridNetwork
from mpijax.models.unet import LOW_NOISE, Backbone, check_sizes, fill, main_phase, rotate

ROUNDS, FIRST, LAST = 16, 0.3, 0.003
"""Of :func:`wiener_fill`: how often it filters, and its first and least noise level over the largest modulus."""

MARGIN = 1.5
"""Multiple of the noise's power that the shrinkage takes off the local power of the coefficients."""

SMOOTHING = (0.054, 0.242, 0.4, 0.242, 0.054)
"""Weights of neighboring coefficients in the local power: a Gaussian of standard deviation one."""


class WienerUNet(GridNetwork):
    """Restores rows: out = e^{i phi} (W + g N(f, W, known, sigma)), W = D^T (max(0, 1 - 1.5 s^2 / P) D f), N a U-Net.

    f is the row y = e^{-i phi} x with its missing voxels filled (:func:`wiener_fill`), phi its main phase
    (:func:`mpijax.models.unet.main_phase`). D is the orthonormal DCT-II over the grid's own voxels. Real and imaginary part are
    filtered apart, each with noise of variance s^2 = sigma^2/2; P is the power of the coefficients, (D f)^2, smoothed over their
    neighbors. A row of a system matrix is sparse there, and its large coefficients lie together. N starts at zero: the untrained
    network is the filter. At measured voxels g = sigma/(sigma + 0.01), so that a row without noise stays as it is; at others g = 1.
    Everything outside the grid is zero at every layer, so that what lies there does not change the result; nor does padding
    behind a row in the corner of its box.

    Args:
        channels: 2, real and imaginary part.
        scale: 1 or None, it does not upsample.
        input_shape: kept for the record; any grid works.
        dimensions: 2 or 3.
        features: width of each level, the finest first.
        blocks: residual blocks per level and direction.
        patch: voxels per axis merged into channels at the input.
        dtype: of the computation inside N, e.g. "bfloat16"; None = float32.
        rngs: random streams of the initial weights.

    Raises:
        ValueError: a value is out of range.

    Source: this project's network; the filter generalizes the thresholds of A. Weber et al., IEEE Trans. Magn. 51 (2015).
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        features: tuple[int, ...] | list[int] = (64, 96, 128),
        blocks: int = 1,
        patch: int = 2,
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ):
        if scale not in (None, 1):
            raise ValueError(f"scale = {scale}; wiener_unet denoises and does not upsample.")
        check_sizes(channels, features, blocks, patch)
        super().__init__(
            name="wiener_unet",
            channels=channels,
            scale=1,
            input_shape=input_shape,
            dimensions=dimensions,
            features=tuple(features),
            blocks=blocks,
            patch=patch,
            dtype=dtype,
        )
        compute = jnp.dtype(jnp.float32 if dtype is None else dtype)
        self.backbone = Backbone(
            2 * channels + 2, channels, dimensions, tuple(features), blocks, patch, compute, rngs=rngs
        )

    def forward(
        self, x: Float[Array, "b *s c"], *, mask: Array | None = None, noise_level: Array | None = None
    ) -> Float[Array, "b *s c"]:
        """Rows (b, *s, c) to restored rows (b, *s, c), zero outside the grid.

        Args:
            x: rows in their box, (y, x) or (z, y, x); only known voxels are looked at.
            mask: (b, *s, 1 or 2): known voxels, and voxels of the grid, a block of them; one channel stands for both, None = all.
            noise_level: complex standard deviation of the noise in the scale of x (b,); None = no noise.
        """
        masked, known, inside = self.masked(x, mask)
        level = jnp.zeros(len(masked)) if noise_level is None else jnp.asarray(noise_level)
        level = level.reshape(-1, *(1,) * (masked.ndim - 1))
        phase = main_phase(masked)
        rows = wiener_fill(rotate(masked, -phase), known, inside, level)
        filtered = wiener_filter(rows, inside, level / math.sqrt(2))
        correction = self.backbone(jnp.concatenate([rows, filtered, known, level * inside], -1), inside)
        gain = jnp.where(known > 0, level / (level + LOW_NOISE), 1)
        return rotate(filtered + gain * inside * correction, phase)


def wiener_filter(
    x: Float[Array, "b *s c"], inside: Float[Array, "b *s 1"], sigma: Float[Array, "..."]
) -> Float[jax.Array, "b *s c"]:
    """D^T (max(0, 1 - 1.5 sigma^2 / P) D x) of real images, with P the smoothed power of the coefficients D x.

    Args:
        x: images as channels (b, *s, c), zero outside the grid.
        inside: one on the grid's voxels, a block of the box (b, *s, 1).
        sigma: standard deviation of the noise of one real image (b, *1, 1).
    """
    x, inside, sigma = jnp.asarray(x), jnp.asarray(inside), jnp.asarray(sigma)
    return _shrink(x, *_transforms(inside[..., 0]), sigma) * inside


def wiener_fill(
    x: Float[Array, "b *s c"], known: Float[Array, "b *s 1"], inside: Float[Array, "b *s 1"], sigma: Float[Array, "..."]
) -> Float[jax.Array, "b *s c"]:
    """Missing voxels by annealed filtering: f_0 = :func:`mpijax.models.unet.fill`, f_{k+1} = x where known, else W_k f_k.

    W_k is :func:`wiener_filter` for the noise level s_k = 0.3 (max(sigma, 0.003)/0.3)^(k/15), k = 0 .. 15: strong structure is
    continued into the gaps first, finer one as the level falls. Known voxels are kept as they are.

    Args:
        x: main-phase rows as two channels (b, *s, 2), largest modulus about one, zero at missing voxels.
        known: one at known voxels; inside: one on the grid's voxels, a block of the box (b, *s, 1).
        sigma: complex standard deviation of the noise (b, *1, 1).

    Source: this project's method, after the falling thresholds of M. Elad, J.-L. Starck, P. Querre, D. Donoho, Appl. Comput.
        Harmon. Anal. 19 (2005) 340.
    """
    x, known, inside = (jnp.asarray(a) for a in (x, known, inside))
    last = jnp.maximum(jnp.asarray(sigma), LAST)

    def gaps(start: jax.Array) -> jax.Array:
        transforms, band = _transforms(inside[..., 0])

        def filtered(number: Any, values: jax.Array) -> jax.Array:
            level = FIRST * (last / FIRST) ** (number / (ROUNDS - 1))
            return jnp.where(known > 0, start, _shrink(values, transforms, band, level / math.sqrt(2)) * inside)

        return jax.lax.fori_loop(0, ROUNDS, filtered, fill(start, known, inside))

    return jax.lax.cond(jnp.any((inside > 0) & (known == 0)), gaps, lambda start: start, x)


def _shrink(x: jax.Array, transforms: list[jax.Array], band: jax.Array, sigma: jax.Array) -> jax.Array:
    """Local Wiener shrinkage of the coefficients; the identity where sigma is zero."""
    coefficients = _apply(transforms, x, forward=True)
    local = _smooth(coefficients**2) / jnp.maximum(_smooth(band), 1e-6)
    gain = jnp.maximum(0, local - MARGIN * sigma**2) / jnp.maximum(local, 1e-12)  # the floor keeps the gradient finite
    return _apply(transforms, coefficients * jnp.where(sigma > 0, gain, 1), forward=False)


def _smooth(x: jax.Array) -> jax.Array:
    """Weighted sums over neighbors along every spatial axis; zero beyond the box."""
    reach = len(SMOOTHING) // 2
    for axis in range(1, x.ndim - 1):
        size = x.shape[axis]
        padded = jnp.pad(x, [(reach, reach) if a == axis else (0, 0) for a in range(x.ndim)])
        shifted = [w * jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i, w in enumerate(SMOOTHING)]
        x = functools.reduce(jnp.add, shifted)
    return x


def _transforms(inside: jax.Array) -> tuple[list[jax.Array], jax.Array]:
    """DCT of the block of voxels of each row: matrices (b, k, i) per axis, and the coefficients that exist (b, *k, 1)."""
    axes = range(1, inside.ndim)
    matrices, bands = [], []
    for axis in axes:
        present = jnp.max(inside, axis=tuple(a for a in axes if a != axis)) > 0
        count = jnp.maximum(jnp.sum(present, axis=1), 1)[:, None, None]
        i = jnp.arange(inside.shape[axis])[None, None, :] - jnp.argmax(present, axis=1)[:, None, None]
        k = jnp.arange(inside.shape[axis])[None, :, None]
        weight = jnp.sqrt(jnp.where(k == 0, 1.0, 2.0) / count)
        # (2 i + 1) k mod 4 n in integers: the angle stays exact in single precision
        angle = ((2 * i + 1) * k) % (4 * count) * (math.pi / 2) / count
        band = k < count
        matrices.append(jnp.where(band & present[:, None, :], weight * jnp.cos(angle), 0))
        shape = [1] * inside.ndim
        shape[0], shape[axis] = inside.shape[0], inside.shape[axis]
        bands.append(band.astype(inside.dtype).reshape(shape))
    return matrices, jnp.broadcast_to(math.prod(bands), inside.shape)[..., None]


def _apply(matrices: list[jax.Array], x: jax.Array, *, forward: bool) -> jax.Array:
    """D x along every spatial axis, or D^T x."""
    for axis, matrix in enumerate(matrices, 1):
        moved = jnp.moveaxis(x, axis, 1)
        contract = "bki,bi...->bk..." if forward else "bki,bk...->bi..."
        x = jnp.moveaxis(jnp.einsum(contract, matrix, moved, precision="highest"), 1, axis)
    return x
