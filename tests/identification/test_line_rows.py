"""Rows of a field-free line that is fitted to coarse, noisy ones, and the tangents that they are adjusted along."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.interpolate import BSpline

import mpijax as mj
from mpijax.identification import fitted_rows
from mpijax.identification.line_model import PARAMETERS, PRIOR, LineRows, line_profile
from mpijax.rows import bicubic
from mpijax.rows.linear import consistent_bicubic

GRID = mj.Grid.create((16, 16, 1), (32e-3, 32e-3, 1e-3))
GRADIENT, AMPLITUDE = 0.7, 11e-3
HARMONICS = (2, 3, 5)
POINT = mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=((0, 0, 1.0),))


def true_rows(
    grid=GRID, gradient=GRADIENT, amplitude=AMPLITUDE, turn=0.0, shift=(0.0, 0.0), slope=(0.0, 0.0), **particle
):
    """A matrix of 12 angles whose file says ``GRADIENT`` and ``AMPLITUDE``, whatever is true."""
    moved = replace(grid, center=np.asarray(grid.center) + [*shift, 0])
    given = {"core_diameter": 25e-9, "saturation_magnetization": 438e3, "temperature": 300.0} | particle
    angles = np.pi * np.arange(12) / 12
    with jax.enable_x64(True):
        matrix = mj.simulate_field_free_line(
            gradient, amplitude, angles + turn, mj.Particle.create(**given), moved, harmonics=HARMONICS, samples=64
        )
        values = np.asarray(matrix.values) / np.sqrt(np.mean(np.abs(matrix.values) ** 2))
    x, y = np.asarray(grid.positions)[:, :2].T / 16e-3
    told = mj.simulate_field_free_line(
        GRADIENT, AMPLITUDE, angles, mj.Particle.create(14e-9), grid, harmonics=HARMONICS, samples=64
    )
    return replace(told, values=values * (1 + slope[0] * x + slope[1] * y))


def measured(fine, scale, sigma=0.0, sampling="box", seed=0):
    """Coarse rows by loops, with noise of a complex standard deviation; every scale-th voxel keeps its position."""
    images = np.asarray(fine.values).reshape(12, 3, *fine.grid.shape[1::-1])
    shifted = [images[..., i::scale, j::scale] for i in range(scale) for j in range(scale)]
    seen = (sum(shifted) / scale**2 if sampling == "box" else shifted[0]).reshape(12, 3, -1)
    rng = np.random.default_rng(seed)
    noise = sigma * (rng.normal(size=(*seen.shape, 2)) @ [1, 1j]) / np.sqrt(2)
    grid = fine.grid.coarsen((scale, scale, 1))
    if sampling == "stride":
        voxel = np.asarray(grid.fov) / grid.shape
        grid = replace(grid, center=np.asarray(grid.center) - voxel * [1, 1, 0] / 2 * (1 - 1 / scale))
    return replace(fine, values=seen + noise, grid=grid)


def error(found, fine):
    return float(np.linalg.norm(np.asarray(found) - fine.values) / np.linalg.norm(fine.values))


def classical_error(coarse, fine, scale):
    """Of bicubic interpolation that agrees with the block means."""
    images = np.asarray(coarse.values, np.complex64).reshape(12, 3, 16 // scale, -1)
    return error(np.asarray(consistent_bicubic(images, scale)).reshape(fine.values.shape), fine)


def test_profile_is_the_simulator_up_to_a_factor_per_harmonic():
    """At angle 0 the distance from the line is y."""
    with jax.enable_x64(True):
        fine = true_rows()
        beta = float(mj.Particle.create(25e-9, saturation_magnetization=438e3, temperature=300.0).beta)
        rows = np.asarray(
            line_profile(np.log([beta, GRADIENT, AMPLITUDE]), np.asarray(GRID.positions)[:, 1], HARMONICS)
        )
    rows = rows.T * (np.sum(rows.T * fine.values[0], 1) / np.sum(rows.T**2, 1))[:, None]
    np.testing.assert_allclose(rows, fine.values[0], atol=1e-5 * np.abs(fine.values).max())


def test_tangents_are_the_differences_of_the_rows():
    coarse = measured(true_rows(), 2)
    line = LineRows.of(coarse, 2)
    unit = line.told + np.array([np.log(700.0), 0.02, -0.01, 0.02, 4e-4, -7e-4, 0.1, -0.2, 0.05, 0.02, -0.03])
    with jax.enable_x64(True):
        rows, tangents = line.tangents(unit)
        np.testing.assert_allclose(rows, line.rows(unit), rtol=1e-12)
        for i, name in enumerate(PARAMETERS):
            step = 1e-4 * PRIOR[i] * np.eye(len(unit))[i]
            difference = (line.rows(unit + step) - line.rows(unit - step)) / (2e-4 * PRIOR[i])
            distance = np.abs(tangents[i] - difference).max()
            assert distance < 2e-5 * np.abs(difference).max(), name


def test_a_bump_of_the_profile_moves_with_the_line():
    line = LineRows.of(measured(true_rows(), 2), 2)
    unit = line.told + np.array([np.log(700.0), *np.zeros(10)])
    knots, count = line.bump_basis()
    coefficients = np.random.default_rng(0).normal(size=(count, len(HARMONICS), 2)) @ [1, 1j]
    bump = BSpline(knots, coefficients, 3)
    with jax.enable_x64(True):
        change = line.observe(line.rows(unit, bump) - line.rows(unit))
        basis = line.bump_rows(unit)
        _, tangents = line.tangents(unit, bump)
        step = np.eye(len(unit))[4] * 1e-7
        difference = (line.rows(unit + step, bump) - line.rows(unit - step, bump)) / 2e-7
    np.testing.assert_allclose(change, np.einsum("akc,kf->afc", basis, coefficients), atol=1e-4 * np.abs(change).max())
    assert np.abs(tangents[4] - difference).max() < 1e-3 * np.abs(difference).max()


@pytest.mark.parametrize("scale", [2, 4])
def test_in_model_it_is_ten_times_as_good_as_consistent_bicubic(scale):
    fine = true_rows()
    coarse = measured(fine, scale, sigma=0.03)
    found = fitted_rows(coarse, scale, sigma=0.03)
    assert 10 * error(found.system_matrix.values, fine) < classical_error(coarse, fine, scale)
    assert found.system_matrix.grid.shape == GRID.shape and 0.7 < found.misfit.mean() < 1.1


def test_a_wrong_file_is_undone():
    """5 % of gradient and amplitude, 3 degrees and 1 mm off; the particle is never read."""
    wrong = {
        "gradient": 1.05 * GRADIENT,
        "amplitude": 0.95 * AMPLITUDE,
        "turn": np.deg2rad(3.0),
        "shift": (1e-3, -1e-3),
    }
    fine = true_rows(**wrong)
    found = fitted_rows(measured(fine, 2, sigma=0.03), 2, sigma=0.03)
    right = fitted_rows(measured(true_rows(), 2, sigma=0.03), 2, sigma=0.03)
    assert error(found.system_matrix.values, fine) < 1.5 * error(right.system_matrix.values, true_rows()) < 0.01
    values = found.values
    assert np.rad2deg(values["turn"]) == pytest.approx(3.0, abs=0.05)
    assert (values["x"], values["y"]) == pytest.approx((1e-3, -1e-3), abs=2e-5)
    sweep = 0.95 * AMPLITUDE / (1.05 * GRADIENT)  # the rows depend on the ratio
    assert values["amplitude"] / values["gradient"] == pytest.approx(sweep, rel=2e-3)
    assert "turned by  3.0" in found.describe()


def test_the_slope_of_the_coil_is_recovered():
    fine = true_rows(slope=(0.25, -0.15))
    found = fitted_rows(measured(fine, 2, sigma=0.03), 2, sigma=0.03)
    assert (found.values["coil x"], found.values["coil y"]) == pytest.approx((0.25, -0.15), abs=5e-3)
    assert found.values["coil xx"] == pytest.approx(0, abs=1e-2)
    assert error(found.system_matrix.values, fine) < 0.01


def test_what_no_langevin_particle_of_one_size_explains_is_in_the_profile():
    fine = true_rows(size_spread=0.35, core_diameter=20e-9)
    coarse = measured(fine, 2, sigma=0.01)
    found = fitted_rows(coarse, 2, sigma=0.01)
    assert found.plain_misfit > 1.5 and found.misfit.mean() < 1.1
    assert 5 * error(found.system_matrix.values, fine) < classical_error(coarse, fine, 2)


def test_small_samples_at_every_other_voxel():
    fine = true_rows()
    coarse = measured(fine, 2, sigma=0.03, sampling="stride")
    found = fitted_rows(coarse, 2, sampling="stride", sigma=0.03)
    np.testing.assert_allclose(found.system_matrix.grid.positions, GRID.positions, atol=1e-12)
    assert error(found.system_matrix.values, fine) < 0.01


def test_left_out_rows_do_not_count_and_noise_levels_do():
    fine = true_rows()
    coarse = measured(fine, 2, sigma=0.03)
    values, mask = np.array(coarse.values), np.ones((12, 3), bool)
    values[5, 1], mask[5, 1] = 100.0, False
    sigma = np.full((12, 3), 0.03)
    values[7, 2] += np.random.default_rng(1).normal(size=64) * 2
    sigma[7, 2] = 2.0
    found = fitted_rows(replace(coarse, values=values, row_mask=mask), 2, sigma=sigma)
    others = np.array(mask)
    others[7, 2] = False
    apart = np.asarray(found.system_matrix.values)[others] - np.asarray(fine.values)[others]
    assert np.linalg.norm(apart) < 0.01 * np.linalg.norm(np.asarray(fine.values)[others])
    assert np.linalg.norm(found.system_matrix.values[7, 2] - fine.values[7, 2]) < 0.05 * np.linalg.norm(
        fine.values[7, 2]
    )


def test_a_harmonic_of_which_no_row_counts():
    fine = true_rows()
    mask = np.ones((12, 3), bool)
    mask[:, 1], mask[:8, 2] = False, False
    found = fitted_rows(replace(measured(fine, 2, sigma=0.03), row_mask=mask), 2, sigma=0.03).system_matrix.values
    want = np.asarray(fine.values)[:, [0, 2]]
    assert np.linalg.norm(found[:, [0, 2]] - want) < 0.01 * np.linalg.norm(want)
    assert np.all(np.isfinite(found)) and not np.any(found[:, 1])


def test_what_is_missing_or_wrong_is_named():
    coarse = measured(true_rows(), 2)
    faults = [
        (replace(coarse, angles=None), {}, "only for a field-free line so far"),
        (replace(coarse, scanner=None), {}, "carries no scanner"),
        (replace(coarse, sequence=None, scanner=None), {}, "no sequence and no scanner"),
        (coarse, {"sigma": None}, "no background frames"),
        (coarse, {"sigma": 0.0}, "sigma is 0 in 36 kept rows"),
        (coarse, {"sigma": np.ones(7)}, "sigma has shape"),
        (coarse, {"sampling": "random"}, "sampling"),
        (replace(coarse, values=np.full(coarse.values.shape, np.nan)), {}, "NaN"),
        (replace(coarse, values=0 * coarse.values), {}, "zero everywhere"),
        (
            replace(coarse, scanner=mj.Scanner.create(gradient=(1.0, 1.0, -2.0), receive_coils=((0, 0, 1.0),))),
            {},
            "field_free_line",
        ),
    ]
    for matrix, options, words in faults:
        with pytest.raises(ValueError, match=words):
            fitted_rows(matrix, 2, **({"sigma": 0.1} | options))


def test_restore_knows_the_method():
    fine = true_rows()
    coarse = measured(fine, 2, sigma=0.03)
    solution = mj.restore(coarse, "upsample", scale=2, method="fitted", noise_std=0.03)
    direct = fitted_rows(coarse, 2, sigma=0.03)
    np.testing.assert_allclose(solution.value.values, direct.system_matrix.values, atol=1e-4)
    stats = solution.stats
    assert stats.trusted.all() and set(stats.method) == {"fitted"} and np.median(stats.error) < 0.2
    assert "upsampled 2 x in x and y (box sampling) by fitted" in solution.value.header.restoration


def test_rows_that_the_line_cannot_explain_are_left_to_bicubic():
    coarse = measured(true_rows(), 2, sigma=0.03)
    values = np.array(coarse.values)
    values[3, 1] = 3 * np.sign(np.random.default_rng(2).normal(size=64))
    coarse = replace(coarse, values=values)
    solution = mj.restore(coarse, "upsample", scale=2, method="fitted", noise_std=0.03)
    np.testing.assert_array_equal(np.flatnonzero(~solution.stats.trusted), [10])
    others = np.arange(12) != 3
    want = np.asarray(true_rows().values)[others]
    assert np.linalg.norm(np.asarray(solution.value.values)[others] - want) < 0.01 * np.linalg.norm(want)
    image = np.asarray(solution.value.values)[3, 1].reshape(16, 16)
    np.testing.assert_allclose(image, np.asarray(bicubic(values[3, 1].reshape(8, 8), 2)), atol=1e-4)


def test_restore_says_what_the_method_needs():
    coarse = measured(true_rows(), 2)
    with pytest.raises(ValueError, match="does not say which receive coil"):
        mj.restore(replace(coarse, angles=None), "upsample", scale=2, method="fitted", noise_std=0.1)
    with pytest.raises(ValueError, match="no scanner"):
        mj.restore(replace(coarse, scanner=None), "upsample", scale=2, method="fitted", noise_std=0.1)
    with pytest.raises((ValueError, FileNotFoundError), match="fitted"):
        mj.restore(coarse, "denoise", method="fitted", noise_std=0.1)
