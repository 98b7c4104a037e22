import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.nafnet import NAFBlock
from tests.models.grids import check_config, count, create
from tests.models.training import check_loss_falls

TINY = dict(features=4, encoder=(1, 1), middle=1, decoder=(1, 1))


def layers(channels, features, encoder, middle, decoder):
    """Weights by the shapes of the layers."""
    widths = [features * 2**level for level in range(len(encoder))]
    block = [7 * width**2 + 33 * width for width in [*widths, 2 * widths[-1]]]
    blocks = np.dot(block, [*np.add(encoder, decoder), middle])
    resampling = sum(8 * width**2 + 2 * width + 8 * width**2 for width in widths)
    return blocks + resampling + 18 * channels * features + features + channels


def test_counts_are_those_of_the_layers():
    """The published network of width 32 for deblurring (17.11 M), that for denoising (29.16 M) by its shapes alone."""
    assert count("nafnet", channels=3) == 17_111_907 == layers(3, 32, (1, 1, 1, 28), 1, (1, 1, 1, 1))
    assert layers(3, 32, (2, 2, 4, 8), 12, (2, 2, 2, 2)) == 29_159_715
    assert count("nafnet", channels=1, **TINY) == layers(1, **TINY)


def test_sizes_that_do_not_fit_are_mirrored_and_cropped():
    model = create("nafnet", channels=1, **TINY)
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 1)).astype(np.float32)
    mirrored = np.pad(x, ((0, 0), (0, 3), (0, 1), (0, 0)), mode="reflect")
    odd, even = nnx.jit(lambda m, x, y: (m(x), m(y)))(model, x, mirrored)
    assert odd.shape == x.shape and even.shape == (2, 8, 8, 1)
    np.testing.assert_allclose(odd, even[:, :5, :7], atol=1e-6)


def test_blocks_start_as_the_identity():
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 4))
    np.testing.assert_array_equal(jax.jit(lambda x: NAFBlock(4, rngs=nnx.Rngs(0))(x))(x), x)


def test_a_guided_network_corrects_its_guide():
    """Without the last layer the output is the guide; the first layer has as many kernels more as there are channels."""
    model = create("nafnet", channels=1, guided=True, **TINY)
    x, guide = np.random.default_rng(0).normal(size=(2, 2, 5, 7, 1)).astype(np.float32)
    run = nnx.jit(lambda m, x, guide: m(x, guide=guide))
    out, other = run(model, x, guide), run(model, x + 1, guide)
    mirrored = [np.pad(a, ((0, 0), (0, 3), (0, 1), (0, 0)), mode="reflect") for a in (x, guide)]
    np.testing.assert_allclose(out, run(model, *mirrored)[:, :5, :7], atol=1e-6)
    assert np.abs(out - guide).max() > 0.1 and np.abs(out - other).max() > 0.1  # the input matters too
    model.last.kernel[...] = jnp.zeros_like(model.last.kernel[...])
    model.last.bias[...] = jnp.zeros_like(model.last.bias[...])
    np.testing.assert_array_equal(run(model, x, guide), guide)
    for channels in (1, 3):
        more = count("nafnet", channels=channels, guided=True, **TINY) - count("nafnet", channels=channels, **TINY)
        assert more == 9 * channels * TINY["features"]


@pytest.mark.parametrize("guided", [False, True])
def test_a_guide_is_given_where_it_is_needed_and_only_there(guided):
    model = nnx.eval_shape(lambda: models.create("nafnet", channels=1, guided=guided, rngs=0, **TINY))
    x = jnp.zeros((1, 8, 8, 1))
    with pytest.raises(ValueError, match=f"guided = {guided}, but a guide is {'missing' if guided else 'given'}"):
        model(x, guide=None if guided else x)


def test_config():
    check_config(create("nafnet", channels=3, **TINY))
    check_config(create("nafnet", channels=1, guided=True, **TINY))


def test_loss_falls():
    check_loss_falls("nafnet", 1, size=(8, 8), learning_rate=3e-2, **TINY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(scale=2), "scale = 2"),
        (dict(features=0), "features = 0"),
        (dict(encoder=(1,)), r"encoder = \(1,\), middle = 1, decoder = \(1, 1\); expected"),
        (dict(middle=-1), "middle = -1"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("nafnet", rngs=0, **{**TINY, **options})
