"""The sine network: counts, initial weights, the sine itself, and its pure form against the module."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.siren import PureSiren, sine


@pytest.mark.parametrize("options, count", [({}, 198_401), ({"dimensions": 3}, 198_657), ({"width": 128}, 50_049)])
def test_parameter_counts(options, count):
    model = nnx.eval_shape(lambda: models.create("siren", channels=1, rngs=0, **options))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))) == count


def test_initial_weights():
    """Uniform within the bounds of the paper: standard deviation bound/sqrt(3), largest entry just below the bound."""
    params = PureSiren(width=64).init(jax.random.key(0))
    inner = math.sqrt(6 / 64) / 30
    layers = [params["first"], *params["hidden"].values(), params["last"]]
    assert len(layers) == 5
    for layer, weight, bias in zip(layers, [1 / 2] + 4 * [inner], [2**-0.5] + 4 * [1 / 8], strict=True):
        kernel = np.asarray(layer["kernel"])
        assert 0.9 * weight < np.abs(kernel).max() <= weight
        assert np.abs(layer["bias"]).max() <= bias
        assert kernel.std() == pytest.approx(weight / math.sqrt(3), rel=0.15)


def test_value_against_numpy():
    net = PureSiren(width=8, depth=2, omega=7.0, channels=2)
    params = net.init(jax.random.key(1))
    points = np.random.default_rng(0).uniform(-1, 1, (5, 2)).astype(np.float32)
    hidden = points.astype(np.float64)
    for layer in (params["first"], *params["hidden"].values()):
        hidden = np.sin(7.0 * (hidden @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"])))
    expected = hidden @ np.asarray(params["last"]["kernel"], np.float64) + np.asarray(params["last"]["bias"])
    np.testing.assert_allclose(net.apply(params, points), expected, atol=2e-6)
    soft = PureSiren(width=8, depth=2, omega=7.0, channels=2, nonnegative=True)
    np.testing.assert_allclose(soft.apply(params, points), np.log1p(np.exp(expected)), atol=2e-6)


def test_pure_form_is_the_module_and_config_rebuilds_it():
    key = jax.random.key(2)
    model = models.create("siren", channels=1, width=8, depth=1, rngs=nnx.Rngs(key))
    again = models.create(**model.config, rngs=nnx.Rngs(key))
    net = PureSiren(width=8, depth=1)
    points = jnp.linspace(-1, 1, 12).reshape(2, 3, 2)
    np.testing.assert_array_equal(model(points), again(points))
    np.testing.assert_array_equal(model(points), net.apply(net.init(key), points))
    assert model.config == again.config and model.config["name"] == "siren" and model(points).shape == (2, 3, 1)


def test_sine_and_its_derivatives():
    x = jnp.concatenate([jnp.linspace(-8000, 8000, 20_001), jnp.arange(-40, 41) * (np.pi / 4)])
    exact = np.asarray(x, np.float64)
    slope = jax.vmap(jax.grad(sine))
    np.testing.assert_allclose(jax.jit(sine)(x), np.sin(exact), atol=2e-7)
    np.testing.assert_allclose(jax.jit(slope)(x), np.cos(exact), atol=2e-7)
    np.testing.assert_allclose(jax.vmap(jax.grad(jax.grad(sine)))(x[:100]), -np.sin(exact[:100]), atol=5e-7)
    with jax.enable_x64(True):
        np.testing.assert_allclose(sine(jnp.asarray(exact)), np.sin(exact), atol=1e-15)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"scale": 2}, "takes points, not images"),
        ({"input_shape": (8, 8)}, "give dimensions"),
        ({"dimensions": 4}, "dimensions = 4; allowed is 1 to 3"),
        ({"width": 0}, "width = 0"),
        ({"depth": -1}, "depth = -1"),
        ({"omega": 0.0}, "omega = 0.0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("siren", rngs=0, **options)
