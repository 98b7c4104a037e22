"""A U-Net that super-resolves rows of a large sample: phase-aligned, told the noise level, data-consistent."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.typing import Array, Float
from mpijax.models.blocks.data_consistency import data_consistent
from mpijax.models.blocks.layers import Network, keys_upsample, pixel_shuffle
from mpijax.models.unet import Backbone, check_sizes, main_phase, rotate

ABLATIONS: dict[str, dict[str, Any]] = {
    "without_alignment": dict(align=False),
    "without_noise_level": dict(conditioned=False),
    "without_dc": dict(data_consistency=False),
}
"""Options of the network without one of its parts."""


def own_phase(x: Float[Array, "b h w 2"]) -> Float[jax.Array, " b"]:
    """Phase that turns with the row: its :func:`mpijax.models.unet.main_phase`, on the side of the largest value along that line.

    Args:
        x: real and imaginary parts.
    """
    phase = main_phase(x)
    along = rotate(x, -phase)[..., 0].reshape(x.shape[0], -1)
    largest = jnp.take_along_axis(along, jnp.argmax(jnp.abs(along), 1)[:, None], 1)[:, 0]
    return jnp.where(largest < 0, phase + jnp.pi, phase)


class ConsistentUNet(Network):
    """Phase-aligned, data-consistent super-resolution: out = e^{i phi} P(K y + shuffle N(y, sigma), y), y = e^{-i phi} x.

    phi is the row's own phase (:func:`own_phase`): a row of an equilibrium model is real up to one phase, so that half of the
    noise's power is told apart at once, and a phase of the input is the same phase of the output. K is Keys
    upsampling, N a residual U-Net on the coarse grid (:class:`mpijax.models.unet.Backbone`) whose channels are shuffled into fine
    cells, and P the projection of :func:`mpijax.models.blocks.data_consistency.data_consistent`: block means within
    sqrt(h w) sigma of y. N starts at zero: the untrained network is data-consistent bicubic interpolation. Any coarse grid works.

    Args:
        channels: 2, real and imaginary part.
        scale: Upsampling factor per axis, a power of two.
        input_shape: Kept for the record; any grid works.
        features: Width of each level of N, the finest first.
        blocks: Residual blocks per level and direction.
        align: Whether rows are turned by their phase.
        conditioned: Whether N sees the noise level.
        data_consistency: Whether P is part of the network.
        rngs: Random streams of the initial weights.

    Raises:
        ValueError: A value is out of range.

    Source: this project's network; P is that of TranSMS. `ABLATIONS` leave out one part each.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        features: tuple[int, ...] | list[int] = (48, 64, 64),
        blocks: int = 2,
        align: bool = True,
        conditioned: bool = True,
        data_consistency: bool = True,
        rngs: nnx.Rngs,
    ):
        if scale is None or scale < 2 or scale & (scale - 1):
            raise ValueError(f"scale = {scale}; consistent_unet needs a power of two: 2, 4, 8, ...")
        check_sizes(channels, features, blocks, 1)
        super().__init__(
            name="consistent_unet",
            channels=channels,
            scale=scale,
            input_shape=input_shape,
            features=tuple(features),
            blocks=blocks,
            align=align,
            conditioned=conditioned,
            data_consistency=data_consistency,
        )
        self.scale, self.align = scale, align
        self.conditioned, self.data_consistency = conditioned, data_consistency
        outputs = channels * scale**2
        self.backbone = Backbone(channels + 1, outputs, 2, tuple(features), blocks, 1, jnp.float32, rngs=rngs)

    @property
    def takes(self) -> tuple[str, ...]:
        """The noise level, where a part of the network uses it."""
        return ("noise_level",) if self.conditioned or self.data_consistency else ()

    def forward(self, x: Float[Array, "b h w c"], *, noise_level: Array | None = None) -> Float[jax.Array, "b _ _ c"]:
        """Coarse rows (b, h, w, c) to fine rows (b, h scale, w scale, c).

        Args:
            x: Block means, real and imaginary part.
            noise_level: Complex standard deviation of the noise in the scale of x (b,); None = no noise.
        """
        x = jnp.asarray(x)
        b, h, w, _ = x.shape
        level = jnp.zeros(b) if noise_level is None else jnp.asarray(noise_level)
        phase = own_phase(x) if self.align else jnp.zeros(b)
        rows = rotate(x, -phase)
        inside = jnp.ones((b, h, w, 1))
        told = level[:, None, None, None] * inside * self.conditioned
        correction = self.backbone(jnp.concatenate([rows, told], -1), inside)
        fine = keys_upsample(rows, self.scale) + pixel_shuffle(correction, self.scale)
        if self.data_consistency:
            fine = data_consistent(fine, rows, math.sqrt(h * w) * level)
        return rotate(fine, phase)
