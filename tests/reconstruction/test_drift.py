"""A drifting background fitted as extra unknowns."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.reconstruction import Problem, drift_components, reconstruct, solve
from mpijax.reconstruction.drift import drift_free, orthonormal

GRID = mj.Grid.create((8, 7, 1), (16e-3, 14e-3, 1e-3))
FRAMES, EMPTY = 4, 6


def random(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@pytest.fixture(scope="module")
def scan():
    """A matrix, the truth, clean data from a grid three times finer, and a drift of two patterns in data and empty scan."""
    scanner = mj.Scanner.create((-2.0, -2.0, 4.0), receive_coils=np.eye(3)[:2])
    sequence = mj.LissajousSequence.create((14e-3, 14e-3, 0), n_samples=400)
    bins, particle = np.arange(20, 120), mj.Particle.create(25e-9)
    matrix = mj.simulate_system_matrix(scanner, sequence, particle, GRID, bins, concentration=50.0)
    fine = GRID.refine((3, 3, 1))
    place = np.asarray(fine.positions)
    phantom = 40.0 * (np.linalg.norm(place[:, :2] - (-2e-3, 1e-3), axis=1) < 2.5e-3)
    signal = np.asarray(mj.simulate_system_matrix(scanner, sequence, particle, fine, bins).values) @ phantom
    truth = phantom.reshape(7, 3, 8, 3).mean((1, 3))
    rng = np.random.default_rng(0)
    level = np.abs(signal).max()
    patterns, offset = 0.3 * level * random(rng, 2, *signal.shape), 0.5 * level * random(rng, *signal.shape)
    time = np.concatenate([np.arange(3), 3 + np.arange(FRAMES), 3 + FRAMES + np.arange(3)]) / 10  # empty, object, empty
    course = np.stack([time, np.sin(3 * time)], -1)
    background = offset + np.tensordot(course, patterns, 1) + 1e-3 * level * random(rng, len(time), *signal.shape)
    data, empty = background[3 : 3 + FRAMES] + signal, np.delete(background, np.s_[3 : 3 + FRAMES], 0)

    def measurement(values):
        return mj.Measurement.create(
            values[:, None], matrix.frequencies, frequency_indices=bins, n_samples=400, bandwidth=matrix.bandwidth
        )

    return matrix, truth, measurement(data), measurement(empty), 1e-3 * 2**0.5 * level


def test_projection_is_the_extended_least_squares_problem():
    """[WA WD] (x; c) = Wb with lambda on x alone, solved explicitly in double precision."""
    rng = np.random.default_rng(1)
    a, d, b, w = random(rng, 30, 12), random(rng, 30, 3), random(rng, 2, 30), rng.uniform(0.2, 2, 30)
    regularization = 0.7
    extended = np.hstack([w[:, None] * a, w[:, None] * d])
    extended = np.vstack([extended, np.hstack([np.sqrt(regularization) * np.eye(12), np.zeros((12, 3))])])
    right = np.hstack([w * b, np.zeros((2, 12))])
    expected = np.linalg.lstsq(extended, right.T, rcond=None)[0].T
    grid = mj.Grid.create((4, 3, 1), (4e-3, 3e-3, 1e-3))
    with jax.enable_x64(True):
        problem = Problem(a, b, grid, np.ones(1), w, None, d)
        matrix, data, weights = problem.equations()
        assert weights is None
        normal = np.asarray(matrix).conj().T @ np.asarray(matrix) + regularization * np.eye(12)
        found = np.linalg.solve(normal, np.asarray(matrix).conj().T @ np.asarray(data).T).T
        np.testing.assert_allclose(found, expected[:, :12], rtol=1e-9)
        np.testing.assert_allclose(problem.drift_coefficients(found), expected[:, 12:], rtol=1e-9)
        options = {"solver": "kaczmarz", "relative": False, "constraint": None}
        solution = solve(problem, regularization=regularization, sweeps=3000, **options)
        np.testing.assert_allclose(
            np.asarray(solution.value).reshape(2, 12), expected[:, :12].real, rtol=1e-6, atol=1e-8
        )
        np.testing.assert_allclose(solution.stats["drift"], expected[:, 12:], rtol=1e-5, atol=1e-7)


def test_projection_removes_the_drift_and_nothing_else():
    rng = np.random.default_rng(2)
    basis = orthonormal(random(rng, 20, 3) @ np.diag([1, 1e-8, 0]))
    assert basis.shape == (20, 2)
    np.testing.assert_allclose(basis.conj().T @ basis, np.eye(2), atol=1e-12)
    with jax.enable_x64(True):
        matrix, data = drift_free(random(rng, 20, 5), (random(rng, 4, 2) @ basis.T), basis)
        assert np.abs(data).max() < 1e-13
        np.testing.assert_allclose(drift_free(matrix, data, basis)[0], matrix, atol=1e-13)


def test_components_span_what_varies():
    rng = np.random.default_rng(3)
    patterns, mean = random(rng, 2, 40), random(rng, 40)
    frames = mean + random(rng, 9, 2) @ patterns
    found = drift_components(frames, 2)
    np.testing.assert_allclose(found.conj().T @ found, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(patterns.T - found @ (found.conj().T @ patterns.T), 0, atol=1e-12)


@pytest.mark.parametrize("solver, options", [("kaczmarz", {"sweeps": 20}), ("tikhonov", {}), ("admm", {"tv": 0.2})])
def test_fitting_the_drift_improves_the_image(scan, solver, options):
    matrix, truth, data, empty, _ = scan

    def error(components):
        solution = reconstruct(
            matrix, data, solver=solver, empty=empty, regularization=1e-2, drift_components=components, **options
        )
        assert ("drift" in solution.stats) == (components > 0)
        if components:
            assert solution.stats["drift"].shape == (FRAMES, components)
        return np.linalg.norm(np.asarray(solution.value)[:, 0] - truth) / np.linalg.norm(truth) / FRAMES**0.5

    assert error(2) < 0.2 * error(0)


def test_the_mean_is_subtracted_where_it_has_not_been(scan):
    matrix, _, data, empty, _ = scan
    beside = replace(data, background=empty.values)
    options = {"drift_components": 2, "regularization": 1e-2}
    expected = reconstruct(matrix, data, empty=empty, **options).value
    np.testing.assert_array_equal(reconstruct(matrix, beside, **options).value, expected)
    subtracted = beside.subtract_background()
    np.testing.assert_array_equal(reconstruct(matrix, subtracted, **options).value, expected)


def test_the_noise_that_is_left_is_known(scan):
    matrix, _, data, empty, level = scan
    problem = Problem.create(matrix, data, empty=empty, drift_components=2)
    expected = level * (1 + 1 / EMPTY) ** 0.5  # of a frame, and of the mean that was subtracted
    assert np.mean(problem.noise_std**2) ** 0.5 == pytest.approx(expected, rel=0.1)
    assert np.mean(Problem.create(matrix, data, empty=empty).noise_std) > 20 * expected  # the drift taken for noise
    rng = np.random.default_rng(4)
    sigma, weights = 10 ** rng.uniform(-9, -8, 200), rng.uniform(0.5, 2, 200)
    problem = replace(problem, noise_std=sigma, row_weights=weights)
    noise = sigma * random(rng, 4000, 200) / 2**0.5
    _, left, _ = replace(problem, data=noise).equations()
    measured = np.sqrt(np.mean(np.sum(np.abs(np.asarray(left)) ** 2, axis=1)))
    assert problem.noise_norm() == pytest.approx(measured, rel=0.01)
    assert problem.noise_norm() < replace(problem, drift=None).noise_norm()


@pytest.mark.parametrize(
    "frames, count, message",
    [
        (np.ones((4, 9)) * np.arange(4)[:, None], 4, "at most 3"),
        (np.ones((4, 9)) * np.arange(4)[:, None], 0, "drift_components = 0"),
        (np.ones((4, 9)) * np.arange(4)[:, None], 2, "fewer directions"),
        (np.ones((4, 9)), 1, "fewer directions"),
        (np.full((4, 9), np.nan), 1, "NaN"),
        (np.ones(9), 1, "expected \\(frames, rows\\)"),
    ],
)
def test_refusals(frames, count, message):
    with pytest.raises(ValueError, match=message):
        drift_components(frames, count)


def test_no_background_frames(scan):
    matrix, _, data, empty, _ = scan
    with pytest.raises(ValueError, match="give an empty scan"):
        reconstruct(matrix, data, drift_components=1)
    with pytest.raises(ValueError, match="at most 5"):
        reconstruct(matrix, data, empty=empty, drift_components=9)
