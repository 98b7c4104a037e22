import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.blocks.layers import keys_upsample
from mpijax.models.vrfnet import ABLATIONS, default_patch_size
from tests.models.training import check_loss_falls

SMALL = dict(features=6, blocks=1, embed=8, depth=0, heads=2, mlp=8)
run = nnx.jit(lambda model, x: model(x))


def create(**options):
    return models.create("vrfnet", **{"scale": 2, "rngs": 0} | SMALL | options)


def randomized(model):
    """The same network with a last convolution that is not zero."""
    kernel = model.last.kernel
    kernel[...] = 0.1 * jax.random.normal(jax.random.key(7), kernel[...].shape)
    return model


def rows(h, w, b=2):
    return jax.random.normal(jax.random.key(3), (b, h, w, 2))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (dict(scale=2, input_shape=(16, 16)), 3_819_970),
        (dict(scale=2, input_shape=(16, 16), patch_size=10), 4_227_778),
        (dict(scale=4, input_shape=(8, 8)), 4_397_442),
        (dict(scale=8, input_shape=(4, 4)), 4_984_706),
        (dict(scale=2, input_shape=(16, 16), **ABLATIONS["vit_rb"]), 3_819_970 - 1_216 - 64 * 128 * 9),
        (dict(scale=2, input_shape=(16, 16), **ABLATIONS["vit_cnn"]), 3_745_026),  # skips have no weights
        (dict(scale=2, input_shape=(16, 16), **ABLATIONS["vit_only"]), 3_745_026 - 2_956_800),
        (dict(scale=2, input_shape=(16, 16), heads=8, head_features=8), 3_819_970),
        (dict(scale=2, input_shape=(16, 16), heads=6, head_features=8), 3_819_970 - 3 * 4 * 64 * 16 - 3 * 3 * 16),
        (dict(scale=2, input_shape=(16, 16), depth=6), 3_819_970 + 3 * 33_472),
    ],
)
def test_published_size_has_the_published_number_of_weights(options, count):
    model = nnx.eval_shape(lambda: models.create("vrfnet", rngs=0, **options))
    assert sum(math.prod(p.shape) for p in jax.tree.leaves(nnx.state(model, nnx.Param))) == count


@pytest.mark.parametrize(("scale", "shape", "patch"), [(4, (5, 7), 1), (2, (6, 9), 4), (2, (8, 8), 10)])
def test_untrained_network_is_keys_upsampling(scale, shape, patch):
    model = create(scale=scale, input_shape=shape, patch_size=patch, blocks=0)
    x = rows(*shape)
    np.testing.assert_allclose(run(model, x), keys_upsample(x, scale), atol=1e-6)


def test_without_residual_the_untrained_network_is_not_zero():
    out = run(create(input_shape=(4, 4), residual=False), rows(4, 4))
    assert out.shape == (2, 8, 8, 2) and float(jnp.abs(out).max()) > 0.01


def test_both_paths_reach_the_output():
    model = randomized(create(input_shape=(4, 4)))
    model.eval()
    x = rows(4, 4)
    whole = run(model, x)
    model.stem.kernel[...] *= 0
    without_local = run(model, x)
    model.encoder.unpatchify.kernel[...] *= 0
    without_both = run(model, x)
    assert float(jnp.abs(whole - without_local).max()) > 1e-3
    assert float(jnp.abs(without_local - without_both).max()) > 1e-3
    np.testing.assert_allclose(  # nothing but the upsampled input depends on the row any more, apart from its border
        (without_both - keys_upsample(x, 2))[0], (without_both - keys_upsample(x, 2))[1], atol=1e-5
    )


@pytest.mark.parametrize("name", ["", *ABLATIONS])
def test_loss_falls(name):
    check_loss_falls("vrfnet", 2, input_shape=(4, 6), **(SMALL | dict(depth=1) | ABLATIONS.get(name, {})))


def test_without_skips_the_blocks_are_all_there_is():
    """A path of dead blocks: with skips the rest of the network still sees the row, without it does not."""
    for skips in (True, False):
        model = randomized(create(input_shape=(4, 4), skips=skips))
        model.eval()
        model.blocks[0].norm2.scale[...] *= 0
        x = rows(4, 4)
        added = run(model, x) - keys_upsample(x, 2)
        assert bool(jnp.abs(added).max() > 1e-3) == skips


def test_heads_may_have_any_width():
    model = randomized(create(input_shape=(4, 4), depth=1, heads=3, head_features=2))
    assert model.encoder.layers[0].query_key_value.kernel.shape == (8, 18)
    assert run(model, rows(4, 4)).shape == (2, 8, 8, 2)


def test_serial_network_has_no_local_path():
    model = randomized(create(input_shape=(4, 4), serial=True))
    assert not hasattr(model, "stem")
    assert run(model, rows(4, 4)).shape == (2, 8, 8, 2)


def test_weights_of_one_grid_run_on_another():
    model = randomized(create(input_shape=(16, 16), depth=1))
    model.eval()
    assert model.config["patch_size"] == 2
    x = rows(8, 8)
    small = run(model, x)
    assert small.shape == (2, 16, 16, 2) and bool(jnp.isfinite(small).all())
    constant = jnp.full_like(model.encoder.position[...], 0.3)  # a constant embedding is the same on every grid
    model.encoder.position[...] = constant
    native = create(input_shape=(8, 8), patch_size=2, depth=1)
    nnx.update(native, nnx.state(model, lambda path, _: "position" not in path))
    native.encoder.position[...] = constant[:, :16]
    native.eval()
    np.testing.assert_allclose(run(native, x), run(model, x), atol=1e-5)


def test_grid_that_the_patch_does_not_divide_sees_repeated_edges():
    model = randomized(create(input_shape=(6, 6), patch_size=4))
    model.eval()
    x = rows(5, 6)
    padded = jnp.pad(x, ((0, 0), (0, 3), (0, 2), (0, 0)), mode="edge")
    np.testing.assert_allclose(model.encoder(x), model.encoder(padded)[:, :5, :6], atol=1e-5)


def test_evaluation_uses_running_and_training_batch_statistics():
    model = randomized(create(input_shape=(4, 4)))
    x = rows(4, 4, b=4)
    trained = run(model, x)
    assert float(jnp.abs(model.blocks[0].norm1.mean[...]).max()) > 0
    model.eval()
    np.testing.assert_allclose(
        run(model, x[:1])[0], run(model, x)[0], atol=1e-5
    )  # a row's answer does not depend on its batch
    assert float(jnp.abs(run(model, x) - trained).max()) > 1e-4


def test_default_patch_size():
    sizes = {shape: default_patch_size(*shape) for shape in [(16, 16), (32, 32), (8, 8), (4, 4), (18, 16), (37, 37)]}
    assert sizes == {(16, 16): 2, (32, 32): 4, (8, 8): 1, (4, 4): 1, (18, 16): 2, (37, 37): 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(scale=3, input_shape=(4, 4)), "scale = 3"),
        (dict(scale=None, input_shape=(4, 4)), "scale = None"),
        (dict(scale=2), "input_shape is missing"),
        (dict(scale=2, input_shape=(4, 4, 4)), "expected the coarse grid"),
        (dict(scale=2, input_shape=(4, 4), heads=3), "not divisible by heads"),
        (dict(scale=2, input_shape=(4, 4), head_features=0), "head_features = 0"),
        (dict(scale=2, input_shape=(4, 4), features=0), "features = 0"),
        (dict(scale=2, input_shape=(4, 4), blocks=-1), "blocks = -1"),
        (dict(scale=2, input_shape=(4, 4), width=3), "unknown option.*width.*known: features"),
        (dict(scale=2, input_shape=(4, 4), rngs=None), "rngs is missing"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
