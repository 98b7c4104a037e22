"""How a coarse system-matrix row arises from a fine one, and what happens to its noise.

``scale`` is an integer factor for the last two axes (y, x), or one factor per trailing axis, (2, 2, 2) for volumes.
"""

import math

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_choice
from mpijax.core.typing import Array, Float, Inexact

Scale = int | tuple[int, ...]

METHODS = ("box", "stride", "maxavg", "absmax")
"""Names that :func:`degrade` knows."""


def degrade(images: Inexact[Array, "..."], scale: Scale, method: str = "box") -> Inexact[jax.Array, "..."]:
    """Degrade fine rows to a coarser grid.

    Args:
        images: Rows (..., y, x) or (..., z, y, x).
        scale: Factor per axis.
        method: "box" (:func:`box_mean`, a larger delta sample), "stride" (:func:`stride`, fewer positions), "maxavg"
            (:func:`max_average`, VRF-Net's dual pooling) or "absmax" (:func:`absmax`).

    Returns:
        Coarse rows.

    Raises:
        ValueError: An unknown method, or a scale that does not divide the grid (except "stride").

    Source: TranSMS paper, sections II and IV-C1.
    """
    check_choice("method", method, METHODS)
    return {"box": box_mean, "stride": stride, "maxavg": max_average, "absmax": absmax}[method](images, scale)


def box_mean(images: Inexact[Array, "..."], scale: Scale) -> Inexact[jax.Array, "..."]:
    """Mean over blocks: the signal of a delta sample as large as the block, per unit of its volume.

    A sample of S x S fine voxels gives the *sum* over the block; divided by S^2 it is this mean.

    Args:
        images: Rows (..., y, x) or (..., z, y, x).
        scale: Factor per axis.

    Returns:
        Coarse rows.

    Raises:
        ValueError: The scale does not divide the grid.
    """
    images = jnp.asarray(images)
    blocks = _blocks(images, _scales(images, scale))
    return jnp.mean(blocks, axis=-1)


def stride(images: Inexact[Array, "..."], scale: Scale) -> Inexact[jax.Array, "..."]:
    """Every S-th sample from the first: fewer positions of the same small sample.

    Any grid is allowed; n samples become ceil(n / S).

    Args:
        images: Rows (..., y, x) or (..., z, y, x).
        scale: Factor per axis.

    Returns:
        Coarse rows.
    """
    images = jnp.asarray(images)
    return images[(..., *(slice(None, None, s) for s in _scales(images, scale)))]


def max_average(images: Inexact[Array, "..."], scale: Scale) -> Inexact[jax.Array, "..."]:
    """Dual pooling: maximum over blocks of 2, then mean over blocks of S/2, on real and imaginary parts apart.

    It is not odd (the maximum of -x is not minus the maximum of x), shifts the mean of oscillating rows, and no
    measurement produces it; it is here to reproduce the published training data.

    Args:
        images: Rows (..., y, x) or (..., z, y, x).
        scale: Factor per axis: 2 (maximum 2, mean 1), 4 (2, 2) or 8 (2, 4).

    Returns:
        Coarse rows.

    Raises:
        ValueError: A scale other than 2, 4 or 8, or one that does not divide the grid.

    Source: VRF-Net, dual pooling (section 'Data', Fig. 12; the split per factor is a reading of the figure).
    """
    images = jnp.asarray(images)
    scales = _scales(images, scale)
    if any(s not in (2, 4, 8) for s in scales):
        raise ValueError(f"scale = {scale}; dual pooling is defined for 2, 4 and 8.")
    _check_divides(images, scales)
    if jnp.iscomplexobj(images):
        return jax.lax.complex(max_average(images.real, scales), max_average(images.imag, scales))
    largest = jnp.max(_blocks(images, (2,) * len(scales)), axis=-1)
    return box_mean(largest, tuple(s // 2 for s in scales))


def absmax(images: Inexact[Array, "..."], scale: Scale) -> Inexact[jax.Array, "..."]:
    """The entry of largest modulus in each block, with its phase (the first one of equals).

    Args:
        images: Rows (..., y, x) or (..., z, y, x).
        scale: Factor per axis.

    Returns:
        Coarse rows.

    Raises:
        ValueError: The scale does not divide the grid.
    """
    images = jnp.asarray(images)
    blocks = _blocks(images, _scales(images, scale))
    power = blocks.real**2 + blocks.imag**2 if jnp.iscomplexobj(images) else blocks**2
    return jnp.take_along_axis(blocks, jnp.argmax(power, axis=-1)[..., None], axis=-1)[..., 0]


def degraded_noise_std(
    sigma: float | Float[Array, "..."], scale: Scale, method: str = "box", sample: str = "large"
) -> float | Float[Array, "..."]:
    """Noise standard deviation of coarse rows, in the scale of the fine rows.

    With v = prod(scale) fine voxels per coarse one (S^2 in 2-D): sigma / v for a box mean measured with a sample v
    times as large (v times the signal over the same receive noise), sigma / sqrt(v) for the mean of a noisy fine grid,
    sigma for every S-th sample.

    Args:
        sigma: Noise standard deviation of one fine measurement, number or array, in the unit of the rows.
        scale: Factor, an integer for two axes or one per axis.
        method: "box" or "stride".
        sample: "large" (a larger delta sample was measured) or "retrospective" (the fine rows were averaged); without
            effect on "stride".

    Returns:
        Standard deviation, like ``sigma``.

    Raises:
        ValueError: Another method: the noise of a maximum depends on the signal.

    Source: A. Gungor et al., IEEE TMI 41(12):3562 (2022), section II.
    """
    check_choice("method", method, ("box", "stride"))
    check_choice("sample", sample, ("large", "retrospective"))
    if method == "stride":
        return sigma
    v = scale**2 if isinstance(scale, int) else math.prod(scale)
    return sigma / v if sample == "large" else sigma / math.sqrt(v)


def _scales(images: jax.Array, scale: Scale) -> tuple[int, ...]:
    scales = (scale, scale) if isinstance(scale, int) else tuple(scale)
    if any(s < 1 for s in scales):
        raise ValueError(f"scale = {scale}; factors are positive integers.")
    if images.ndim < len(scales):
        raise ValueError(f"scale = {scale} needs {len(scales)} image axes; images has shape {images.shape}.")
    return scales


def _check_divides(images: jax.Array, scales: tuple[int, ...]) -> None:
    grid = images.shape[images.ndim - len(scales) :]
    if any(n % s for n, s in zip(grid, scales, strict=True)):
        crop = tuple(n - n % s for n, s in zip(grid, scales, strict=True))
        raise ValueError(f"scale {scales} does not divide the grid {grid}; crop the images to {crop} first.")


def _blocks(images: jax.Array, scales: tuple[int, ...]) -> jax.Array:
    """Blocks of prod(scales) values on a new last axis: (..., y, x) -> (..., y/s, x/s, s*s)."""
    _check_divides(images, scales)
    lead = images.ndim - len(scales)
    split = [size for n, s in zip(images.shape[lead:], scales, strict=True) for size in (n // s, s)]
    images = images.reshape(*images.shape[:lead], *split)
    order = (*range(lead), *range(lead, images.ndim, 2), *range(lead + 1, images.ndim, 2))
    images = images.transpose(order)
    return images.reshape(*images.shape[: lead + len(scales)], math.prod(scales))
