"""Which voxels of a calibration are measured: blocks of failed positions, and every n-th position.

Masks are (n,), x fastest, True = measured; they live in a padded box of static shape and are False outside the grid's
extent, which may be traced. A new mask per row comes from ``jax.vmap`` over keys.
"""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count, check_interval, check_range, is_concrete
from mpijax.core.typing import Array, Bool, Float
from mpijax.physics.scan_order import box_coordinates, scan_index, valid_voxels

_AXES = np.array(list(itertools.permutations(range(3))))


def missing_block(
    extent: Any, shape: tuple[int, int, int], ratio: float | Float[Array, ""], *, key: jax.Array
) -> Bool[jax.Array, " n"]:
    """One contiguous block of positions along a scan, True = missing.

    The axes are permuted at random, the voxels are numbered as a raster or, with p = 1/2, as a meander, and round(ratio N)
    successive ones from a uniform start are marked; the block does not wrap around.

    Args:
        extent: voxels per axis (3,) of the grid, may be traced; N is their product.
        shape: of the box (nx, ny, nz), static.
        ratio: share of the voxels, may be traced.
        key: random key.

    Returns:
        True inside the block (n,).

    Raises:
        ValueError: a ratio outside [0, 1], or an extent that the box does not hold.

    Source: A. Tsanda et al., restoration of system matrices, section 3.2 (inpainting).
    """
    check_range("ratio", ratio, 0.0, 1.0, "", "It is a share of the voxels.")
    _check_extent(extent, shape)
    u = jax.random.uniform(key, (3,))
    axes = jnp.asarray(_AXES)[jnp.floor(len(_AXES) * u[0]).astype(int)]
    index = scan_index(extent, shape, u[1] < 0.5, axes=axes)
    total = jnp.prod(jnp.asarray(extent))
    length = jnp.round(ratio * total)
    start = jnp.floor((total - length + 1) * u[2])
    return (index >= start) & (index < start + length) & valid_voxels(extent, shape)


def block_mask(
    extent: Any,
    shape: tuple[int, int, int],
    *,
    key: jax.Array,
    ratio_range: tuple[float, float] = (0.02, 0.2),
    max_blocks: int = 3,
    max_ratio: float = 0.5,
) -> Bool[jax.Array, " n"]:
    """The measured voxels of a calibration that failed for one to ``max_blocks`` blocks of positions.

    Every block has its own axes, order, start and ratio ~ U(ratio_range); one that would take the missing share above
    ``max_ratio`` is left out.

    Args:
        extent: voxels per axis (3,) of the grid, may be traced.
        shape: of the box (nx, ny, nz), static.
        key: random key.
        ratio_range: smallest and largest share of one block.
        max_blocks: largest number of blocks; the number is uniform in 1 .. max_blocks.
        max_ratio: largest share of the union.

    Returns:
        True = measured (n,).

    Raises:
        ValueError: shares outside [0, 1], in the wrong order, no block, or an extent that the box does not hold.

    Source: restoration paper, section 3.2 (inpainting).
    """
    check_interval("ratio_range", ratio_range)
    check_range("ratio_range", ratio_range, 0.0, 1.0, "")
    check_range("max_ratio", max_ratio, 0.0, 1.0, "")
    if ratio_range[0] > ratio_range[1]:
        raise ValueError(f"ratio_range = {ratio_range}; give (smallest, largest).")
    check_count("max_blocks", max_blocks)
    _check_extent(extent, shape)
    count_key, ratio_key, block_key = jax.random.split(key, 3)
    blocks = jax.random.randint(count_key, (), 1, max_blocks + 1)
    ratios = jax.random.uniform(ratio_key, (max_blocks,), minval=ratio_range[0], maxval=ratio_range[1])
    keys = jax.random.split(block_key, max_blocks)
    drawn = jax.vmap(lambda ratio, key: missing_block(extent, shape, ratio, key=key))(ratios, keys)
    limit = max_ratio * jnp.prod(jnp.asarray(extent))
    valid = valid_voxels(extent, shape)
    missing = jnp.zeros_like(valid)
    for i in range(max_blocks):
        union = missing | drawn[i]
        missing = jnp.where((i < blocks) & (jnp.sum(union) <= limit), union, missing)
    return valid & ~missing


def stride_mask(extent: Any, shape: tuple[int, int, int], step: int | tuple[int, int, int]) -> Bool[jax.Array, " n"]:
    """The measured voxels of an accelerated calibration: every ``step``-th along each axis, from the first.

    Args:
        extent: voxels per axis (3,) of the grid, may be traced.
        shape: of the box (nx, ny, nz), static.
        step: one number, or one per axis (x, y, z).

    Returns:
        True = measured (n,).

    Raises:
        ValueError: a step below one, or an extent that the box does not hold.

    Source: restoration paper, section 3.2 (accelerated calibration).
    """
    _check_extent(extent, shape)
    steps = jnp.broadcast_to(jnp.asarray(step), (3,))
    check_range("step", step, 1, 2**31 - 1, "voxels")
    return jnp.all(box_coordinates(shape) % steps[:, None] == 0, axis=0) & valid_voxels(extent, shape)


def _check_extent(extent: Any, shape: tuple[int, int, int]) -> None:
    if is_concrete(extent):
        given = np.asarray(extent)
        if given.shape != (3,) or not np.all((given >= 1) & (given <= shape)):
            raise ValueError(f"extent = {extent}; expected three of at least 1 that a box of shape {shape} holds.")
