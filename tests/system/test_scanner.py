"""Scanners of every kind: focus fields, field-free lines, a spectrometer, fields of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.core.pytree import pytree

POINTS = np.random.default_rng(1).uniform(-20e-3, 20e-3, (7, 3))
PARTICLE = mj.Particle.create(25e-9)


@pytree
class Curved:
    """A harmonic field with a quadratic part."""

    strength: float

    def field(self, points):
        x, y, z = points.T
        return self.strength * jnp.stack([-x + 30 * y * z, -y + 30 * x * z, 2 * z + 30 * x * y], 1)


def test_focus_fields_move_the_field_free_point():
    scanner = mj.Scanner.create((-1.0, -1.2, 2.2), offset_field=(1e-3, 0, 0))
    target = np.array([3e-3, -4e-3, 1e-3])
    np.testing.assert_allclose(scanner.at(target).field(target[None]), 0, atol=1e-9)
    difference = scanner.at(target).field(POINTS) - scanner.field(POINTS)
    np.testing.assert_allclose(difference - difference[0], 0, atol=1e-9)  # homogeneous
    with pytest.raises(ValueError, match="meters"):
        scanner.at((30.0, 0, 0))


def test_a_matrix_focused_elsewhere_is_the_same_matrix_shifted():
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=200)
    scanner, shift = mj.Scanner.create((-1.0, -1.0, 2.0)), np.array([5e-3, -3e-3, 0])
    here = mj.moment_spectrum(scanner, sequence, PARTICLE, mj.Grid.create((5, 4, 1), (20e-3, 16e-3, 1e-3)))
    there = mj.Grid.create((5, 4, 1), (20e-3, 16e-3, 1e-3), shift)
    np.testing.assert_allclose(mj.moment_spectrum(scanner.at(shift), sequence, PARTICLE, there), here, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, 2.5])
def test_field_free_line(angle):
    scanner = mj.Scanner.field_free_line(0.8, angle)
    assert abs(np.trace(scanner.gradient)) < 1e-15
    np.testing.assert_allclose(scanner.gradient, scanner.gradient.T)  # no curl
    line = np.linspace(-0.02, 0.02, 5)[:, None] * [np.cos(angle), np.sin(angle), 0]
    np.testing.assert_allclose(scanner.field(line), 0, atol=1e-9)
    across = np.array([[-np.sin(angle), np.cos(angle), 0]]) * 0.01
    np.testing.assert_allclose(scanner.field(across), [[0, 0, 0.008]], atol=1e-9)
    with pytest.raises(ValueError, match="90 degrees is pi/2"):
        mj.Scanner.field_free_line(0.8, 90.0)
    traced = jax.jit(lambda g, a: mj.Scanner.field_free_line(g, a).gradient)(0.8, angle)
    np.testing.assert_allclose(traced, scanner.gradient, atol=1e-6)


def test_field_of_ones_own_replaces_the_gradient():
    scanner = mj.Scanner.create(selection_field=Curved(1.5))
    np.testing.assert_allclose(scanner.gradient, 1.5 * np.diag([-1, -1, 2]), atol=1e-6)
    np.testing.assert_allclose(scanner.field(POINTS), Curved(1.5).field(POINTS), rtol=1e-6)
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=200)
    grid = mj.Grid.create((3, 3, 2), (20e-3, 20e-3, 8e-3))
    curved = np.asarray(mj.moment_spectrum(scanner, sequence, PARTICLE, grid))
    ideal = np.asarray(mj.moment_spectrum(mj.Scanner.create(scanner.gradient), sequence, PARTICLE, grid))
    assert np.abs(curved - ideal).max() > 0.05 * np.abs(ideal).max()
    # one voxel at a time, as the homogeneous field that it sees there
    for voxel in (0, 11):
        point = np.asarray(grid.positions)[voxel]
        local = mj.Scanner.spectrometer(np.asarray(Curved(1.5).field(point[None]))[0])
        one = mj.Grid.create((1, 1, 1), (1e-3, 1e-3, 1e-3))
        np.testing.assert_allclose(
            mj.moment_spectrum(local, sequence, PARTICLE, one)[..., 0], curved[..., voxel], atol=1e-6
        )


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "either gradient"),
        ({"gradient": (-1.0, -1.0, 2.0), "selection_field": Curved(1.0)}, "either gradient"),
        ({"selection_field": 3.0}, "is a float"),
        ({"selection_field": Curved(1.0), "offset_field": (1e-3, 0, 0)}, "offset_field is given"),
    ],
)
def test_bad_selection_fields(options, message):
    with pytest.raises(ValueError, match=message):
        mj.Scanner.create(**options)
    with pytest.raises(ValueError, match="ideal field-free point"):
        mj.Scanner.create(selection_field=Curved(1.0)).at((0, 0, 0))


def test_spectrometer_sees_odd_harmonics_only_and_no_position():
    sequence = mj.LissajousSequence.create((20e-3, 0, 0), dividers=(100, 1, 1), n_samples=256)
    grid = mj.Grid.create((2, 2, 1), (10e-3, 10e-3, 1e-3))
    plain = np.asarray(mj.moment_spectrum(mj.Scanner.spectrometer(), sequence, PARTICLE, grid))[0]
    np.testing.assert_allclose(plain - plain[:, :1], 0, atol=1e-7)
    assert np.abs(plain[2:12:2]).max() < 1e-7 < 1e-3 < np.abs(plain[3, 0])
    up, down = (
        np.asarray(mj.moment_spectrum(mj.Scanner.spectrometer((h, 0, 0)), sequence, PARTICLE, grid))[0, :, 0]
        for h in (5e-3, -5e-3)
    )
    assert np.abs(up[2]) > 1e-2
    np.testing.assert_allclose(down[:12], up[:12] * np.where(np.arange(12) % 2, 1, -1), atol=1e-6)
