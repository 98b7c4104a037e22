"""The simulator against what is known in closed form."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

import mpijax as mj
from tests import DATA
from tests.reference import physics as twin

GOLDEN = DATA / "golden" / "physics.json"


def spectrum_1d(beta_amplitude, beta_offset, n=512):
    """Fourier coefficients of L(beta (A cos wt + offset)) by the simulator, one voxel, in double precision."""
    particle = mj.Particle.create(20e-9)
    amplitude, offset = beta_amplitude / float(particle.beta), beta_offset / float(particle.beta)
    sequence = mj.LissajousSequence.create((amplitude, 0, 0), n_samples=n)
    scanner = mj.Scanner.create((1.0, 1.0, -2.0), offset_field=(offset, 0, 0))
    grid = mj.Grid.create((1, 1, 1), (1e-3, 1e-3, 1e-3))
    return np.asarray(mj.moment_spectrum(scanner, sequence, particle, grid))[0, :, 0]


def test_small_fields_give_the_susceptibility_and_the_third_harmonic():
    """L(x) = x/3 - x^3/45 + ..: c_1 = a/6 - a^3/120, c_3 = -a^3/360 for x = a cos wt."""
    with jax.enable_x64(True):
        a = 0.05
        c = spectrum_1d(a, 0.0)
        np.testing.assert_allclose(c[1], a / 6 - a**3 / 120, rtol=1e-6)
        np.testing.assert_allclose(c[3], -(a**3) / 360, rtol=2e-3)
        np.testing.assert_allclose(c[[0, 2, 4]], 0, atol=1e-16)


def test_strong_fields_give_a_square_wave():
    """At saturation m is the sign of cos wt: c_n = (2/(pi n)) sin(n pi/2), so that c_1 = 2/pi and c_3 = -2/(3 pi)."""
    with jax.enable_x64(True):
        c = spectrum_1d(400.0, 0.0, n=4096)
        # L = sgn - 1/x: the first correction is of order 1/400
        np.testing.assert_allclose(c[[1, 3, 5]], [2 / np.pi, -2 / (3 * np.pi), 2 / (5 * np.pi)], atol=1 / 400)
        np.testing.assert_allclose(c[1], 2 / np.pi - 1 / 400, atol=1e-5)


@pytest.mark.parametrize("a, b", [(5.0, 0.0), (5.0, 3.0), (12.0, -7.0)])
def test_harmonics_are_the_integrals_that_define_them(a, b):
    with jax.enable_x64(True):
        c = spectrum_1d(a, b)
    for n in (1, 2, 3, 7):
        want, _ = scipy.integrate.quad(
            lambda t, n=n: float(twin.langevin(a * np.cos(t) + b)) * np.cos(n * t) / np.pi, 0, np.pi, epsabs=1e-13
        )
        assert abs(c[n] - want) < 1e-11


def test_reference_spectra():
    for case in json.loads(GOLDEN.read_text())["spec1d"]:
        with jax.enable_x64(True):
            beta = float(case["beta_per_T"])
            c = spectrum_1d(beta * float(case["A_mT"]) * 1e-3, beta * float(case["offset_mT"]) * 1e-3)
        want = np.array([float(x) for x in case["c_n_cos"]])
        np.testing.assert_allclose(c[: len(want)].real, want, atol=1e-10)


def test_width_of_the_kernel():
    """Full width at half maximum of L' is 4.16 in xi: the resolution 4.16/(beta G) of MPI."""
    with jax.enable_x64(True):
        slope = jax.grad(lambda x: mj.physics.langevin(x))
        half = scipy.optimize.brentq(lambda x: float(slope(jnp.float64(x))) - 1 / 6, 0.1, 10)
        assert 2 * half == pytest.approx(4.16105, abs=1e-4)


def test_field_free_point_and_symmetry_of_the_matrix():
    """With an offset the matrix is that of the shifted grid: only G r + H_0 matters."""
    with jax.enable_x64(True):
        sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=300)
        particle = mj.Particle.create(22e-9)
        shift = np.array([2e-3, -1e-3, 0])
        grid = mj.Grid.create((4, 3, 1), (12e-3, 9e-3, 1e-3))
        moved = mj.Grid.create((4, 3, 1), (12e-3, 9e-3, 1e-3), tuple(shift))
        plain = mj.Scanner.create((-1.0, -1.0, 2.0))
        offset = mj.Scanner.create((-1.0, -1.0, 2.0), offset_field=tuple(np.array([-1.0, -1.0, 2.0]) * shift))
        a = mj.moment_spectrum(offset, sequence, particle, grid)
        b = mj.moment_spectrum(plain, sequence, particle, moved)
        np.testing.assert_allclose(a, b, atol=1e-14)


def test_images_are_quantitative_without_an_inverse_crime():
    """Data of a fine phantom, reconstructed on a coarser grid, give back the amount of iron."""
    scanner, sequence = mj.Scanner.create((-1.0, -1.0, 2.0)), mj.LissajousSequence.create((12e-3, 12e-3, 0))
    particle = mj.Particle.create(25e-9)
    grid = mj.Grid.create((15, 15, 1), (22e-3, 22e-3, 1e-3))
    fine = grid.refine((3, 3, 1))
    bins = np.arange(53, 400)
    phantom = 40.0 * (np.linalg.norm(np.asarray(fine.positions) - [2e-3, -1e-3, 0], axis=1) < 4e-3)
    data = np.asarray(mj.simulate_system_matrix(scanner, sequence, particle, fine, bins).rows()) @ phantom
    matrix = np.asarray(mj.simulate_system_matrix(scanner, sequence, particle, grid, bins).rows())
    image = np.real(mj.reconstruction.tikhonov(matrix, data, mj.reconstruction.relative_lambda(matrix, 1e-3)).value)
    assert image.sum() * grid.voxel_volume == pytest.approx(phantom.sum() * fine.voxel_volume, rel=0.05)
    assert 25 < image.max() < 60
