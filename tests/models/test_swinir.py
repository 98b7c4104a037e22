import math

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.swinir import WindowAttention
from tests.models.grids import (
    check_bfloat16,
    check_boxes,
    check_config,
    check_gradient,
    count,
    create,
    sample,
    untrained,
)

SMALL = dict(features=4, blocks=1, layers=2, heads=2, window=4)


@pytest.mark.parametrize(("options", "expected"), [({}, 11_500_922), ({"features": 60, "blocks": 4}, 904_202)])
def test_counts(options, expected):
    assert count("swinir", **options) == expected


@pytest.mark.parametrize("shape", [(5, 6), (1, 2)])
def test_neither_padding_nor_what_lies_outside_matters(shape):
    check_boxes(create("swinir", **SMALL), shape, [((7, 8), None), ((12, 13), (4, 4))])


@pytest.mark.parametrize("shift", [0, 2])
def test_window_attention_against_numpy(shift):
    """Voxel by voxel: each attends to the voxels of its window that are inside and not beyond the border of the box."""
    heads, window, features, shape = 2, 4, 6, (8, 4)
    layer = WindowAttention(features, heads, window, shift, dtype=None, rngs=nnx.Rngs(0))
    for parameter in (layer.query_key_value.bias, layer.table, layer.projection.bias):
        parameter[...] = np.random.default_rng(1).normal(size=parameter.shape).astype(np.float32)
    random = np.random.default_rng(2)
    x = random.normal(size=(2, *shape, features)).astype(np.float32)
    inside = (random.uniform(size=(2, *shape, 1)) > 0.2).astype(np.float32)
    out = np.asarray(layer(jnp.asarray(x), jnp.asarray(inside)))

    def dense(linear, values):
        return values @ np.float64(linear.kernel[...]) + np.float64(linear.bias[...])

    q, k, v = np.split(dense(layer.query_key_value, np.float64(x)), 3, axis=-1)
    table, each = np.float64(layer.table[...]), features // heads
    for b, y, z in np.argwhere(inside[..., 0] > 0):
        result = np.zeros(features)
        # without wrapping: window number floor((y - shift) / window), -1 for the part before the first shifted window
        near = [
            (r, c)
            for r, c in np.ndindex(*shape)
            if inside[b, r, c, 0] > 0
            and (r - shift) // window == (y - shift) // window
            and (c - shift) // window == (z - shift) // window
        ]
        for head in range(heads):
            part = slice(each * head, each * (head + 1))
            score = [
                q[b, y, z, part] @ k[b, r, c, part] / math.sqrt(each)
                + table[(y - r + window - 1) * (2 * window - 1) + (z - c + window - 1), head]
                for r, c in near
            ]
            weight = np.exp(score) / np.exp(score).sum()
            result[part] = sum(w * v[b, r, c, part] for w, (r, c) in zip(weight, near, strict=True))
        np.testing.assert_allclose(out[b, y, z], dense(layer.projection, result), atol=2e-5)


def test_layers_alternate_between_plain_and_shifted_windows():
    model = create("swinir", **{**SMALL, "layers": 3})
    assert [layer.attention.shift for layer in model.blocks[0].layers] == [0, 2, 0]


def test_untrained_network_is_the_identity():
    rows, _ = sample(5, 6)
    np.testing.assert_array_equal(untrained("swinir", rows, **SMALL), rows)


def test_gradient_is_finite_where_a_window_is_outside():
    rows, known = sample(3, 3)
    x, mask = np.zeros((2, 8, 8, 2), np.float32), np.zeros((2, 8, 8, 1), np.float32)
    x[:, :3, :3], mask[:, :3, :3] = rows, known
    check_gradient(create("swinir", **SMALL), x, mask)


def test_bfloat16():
    check_bfloat16("swinir", (6, 6), **SMALL)


def test_config():
    check_config(create("swinir", mlp=5, **SMALL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 3}, "dimensions = 3; allowed: 2"),
        ({"heads": 3}, "not divisible by heads = 3"),
        ({"window": 1}, "window = 1"),
        ({"scale": 2}, "scale = 2"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("swinir", rngs=0, **{**SMALL, **options})
