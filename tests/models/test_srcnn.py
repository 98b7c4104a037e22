import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.blocks.layers import keys_upsample
from tests.models.grids import check_config, count, create
from tests.models.training import check_loss_falls

SMALL = dict(features=(6, 4))


def test_counts():
    assert count("srcnn", scale=2) == 14_114 and count("srcnn", scale=2, channels=1) == 8_129


@pytest.mark.parametrize(("scale", "grid"), [(2, (13, 23)), (4, (5, 4)), (8, (1, 3)), (3, (4, 4))])
def test_shapes(scale, grid):
    out = jax.eval_shape(lambda: models.create("srcnn", scale=scale, rngs=0)(jnp.zeros((2, *grid, 2))))
    assert out.shape == (2, scale * grid[0], scale * grid[1], 2)


def test_six_cells_from_the_border_nothing_is_seen_of_the_padding():
    """There the output is that of convolutions without padding, with which the published code trains."""
    model = create("srcnn", scale=4, **SMALL)
    x = np.random.default_rng(0).normal(size=(1, 5, 4, 2)).astype(np.float32)
    hidden = keys_upsample(x, 4)
    for i, conv in enumerate(model.convs):
        hidden = jax.lax.conv_general_dilated(
            hidden, conv.kernel[...], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        hidden = hidden + conv.bias[...]
        hidden = nnx.relu(hidden) if i < 2 else hidden
    out = model(x)
    np.testing.assert_allclose(out[:, 6:-6, 6:-6], hidden, atol=1e-5)
    assert out.shape == (1, 20, 16, 2) and hidden.shape == (1, 8, 4, 2)


def test_initial_weights():
    model = models.create("srcnn", scale=2, rngs=0)
    deviations = [float(jnp.std(conv.kernel[...])) for conv in model.convs]
    np.testing.assert_allclose(deviations, [(2 / (81 * 64)) ** 0.5, (2 / 32) ** 0.5, 1e-3], rtol=0.1)
    assert not any(bool(conv.bias[...].any()) for conv in model.convs)


def test_config():
    check_config(create("srcnn", scale=2, **SMALL))


def test_loss_falls():
    check_loss_falls("srcnn", 2, **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": None}, "scale = None"),
        ({"scale": 1}, "scale = 1"),
        ({"features": (4,)}, "srcnn has two widths"),
        ({"features": (4, 0)}, "features = 0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("srcnn", rngs=0, **{"scale": 2, **SMALL, **options})
