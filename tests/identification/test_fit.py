"""Parameters put into the simulator come out of the fit."""

import inspect
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.identification.parameters import search_box
from mpijax.identification.result import _digits
from mpijax.identification.search import _problem

BINS = np.array([2, 3, 4, 5])
LINE = mj.Grid.create((9, 1, 1), (90e-3, 10e-3, 10e-3), (10e-3, 0, 0))
SEQUENCE = mj.LissajousSequence.create((5e-3, 0, 0), dividers=(32, 32, 32), base_frequency=8e5, n_samples=32)
GAINS = np.array([[2 + 1j, -0.3j, 1e3, -5 + 0.1j]])
TRUTH = {"core_diameter": 22e-9, "gradient": 0.25, "ffp_x": 7e-3}
FREE = ("core_diameter", "gradient", "ffp")


def scanner(gradient=0.2, ffp=0.0):
    return mj.Scanner.create(
        (gradient, -gradient / 2, -gradient / 2), (-gradient * ffp, 0, 0), receive_coils=((1, 0, 0),)
    )


def simulate(grid=LINE, particle=None, indices=BINS):
    """The truth in float64, rows times gains."""
    particle = particle or mj.Particle.create(TRUTH["core_diameter"])
    with jax.enable_x64(True):
        matrix = mj.simulate_system_matrix(
            scanner(TRUTH["gradient"], TRUTH["ffp_x"]), SEQUENCE, particle, grid, indices, sample_volume=1e-9
        )
        return replace(matrix, values=np.asarray(matrix.values) * GAINS[..., None], scanner=None, particle=None)


def noisy(matrix, fraction, seed):
    """White noise, in every row ``fraction`` of its rms."""
    rng = np.random.default_rng(seed)
    scale = fraction * np.sqrt(np.mean(np.abs(matrix.values) ** 2, -1, keepdims=True) / 2)
    return replace(matrix, values=matrix.values + scale * (rng.normal(size=(*matrix.values.shape, 2)) @ [1, 1j]))


def refit(matrix, **arguments):
    return mj.fit(matrix, scanner(), **{"free": FREE, **arguments})


def test_exact_data_give_exact_parameters_gains_and_hybrid_calibration():
    found = refit(simulate())
    for name, value in TRUTH.items():
        assert found.values[name] == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(found.gains, GAINS, rtol=1e-5)
    np.testing.assert_allclose(found.correlation, 1, atol=1e-10)
    assert found.residual < 1e-7 and found.converged.any()
    assert found.beta_gradient == pytest.approx(float(mj.Particle.create(22e-9).beta) * 0.25, rel=1e-5)
    fine = mj.Grid.create((31, 2, 1), (120e-3, 20e-3, 10e-3))  # other positions, also beside the line
    hybrid = found.system_matrix(fine)
    truth = simulate(fine)
    peak = np.abs(truth.values).max((0, 2))[:, None]
    np.testing.assert_allclose(hybrid.values / peak, truth.values / peak, atol=1e-5)
    np.testing.assert_array_equal(hybrid.frequency_indices, BINS)
    assert hybrid.sample_volume == 1e-9 and hybrid.grid is fine and hybrid.background is None
    assert not jax.config.jax_enable_x64


def test_noise_is_met_by_the_reported_uncertainty():
    matrix = simulate()
    fits = [refit(noisy(matrix, 0.02, seed), starts=1) for seed in range(40)]
    for name, value in TRUTH.items():
        found = np.array([fit.values[name] for fit in fits])
        reported = np.median([fit.stds[name] for fit in fits])
        assert abs(found.mean() - value) < 4 * reported / np.sqrt(len(fits))
        assert 0.65 < found.std(ddof=1) / reported < 1.5  # 40 draws: the ratio's own standard deviation is 0.11
    products = np.array([fit.beta_gradient for fit in fits])
    assert 0.65 < products.std(ddof=1) / np.median([fit.beta_gradient_std for fit in fits]) < 1.5


def test_diameter_and_gradient_are_reported_as_degenerate():
    found = refit(noisy(simulate(particle=mj.Particle.create(14e-9)), 0.02, 0))
    assert any("core_diameter and gradient are hardly told apart" in note for note in found.notes)
    relative = found.stds["core_diameter"] / found.values["core_diameter"]
    assert found.beta_gradient_std / found.beta_gradient < 0.2 * 3 * relative  # beta ~ d^3
    assert found.covariance[0, 1] < 0 and found.condition > 50
    text = found.describe()
    for part in (
        "fit of 4 rows at 9 positions",
        "core_diameter",
        "gradient (largest entry)",
        "nm",
        "T/m",
        "beta G",
        "note: core_diameter and gradient",
    ):
        assert part in text


def test_position_without_weight_does_not_count():
    matrix = simulate()
    values = matrix.values.copy()
    values[..., 4] = 1e3 * np.abs(values).max()
    weights = np.repeat(1 / np.linalg.norm(matrix.values, axis=-1, keepdims=True), 9, -1)
    weights[..., 4] = 0
    found = refit(replace(matrix, values=values), weights=weights)
    assert found.values["core_diameter"] == pytest.approx(22e-9, rel=1e-6)
    np.testing.assert_allclose(found.correlation, 1, atol=1e-10)


def test_rows_that_are_masked_out_do_not_count():
    matrix = simulate()
    values = matrix.values.copy()
    values[0, 1] = np.nan
    found = refit(replace(matrix, values=values, row_mask=np.array([[True, False, True, True]])))
    assert found.values["gradient"] == pytest.approx(0.25, rel=1e-5)
    assert np.isnan(found.correlation[0, 1]) and found.gains[0, 1] == 0
    assert found.system_matrix(LINE).rows().shape == (3, 9)


def test_jacobian_agrees_with_finite_differences():
    """Of the projected residual, gains included, at a point away from the minimum."""
    matrix, guess, particle = noisy(simulate(), 0.1, 0), scanner(), mj.Particle.create(20e-9)
    box = search_box(FREE, None, guess, particle, LINE)
    problem = _problem(matrix, guess, SEQUENCE, particle, box, None, None)
    with jax.enable_x64(True):
        unit = jnp.array([0.6, 0.4, 0.55])
        residual = jax.jit(problem.residual)
        jacobian = np.asarray(jax.jit(jax.jacfwd(problem.residual))(unit))
        step = 1e-5
        for i in range(3):
            difference = (residual(unit.at[i].add(step)) - residual(unit.at[i].add(-step))) / (2 * step)
            np.testing.assert_allclose(jacobian[:, i], difference, atol=1e-7 * np.abs(jacobian).max())


def test_fluid_anisotropy_is_found_and_keeps_its_reference_field():
    particle = mj.Particle.create(22e-9, anisotropy_constant=3e3, spatial_modulation=1.0)
    matrix = simulate(particle=particle)
    guess = replace(particle, anisotropy_constant=np.asarray(1e3))
    found = mj.fit(matrix, scanner(0.25, 7e-3), particle=guess, free=("anisotropy_constant",), starts=2)
    assert found.values["anisotropy_constant"] == pytest.approx(3e3, rel=1e-5)
    assert found.particle.reference_field == pytest.approx(0.25 * (50e-3 - 7e-3), rel=1e-6)  # largest on the grid
    half = found.system_matrix(mj.Grid.create((3, 1, 1), (30e-3, 10e-3, 10e-3), (10e-3, 0, 0)))
    np.testing.assert_allclose(half.values, matrix.values[..., 3:6], rtol=1e-4)


def test_plane_with_known_gains():
    """Two channels on 3 x 3 positions; gains held, gradient along each axis, field-free point and angle free."""
    sequence = mj.LissajousSequence.create((8e-3, 8e-3, 0), dividers=(10, 8, 9), base_frequency=1e6)
    grid = mj.Grid.create((3, 3, 1), (20e-3, 20e-3, 1e-3))
    coils = ((1, 0, 0), (0, 1, 0))
    truth = mj.Scanner.create((-0.8, -1.1, 1.9), (1e-3, -2e-3, 0), coils)
    particle = mj.Particle.create(23e-9)
    gains = np.array([[1, 2j, -1, 3, 1, 1], [1j, 1, 1, 0.5, 2, -1]])
    with jax.enable_x64(True):
        matrix = mj.simulate_system_matrix(truth, sequence, particle, grid, np.array([8, 9, 12, 13, 14, 15]))
        matrix = replace(matrix, values=np.asarray(matrix.values) * gains[..., None])
    guess = mj.Scanner.create((-1, -1, 2), receive_coils=coils)
    free = ("gradient_x", "gradient_y", "ffp", "angle")
    found = mj.fit(matrix, guess, particle=particle, free=free, gains=gains, starts=3)
    np.testing.assert_allclose(np.asarray(found.scanner.gradient), np.diag([-0.8, -1.1, 1.9]), atol=1e-5)
    np.testing.assert_allclose(found.scanner.offset_field, [1e-3, -2e-3, 0], atol=1e-8)
    np.testing.assert_array_equal(found.gains, gains)
    assert abs(found.values["angle"]) < 1e-5 and found.residual < 1e-6


def test_a_parameter_without_influence_is_named():
    """On the line itself the field across it changes nothing to first order."""
    found = mj.fit(simulate(), scanner(0.25, 7e-3), particle=mj.Particle.create(22e-9), free=("ffp_y",), starts=1)
    assert found.stds["ffp_y"] == np.inf and any("no influence" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "arguments", "match"),
    [
        ({"values": np.full((1, 4, 9), np.nan + 0j)}, {}, "NaN or infinite"),
        ({"values": np.zeros((1, 4, 9), complex)}, {}, "all 4 rows are zero everywhere"),
        ({"sequence": None}, {}, "carries no sequence"),
        ({"n_samples": 64}, {}, "64 samples per period, the sequence 32"),
        ({"frequencies": np.array([1.0, 2, 3, 4])}, {}, "not the one the matrix was measured with"),
        ({"angles": np.zeros(1)}, {}, "rotating field-free line"),
        ({}, {"free": ("diameter",)}, "unknown free parameters"),
        ({}, {"bounds": {"gradient": (1.0, 0.1)}}, "low < high"),
        ({}, {"bounds": {"core_diameter": (21e-9, 30e-9)}}, "outside of its bounds"),
        ({}, {"weights": np.ones(4)}, "weights has shape"),
        ({}, {"weights": -np.ones((1, 4))}, "weights"),
        ({}, {"weights": -np.ones((1, 4, 9))}, "36 of 36 entries outside"),
        ({}, {"weights": np.zeros((1, 4))}, "leave no data"),
        ({}, {"gains": np.ones(4)}, "gains has shape"),
        ({}, {"starts": 0}, "starts = 0"),
    ],
)
def test_bad_input(change, arguments, match):
    with pytest.raises(ValueError, match=match):
        refit(replace(simulate(), **change), **arguments)


def test_scanner_must_fit_the_channels():
    with pytest.raises(ValueError, match="one receive coil per channel"):
        mj.fit(simulate(), mj.Scanner.create((0.2, -0.1, -0.1)))
    with pytest.raises(ValueError, match="carries no scanner"):
        mj.fit(simulate())


def test_what_the_type_checker_would_have_found():
    """Users run without it."""
    fit = inspect.unwrap(mj.fit)
    for matrix in ("file.mdf", None):
        with pytest.raises(TypeError, match="io.read_system_matrix"):
            fit(matrix)
    with pytest.raises(ValueError, match="starts = 1.5; expected a whole number"):
        fit(simulate(), scanner(), starts=1.5)
    with pytest.raises(ValueError, match=r"bounds of core_diameter = 2e-08; expected \(low, high\)"):
        inspect.unwrap(search_box)(FREE, {"core_diameter": 20e-9}, scanner(), mj.Particle.create(), LINE)


def test_angles_are_named_before_channels():
    with pytest.raises(ValueError, match="rotating field-free line"):
        mj.fit(replace(simulate(), angles=np.zeros(1)), mj.Scanner.create((0.2, -0.1, -0.1)))


@pytest.mark.parametrize(
    ("value", "std", "text"),
    [
        (2.35e-8, 1e-12, "0.000 +- <0.001 mm"),
        (-1e-9, 1e-12, "0.000 +- <0.001 mm"),
        (12.3456, 0.0712, "12.346 +- 0.071 mm"),
        (12.3456, 3.21, "12.3 +- 3.2 mm"),
        (12.3456, 45.0, "12 +- 45 mm"),
        (12.3456, np.nan, "12.346 not determined mm"),
        (12.3456, np.inf, "12.346 +- inf mm"),
    ],
)
def test_numbers_are_printed_to_their_uncertainty(value, std, text):
    assert _digits(value, std, "mm") == text


def test_too_few_data():
    short = simulate(mj.Grid.create((1, 1, 1), (10e-3, 10e-3, 10e-3)))
    with pytest.raises(ValueError, match="8 real data for 11 unknowns"):
        refit(short, free=("core_diameter", "gradient", "ffp_x"))


def test_not_under_a_transformation():
    matrix = simulate()
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda values: refit(replace(matrix, values=values)).residual)(jnp.ones((1, 4, 9), complex))
