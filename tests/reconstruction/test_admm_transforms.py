"""ADMM under jit and grad; what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mpijax.reconstruction import admm, admm_factor, admm_solve
from tests.reference.primal_dual import differences

SHAPE = (3, 3, 1)
RNG = np.random.default_rng(3)
A = RNG.normal(size=(14, 9)) + 1j * RNG.normal(size=(14, 9))
B = A @ np.array([0, 0, 1, 0, 2, 1, 0, 1.5, 1.0]) + 0.3 * (RNG.normal(size=14) + 1j * RNG.normal(size=14))
EPSILON = 2.5
FIXED = {"tolerance": None, "iterations": 12}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def penalized(a, b, l1, tv):
    return admm(a, b, SHAPE, l1=l1, tv=tv, rho=0.3, **FIXED).value


def bounded(a, b, l1, tv, epsilon):
    return admm(a, b, SHAPE, l1=l1, tv=tv, epsilon=epsilon, rho=5.0, **FIXED).value


@pytest.mark.parametrize(("solve", "arguments"), [(penalized, (A, B, 0.7, 0.9)), (bounded, (A, B, 0.7, 0.9, EPSILON))])
def test_derivatives_equal_finite_differences(solve, arguments):
    check_grads(jax.jit(solve), tuple(jnp.asarray(a) for a in arguments), order=1, modes=["rev"], rtol=1e-5)


def test_derivatives_of_the_converged_image_are_those_of_its_active_set():
    """For x > 0 and l1 alone, dx/dl1 = -(A^T A)^-1 1 on the support."""
    solve = lambda l1: admm(A, B, SHAPE, l1=l1, rho=0.3, tolerance=None, iterations=400).value  # noqa: E731
    x, slope = np.asarray(solve(1.0)), np.asarray(jax.jacrev(solve)(1.0))
    support = x > 0
    assert 0 < support.sum() < 9
    gram = (A.conj().T @ A).real[np.ix_(support, support)]
    np.testing.assert_allclose(slope[support], -np.linalg.solve(gram, np.ones(support.sum())), rtol=1e-6)
    np.testing.assert_array_equal(slope[~support], 0)


def test_gradients_are_finite_at_the_kinks():
    for b in (0 * B, B):
        gradients = jax.grad(lambda *a: jnp.sum(penalized(*a) ** 2), (0, 1, 2, 3))(A, b, 0.0, 0.0)
        assert all(np.all(np.isfinite(g)) for g in gradients)
        gradients = jax.grad(lambda *a: jnp.sum(bounded(*a) ** 2), (0, 1, 2, 3, 4))(A, b, 0.0, 0.0, 0.0)
        assert all(np.all(np.isfinite(g)) for g in gradients)


@pytest.mark.parametrize("epsilon", [None, EPSILON])
def test_jit_equals_eager_and_other_values_need_no_new_trace(epsilon):
    traces = []

    @jax.jit
    def solve(a, b, l1, tv, epsilon):
        traces.append(1)
        return admm(a, b, SHAPE, l1=l1, tv=tv, epsilon=epsilon, tolerance=1e-6)

    plain = admm(A, B, SHAPE, l1=0.5, tv=0.5, epsilon=epsilon, tolerance=1e-6)
    traced = solve(A, B, 0.5, 0.5, epsilon)
    np.testing.assert_allclose(traced.value, plain.value, atol=1e-10)
    assert traced.stats["iterations"] == plain.stats["iterations"] and traced.stats["converged"]
    solve(2 * A, B, 0.1, 0.2, None if epsilon is None else 2 * epsilon)
    assert len(traces) == 1


def test_forward_derivatives_pass_through_the_stopping_rule():
    solve = lambda l1: admm(A, B, SHAPE, l1=l1, tolerance=1e-10).value  # noqa: E731
    _, slope = jax.jvp(solve, (1.0,), (1.0,))
    expected = (np.asarray(solve(1.001)) - np.asarray(solve(0.999))) / 0.002
    np.testing.assert_allclose(slope, expected, atol=1e-5)


def test_an_epsilon_that_no_image_meets():
    stacked, data = np.concatenate([A.real, A.imag]), np.concatenate([B.real, B.imag])
    least = np.linalg.norm(stacked @ np.linalg.lstsq(stacked, data, rcond=None)[0] - data)
    with pytest.raises(ValueError, match=f"no real image has a weighted residual below {least:.4g}"):
        admm(A, B, SHAPE, tv=1.0, epsilon=0.5 * least, constraint="real")
    traced = jax.jit(lambda e: admm(A, B, SHAPE, tv=1.0, epsilon=e, constraint="real"))(0.5 * least)
    assert not traced.stats["converged"]
    assert traced.stats["residual"] * np.linalg.norm(B) > 0.9 * least


ONES = np.ones((4, 6), complex)
BAD = [
    ((ONES, np.ones(5, complex), (3, 2, 1)), {}, ValueError, r"data has shape \(5,\).*\(4, 6\)"),
    ((ONES, np.ones(4, complex), (3, 3, 1)), {}, ValueError, "nx ny nz = 6"),
    ((ONES, np.ones(4), (3, 2, 1)), {}, TypeError, "matrix is complex and the data are real"),
    ((ONES.real, np.ones(4, complex), (3, 2, 1)), {}, TypeError, "matrix is real and the data are complex"),
    ((0 * ONES, np.ones(4, complex), (3, 2, 1)), {}, ValueError, "no entry other than zero"),
    (
        (np.full((4, 6), np.nan + 0j), np.ones(4, complex), (3, 2, 1)),
        {},
        ValueError,
        "matrix has 24 of 24 entries that are NaN",
    ),
    ((ONES, np.full(4, np.inf + 0j), (3, 2, 1)), {}, ValueError, "4 NaN or infinite"),
    ((ONES, np.ones(4, complex), (3, 2, 1)), {"l1": -1.0}, ValueError, "l1 = -1.0; allowed is at least 0"),
    ((ONES, np.ones(4, complex), (3, 2, 1)), {"tv": np.nan}, ValueError, "tv = nan"),
    ((ONES, np.ones(4, complex), (3, 2, 1)), {"epsilon": -2.0}, ValueError, "epsilon = -2.0"),
    ((ONES, np.ones(4, complex), (3, 2, 1)), {"epsilon": np.ones(3)}, ValueError, r"epsilon has shape \(3,\)"),
    ((ONES, np.ones(4, complex), (3, 2, 1)), {"rho": 0.0}, ValueError, "rho = 0"),
    ((ONES, np.ones(4, complex), (3, 2, 1)), {"iterations": 0}, ValueError, "iterations = 0"),
    ((ONES, np.ones(4, complex), (3, 2, 1)), {"constraint": "positive"}, ValueError, "'nonnegative', 'real'"),
    ((ONES, np.ones(4, complex), (3, 2, 1)), {"row_weights": np.ones(3)}, ValueError, r"expected \(4,\)"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), BAD)
def test_bad_input(arguments, options, error, message):
    with pytest.raises(error, match=message):
        admm(*arguments, **options)


def test_factors_without_total_variation_refuse_it():
    factors = admm_factor(A, SHAPE, total_variation=False)
    with pytest.raises(ValueError, match="total_variation=True"):
        admm_solve(factors, B, tv=1.0)
    np.testing.assert_allclose(
        admm_solve(factors, B, l1=0.5, tolerance=1e-8).value, admm(A, B, SHAPE, l1=0.5, tolerance=1e-8).value
    )


def test_rows_and_columns_of_zeros_do_no_harm():
    """An empty row changes nothing; a voxel that no row sees takes the value that TV prefers."""
    b = np.append(B, 3.0)
    extended = admm(np.vstack([A, np.zeros(9)]), b, SHAPE, tv=1.0, tolerance=1e-7).value
    np.testing.assert_allclose(extended, admm(A, B, SHAPE, tv=1.0, tolerance=1e-7).value, atol=1e-5)
    blind = A.copy()
    blind[:, 4] = 0
    x = np.asarray(admm(blind, B, SHAPE, tv=1.0, isotropic=False, tolerance=1e-7, iterations=5000).value)
    beside = np.sort(x[np.flatnonzero(np.abs(differences(SHAPE)[:, :, 4]).sum(0) + np.isin(np.arange(9), [5, 7]))])
    assert beside[0] - 1e-5 <= x[4] <= beside[-1] + 1e-5
