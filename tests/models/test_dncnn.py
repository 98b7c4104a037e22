import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.blocks.layers import MaskedBatchNorm, nearest_upsample
from tests.models.grids import check_bfloat16, check_boxes, check_config, count, create, sample, untrained

SMALL = dict(features=6, layers=4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 558_210), ({"layers": 20}, 669_378), ({"dimensions": 3}, 1_668_738), ({"norm": "none"}, 558_210 - 15 * 128)],
)
def test_counts(options, expected):
    assert count("dncnn", **options) == expected


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_neither_padding_nor_what_lies_outside_matters(norm):
    check_boxes(create("dncnn", norm=norm, **SMALL), (5, 4), [((8, 8), (2, 1))])


def test_neither_padding_nor_what_lies_outside_matters_in_three_dimensions():
    check_boxes(create("dncnn", dimensions=3, **SMALL), (3, 4, 2), [((6, 4, 5), (1, 0, 3))])


def test_untrained_network_is_the_identity_and_reads_known_voxels_only():
    rows, known = sample(4, 5)
    np.testing.assert_array_equal(untrained("dncnn", rows + 7 * (1 - known), known, **SMALL), rows)


def test_value_against_numpy():
    """Three layers on a row of one voxel, where only the middle of each kernel counts; running statistics."""
    model = create("dncnn", features=3, layers=3)
    model.eval()
    x = np.asarray([0.7, -1.2])
    first, second, last = ([np.float64(p[...]) for p in (c.kernel, c.bias)] for c in (*model.convs, model.last))
    mean, var, scale, bias = (np.float64(getattr(model.norms[0], k)[...]) for k in ("mean", "var", "scale", "bias"))
    hidden = np.maximum(x @ first[0][1, 1] + first[1], 0) @ second[0][1, 1] + second[1]
    hidden = np.maximum((hidden - mean) / np.sqrt(var + 1e-5) * scale + bias, 0)
    expected = x - hidden @ last[0][1, 1] - last[1]
    np.testing.assert_allclose(model(x.astype(np.float32).reshape(1, 1, 1, 2))[0, 0, 0], expected, rtol=1e-5)


def test_statistics_leave_out_the_padding():
    random = np.random.default_rng(3)
    x = random.normal(2, 3, (3, 4, 5, 2)).astype(np.float32)
    inside = (random.uniform(size=(3, 4, 5, 1)) > 0.5).astype(np.float32)
    norm = MaskedBatchNorm(2, rngs=nnx.Rngs(0))
    out = norm(jnp.asarray(x), jnp.asarray(inside))
    values = np.float64(x[inside[..., 0] > 0])
    mean, var = values.mean(0), values.var(0)
    np.testing.assert_allclose(norm.mean[...], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * var, rtol=1e-5)
    np.testing.assert_allclose(out, (x - mean) / np.sqrt(var + 1e-5), atol=1e-5)
    again = norm(jnp.asarray(np.where(inside > 0, x, 1e4)), jnp.asarray(inside))
    np.testing.assert_allclose(again[inside[..., 0] > 0], out[inside[..., 0] > 0], atol=1e-6)


def test_nearest_upsampling_repeats_every_voxel():
    x = np.random.default_rng(4).normal(size=(1, 2, 3, 2, 1)).astype(np.float32)
    out = np.asarray(nearest_upsample(x, 2))
    assert out.shape == (1, 4, 6, 4, 1)
    for index in np.ndindex(4, 6, 4):
        assert out[0, *index, 0] == x[0, *(i // 2 for i in index), 0]


def test_bfloat16():
    check_bfloat16("dncnn", (6, 6), **SMALL)


def test_config():
    check_config(create("dncnn", input_shape=(5, 5), norm="none", **SMALL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 2}, "scale = 2; allowed: None, 1"),
        ({"dimensions": 1}, "dimensions = 1"),
        ({"layers": 1}, "layers = 1"),
        ({"features": 0}, "features = 0"),
        ({"norm": "group"}, "norm = 'group'"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
        ({"input_shape": (4, 4, 4)}, "takes 2 sizes"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("dncnn", rngs=0, **{**SMALL, **options})


def test_rows_and_masks_that_do_not_fit_are_refused():
    model = create("dncnn", **SMALL)
    with pytest.raises(ValueError, match=r"takes rows \(b, y, x, 2\)"):
        model(np.zeros((1, 4, 4, 4, 2), np.float32))
    with pytest.raises(ValueError, match="1 or 2 channels"):
        model(np.zeros((1, 4, 4, 2), np.float32), mask=np.ones((1, 4, 4, 3), np.float32))
