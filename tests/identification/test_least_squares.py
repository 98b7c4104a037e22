"""The search on problems whose minimum is known."""

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.identification.gains import row_correlation, solve_gains
from mpijax.identification.least_squares import levenberg_marquardt


def banana(unit):
    """Rosenbrock's function with its minimum at (0.75, 0.75) of the box."""
    x, y = 4 * unit - 2
    return jnp.stack([10 * (y - x * x), 1 - x])


def test_finds_the_minimum_of_a_curved_valley():
    with jax.enable_x64(True):
        found = jax.jit(lambda start: levenberg_marquardt(banana, start, 100))(np.array([0.2, 0.9]))
        np.testing.assert_allclose(found.unit, 0.75, atol=1e-8)
        assert found.converged and found.iterations < 60
        stopped = jax.jit(lambda start: levenberg_marquardt(banana, start, 3))(np.array([0.2, 0.9]))
        assert stopped.iterations == 3 and not stopped.converged


def test_stops_at_a_bound_and_moves_along_it():
    def outside(unit):  # minimum at (1.5, 0.3), coupled
        x, y = unit[0] - 1.5, unit[1] - 0.3
        return jnp.stack([x + 0.5 * y, y])

    with jax.enable_x64(True):
        found = jax.jit(lambda start: levenberg_marquardt(outside, start, 50))(np.array([0.1, 0.9]))
        # on x = 1: minimize (-0.5 + 0.5 y')^2 + y'^2 over y' = y - 0.3
        np.testing.assert_allclose(found.unit, [1.0, 0.3 + 0.25 / 1.25], atol=1e-7)
        assert found.converged


def test_gains_are_the_least_squares_solution_of_every_row():
    rng = np.random.default_rng(0)
    model, measured = rng.normal(size=(2, 4, 9, 2)) @ np.array([1, 1j])
    weights = rng.uniform(0.2, 2, (4, 9))
    model[2] = 0
    with jax.enable_x64(True):
        gains = np.asarray(solve_gains(model, measured, weights))
    for row in (0, 1, 3):
        expected = np.linalg.lstsq((weights * model)[row, :, None], (weights * measured)[row], rcond=None)[0][0]
        np.testing.assert_allclose(gains[row], expected, rtol=1e-12)
    assert gains[2] == 0


def test_correlation_does_not_see_gains():
    rng = np.random.default_rng(1)
    model, measured = rng.normal(size=(2, 3, 9, 2)) @ np.array([1, 1j])
    gains = np.array([2.0, 1e-3j, -1 + 3j])[:, None]
    value = row_correlation(model, measured)
    np.testing.assert_allclose(row_correlation(gains * model, measured), value, rtol=1e-12)
    np.testing.assert_allclose(row_correlation(model, gains * model), 1, rtol=1e-12)
    assert np.all((value > 0) & (value < 1)) and np.all(row_correlation(0 * model, measured) == 0)
