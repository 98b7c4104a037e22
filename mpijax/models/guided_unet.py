"""Restoring with guides: a filter and a U-Net on what the fitted rows of a matrix leave of a row."""

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx

from mpijax.core.typing import Array, Float
from mpijax.models.blocks.layers import GridNetwork
from mpijax.models.unet import LOW_NOISE, Backbone, check_sizes, main_phase, rotate
from mpijax.models.wiener_unet import wiener_fill, wiener_filter

GUIDES = 7
"""Channels of guides: estimate and fitted row (real and imaginary parts), and what is expected of their errors."""


class GuidedUNet(GridNetwork):
    """Corrects an estimated row: out = e^{i phi} (L + a W(y - L) + g N), with L an estimate from the fitted rows of the matrix.

    y = e^{-i phi} x is the measured row, phi the main phase of L (:func:`mpijax.models.unet.main_phase`), W the local Wiener filter
    of :class:`mpijax.models.WienerUNet`, gaps filled first. N and a = 1/(1 + e^{-A}) come of one U-Net that sees y, L, W(y - L),
    the fitted row, the known voxels, the noise and what is expected of the estimate's error. It starts at N = 0 and a = 1/2. At
    measured voxels g = sigma/(sigma + 0.01), at others g = 1. Everything outside the grid is zero at every layer.

    Args:
        channels: 2, real and imaginary part.
        scale: 1 or None, it does not upsample: rows of a finer grid come laid out, with gaps.
        input_shape: kept for the record; any grid works.
        dimensions: 2 or 3.
        features: width of each level, the finest first.
        blocks: residual blocks per level and direction.
        patch: voxels per axis merged into channels at the input.
        dtype: of the computation inside the U-Net, e.g. "bfloat16"; None = float32.
        rngs: random streams of the initial weights.

    Raises:
        ValueError: a value is out of range.

    Source: this project's network.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        features: tuple[int, ...] | list[int] = (48, 72, 96),
        blocks: int = 1,
        patch: int = 2,
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ):
        if scale not in (None, 1):
            raise ValueError(f"scale = {scale}; guided_unet restores rows on their grid and does not upsample.")
        check_sizes(channels, features, blocks, patch)
        super().__init__(
            name="guided_unet",
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
        told = 2 * channels + 2 + GUIDES
        self.backbone = Backbone(told, channels + 1, dimensions, tuple(features), blocks, patch, compute, rngs=rngs)

    def forward(
        self,
        x: Float[Array, "b *s c"],
        *,
        mask: Array | None = None,
        noise_level: Array | None = None,
        guides: Array | None = None,
    ) -> Float[Array, "b *s c"]:
        """Rows (b, *s, c) to restored rows (b, *s, c), zero outside the grid.

        Args:
            x: rows in their box, (y, x) or (z, y, x); only known voxels are looked at.
            mask: (b, *s, 1 or 2): known voxels, and voxels of the grid, a block of them; one channel stands for both, None = all.
            noise_level: complex standard deviation of the noise in the scale of x (b,); None = no noise.
            guides: (b, *s, 7) of :meth:`mpijax.restoration.guides.Estimator.told`, in the scale of x; None = an estimate of zero.
        """
        masked, known, inside = self.masked(x, mask)
        level = jnp.zeros(len(masked)) if noise_level is None else jnp.asarray(noise_level)
        level = level.reshape(-1, *(1,) * (masked.ndim - 1))
        guides = jnp.zeros((*masked.shape[:-1], GUIDES)) if guides is None else jnp.asarray(guides) * inside
        phase = main_phase(guides[..., :2])
        rows, estimate, fitted = (rotate(a, -phase) for a in (masked, guides[..., :2], guides[..., 2:4]))
        rest = wiener_fill((rows - estimate) * known, known, inside, level)
        filtered = wiener_filter(rest, inside, level / math.sqrt(2))
        seen = [rows, filtered, known, level * inside, estimate, fitted, guides[..., 4:]]
        out = self.backbone(jnp.concatenate(seen, -1), inside)
        gain = jnp.where(known > 0, level / (level + LOW_NOISE), 1)
        share: Any = nnx.sigmoid(out[..., 2:])
        return rotate((estimate + share * filtered + gain * out[..., :2]) * inside, phase)
