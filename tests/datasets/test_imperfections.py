"""Imperfections of coils, selection field and sizes in training matrices."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.datasets import Imperfections, RandomCorruption, RestorationPrior
from mpijax.system import simulate_rows

SHAPE, BINS = (16, 16, 1), jnp.arange(1, 60, 7)
NONE = Imperfections(coil_slope=None, cross_talk=None, field_terms=None, size_ratio=None, share=1.0)


@pytest.fixture(scope="module")
def setup():
    return RestorationPrior(2, size_range=(8, 16)).draw_accepted(jax.random.key(5))[0]


def ideal(setup):
    return np.asarray(simulate_rows(setup, SHAPE, BINS)[0])


def test_without_ranges_the_rows_are_the_priors(setup):
    assert np.array_equal(np.asarray(NONE.rows(jax.random.key(1), setup, SHAPE, BINS)), ideal(setup))


def test_cross_talk_mixes_components_by_one_number(setup):
    rows, truth = with_only(setup, cross_talk=(0.15, 0.15)), ideal(setup)
    others = truth.sum(axis=0) - truth
    share = np.vdot(others, rows - truth) / np.vdot(others, others)
    assert abs(abs(share) - 0.15) < 1e-4
    np.testing.assert_allclose(rows, truth + share * others, atol=1e-5 * np.abs(truth).max())


def test_coil_slopes_are_linear_in_position_and_as_steep_as_told(setup):
    rows, truth = with_only(setup, coil_slope=(0.3, 0.3)), ideal(setup)
    points, inside = setup.positions(SHAPE)
    unit = np.asarray((points - setup.center) / (setup.fov / 2))[np.asarray(inside)]
    used = np.asarray(inside)
    factor = rows[:2, 0][:, used] / truth[:2, 0][:, used] - 1  # the third channel has no signal
    for channel in factor:
        slope, *_ = np.linalg.lstsq(unit[:, :2], channel.real, rcond=None)
        np.testing.assert_allclose(unit[:, :2] @ slope, channel.real, atol=1e-3)
        assert 0 < np.linalg.norm(slope) <= 0.3 + 1e-3


def test_the_bent_field_is_free_of_curl_and_divergence(setup):
    bent = replace(NONE, field_terms=(0.15, 0.15))
    field = bent._field(jax.random.key(2), setup, (0.15, 0.15))
    slope = np.asarray(field.jacobian(np.array([3e-3, -2e-3, 1e-3])))
    largest = np.abs(slope).max()
    assert abs(np.trace(slope)) < 1e-5 * largest and np.abs(slope - slope.T).max() < 1e-5 * largest
    at_origin = np.asarray(field.jacobian(np.zeros(3)))
    np.testing.assert_allclose(at_origin, np.asarray(setup.scanner.gradient), atol=1e-5 * largest)
    strongest = np.abs(np.diagonal(np.asarray(setup.scanner.gradient))[:2]).max() * field.radius
    np.testing.assert_allclose(np.abs(np.asarray(field.coefficients)[:, 4:]).max(), 0.15 * strongest, rtol=1e-5)


def test_two_sizes_are_a_mean_of_normalized_moments(setup):
    rows = with_only(setup, size_ratio=(0.7, 0.7), size_share=(0.4, 0.4))
    other = ideal(replace(setup, particle=setup.particle.of_size(0.7)))
    expected = 0.6 * ideal(setup) + 0.4 * other
    np.testing.assert_allclose(rows, expected, atol=1e-5 * np.abs(expected).max())


def test_bad_ranges_are_named():
    with pytest.raises(ValueError, match="cross_talk"):
        Imperfections(cross_talk=(0.2, 0.1))
    with pytest.raises(ValueError, match="size_ratio"):
        Imperfections(size_ratio=(0.1, 0.9))


def test_description_leaves_out_what_is_switched_off():
    text = replace(NONE, coil_slope=(0.0, 0.3)).describe()
    assert "coil" in text and "cross talk" not in text and "two sizes" not in text


def test_a_share_of_the_rows_gets_the_colored_background():
    key, box = jax.random.key(0), (8, 8)
    keys = jax.random.split(key, 60)

    def noise(**options):
        return np.asarray(jax.jit(jax.vmap(lambda k: RandomCorruption(**options).draw(k, box, box).noise))(keys))

    surrogate = noise(noise="surrogate")
    mixed = noise(noise="surrogate", noise_share=0.3)
    same = np.all(np.isclose(mixed, surrogate), axis=(1, 2))
    assert 0.15 < same.mean() < 0.45
    white = mixed[~same]
    neighbors = np.mean((white[:, :, 1:] * np.conj(white[:, :, :-1])).real)
    assert abs(neighbors) < 0.1 and abs(np.mean(np.abs(white) ** 2) - 1) < 0.1


def with_only(setup, **ranges):
    return np.asarray(replace(NONE, **ranges).rows(jax.random.key(1), setup, SHAPE, BINS))
