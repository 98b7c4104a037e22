import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.restoration import recipe
from mpijax.training import TrainConfig
from mpijax.training.optim import adam, learning_rate

NAMES = ("transms", "smrnet", "srcnn", "vdsr", "mdsr", "vrfnet", "consistent_unet")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_every_recipe_makes_its_network(name, scale):
    quick, published = (recipe(name, scale, preset) for preset in ("quick", "published"))
    n = 32 // scale
    shape = (n, n)
    small, full = (
        nnx.eval_shape(lambda r=r: models.create(name, scale=scale, input_shape=shape, rngs=0, **r.options))
        for r in (quick, published)
    )
    assert small.config["name"] == full.config["name"] == name and not published.options
    seen, wanted = (r.config.steps * r.config.batch_size for r in (quick, published))
    assert seen < wanted / 10  # rows


def test_published_values():
    transms = {scale: recipe("transms", scale, "published") for scale in (2, 4, 8)}
    assert [r.config.learning_rate for r in transms.values()] == [5e-4, 1e-4, 5e-5]
    config = transms[2].config
    assert (config.steps, config.batch_size, config.loss, config.weight_decay) == (200_000, 64, "l1", 1e-8)
    rate = learning_rate(config)
    steps = (0, 39_999, 40_001, 80_001, 120_001, 160_001)
    np.testing.assert_allclose([rate(s) for s in steps], 5e-4 / np.array([1, 1, 2, 4, 8, 16]), rtol=1e-6)
    assert transms[2].task == {"augment": "flips", "normalization": "minmax"}
    assert recipe("vdsr", 2, "published").config.clip_norm == 0.4
    assert recipe("vdsr", 2).config.clip_norm == 0.4
    assert recipe("smrnet", 2).task == {"method": "stride", "units": "whitened"}
    vrfnet = recipe("vrfnet", 2, "published").config
    assert (vrfnet.learning_rate, vrfnet.final_learning_rate, vrfnet.loss) == (1e-3, 1e-7, "mse")


def test_changes_and_wrong_names():
    assert recipe("srcnn", 2, steps=7).config.steps == 7
    with pytest.raises(ValueError, match="'dncnn' does not upsample by 2 .*Choose one of 'transms'"):
        recipe("dncnn", 2)
    with pytest.raises(ValueError, match="preset"):
        recipe("srcnn", 2, "large")


def test_weight_decay_is_added_to_the_gradient():
    """L2 as in the published code: Adam of g + decay w, which is not Adam of g with w shrunk."""
    plain = TrainConfig(steps=10, learning_rate=0.1, schedule="constant", weight_decay=0.5)
    w, g = jnp.array([2.0, -1.0]), jnp.array([0.3, 0.4])
    decayed, bare = adam(plain), adam(dataclasses.replace(plain, weight_decay=0.0))
    update, _ = decayed.update(g, decayed.init(w), w)
    want, _ = bare.update(g + 0.5 * w, bare.init(w), w)
    np.testing.assert_allclose(update, want, rtol=1e-6)
    with pytest.raises(ValueError, match="weight_decay"):
        TrainConfig(steps=1, weight_decay=-1.0)
