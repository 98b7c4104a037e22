"""Scaling of rows and channel conversion are invertible."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.rows.scaling import (
    RowScaling,
    channels_to_complex,
    complex_to_channels,
    denormalize,
    normalize,
    row_scale,
)


def rows(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def test_each_row_has_unit_peak_and_is_recovered():
    images = rows((5, 6, 7)) * np.logspace(-8, 8, 5)[:, None, None].astype(np.float32)
    scaled, scale = normalize(images)
    np.testing.assert_allclose(np.abs(scaled).max((1, 2)), 1.0, rtol=1e-6)
    np.testing.assert_allclose(scale, np.abs(images).max((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(denormalize(scaled, scale), images, rtol=1e-6)
    np.testing.assert_allclose(np.angle(scaled), np.angle(images), atol=1e-6)


def test_zero_rows_stay_zero_with_finite_gradients():
    images = jnp.asarray(rows((2, 3, 3))).at[1].set(0)
    scaled, scale = normalize(images)
    assert scale[1] == 1.0
    np.testing.assert_array_equal(scaled[1], 0)
    gradient = jax.grad(lambda x: jnp.sum(jnp.abs(normalize(x)[0]) ** 2))(images.real)
    assert np.all(np.isfinite(gradient))


def test_the_scale_of_other_rows_and_of_known_entries():
    fine, mask = rows((2, 4, 4)), np.zeros((4, 4), bool)
    mask[:2] = True
    scale = row_scale(fine, known=mask)
    np.testing.assert_allclose(scale, np.abs(fine[:, :2]).max((1, 2)), rtol=1e-6)
    scaled, same = normalize(fine, scale)
    np.testing.assert_array_equal(same, scale)
    np.testing.assert_allclose(scaled, fine / np.asarray(scale)[:, None, None], rtol=1e-6)
    np.testing.assert_array_equal(row_scale(fine, known=np.zeros((4, 4), bool)), 1.0)


def test_channels_round_trip():
    images = rows((2, 3, 4))
    channels = complex_to_channels(images)
    assert channels.shape == (2, 3, 4, 2) and channels.dtype == jnp.float32
    np.testing.assert_array_equal(channels[..., 0], images.real)
    np.testing.assert_array_equal(channels_to_complex(channels), images)


def test_three_channels_are_refused():
    with pytest.raises(Exception, match="3 channels|shape"):
        channels_to_complex(np.zeros((4, 4, 3), np.float32))


def test_scalings_of_the_coarse_row_and_back():
    coarse, fine = rows((3, 4, 4)), rows((3, 8, 8))
    coarse[2] = 1 + 1j  # constant
    for kind in ("modulus", "minmax"):
        scaling = RowScaling.of(coarse, kind)
        parts = np.asarray(scaling.apply(complex_to_channels(coarse)))
        if kind == "modulus":
            np.testing.assert_allclose(np.linalg.norm(parts, axis=-1).max((1, 2)), 1, rtol=1e-6)
            assert not np.any(scaling.offset)
        else:
            np.testing.assert_allclose(parts.min((1, 2, 3))[:2], 0.15, atol=1e-6)
            np.testing.assert_allclose(parts.max((1, 2, 3))[:2], 0.85, atol=1e-6)
            np.testing.assert_allclose(parts[2], 0.15, atol=1e-6)
        there = scaling.apply(complex_to_channels(fine))
        np.testing.assert_allclose(channels_to_complex(scaling.undo(there)), fine, atol=1e-5)
    with pytest.raises(ValueError, match="kind"):
        RowScaling.of(coarse, "other")


def test_minmax_is_that_of_the_public_code():
    """x -> (x - min)/(max - min) 0.7 + 0.15 over both channels of the coarse row."""
    coarse = rows((2, 4, 4))
    parts = np.stack([coarse.real, coarse.imag], -1)
    low, high = (f(parts.reshape(2, -1), axis=1)[:, None, None, None] for f in (np.min, np.max))
    want = (parts - low) / (high - low) * 0.7 + 0.15
    np.testing.assert_allclose(RowScaling.of(coarse, "minmax").apply(parts), want, atol=1e-6)
