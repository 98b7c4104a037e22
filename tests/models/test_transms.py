import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.blocks.convolutional_transformer import DepthwiseConv, TransformerBlock
from mpijax.models.blocks.layers import torch_conv, torch_linear
from mpijax.models.transms import ABLATIONS
from tests.models.grids import check_config, check_gradient, count, create
from tests.models.training import check_loss_falls

SMALL = dict(features=4, layers=2, embed=4, heads=2, local_features=4, growth=2, blocks=1, fused_features=4)
GRIDS = {2: (16, 16), 4: (8, 8), 8: (4, 4)}


def output_shapes(grids, **options):
    """By tracing alone."""
    graph, state = nnx.split(nnx.eval_shape(lambda: models.create("transms", rngs=0, **SMALL, **options)))
    rows = [jnp.zeros((1, *grid, 2)) for grid in grids]
    return [jax.eval_shape(lambda s, x: nnx.merge(graph, s)(x), state, x).shape for x in rows]


@pytest.mark.parametrize(("scale", "expected"), [(2, 714_034), (4, 837_850), (8, 969_578)])
def test_counts(scale, expected):
    """Those of the public code less its class token of 64 weights, which nothing uses."""
    assert count("transms", scale=scale) == expected == count("transms", scale=scale, **ABLATIONS["without_dc"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rdsr", (157_106, 280_922, 389_610)),
        ("ctsr", (641_434, 724_570, 831_506)),
        ("rd_vit", (450_034, 561_562, 669_738)),
        ("cnn_ct", (698_674, 781_810, 897_386)),
        ("cnn_vit", (434_674, 505_522, 597_546)),
    ],
)
def test_counts_of_the_ablations(name, expected):
    assert (
        tuple(count("transms", scale=s, input_shape=grid, **ABLATIONS[name]) for s, grid in GRIDS.items()) == expected
    )


def test_parts_have_the_published_sizes():
    model = nnx.eval_shape(lambda: models.create("transms", scale=2, rngs=0))

    def size(part):
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(part, nnx.Param)))

    context, local = model.paths["context"], model.paths["local"]
    assert [size(part) for part in (model.first, local, context)] == [456, 62_232, 529_344 - 64]
    assert [size(part) for part in (model.fuse, model.upsample, model.last)] == [38_064, 83_136, 866]
    assert [size(block) for block in context.blocks] == 3 * [85_504]
    statistics = jax.tree.leaves(nnx.state(model, nnx.BatchStat))
    assert sum(leaf.size for leaf in statistics) == 1_152


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_shapes(scale):
    grids = ((8, 12), (13, 23), (5, 4), (1, 1))
    assert output_shapes(grids, scale=scale) == [(1, scale * h, scale * w, 2) for h, w in grids]


@pytest.mark.parametrize("name", list(ABLATIONS))
def test_shapes_of_the_ablations(name):
    assert output_shapes([(3, 6)], scale=4, input_shape=(8, 8), **ABLATIONS[name]) == [(1, 12, 24, 2)]


def test_block_means_of_the_output_are_the_input_up_to_the_noise():
    grid = (3, 5)
    model = create("transms", scale=2, **SMALL)
    x = np.random.default_rng(0).normal(size=(3, *grid, 2)).astype(np.float32)
    level = np.array([0.0, 0.2, 100.0], np.float32)
    plain = create("transms", scale=2, data_consistency=False, **SMALL)
    free = nnx.jit(lambda m, x: m(x))(plain, x)
    clean, noisy = nnx.jit(lambda m, x, level: (m(x), m(x, noise_level=level)))(model, x, level)

    def residual(fine):
        means = np.asarray(fine).reshape(3, grid[0], 2, grid[1], 2, 2).mean((2, 4))
        return np.linalg.norm((means - x).reshape(3, -1), axis=1)

    assert residual(free)[1] > np.sqrt(np.prod(grid)) * 0.2
    np.testing.assert_allclose(residual(clean), 0, atol=1e-5)
    expected = np.minimum(np.sqrt(np.prod(grid)) * level, residual(free))
    np.testing.assert_allclose(residual(noisy), expected, atol=1e-5)
    np.testing.assert_allclose(noisy[2], free[2], atol=1e-6)


def test_odd_grids_are_those_with_the_last_cell_repeated():
    model = create("transms", scale=2, data_consistency=False, **SMALL)
    model.eval()
    x = np.random.default_rng(0).normal(size=(1, 3, 5, 2)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
    np.testing.assert_allclose(model(x), model(padded)[:, :6, :10], atol=1e-6)


def test_position_embedding_of_one_grid_runs_on_another():
    model = create("transms", scale=2, input_shape=(8, 8), **SMALL, **ABLATIONS["rd_vit"])
    position = model.paths["context"].position
    position[...] = jnp.full_like(position[...], 0.3)  # the same on every grid
    native = create("transms", scale=2, input_shape=(4, 6), **SMALL, **ABLATIONS["rd_vit"])
    nnx.update(native, nnx.state(model, lambda path, _: "position" not in path))
    native.paths["context"].position[...] = jnp.full((1, 4, 6, 4), 0.3)
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(native(x), model(x), atol=1e-6)


def test_depthwise_convolution_is_that_of_the_library():
    layer = DepthwiseConv(5, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 4, 3, 5))
    dimensions = ("NHWC", "HWIO", "NHWC")
    expected = jax.lax.conv_general_dilated(
        x, layer.kernel[...], (1, 1), "SAME", dimension_numbers=dimensions, feature_group_count=5
    )
    np.testing.assert_allclose(layer(x), expected + layer.bias[...], atol=1e-6)


def test_tokens_far_apart_see_each_other():
    block = TransformerBlock(4, 2, convolutional=True, rngs=nnx.Rngs(0))
    block.eval()
    x = jax.random.normal(jax.random.key(0), (1, 6, 6, 4))
    change = jnp.abs(block(x.at[0, 0, 0, 0].add(3.0)) - block(x)).sum(-1)[0]
    assert float(change[5, 5]) > 1e-4


def test_initial_weights_are_those_of_pytorch():
    rngs = nnx.Rngs(0)
    layers = [(torch_conv(88, 48, rngs=rngs), 88 * 9), (torch_linear(256, 64, rngs=rngs), 256)]
    for layer, fan_in in [*layers, (DepthwiseConv(64, rngs=rngs), 9)]:
        for values in (layer.kernel[...], layer.bias[...]):
            assert 0.9 < float(jnp.abs(values).max()) * fan_in**0.5 <= 1


@pytest.mark.parametrize("name", ["rd_vit", "cnn_ct", "without_dc"])
def test_config(name):
    check_config(create("transms", scale=8, input_shape=(4, 5), **ABLATIONS[name]))


def test_gradient_is_finite_on_an_empty_row():
    check_gradient(create("transms", scale=2, **SMALL), np.zeros((2, 4, 4, 2), np.float32), None)


@pytest.mark.parametrize("name", ["", "rdsr", "ctsr", "rd_vit", "cnn_ct", "cnn_vit"])
def test_loss_falls(name):
    check_loss_falls("transms", 2, input_shape=(4, 6), **SMALL | {"layers": 1}, **ABLATIONS.get(name, {}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": None}, "scale = None; transms knows 2, 4 and 8"),
        ({"scale": 3}, "scale = 3"),
        ({"context": None, "local": None}, "at least one of its two paths"),
        ({"context": "vit"}, "input_shape is missing"),
        ({"input_shape": (4, 4, 4)}, "expected the coarse grid"),
        ({"context": "cnn"}, "context = 'cnn'; allowed: 'cvt', 'vit', None"),
        ({"growth": 0}, "growth = 0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("transms", rngs=0, **{"scale": 2, **SMALL, **options})
