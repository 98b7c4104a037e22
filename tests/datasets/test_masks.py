import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.rows import block_mask, missing_block, stride_mask
from tests.reference.scan import loop_scan

SHAPE = (7, 6, 5)


def twin_block(extent, shape, ratio, key):
    """The block with the same draws, in NumPy and loops."""
    u = np.asarray(jax.random.uniform(key, (3,)))
    axes = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)][int(6 * u[0])]
    index = loop_scan(extent, shape, u[1] < 0.5, axes)
    n = int(np.prod(extent))
    length = int(np.round(np.float32(ratio) * np.float32(n)))
    start = int((n - length + 1) * u[2])
    return np.isin(index, range(start, start + length))


def test_block_is_that_of_a_loop_with_traced_extents():
    block = jax.jit(lambda extent, ratio, key: missing_block(extent, SHAPE, ratio, key=key))
    for seed, (extent, ratio) in enumerate(
        [((7, 6, 5), 0.1), ((4, 6, 3), 0.2), ((5, 3, 5), 0.07), ((7, 5, 1), 0.15), ((3, 3, 3), 0.5), ((2, 2, 2), 1.0)]
        * 2
    ):
        key = jax.random.key(seed)
        got = np.asarray(block(np.array(extent), ratio, key))
        np.testing.assert_array_equal(got, twin_block(extent, SHAPE, ratio, key))
        assert got.sum() == round(ratio * np.prod(extent))


def test_starts_are_uniform_and_blocks_do_not_wrap():
    extent = (10, 1, 1)
    keys = jax.random.split(jax.random.key(0), 4000)
    blocks = np.asarray(jax.jit(jax.vmap(lambda k: missing_block(extent, extent, 0.3, key=k)))(keys))
    np.testing.assert_array_equal(blocks.sum(axis=1), 3)
    starts = blocks.argmax(axis=1)
    np.testing.assert_array_equal(blocks[np.arange(4000)[:, None], starts[:, None] + np.arange(3)], True)
    np.testing.assert_allclose(np.bincount(starts, minlength=8) / 4000, 1 / 8, atol=0.02)


def test_all_axes_and_both_orders_occur():
    extent = (4, 4, 4)
    keys = jax.random.split(jax.random.key(0), 60)
    blocks = jax.jit(jax.vmap(lambda key: missing_block(extent, extent, 6 / 64, key=key)))(keys)
    masks = {tuple(np.flatnonzero(block)) for block in np.asarray(blocks)}
    # six successive voxels: along a raster or a meander of one of six orders of the axes
    spans = {tuple(len(set(c)) for c in np.unravel_index(np.array(m), extent)) for m in masks}
    assert {span.index(1) for span in spans if 1 in span} == {0, 1, 2} and len(masks) > 50


def test_union_of_blocks_is_that_of_a_loop():
    extent, options = (6, 5, 4), {"ratio_range": (0.1, 0.3), "max_blocks": 3, "max_ratio": 0.4}
    mask = jax.jit(lambda extent, key: block_mask(extent, SHAPE, key=key, **options))
    valid = loop_scan(extent, SHAPE, False) < 120
    skipped = 0
    for seed in range(25):
        key = jax.random.key(seed)
        count_key, ratio_key, block_key = jax.random.split(key, 3)
        blocks = int(jax.random.randint(count_key, (), 1, 4))
        ratios = jax.random.uniform(ratio_key, (3,), minval=0.1, maxval=0.3)
        missing = np.zeros(valid.size, bool)
        for ratio, k in list(zip(ratios, jax.random.split(block_key, 3), strict=True))[:blocks]:
            union = missing | twin_block(extent, SHAPE, ratio, k)
            skipped += union.sum() > 48
            missing = union if union.sum() <= 48 else missing
        np.testing.assert_array_equal(mask(np.array(extent), key), valid & ~missing)
    assert skipped > 0


def test_masks_differ_by_row_and_stay_within_the_published_shares():
    extent = jnp.array([7, 6, 4])
    keys = jax.random.split(jax.random.key(1), 200)
    draw = jax.jit(jax.vmap(lambda key: block_mask(extent, SHAPE, key=key)))
    masks = np.asarray(draw(keys))
    missing = 1 - masks.sum(axis=1) / 168
    assert len(np.unique(masks, axis=0)) > 190
    assert missing.min() >= 3 / 168 and 0.3 < missing.max() <= 0.5
    np.testing.assert_array_equal(masks, draw(keys))


def test_stride_mask_is_a_slice():
    image = np.zeros(SHAPE[::-1], bool)
    image[:4:2, :5:2, :7:2] = True
    np.testing.assert_array_equal(stride_mask(jnp.array([7, 5, 4]), SHAPE, 2), image.ravel())
    image[:] = False
    image[:4, :5:2, :7:3] = True
    np.testing.assert_array_equal(stride_mask((7, 5, 4), SHAPE, (3, 2, 1)), image.ravel())


def test_bad_masks_are_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="ratio_range"):
        block_mask(SHAPE, SHAPE, key=key, ratio_range=(0.1, 2.0))
    with pytest.raises(ValueError, match="smallest, largest"):
        block_mask(SHAPE, SHAPE, key=key, ratio_range=(0.2, 0.1))
    for ratio in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match="ratio"):
            missing_block(SHAPE, SHAPE, ratio, key=key)
    with pytest.raises(ValueError, match="extent"):
        block_mask((SHAPE[0] + 1, 1, 1), SHAPE, key=key)
    with pytest.raises(ValueError, match="max_ratio"):
        block_mask(SHAPE, SHAPE, key=key, max_ratio=-1.0)
    with pytest.raises(ValueError, match="max_blocks"):
        block_mask(SHAPE, SHAPE, key=key, max_blocks=0)
    with pytest.raises(ValueError, match="step"):
        stride_mask(SHAPE, SHAPE, 0)
