"""PConvUNet: a U-Net of partial convolutions that fills the unknown voxels of a row."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import he_normal
from mpijax.models.blocks.layers import GridNetwork, MaskedBatchNorm, nearest_upsample

DECODER_KERNEL = 3


class PartialConv(nnx.Module):
    """Convolution that looks at known voxels only: y = W (m x) n / sum(m) + b and m' = 1 where sum(m) > 0, else y = m' = 0.

    The sum runs over the window and all input channels, n is the number of its terms, k^d channels; the zeros around the box
    count as unknown. The input is a list of feature maps that are concatenated, each with a mask (b, *s, 1) common to its
    channels, which is a mask per channel in short. Masks carry no gradient.

    Args:
        widths: Channels of each input.
        n_out: Channels of the output.
        kernel: Odd size k of the window.
        stride: Of the window; output voxel i looks around input voxel stride i.
        bias: Whether there is a b.
        dimensions: Number d of axes.
        dtype: Of the convolution; sums of masks are float32.
        rngs: Random streams of the initial weights (He).

    Source: Liu et al., ECCV 2018, Eqs. 1-2, with the number of terms over all channels as in its authors' code.
    """

    def __init__(
        self,
        widths: Sequence[int],
        n_out: int,
        kernel: int,
        *,
        stride: int = 1,
        bias: bool = False,
        dimensions: int,
        dtype: str | None,
        rngs: nnx.Rngs,
    ):
        self.widths, self.dimensions, self.kernel, self.stride = tuple(widths), dimensions, kernel, stride
        self.conv = nnx.Conv(
            sum(widths),
            n_out,
            (kernel,) * dimensions,
            strides=(stride,) * dimensions,
            padding=((kernel // 2, kernel // 2),) * dimensions,  # "SAME" would pad even sizes at the far end only
            use_bias=False,
            kernel_init=he_normal,
            dtype=dtype,
            rngs=rngs,
        )
        self.bias = nnx.Param(jnp.zeros(n_out)) if bias else None

    def __call__(
        self, inputs: Sequence[tuple[Float[jax.Array, "b *s _"], Float[jax.Array, "b *s 1"]]]
    ) -> tuple[Float[jax.Array, "b *t k"], Float[jax.Array, "b *t 1"]]:
        """Feature maps with their masks to a feature map (b, *t, n_out), t = ceil(s / stride), and its mask."""
        masked = jnp.concatenate([x * known.astype(x.dtype) for x, known in inputs], axis=-1)
        weights = [width * known for width, (_, known) in zip(self.widths, inputs, strict=True)]
        count = self._window_sum(jnp.sum(jnp.concatenate(weights, axis=-1), axis=-1, keepdims=True))
        terms = self.kernel**self.dimensions * sum(self.widths)
        known = (count > 0).astype(count.dtype)
        out = self.conv(masked)
        scaled = out * (terms / jnp.maximum(count, 1)) * known
        if self.bias is not None:
            scaled = scaled + self.bias[...] * known
        return scaled.astype(out.dtype), known

    def _window_sum(self, known: jax.Array) -> jax.Array:
        pad, d = self.kernel // 2, self.dimensions
        window, strides = (1, *(self.kernel,) * d, 1), (1, *(self.stride,) * d, 1)
        padding = ((0, 0), *((pad, pad),) * d, (0, 0))
        return jax.lax.reduce_window(jax.lax.stop_gradient(known), 0.0, jax.lax.add, window, strides, padding)


class PConvUNet(GridNetwork):
    """PConvUNet: encoders of stride two, decoders that join the upsampled features and mask with those of the finer level.

    Encoder i = 1 .. n: (h_i, m_i) = ReLU(norm(pconv(h_(i-1), m_(i-1)))) of stride 2, h_0 the row and m_0 its known voxels.
    Decoder i = n .. 1: pconv of nearest-upsampled features and h_(i-1) with their masks, norm, leaky ReLU (0.2). The first
    encoder has no norm, the last decoder neither norm nor activation; its output replaces the row, known voxels included.

    Voxels outside the grid are unknown at every level and left out of the statistics, coarse voxels are inside where one of the
    voxels they stand for is. What lies outside never changes the result; nor does the amount of padding behind a row that
    starts in the corner of its box (or at a multiple of 2^n: another offset regroups the voxels).

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: None or 1.
        input_shape: Kept for the record; any grid works.
        dimensions: 2 or 3.
        features: Width of each encoder, the finest first; the decoders mirror them.
        kernels: Odd window of each encoder; None = 3 for all. The original has 7, 5, 5, 3, 3, ..
        first_bias: Whether the first encoder, which has no norm, has a bias; the public 2-D code has none.
        dtype: Of the computation, "bfloat16" or None; see `GridNetwork`.
        rngs: Random streams of the initial weights.

    Raises:
        ValueError: A value is out of range.

    Source: Liu et al., ECCV 2018, section 3 and its table of layers; Tsanda et al., PMB 71, 095029 (2026), section 3.2, which
    adapts it to 3-D without naming sizes.
    Chosen here: four levels of 32 to 256 with windows of 3, the bias of the first encoder, what is inside at the
    coarse levels. Unknown voxels count in the statistics, as in the original.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        features: tuple[int, ...] | list[int] = (32, 64, 128, 256),
        kernels: tuple[int, ...] | list[int] | None = None,
        first_bias: bool = True,
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ):
        check_choice("scale", scale, (None, 1))
        features = tuple(features)
        kernels = (3,) * len(features) if kernels is None else tuple(kernels)
        if not features or len(kernels) != len(features):
            raise ValueError(
                f"features = {features}, kernels = {kernels}; give at least one level and a kernel for each."
            )
        for width in features:
            check_count("features", width)
        for kernel in kernels:
            check_count("kernels", kernel)
            if kernel % 2 == 0:
                raise ValueError(f"kernels = {kernels}; all must be odd.")
        super().__init__(
            name="pconv_unet",
            channels=channels,
            input_shape=input_shape,
            dimensions=dimensions,
            features=features,
            kernels=kernels,
            first_bias=first_bias,
            dtype=dtype,
        )
        common: dict[str, Any] = dict(dimensions=dimensions, dtype=dtype, rngs=rngs)
        widths = (channels, *features)
        levels = range(len(features))
        self.encoder = nnx.List(
            [
                PartialConv([widths[i]], features[i], kernels[i], stride=2, bias=first_bias and i == 0, **common)
                for i in levels
            ]
        )
        self.decoder = nnx.List(  # decoder i returns to the level of widths[i]
            [PartialConv(widths[i : i + 2], widths[i], DECODER_KERNEL, bias=i == 0, **common) for i in levels]
        )
        self.encoder_norms = nnx.List([MaskedBatchNorm(width, rngs=rngs) for width in features[1:]])
        self.decoder_norms = nnx.List([MaskedBatchNorm(width, rngs=rngs) for width in features[:-1]])

    def forward(
        self,
        x: Float[Array, "b *s c"],
        *,
        mask: Float[Array, "b *s m"] | None = None,
    ) -> Float[jax.Array, "b *s c"]:
        """Rows (b, *s, c) with unknown voxels to whole rows, zero outside the grid.

        Args:
            x: Rows on a grid (y, x) or (z, y, x).
            mask: (b, *s, 1 or 2): known voxels, and voxels inside the grid; one channel stands for both, None = all.

        Returns:
            Rows (b, *s, c). With one channel in ``mask`` nothing is inside but the known voxels, so nothing is filled.
        """
        rows, known, inside = self.masked(x, mask)
        hidden = rows if self.dtype is None else rows.astype(self.dtype)
        finer = []
        for number, layer in enumerate(self.encoder):
            finer.append((hidden, known, inside))
            inside = _coarser(inside)
            hidden, known = layer([(hidden, known)])
            known = known * inside
            if number:
                hidden = self.encoder_norms[number - 1](hidden, inside)
            hidden = nnx.relu(hidden)
        for number in reversed(range(len(self.decoder))):
            skip, skip_known, inside = finer[number]
            cut = (slice(None), *(slice(size) for size in skip.shape[1:-1]))
            above = (nearest_upsample(hidden)[cut], nearest_upsample(known)[cut] * inside)
            hidden, known = self.decoder[number]([above, (skip, skip_known)])
            known = known * inside
            if number:
                hidden = nnx.leaky_relu(self.decoder_norms[number - 1](hidden, inside), negative_slope=0.2)
        return hidden.astype(rows.dtype) * known


def _coarser(inside: Float[jax.Array, "b *s 1"]) -> Float[jax.Array, "b *t 1"]:
    """Voxels of a grid of half the size (rounded up) that stand for at least one voxel inside the finer one."""
    window = (2,) * (inside.ndim - 2)
    return nnx.max_pool(inside, window, strides=window, padding="SAME")
