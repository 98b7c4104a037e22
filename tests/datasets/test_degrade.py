"""Degradations: values against loops, identities, noise statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.rows.degradation import METHODS, absmax, box_mean, degrade, degraded_noise_std, max_average, stride
from mpijax.rows.resampling import replicate


def rows(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def blockwise(images, scale, function):
    """function of each scale x scale block, by loops."""
    *lead, ny, nx = images.shape
    out = np.zeros((*lead, ny // scale, nx // scale), images.dtype)
    for index in np.ndindex(out.shape):
        i, j = index[-2] * scale, index[-1] * scale
        out[index] = function(images[index[:-2]][i : i + scale, j : j + scale])
    return out


def largest(block):
    return block.ravel()[np.argmax(np.abs(block).ravel())]


@pytest.mark.parametrize("scale", [2, 4])
def test_methods_equal_loops(scale):
    images = rows((3, 8, 16))
    np.testing.assert_allclose(box_mean(images, scale), blockwise(images, scale, np.mean), atol=1e-6)
    np.testing.assert_array_equal(stride(images, scale), blockwise(images, scale, lambda b: b[0, 0]))
    np.testing.assert_array_equal(absmax(images, scale), blockwise(images, scale, largest))
    np.testing.assert_array_equal(absmax(images.real, scale), blockwise(images.real, scale, largest))


@pytest.mark.parametrize(("scale", "average"), [(2, 1), (4, 2), (8, 4)])
def test_dual_pooling_is_maximum_2_then_mean(scale, average):
    images = rows((2, 8, 16))
    for part in (np.real, np.imag):
        expected = blockwise(blockwise(part(images), 2, np.max), average, np.mean)
        np.testing.assert_allclose(part(np.asarray(max_average(images, scale))), expected, atol=1e-6)


def test_box_mean_is_linear_keeps_constants_and_inverts_replicate():
    a, b = rows((2, 8, 8)), rows((2, 8, 8), seed=1)
    np.testing.assert_allclose(box_mean(a + 2j * b, 4), box_mean(a, 4) + 2j * box_mean(b, 4), atol=1e-6)
    np.testing.assert_allclose(box_mean(np.full((8, 8), 3 - 1j), 4), np.full((2, 2), 3 - 1j), rtol=1e-6)
    np.testing.assert_allclose(box_mean(replicate(a, 4), 4), a, atol=1e-6)


def test_adjoint_of_box_mean_is_replicate_over_the_block_size():
    fine, coarse = rows((8, 12)), rows((4, 4), seed=1)
    left = np.vdot(coarse, box_mean(fine, (2, 3)))
    right = np.vdot(replicate(coarse, (2, 3)), fine) / 6
    np.testing.assert_allclose(left, right, rtol=1e-5)


def test_dual_pooling_is_not_odd_and_the_others_are():
    images = rows((2, 8, 8))
    for method in METHODS:
        flipped = -degrade(-images, 2, method)
        odd = np.allclose(flipped, degrade(images, 2, method), atol=1e-6)
        assert odd == (method != "maxavg")
    phase = np.complex64(np.exp(0.7j))
    np.testing.assert_allclose(absmax(images * phase, 2), absmax(images, 2) * phase, atol=1e-6)


def test_volumes_take_one_factor_per_axis():
    volume = rows((2, 4, 6, 8))
    expected = volume.reshape(2, 2, 2, 3, 2, 4, 2).mean((2, 4, 6))
    np.testing.assert_allclose(box_mean(volume, (2, 2, 2)), expected, atol=1e-6)
    np.testing.assert_array_equal(stride(volume, (2, 3, 4)), volume[:, ::2, ::3, ::4])
    assert absmax(volume, (1, 2, 2)).shape == (2, 4, 3, 4)


def test_stride_takes_any_grid():
    assert stride(rows((19, 19)), 2).shape == (10, 10)


@pytest.mark.parametrize("method", ["box", "maxavg", "absmax"])
def test_scale_that_does_not_divide_names_the_crop(method):
    with pytest.raises(ValueError, match=r"crop the images to \(32, 36\) first"):
        degrade(rows((33, 37)), 4, method)


def test_other_errors():
    with pytest.raises(ValueError, match="method = 'mean'"):
        degrade(rows((4, 4)), 2, "mean")
    with pytest.raises(ValueError, match="defined for 2, 4 and 8"):
        max_average(rows((6, 6)), 3)
    with pytest.raises(ValueError, match="needs 3 image axes"):
        box_mean(rows((4, 4)), (2, 2, 2))
    with pytest.raises(ValueError, match="positive integers"):
        stride(rows((4, 4)), 0)
    with pytest.raises(ValueError, match="method = 'absmax'"):
        degraded_noise_std(1.0, 2, "absmax")


@pytest.mark.parametrize(("method", "expected"), [("box", 0.25), ("stride", 1.0)])
def test_noise_of_a_degraded_noisy_grid(method, expected):
    noise = np.random.default_rng(0).standard_normal((64, 64, 64))
    coarse = degrade(noise, 4, method)
    assert degraded_noise_std(1.0, 4, method, sample="retrospective") == expected
    # the standard error of the deviation over 64 * 16 * 16 values is 1 / sqrt(2 * 16384) = 0.55 %
    assert float(jnp.std(coarse)) == pytest.approx(expected, rel=0.02)


def test_noise_of_a_larger_sample():
    """A sample of v voxels gives the summed signal over unchanged noise: in the scale of the mean it falls by v."""
    signal = np.random.default_rng(1).standard_normal((16, 64, 64))
    receive = 0.5 * np.random.default_rng(2).standard_normal((16, 16, 16))
    measured = box_mean(signal, 4) * 16 + receive
    residual = np.std(measured / 16 - box_mean(signal, 4))
    assert degraded_noise_std(0.5, 4) == 0.5 / 16
    assert residual == pytest.approx(degraded_noise_std(0.5, 4), rel=0.05)
    np.testing.assert_array_equal(degraded_noise_std(np.array([0.8, 8.0]), (2, 2, 2)), [0.1, 1.0])


def test_jit_and_gradients():
    images = rows((2, 4, 4))
    for method in METHODS:
        np.testing.assert_allclose(
            jax.jit(degrade, static_argnums=(1, 2))(images, 2, method), degrade(images, 2, method)
        )
        gradient = jax.grad(lambda x, m=method: jnp.sum(jnp.abs(degrade(x, 2, m)) ** 2))(jnp.zeros((2, 4, 4)))
        assert np.all(np.isfinite(gradient))
