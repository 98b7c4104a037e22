import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.pconv_unet import PartialConv
from tests.models.grids import check_bfloat16, check_boxes, check_config, check_gradient, count, create, sample, train

SMALL = dict(features=(3, 4, 5), kernels=(5, 3, 3))
WIDE = (64, 128, 256, 512, 512, 512, 512)
KERNELS = (7, 5, 5, 3, 3, 3, 3)


@pytest.mark.parametrize(
    ("features", "kernels", "expected"),
    [
        ((32, 64, 128, 256), None, 2_907_982),
        ((32, 64, 128, 256), (7, 5, 5, 3), 3_931_726),
        ((64, 128, 256, 512), None, 11_621_934),
        ((64, 128, 256, 512), (7, 5, 5, 3), 15_676_462),
        ((32, 64, 128), None, 695_374),
    ],
)
def test_counts(features, kernels, expected):
    assert count("pconv_unet", dimensions=3, features=features, kernels=kernels) == expected


@pytest.mark.parametrize(("levels", "expected"), [(7, 25_779_796), (5, 11_619_924), (4, 4_539_988)])
def test_counts_of_the_public_network_in_two_dimensions(levels, expected):
    sizes = dict(features=WIDE[:levels], kernels=KERNELS[:levels], first_bias=False)
    assert count("pconv_unet", channels=3, **sizes) == expected


def partial_conv(inputs, kernel, bias, stride):
    """The definition, voxel by voxel in float64, with a mask for every channel."""
    x = np.concatenate([np.float64(values) for values, _ in inputs], axis=-1)
    m = np.concatenate([np.broadcast_to(known, values.shape) for values, known in inputs], axis=-1)
    size, d = kernel.shape[0], x.ndim - 2
    pad = [(0, 0), *[(size // 2, size // 2)] * d, (0, 0)]
    x, m = np.pad(x, pad), np.pad(np.float64(m), pad)
    shape = [-(-(n - size + 1) // stride) for n in x.shape[1:-1]]
    out, new = np.zeros((x.shape[0], *shape, kernel.shape[-1])), np.zeros((x.shape[0], *shape, 1))
    for b, *place in itertools.product(range(x.shape[0]), *map(range, shape)):
        window = (b, *(slice(stride * p, stride * p + size) for p in place))
        total = m[window].sum()
        if total > 0:
            out[b, *place] = np.tensordot(x[window] * m[window], kernel, d + 1) * m[window].size / total + bias
            new[b, *place] = 1
    return out, new


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "bias"),
    [((5, 6), 3, 1, True), ((6, 7), 5, 2, False), ((3, 4, 5), 3, 2, True), ((3, 3, 2), 3, 1, False)],
)
def test_partial_convolution_against_its_definition(shape, kernel, stride, bias):
    fine, coarse = sample(*shape, missing=0.9), sample(*shape, missing=0.7, seed=1)
    fine[1][0] = coarse[1][0] = 0  # a row of which nothing is known
    inputs = [
        (jnp.asarray(fine[0]), jnp.asarray(fine[1])),
        (jnp.asarray(coarse[0][..., :1]) + 3, jnp.asarray(coarse[1])),
    ]
    layer = PartialConv(
        [2, 1], 3, kernel, stride=stride, bias=bias, dimensions=len(shape), dtype=None, rngs=nnx.Rngs(0)
    )
    if bias:
        layer.bias[...] = jnp.asarray([0.5, -1.0, 2.0])
    out, known = layer(inputs)
    b = np.float64(layer.bias[...]) if bias else 0.0
    expected, mask = partial_conv(inputs, np.float64(layer.conv.kernel[...]), b, stride)
    assert 0 < mask.mean() < 1
    np.testing.assert_array_equal(known, mask)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "boxes"),
    [
        ((5, 6), [((5, 7), None), ((16, 16), (8, 0))]),
        ((3, 4, 5), [((4, 8, 6), None)]),
        ((1, 1), [((3, 4), None)]),
    ],
)
def test_neither_padding_nor_what_lies_outside_matters(shape, boxes):
    check_boxes(create("pconv_unet", dimensions=len(shape), **SMALL), shape, boxes)


def test_row_at_another_offset_is_restored_as_well():
    """Three levels regroup the voxels of a row at offset 3, but none of them is lost."""
    rows, known = sample(2, 2, batch=1, missing=0)
    x, mask = np.zeros((1, 16, 16, 2), np.float32), np.zeros((1, 16, 16, 1), np.float32)
    x[:, 3:5, 3:5], mask[:, 3:5, 3:5] = rows, known
    out = np.asarray(train(create("pconv_unet", **SMALL), x, mask)[0])
    assert (out[:, 3:5, 3:5] != 0).all() and np.count_nonzero(out) == 8 and np.isfinite(out).all()


def test_hole_larger_than_a_window_is_filled_and_has_finite_gradients():
    rows, known = sample(12, 12, missing=0)
    known[:, 2:11, 2:11] = 0
    known[1] = 0  # and a row of which nothing is known
    mask = np.concatenate([known, np.ones_like(known)], axis=-1)
    model = create("pconv_unet", **SMALL)
    out = np.asarray(train(model, rows, mask)[0])
    assert (out[0] != 0).all() and np.isfinite(out).all()
    np.testing.assert_array_equal(out[1], 0)
    np.testing.assert_array_equal(out, train(model, np.where(known > 0, rows, np.nan).astype(np.float32), mask)[0])
    check_gradient(model, rows, mask)


def test_bfloat16():
    # a grid of 6 x 6 would leave one voxel a row at the third level: a variance of two numbers magnifies any rounding
    check_bfloat16("pconv_unet", (24, 24), **SMALL)


def test_config():
    check_config(create("pconv_unet", first_bias=False, **SMALL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernels": (3, 3)}, "a kernel for each"),
        ({"kernels": (3, 4, 3)}, "must be odd"),
        ({"features": (3, 0, 5)}, "features = 0"),
        ({"scale": 2}, "scale = 2"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("pconv_unet", rngs=0, **{**SMALL, **options})
