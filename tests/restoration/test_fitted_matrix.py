"""The simulator's own parameters come back from coarse, noisy matrices."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.identification.line import fit_field_free_line, fitted_matrix
from mpijax.rows import bicubic

FINE = mj.Grid.create((12, 8, 1), (24e-3, 16e-3, 1e-3), (1e-3, 0, 0))
BLUNT = mj.Particle.create(20e-9, saturation_magnetization=438e3, temperature=300.0)
GAINS = np.array([1.0, 2j, -0.5, 3 - 1j])


def coarse(fine, scale, noise=0.0, frames=0, seed=0):
    """Means over blocks by loops, with noise of a fraction of the fine rows' rms, and what the truth was taken out."""
    images = np.asarray(fine.grid.to_image(fine.values))[:, :, 0]
    h, w = images.shape[-2] // scale, images.shape[-1] // scale
    blocks = np.zeros((*images.shape[:2], h, w), complex)
    for i in range(scale):
        for j in range(scale):
            blocks += images[:, :, i::scale, j::scale] / scale**2
    rng, sigma = np.random.default_rng(seed), noise * np.sqrt(np.mean(np.abs(images) ** 2) / 2)
    blocks += sigma * (rng.normal(size=(*blocks.shape, 2)) @ [1, 1j])
    background = sigma * (rng.normal(size=(frames, *blocks.shape[:2], 2)) @ [1, 1j]) if frames else None
    values = blocks.reshape(*blocks.shape[:2], -1)
    grid = fine.grid.coarsen((scale, scale, 1))
    return replace(fine, values=values, grid=grid, background=background)


def error(found, fine):
    return np.linalg.norm(np.asarray(found) - fine.values) / np.linalg.norm(fine.values)


def bicubic_error(matrix, fine, scale):
    images = np.asarray(matrix.grid.to_image(matrix.values))
    return error(np.asarray(bicubic(images, scale)).reshape(fine.values.shape), fine)


@pytest.fixture(scope="module")
def line():
    """Four angles, harmonics 2 to 5, one complex gain per harmonic; recorded scanner and diameter are wrong."""
    with jax.enable_x64(True):
        matrix = mj.simulate_field_free_line(
            0.7, 9e-3, mj.line_angles(4), BLUNT, FINE, harmonics=(2, 3, 4, 5), samples=64, sample_volume=1e-9
        )
        values = np.asarray(matrix.values) * GAINS[:, None]
    return replace(matrix, values=values, scanner=None, particle=replace(BLUNT, core_diameter=np.asarray(31e-9)))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_exact_line_gives_exact_parameters_gains_and_matrix(line, scale):
    found = fit_field_free_line(coarse(line, scale), scale)
    assert found.gradient == pytest.approx(0.7, rel=1e-5)
    assert float(found.particle.core_diameter) == pytest.approx(20e-9, rel=1e-5)
    assert found.sweep == pytest.approx(9e-3 / 0.7, rel=1e-5)
    assert found.beta_gradient == pytest.approx(0.7 * float(BLUNT.beta), rel=3e-5)
    np.testing.assert_allclose(found.gains, GAINS, rtol=1e-4)
    assert found.residual < 1e-5 and np.count_nonzero(found.costs < 1e-9) >= 2
    matrix = found.system_matrix(FINE)
    assert error(matrix.values, line) < 1e-4
    assert matrix.sample_volume == 1e-9 and matrix.grid is FINE and np.array_equal(matrix.angles, line.angles)
    assert not jax.config.jax_enable_x64


def test_noisy_line_is_within_its_uncertainty_and_beats_bicubic(line):
    truth = {"gradient": 0.7, "core_diameter": 20e-9, "sweep": 9e-3 / 0.7, "beta_gradient": 0.7 * float(BLUNT.beta)}
    scores = {name: [] for name in truth}
    for seed in range(6):
        matrix = coarse(line, 2, 0.05, seed=seed)
        found = fit_field_free_line(matrix, 2, starts=2)
        values = {name: getattr(found, name) for name in ("gradient", "sweep", "beta_gradient")}
        values["core_diameter"] = float(found.particle.core_diameter)
        for name in truth:
            scores[name].append((values[name] / truth[name] - 1) / found.stds[name])
        assert error(found.system_matrix(FINE).values, line) < 0.2 * bicubic_error(matrix, line, 2)
    for name, score in scores.items():  # rms of 6 standard scores: 1 +- 0.3
        assert 0.3 < np.sqrt(np.mean(np.square(score))) < 2, name
    assert "core_diameter" in found.describe() and "not determined" not in found.describe()


def test_small_particles_leave_the_diameter_open_but_not_the_matrix():
    """beta A = 0.2: harmonics keep their shape whatever the diameter, and gains take up their height."""
    small = mj.Particle.create(7e-9, saturation_magnetization=438e3, temperature=300.0)
    with jax.enable_x64(True):
        fine = mj.simulate_field_free_line(0.7, 9e-3, mj.line_angles(4), small, FINE, harmonics=(2, 3), samples=64)
        fine = replace(fine, values=np.asarray(fine.values))
    matrix = coarse(fine, 2, 0.02)
    found = fit_field_free_line(matrix, 2, starts=3)
    assert not found.stds["core_diameter"] < 0.1
    assert "not determined" in found.describe() or "at its bound" in found.describe()
    assert error(found.system_matrix(FINE).values, fine) < 0.02


def test_public_function_serves_lines(line):
    matrix = coarse(line, 2, 0.05, frames=4)
    broken = np.array(matrix.values)
    broken[1, 2] = 1e3
    mask = np.ones(broken.shape[:2], bool)
    mask[1, 2] = False
    found = fitted_matrix(replace(matrix, values=broken.astype(np.complex64), row_mask=mask), 2, starts=2)
    assert found.grid.shape == FINE.shape and found.values.dtype == np.complex64 and found.background is None
    assert error(found.values, line) < 0.02 < bicubic_error(matrix, line, 2)
    np.testing.assert_array_equal(found.row_mask, mask)


def test_public_function_serves_points():
    """A planar Lissajous sequence; the matrix records a wrong gradient, a wrong center and a wrong diameter."""
    coils = ((1, 0, 0), (0, 1, 0))
    sequence = mj.LissajousSequence.create((8e-3, 8e-3, 0), dividers=(10, 8, 9), base_frequency=1e6)
    scanner = mj.Scanner.create((-0.8, -0.8, 1.6), (1e-3, 0, 0), coils)
    with jax.enable_x64(True):
        fine = mj.simulate_system_matrix(
            scanner, sequence, mj.Particle.create(22e-9), FINE, np.array([8, 9, 12, 13, 14])
        )
        fine = replace(fine, values=np.asarray(fine.values))
    matrix = coarse(fine, 2, 0.03)
    matrix = replace(matrix, scanner=mj.Scanner.create((-1, -1, 2), receive_coils=coils), particle=None)
    found = fitted_matrix(matrix, 2, starts=2)
    assert error(found.values, fine) < 0.015 < 0.2 * bicubic_error(matrix, fine, 2)
    point = mj.fit(matrix, weights=np.ones((2, 5)), starts=1).system_matrix(FINE)  # the sample's size neglected
    assert error(found.values, fine) < 0.5 * error(point.values, fine)
    assert float(found.particle.core_diameter) == pytest.approx(22e-9, rel=0.01)
    assert float(found.scanner.gradient[2, 2]) == pytest.approx(1.6, rel=0.02)


def test_bad_requests(line):
    matrix = coarse(line, 2)
    for change, message in (
        ({"angles": None, "sequence": None}, "carries no sequence and no scanner and no angles"),
        ({"angles": None}, "carries no scanner and no angles"),
        ({"sequence": None}, "carries no sequence; the fit"),
        ({"sequence": replace(line.sequence, amplitude=np.array([1e-2, 0, 0]))}, "moved by a field along z"),
        ({"frequencies": np.asarray(line.frequencies) + 500}, "keep rows at harmonics"),
        ({"grid": mj.Grid.create((6, 4, 1), (24e-3, 16e-3, 1e-3), (0, 0, 5e-3))}, "plane z = 0"),
        ({"particle": mj.Particle.create(size_spread=0.1)}, "only Langevin particles"),
        ({"values": np.full_like(matrix.values, np.nan)}, "NaN or infinite"),
        ({"values": np.zeros_like(matrix.values)}, "zero everywhere"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted_matrix(replace(matrix, **change), 2)
    for scale, starts, message in ((0, 1, "scale = 0"), (2, 0, "starts = 0")):
        with pytest.raises(ValueError, match=message):
            fitted_matrix(matrix, scale, starts=starts)
    with pytest.raises(ValueError, match="carries no angles.*mpijax.fit"):
        fit_field_free_line(replace(matrix, angles=None), 2)
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda values: fitted_matrix(replace(matrix, values=values), 2).values)(jnp.asarray(matrix.values))
    with pytest.raises(TypeError, match="whole SystemMatrix"):
        fitted_matrix.__wrapped__(matrix.values, 2)
