"""Kaczmarz with a vector lambda, a randomized order, a tolerance and its history; row weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mpijax.reconstruction import (
    composite_weights,
    kaczmarz,
    kaczmarz_factor,
    kaczmarz_rows,
    kaczmarz_solve,
    row_norm_weights,
    whitening_weights,
)
from mpijax.reconstruction.solvers.kaczmarz.randomized import draw_rows
from tests.reference import kaczmarz as reference

MATRIX, DATA, WEIGHTS, ORDER, PRIOR = reference.problem()
LAM = 0.3
VECTOR = np.linspace(0.2, 3, 8)
TALL, TALL_DATA, TALL_WEIGHTS, _, TALL_PRIOR = reference.problem(m=50, n=6, seed=2)
KEY = jax.random.key(7)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def weighted_closed_form(lam, prior):
    """prior + (A^H A + diag lambda)^-1 A^H (b - A prior)."""
    adjoint = MATRIX.conj().T
    return prior + np.linalg.solve(adjoint @ MATRIX + np.diag(lam), adjoint @ (DATA - MATRIX @ prior))


@pytest.mark.parametrize("constraint", [None, "nonnegative", "real"])
def test_vector_regularization_equals_the_loop(constraint):
    options = {
        "sweeps": 3,
        "constraint": constraint,
        "row_weights": WEIGHTS,
        "row_order": ORDER,
        "init": PRIOR if constraint is None else PRIOR.real,
    }
    expected, _ = reference.kaczmarz(MATRIX, DATA, VECTOR, **options)
    assert reference.error(kaczmarz(MATRIX, DATA, VECTOR, block_size=5, **options).value, expected) < 1e-12
    assert reference.error(kaczmarz_rows(MATRIX, DATA, VECTOR, **options).value, expected) < 1e-12


def test_limit_with_vector_regularization_is_the_closed_form():
    for prior in (np.zeros(8), PRIOR):
        limit = kaczmarz(MATRIX, DATA, VECTOR, sweeps=3000, constraint=None, init=prior).value
        assert reference.error(limit, weighted_closed_form(VECTOR, prior)) < 1e-12


def test_equal_entries_of_the_vector_are_the_scalar():
    scalar = kaczmarz(MATRIX, DATA, LAM, sweeps=5).value
    np.testing.assert_allclose(kaczmarz(MATRIX, DATA, np.full(8, LAM), sweeps=5).value, scalar, atol=1e-13)


def test_vector_regularization_in_single_precision_and_small_units():
    magnitude = 1e-15
    matrix, data = (magnitude * MATRIX).astype(np.complex64), (magnitude * DATA).astype(np.complex64)
    value = kaczmarz(matrix, data, (VECTOR * magnitude**2).astype(np.float32)).value
    expected, _ = reference.kaczmarz(MATRIX, DATA, VECTOR, sweeps=3, constraint="nonnegative")
    assert value.dtype == np.float32 and reference.error(value, expected) < 1e-5


def orders(weights=None):
    """The rows that the randomized order visits in every sweep."""
    energies = np.sum(np.abs(TALL) ** 2, axis=1) * (1 if weights is None else weights**2)
    return lambda sweep: np.asarray(draw_rows(jax.random.fold_in(KEY, sweep), jnp.asarray(energies)))


@pytest.mark.parametrize("lam", [0.0, LAM, VECTOR[:6]], ids=["zero", "scalar", "vector"])
def test_randomized_order_equals_the_loop(lam):
    options = {"sweeps": 6, "constraint": "nonnegative", "row_weights": TALL_WEIGHTS, "init": TALL_PRIOR.real}
    expected, _ = reference.kaczmarz(TALL, TALL_DATA, lam, row_order=orders(TALL_WEIGHTS), **options)
    frames = np.stack([TALL_DATA, 2 * TALL_DATA])
    options |= {"row_order": "randomized", "key": KEY}
    blocks = kaczmarz(TALL, frames, lam, block_size=3, **options)
    rows = kaczmarz_rows(TALL, frames, lam, **options)
    assert reference.error(blocks.value[0], expected) < 1e-12
    np.testing.assert_allclose(blocks.value, rows.value, atol=1e-12)
    for name in ("residual", "history"):
        np.testing.assert_allclose(blocks.stats[name], rows.stats[name], rtol=1e-9)
    misfit = TALL_WEIGHTS * (TALL @ expected - TALL_DATA)
    np.testing.assert_allclose(
        blocks.stats["residual"][0], np.linalg.norm(misfit) / np.linalg.norm(TALL_WEIGHTS * TALL_DATA), rtol=1e-9
    )


def test_randomized_rows_are_distinct_and_follow_the_energies():
    energies = jnp.asarray([4.0, 0, 1, 3, 2] + [0.5] * 15)
    draws = np.asarray(jax.vmap(lambda key: draw_rows(key, energies))(jax.random.split(KEY, 4000)))
    assert draws.shape == (4000, 3)  # round(0.15 * 20)
    assert all(len(set(rows)) == 3 for rows in draws.tolist())
    assert not np.any(draws == 1)  # no energy
    share = np.asarray(energies / energies.sum())
    counts = np.bincount(draws[:, 0], minlength=20) / 4000
    assert np.abs(counts - share).max() < 5 * np.sqrt(share.max() / 4000)
    second = np.bincount(draws[draws[:, 0] == 0][:, 1], minlength=20) / np.sum(draws[:, 0] == 0)
    remaining = share.copy()
    remaining[0] = 0
    remaining /= remaining.sum()
    assert np.abs(second - remaining).max() < 5 * np.sqrt(remaining.max() / np.sum(draws[:, 0] == 0))


def test_randomized_order_approaches_the_minimizer():
    limit = kaczmarz(
        TALL, TALL_DATA, 10.0, sweeps=1500, constraint=None, row_order="randomized", key=KEY, block_size=8
    ).value
    assert reference.error(limit, reference.tikhonov(TALL, TALL_DATA, 10.0)) < 1e-10


def test_history_and_tolerance_follow_the_loop():
    lam, tolerance, most = 3.0, 2e-2, 60
    frames = np.stack([DATA, DATA[::-1]])
    changes = [[], []]
    for frame, record in zip(frames, changes, strict=True):
        reference.kaczmarz(MATRIX, frame, lam, sweeps=most, constraint="nonnegative", changes=record)
    changes = np.transpose(changes)
    done = 1 + int(np.argmax(changes.max(axis=1) <= tolerance))
    assert 3 < done < most
    factors = kaczmarz_factor(MATRIX, lam, block_size=5)
    fixed = kaczmarz_solve(factors, frames, sweeps=done)
    np.testing.assert_allclose(fixed.stats["history"], changes[:done], rtol=1e-8)
    assert fixed.stats["sweeps"] == done
    rows = kaczmarz_rows(MATRIX, frames, lam, sweeps=most, tolerance=tolerance)
    for stopped in (kaczmarz_solve(factors, frames, sweeps=most, tolerance=tolerance), rows):
        assert stopped.stats["sweeps"] == done
        assert stopped.stats["history"].shape == (most, 2)
        np.testing.assert_allclose(stopped.value, fixed.value, atol=1e-13)
        np.testing.assert_allclose(stopped.stats["history"][:done], changes[:done], rtol=1e-8)
        assert np.all(np.isnan(stopped.stats["history"][done:]))
    never = kaczmarz_solve(factors, DATA, sweeps=5, tolerance=0.0)
    assert never.stats["sweeps"] == 5 and never.stats["history"].shape == (5,)
    empty = kaczmarz_solve(factors, 0 * DATA, sweeps=5, tolerance=1e-3)
    assert empty.stats["sweeps"] == 1 and empty.stats["history"][0] == 0


def test_tolerance_has_forward_derivatives_only():
    @jax.jit
    def loss(lam):
        return jnp.sum(kaczmarz(MATRIX, DATA, lam, sweeps=50, tolerance=1e-2).value)

    slope = jax.jvp(loss, (LAM,), (1.0,))[1]
    step = 1e-5
    np.testing.assert_allclose(slope, (loss(LAM + step) - loss(LAM - step)) / (2 * step), rtol=1e-6)
    with pytest.raises(ValueError, match="Reverse-mode differentiation does not work"):
        jax.grad(loss)(LAM)


@pytest.mark.parametrize("randomized", [False, True])
def test_gradients_with_vector_regularization_and_drawn_rows(randomized):
    used = (np.linalg.norm(TALL, axis=1) > 0)[:, None]
    order = {"row_order": "randomized", "key": KEY, "block_size": 3} if randomized else {"block_size": 13}

    def loss(real, imag, data, lam, weights, init):
        matrix = jnp.where(used, real + 1j * imag, 0)
        solution = kaczmarz(matrix, data * (1 + 1j), lam, sweeps=2, row_weights=weights, init=init, **order)
        return jnp.sum(jnp.cos(solution.value))

    inputs = (TALL.real, TALL.imag, TALL_DATA.real, VECTOR[:6], TALL_WEIGHTS, TALL_PRIOR.real)
    check_grads(jax.jit(loss), inputs, order=1, modes=["rev"], eps=1e-6, rtol=1e-5)


def test_randomized_gradient_is_finite_without_regularization():
    @jax.jit
    def solve(lam):
        return jnp.sum(kaczmarz(TALL, TALL_DATA, lam, row_order="randomized", key=KEY).value)

    slope, step = jax.grad(solve)(0.0), 1e-6
    np.testing.assert_allclose(slope, (solve(2 * step) - solve(0.0)) / (2 * step), rtol=1e-4)


def test_real_matrices_take_real_data():
    options = {"sweeps": 4, "constraint": "nonnegative"}
    expected, _ = reference.kaczmarz(MATRIX.real, DATA.real, LAM, **options)
    assert reference.error(kaczmarz(MATRIX.real, DATA.real, LAM, **options).value, expected) < 1e-12


def test_weights_multiply():
    sigma = np.linspace(1, 3, 12)
    product = composite_weights(row_norm_weights(MATRIX), whitening_weights(sigma), WEIGHTS)
    norms = np.linalg.norm(MATRIX, axis=1)
    expected = np.where(norms > 0, 1 / np.where(norms > 0, norms, 1), 0) / sigma * WEIGHTS
    np.testing.assert_allclose(product, expected, rtol=1e-13)
    with pytest.raises(ValueError, match="row_weights has shape"):
        composite_weights(WEIGHTS, WEIGHTS[:-1])
    with pytest.raises(ValueError, match="no weights"):
        composite_weights()
    with pytest.raises(ValueError, match=r"noise_std has 2 of 3 rows .* first is row 1: 0"):
        whitening_weights(np.array([1.0, 0.0, np.nan]))
