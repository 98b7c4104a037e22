import numpy as np
import pytest

from mpijax import models
from mpijax.models.consistent_unet import ABLATIONS
from mpijax.rows.linear import consistent_bicubic
from tests.models.grids import check_config, check_gradient, count, create
from tests.models.training import check_loss_falls

SMALL = dict(features=(4, 6), blocks=1)


def trained_alike(scale=2, **options):
    """A network whose last convolution is not zero."""
    return create("consistent_unet", scale=scale, **SMALL, **options)


def rows(shape=(3, 5, 6), seed=0):
    return np.random.default_rng(seed).normal(size=(*shape, 2)).astype(np.float32)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_weights_fit_within_those_of_transms(scale):
    assert count("consistent_unet", scale=scale) <= count("transms", scale=scale)


def test_untrained_it_is_bicubic_interpolation_with_block_means_enforced():
    x = rows()
    out = models.create("consistent_unet", scale=2, rngs=0, **SMALL)(x)
    coarse = x[..., 0] + 1j * x[..., 1]
    bicubic = np.asarray(consistent_bicubic(coarse, 2, iterations=0))
    residual = coarse - bicubic.reshape(3, 5, 2, 6, 2).mean((2, 4))
    want = bicubic + residual.repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(out[..., 0] + 1j * out[..., 1], want, atol=2e-5)


def test_a_phase_of_the_row_is_one_of_the_result():
    x = rows()
    coarse = x[..., 0] + 1j * x[..., 1]

    def complex_out(model, values):
        parts = np.stack([values.real, values.imag], -1).astype(np.float32)
        out = np.asarray(model(parts, noise_level=np.full(3, 0.1, np.float32)))
        return out[..., 0] + 1j * out[..., 1]

    aligned, free = trained_alike(), trained_alike(align=False)
    for phase in (0.3, 1.2, 2.5, np.pi):
        turn = np.exp(1j * phase)
        np.testing.assert_allclose(complex_out(aligned, coarse * turn), complex_out(aligned, coarse) * turn, atol=1e-4)
        assert np.abs(complex_out(free, coarse * turn) - complex_out(free, coarse) * turn).max() > 1e-2


def test_block_means_lie_within_the_noise():
    x, level = rows(), np.array([0.0, 0.1, 0.5], np.float32)
    out = np.asarray(trained_alike()(x, noise_level=level))
    residual = np.sqrt(((x - out.reshape(3, 5, 2, 6, 2, 2).mean((2, 4))) ** 2).sum((1, 2, 3)))
    assert np.all(residual <= level * np.sqrt(30) + 1e-4)
    free = np.asarray(trained_alike(data_consistency=False)(x, noise_level=level))
    assert np.sqrt(((x - free.reshape(3, 5, 2, 6, 2, 2).mean((2, 4))) ** 2).sum((1, 2, 3)))[0] > 0.1


def test_the_noise_level_matters_without_the_projection_too():
    x, model = rows(), trained_alike(data_consistency=False)
    quiet, loud = (np.asarray(model(x, noise_level=np.full(3, level, np.float32))) for level in (0.0, 0.5))
    assert not np.allclose(quiet, loud, atol=1e-6)


def test_loss_falls_and_gradients_are_finite():
    check_loss_falls("consistent_unet", 2, **SMALL)
    check_gradient(trained_alike(), rows(), None)
    check_gradient(trained_alike(), np.zeros((1, 4, 4, 2), np.float32) + 1e-30, None)
    check_config(trained_alike())


@pytest.mark.parametrize("name", list(ABLATIONS))
def test_ablations_are_networks(name):
    assert create("consistent_unet", scale=4, **SMALL, **ABLATIONS[name])(rows((1, 4, 4))).shape == (1, 16, 16, 2)


def test_wrong_sizes_are_refused():
    for options, message in (
        (dict(scale=3), "scale = 3"), (dict(scale=2, blocks=0), "blocks = 0"), (dict(scale=2, channels=1), "channels = 1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            create("consistent_unet", **options)
