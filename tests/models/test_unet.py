"""The U-Net of the shipped weights: invariances that make it safe to use on grids of any size."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.blocks.convolution import Conv
from mpijax.models.unet import fill, main_phase, rotate
from tests.models.grids import call


def awake(seed: int = 0, **options) -> nnx.Module:
    """A tiny network whose last layer, which starts at zero, is random."""
    network = models.create("unet", features=(8, 8), blocks=1, rngs=seed, **options)
    kernel = network.backbone.last.kernel
    kernel[...] = 0.3 * jax.random.normal(jax.random.key(seed), kernel[...].shape)
    return network


def row(shape: tuple[int, ...], seed: int = 1) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), (2, *shape, 2))


def in_box(values: jax.Array, box: tuple[int, ...]) -> jax.Array:
    padding = [(0, 0), *((0, n - s) for s, n in zip(values.shape[1:-1], box, strict=True)), (0, 0)]
    return jnp.pad(values, padding)


@pytest.mark.parametrize(("dimensions", "patch"), [(2, 1), (2, 2), (3, 2)])
def test_untrained_network_returns_its_input(dimensions, patch):
    network = models.create("unet", dimensions=dimensions, features=(8, 8), patch=patch, rngs=0)
    x = row((5, 7, 6)[:dimensions])
    np.testing.assert_allclose(call(network, x), x, atol=1e-6)


@pytest.mark.parametrize(("shape", "small", "large"), [((5, 7), (8, 8), (16, 20)), ((4, 5, 6), (8, 8, 8), (8, 12, 9))])
def test_neither_the_padding_nor_what_lies_in_it_changes_the_result(shape, small, large):
    network = awake(dimensions=len(shape))
    x, level = row(shape), jnp.array([0.1, 0.2])
    known = jnp.ones((2, *shape, 1)).at[:, 1:3].set(0)
    mask = jnp.concatenate([known, jnp.ones_like(known)], -1)
    inside = (slice(None), *(slice(n) for n in shape))
    plain = call(network, x, mask=mask, noise_level=level)
    assert float(jnp.abs(plain - x * known).max()) > 0.1
    for box in (small, large):
        garbage = jnp.where(in_box(mask, box)[..., :1] > 0, in_box(x, box), 1e3)
        result = call(network, garbage, mask=in_box(mask, box), noise_level=level)[inside]
        np.testing.assert_allclose(result, plain, atol=2e-6 * float(jnp.abs(plain).max()))


def test_main_phase_is_that_of_a_real_row_under_noise():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(3, 40, 40))
    angles = np.array([0.4, -1.2, 1.5])
    rows = real * np.exp(1j * angles)[:, None, None]
    noise = rng.normal(size=(2, 3, 40, 40)) * 0.5
    stacked = np.stack([rows.real + noise[0], rows.imag + noise[1]], -1).astype(np.float32)
    np.testing.assert_allclose(main_phase(jnp.asarray(stacked)), angles, atol=0.05)
    upright = rotate(jnp.asarray(stacked), -main_phase(jnp.asarray(stacked)))
    assert np.all(np.sum(upright[..., 1] ** 2, (1, 2)) < 0.3 * np.sum(upright[..., 0] ** 2, (1, 2)))
    np.testing.assert_array_equal(main_phase(jnp.zeros((1, 4, 4, 2))), 0)
    assert np.all(np.isfinite(jax.grad(lambda x: jnp.sum(main_phase(x)))(jnp.zeros((1, 4, 4, 2)))))


@pytest.mark.parametrize("name", ["unet", "wiener_unet"])
def test_a_global_phase_goes_through_up_to_the_sign_of_the_row(name):
    network = models.create(name, features=(8, 8), blocks=1, rngs=0)
    kernel = network.backbone.last.kernel
    kernel[...] = 0.3 * jax.random.normal(jax.random.key(1), kernel[...].shape)
    x, level = row((6, 7)), jnp.array([0.1, 0.2])

    def odd(x):
        return (call(network, x, noise_level=level) - call(network, -x, noise_level=level)) / 2

    turn = jnp.array([0.7, 2.9])
    np.testing.assert_allclose(odd(rotate(x, turn)), rotate(odd(x), turn), atol=1e-5)


def test_filling_is_multilinear_between_every_second_voxel_and_stays_on_the_grid():
    z, y, x = np.meshgrid(np.arange(5.0), np.arange(7.0), np.arange(4.0), indexing="ij")
    rows = np.stack([1 + z + 2 * y - x + y * z, x * y - 3 * z], -1)[None].astype(np.float32)
    inside = np.ones((1, 5, 7, 4, 1), np.float32)
    inside[..., 3:, :] = 0
    known = np.zeros_like(inside)
    known[:, ::2, ::2, ::2] = inside[:, ::2, ::2, ::2]
    filled = fill(rows * known, known, inside)
    np.testing.assert_allclose(filled[..., :3, :], rows[..., :3, :], atol=1e-5)
    assert not np.any(filled[..., 3:, :])


def test_filling_goes_on_layer_by_layer():
    """A gap between two constants: each side grows until they meet; nothing known gives nothing."""
    known = jnp.ones((1, 1, 9, 1)).at[:, :, 2:7].set(0)
    rows = jnp.ones((1, 1, 9, 2)).at[:, :, 7:].set(3)
    filled = fill(rows * known, known, jnp.ones_like(known))
    np.testing.assert_allclose(filled[0, 0, :, 0], [1, 1, 1, 1, 2, 3, 3, 3, 3], atol=1e-6)
    assert not np.any(fill(rows * 0, known * 0, jnp.ones_like(known)))


def test_one_mask_stands_for_known_and_inside():
    network = awake()
    x = row((6, 6))
    known = jnp.ones((2, 6, 6, 1)).at[:, 4:].set(0)
    np.testing.assert_array_equal(
        call(network, x, mask=known), call(network, x, mask=jnp.concatenate([known, known], -1))
    )
    filled = call(network, x, mask=jnp.concatenate([known, jnp.ones_like(known)], -1))
    assert float(jnp.abs(filled[:, 4:]).max()) > 0


def test_noise_level_is_heard():
    network, x = awake(), row((6, 6))
    np.testing.assert_array_equal(call(network, x), call(network, x, noise_level=jnp.zeros(2)))
    assert float(jnp.abs(call(network, x, noise_level=jnp.array([0.3, 0.3])) - call(network, x)).max()) > 1e-3


@pytest.mark.parametrize("scale", [1, 2])
def test_measured_voxels_change_with_the_noise_alone(scale):
    """Without noise they are kept, whatever the weights; the others are made by the network."""
    network = awake(scale=scale, patch=1)
    x = row((6, 8))
    known = jnp.ones((2, 6, 8, 1)).at[:, 2:4].set(0)
    mask = jnp.concatenate([known, jnp.ones_like(known)], -1)
    every = (slice(None), slice(None, None, scale), slice(None, None, scale))
    clean, slight, noisy = (
        call(network, x, mask=mask, noise_level=jnp.full(2, level))[every] for level in (0, 1e-3, 0.1)
    )
    np.testing.assert_allclose(clean * known, x * known, atol=1e-5)
    changes = [float(jnp.abs((out - x) * known).max()) for out in (slight, noisy)]
    assert 0 < changes[0] < 0.2 * changes[1]
    assert float(jnp.abs(clean * (1 - known)).max()) > 1e-2


@pytest.mark.parametrize("dimensions", [2, 3])
def test_untrained_upsampling_keeps_the_measured_voxels_and_smooth_rows(dimensions):
    """Fine voxel 2 i lies on coarse voxel i, and a slow cosine is interpolated to better than one percent away from the border."""
    n = 20 if dimensions == 2 else 12
    network = models.create("unet", scale=2, dimensions=dimensions, features=(8,), patch=1, rngs=0)
    axes = np.meshgrid(*[np.arange(2 * n) / 2] * dimensions, indexing="ij")
    fine = sum(np.cos(0.5 * axis + i) for i, axis in enumerate(axes))
    image = np.stack([fine, -2 * fine], -1)[None].astype(np.float32)
    every = (slice(None), *[slice(None, None, 2)] * dimensions)
    out = np.asarray(network(image[every]))
    np.testing.assert_allclose(out[every], image[every], atol=5e-6)
    middle = (0, *[slice(10, -10)] * dimensions)
    assert np.abs(out[middle] - image[middle]).max() < 0.01 * np.abs(image).max()


def test_three_dimensional_convolution_is_that_of_flax():
    conv = Conv(3, 4, 3, rngs=nnx.Rngs(0))
    conv.bias[...] = jnp.arange(4.0)
    x = jax.random.normal(jax.random.key(0), (2, 5, 4, 6, 3))
    np.testing.assert_allclose(conv(x), nnx.Conv.__call__(conv, x), rtol=1e-5, atol=1e-5)

    def loss(x, layer):
        return jnp.sum(layer(x) ** 2)

    ours, theirs = (jax.grad(loss)(x, layer) for layer in (conv, lambda x: nnx.Conv.__call__(conv, x)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_bfloat16_computes_close_to_float32_with_float32_weights():
    network = awake()
    low = models.create(**(network.config | {"dtype": "bfloat16"}), rngs=0)
    nnx.update(low, nnx.state(network))
    x = row((6, 6))
    level = jnp.array([0.3, 0.3])
    out = call(low, x, noise_level=level)
    assert out.dtype == jnp.float32
    chex.assert_trees_all_equal_dtypes(nnx.to_pure_dict(nnx.state(low)), nnx.to_pure_dict(nnx.state(network)))
    difference = float(jnp.abs(out - call(network, x, noise_level=level)).max())
    assert 0 < difference < 0.05 * float(jnp.abs(out).max())


def test_configuration_makes_the_same_network_again():
    network = models.create("unet", scale=2, features=(8, 12), rngs=0)
    again = models.create(**network.config, rngs=0)
    x = row((4, 6))
    np.testing.assert_array_equal(call(network, x), call(again, x))
    assert call(network, x).shape == (2, 8, 12, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 4}, "dimensions = 4"),
        ({"scale": 3}, "power of two"),
        ({"features": ()}, "at least 1"),
        ({"blocks": 0}, "at least 1"),
        ({"channels": 1}, "channels = 1"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("unet", rngs=0, **options)


def test_rows_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match="takes"):
        models.create("unet", features=(8,), rngs=0)(jnp.zeros((1, 4, 4, 4, 2)))
