"""One problem, four solvers: units, options, noise bounds and what does not fit."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.reconstruction import (
    Admm,
    Problem,
    admm,
    kaczmarz,
    penalty_scale,
    reconstruct,
    relative_lambda,
    solve,
    tikhonov,
)

GRID = mj.Grid.create((9, 8, 1), (9e-3, 8e-3, 1e-3))
SCANNER = mj.Scanner.create((-3.0, -3.0, 6.0), receive_coils=np.eye(3)[:2])
SEQUENCE = mj.LissajousSequence.create((15e-3, 13.5e-3, 0), n_samples=400)
PARTICLE = mj.Particle.create(30e-9)
BINS = np.arange(20, 120)
DOT = 25.0
FRAMES = 3


def simulate(grid, concentration=1.0, **extra):
    return mj.simulate_system_matrix(SCANNER, SEQUENCE, PARTICLE, grid, BINS, concentration=concentration, **extra)


@pytest.fixture(scope="module")
def scan():
    """A matrix of a 2 x 2 x 1 mm sample of 100 mmol/L, and noisy frames of a dot from a grid three times finer."""
    matrix = simulate(GRID, 100.0, sample_volume=4e-9)
    fine = GRID.refine((3, 3, 1))
    place = np.asarray(fine.positions)[:, :2]
    phantom = DOT * np.all(
        np.abs(place - (1e-3, -1e-3)) < 1.5e-3, axis=1
    )  # centered on a voxel along x, on an edge along y
    signal = np.asarray(simulate(fine).values) @ phantom
    rng = np.random.default_rng(0)
    sigma = 2e-3 * np.abs(signal).max() * rng.uniform(0.5, 2, signal.shape)

    def noise(count):
        return sigma * (rng.normal(size=(count, 1, 2, 100)) + 1j * rng.normal(size=(count, 1, 2, 100))) / 2**0.5

    data = mj.Measurement.create(
        signal + noise(FRAMES),
        matrix.frequencies,
        frequency_indices=BINS,
        n_samples=400,
        bandwidth=matrix.bandwidth,
        background=noise(200),
    )
    return matrix, phantom.reshape(8, 3, 9, 3).mean((1, 3)), data, sigma.reshape(-1)


@pytest.mark.parametrize(
    "solver, options",
    [
        ("kaczmarz", {"regularization": 1e-2, "sweeps": 30}),
        ("tikhonov", {"regularization": 1e-2}),
        ("admm", {"regularization": 1e-3, "tv": 1.0}),
        ("admm", {"epsilon": "noise", "row_weights": "whitening", "tv": 1.0, "constraint": "real"}),
    ],
)
def test_a_dot_of_known_concentration_comes_back(scan, solver, options):
    matrix, truth, data, _ = scan
    solution = reconstruct(matrix, data, solver=solver, **options)
    assert solution.value.shape == (FRAMES, 1, 8, 9)
    image = np.asarray(solution.value).mean(0)[0]
    inside = truth == DOT
    assert inside.sum() == 6
    assert image[inside].mean() == pytest.approx(DOT, rel=0.1)
    assert image.sum() == pytest.approx(truth.sum(), rel=0.1)


def test_every_solver_gets_the_equations_and_its_own_scale(scan):
    matrix, _, data, _ = scan
    rows, b = jnp.asarray(matrix.rows()), jnp.asarray(data.values.reshape(FRAMES, -1))
    weights, unit = np.linspace(0.5, 2, 200), 400.0  # 100 mmol/L in 4 voxels
    problem = Problem.create(matrix, data, row_weights=weights)
    absolute = relative_lambda(rows, 0.01, weights)
    expected = kaczmarz(rows, b, absolute, sweeps=2, row_weights=weights).value * unit

    def images(found):
        return np.asarray(found.value).reshape(FRAMES, -1)

    np.testing.assert_allclose(images(solve(problem, regularization=0.01, sweeps=2)), expected, rtol=1e-5)
    given = solve(problem, regularization=absolute, relative=False, sweeps=2)
    np.testing.assert_allclose(images(given), expected, rtol=1e-5)
    spatial = solve(problem, regularization=np.full(72, 0.01), sweeps=2)
    np.testing.assert_allclose(images(spatial), expected, rtol=1e-3, atol=1e-3)
    expected = tikhonov(rows, b, absolute, row_weights=weights, constraint="real").value * unit
    np.testing.assert_allclose(images(solve(problem, "tikhonov", regularization=0.01)), expected, rtol=1e-4, atol=1e-4)
    factor = 0.01 * jnp.max(penalty_scale(rows, b, weights))
    options = {"row_weights": weights, "iterations": 50}
    expected = admm(rows, b, GRID.shape, l1=0.8 * factor, tv=0.2 * factor, **options).value * unit
    found = solve(problem, "admm", regularization=0.01, iterations=50)
    np.testing.assert_allclose(images(found), expected, rtol=1e-4, atol=1e-4)
    assert float(found.stats["l1"]) == pytest.approx(Admm().l1 * float(factor))


def test_init_is_an_image_in_mmol_per_liter(scan):
    matrix, truth, data, _ = scan
    problem = Problem.create(matrix, data)
    prior = truth[None].astype(np.float32)
    solution = solve(problem, regularization=1e3, sweeps=1, init=prior)  # nothing but the prior at a huge lambda
    np.testing.assert_allclose(solution.value, np.broadcast_to(prior, (FRAMES, 1, 8, 9)), atol=0.1)
    with pytest.raises(ValueError, match=r"init has shape \(9, 8\)"):
        solve(problem, init=truth.T)


def test_the_noise_bound_counts_averages_and_the_subtracted_mean(scan):
    matrix, _, data, sigma = scan
    expected = np.linalg.norm(sigma)
    assert Problem.create(matrix, data).noise_norm() == pytest.approx(expected, rel=0.02)
    averaged = Problem.create(matrix, data.average(frames=3))
    assert averaged.noise_norm() == pytest.approx(expected / 3**0.5, rel=0.02)
    few = replace(data, background=data.background[:50]).subtract_background()
    assert Problem.create(matrix, few).noise_norm() == pytest.approx(expected * (1 + 1 / 50) ** 0.5, rel=0.05)
    empty = replace(data, values=data.background, background=None)
    assert Problem.create(matrix, data, empty=empty).noise_norm() == pytest.approx(expected * 1.005**0.5, rel=0.02)
    calibrated = replace(
        matrix, background=data.background[:, 0], metadata=mj.core.pytree.FrozenMapping({"/acquisition/numAverages": 8})
    )
    short = replace(data, background=None, metadata=mj.core.pytree.FrozenMapping({"/acquisition/numAverages": 2}))
    assert Problem.create(calibrated, short).noise_norm() == pytest.approx(2 * expected, rel=0.02)
    weighted = Problem.create(matrix, data, row_weights=1 / sigma)
    assert weighted.noise_norm() == pytest.approx(200**0.5, rel=0.02)
    bounded = solve(weighted, "admm", epsilon="noise", tv=1.0, constraint="real")
    assert bounded.stats["epsilon"] == weighted.noise_norm()
    unknown = replace(data, background=None)
    with pytest.raises(ValueError, match="Give epsilon as a number"):
        reconstruct(matrix, unknown, solver="admm", epsilon="noise")


def test_a_neural_field_is_one_of_the_solvers(scan):
    matrix, _, data, _ = scan
    options = {"solver": "neural", "steps": 20, "width": 16, "depth": 1, "max_factor": 1, "check_every": 10}
    problem = Problem.create(matrix, data.average(frames=3))
    found = solve(problem, key=jax.random.key(0), **options)
    assert found.value.shape == (1, 1, 8, 9) and np.min(found.value) >= 0
    sampled = np.asarray(found.stats["field"].sample(GRID.shape)) * float(found.stats["field_scale"])
    assert sampled.size == GRID.size
    again = solve(problem, key=jax.random.key(0), **options)
    np.testing.assert_array_equal(found.value, again.value)
    with pytest.raises(ValueError, match="give key="):
        solve(problem, **options)


def test_overscan_keeps_what_lies_outside_out_of_the_field_of_view(scan):
    """Tracer outside the drive field's reach: explained on the full grid, folded into the image on the cropped one."""
    matrix, _, data, _ = scan
    place = np.asarray(GRID.refine((3, 3, 1)).positions)[:, :2]
    phantom = DOT * np.all(np.abs(place - (4e-3, 0)) < 0.5e-3, axis=1)
    values = np.asarray(simulate(GRID.refine((3, 3, 1))).values) @ phantom
    rim = matrix.overscan_mask(margin=1)
    full = reconstruct(matrix, replace(data, values=values[None, None]), regularization=1e-3, sweeps=30)
    cropped = reconstruct(
        matrix.crop((7, 6, 1)), replace(data, values=values[None, None]), regularization=1e-3, sweeps=30
    )
    inside = np.asarray(full.value).reshape(-1)[~rim]
    assert np.linalg.norm(inside) < 0.5 * np.linalg.norm(cropped.value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lamda": 1.0}, "'kaczmarz' has no option lamda; it takes row_order, init"),
        ({"solver": "tikhonov", "init": 1.0}, "'tikhonov' has no option init; it takes method"),
        ({"solver": "admm", "block_size": 8}, "'admm' has no option block_size; it takes l1, tv, epsilon"),
    ],
)
def test_unknown_options(scan, options, message):
    matrix, _, data, _ = scan
    with pytest.raises(TypeError, match=message):
        reconstruct(matrix, data, **options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"solver": "magic"}, "'kaczmarz', 'tikhonov', 'admm', 'neural'"),
        ({"regularization": -1.0}, "-"),
        ({"solver": "tikhonov", "constraint": "positive"}, "'nonnegative', 'real', None"),
        ({"row_weights": "snr"}, "'row_norm', 'whitening'"),
        ({"row_weights": np.ones(7)}, r"\(7,\); expected \(200,\)"),
        ({"period": 1}, "periods 0 to 0"),
        ({"solver": "admm", "epsilon": "small"}, "'noise'"),
        ({"solver": "admm", "epsilon": 1e-30}, "epsilon"),
    ],
)
def test_bad_input(scan, options, message):
    matrix, _, data, _ = scan
    with pytest.raises(ValueError, match=message):
        reconstruct(matrix, data, **options)


def test_matrix_and_data_that_do_not_match(scan):
    matrix, _, data, _ = scan
    with pytest.raises(ValueError, match=r"shape \(2, 100, 72\), data \(3, 1, 2, 100\)"):
        reconstruct(replace(matrix, n_samples=500), data)
    with pytest.raises(ValueError, match="different sequences"):
        reconstruct(matrix, replace(data, frequencies=1.5 * data.frequencies))
    with pytest.raises(ValueError, match="lacks 100 of the matrix's frequencies"):
        reconstruct(
            matrix, replace(data, frequency_indices=BINS + 200, frequencies=data.frequencies * (BINS + 200) / BINS)
        )
    with pytest.raises(ValueError, match="uses channel 1, but the measurement has channel 0"):
        reconstruct(matrix, replace(data, values=data.values[:, :, :1]))
    with pytest.raises(ValueError, match="all 200 rows"):
        reconstruct(replace(matrix, values=0 * matrix.values), data)
    with pytest.raises(ValueError, match="the system matrix has 1 of 14400"):
        values = np.array(matrix.values)
        values[1, 3, 5] = np.nan
        reconstruct(replace(matrix, values=values), data)
