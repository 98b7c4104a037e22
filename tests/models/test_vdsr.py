import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax import models
from mpijax.models.blocks.layers import keys_upsample
from tests.models.grids import check_config, count, create
from tests.models.training import check_loss_falls

SMALL = dict(features=4, layers=3)


def test_count():
    assert count("vdsr", scale=2) == count("vdsr", scale=8) == 665_856


@pytest.mark.parametrize(("scale", "grid"), [(2, (13, 23)), (4, (5, 4)), (8, (1, 3))])
def test_shapes(scale, grid):
    out = jax.eval_shape(lambda: models.create("vdsr", scale=scale, rngs=0)(jnp.zeros((2, *grid, 2))))
    assert out.shape == (2, scale * grid[0], scale * grid[1], 2)


def test_the_unit_of_a_row_does_not_matter_but_its_sign_does():
    model = create("vdsr", scale=2, **SMALL)
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    out = model(x)
    np.testing.assert_allclose(model(7.0 * x), 7.0 * out, rtol=1e-4, atol=1e-5)
    assert float(jnp.abs(model(-x) + out).max()) > 0.1


def test_it_corrects_the_upsampled_row():
    model = create("vdsr", scale=2, **SMALL)
    model.convs[-1].kernel[...] *= 0
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(model(x), keys_upsample(x, 2))


def test_config():
    check_config(create("vdsr", scale=2, **SMALL))


def test_loss_falls():
    check_loss_falls("vdsr", 2, **SMALL)


@pytest.mark.parametrize(("options", "message"), [({"scale": None}, "scale = None"), ({"layers": 1}, "layers = 1")])
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("vdsr", rngs=0, **{"scale": 2, **SMALL, **options})
