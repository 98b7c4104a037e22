"""ADMM against independent solvers, its optimality conditions, and both total variations in two and three dimensions."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import lsq_linear, minimize, nnls

from mpijax.reconstruction import admm, admm_factor, admm_solve, penalty_scale
from mpijax.reconstruction.operators import check_image_shape
from tests.reference import primal_dual as reference

PLANE, VOLUME = (6, 5, 1), (3, 4, 3)


def problem(shape, rows=60, noise=0.3, seed=0):
    """A matrix with decaying rows and noisy data of a block image."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    a = (rng.normal(size=(rows, n)) + 1j * rng.normal(size=(rows, n))) * np.logspace(0, -1.5, rows)[:, None]
    image = np.zeros(shape[::-1])
    image[..., 1:3, 1:3] = 1.0
    disturbance = noise * (rng.normal(size=rows) + 1j * rng.normal(size=rows))
    return a, a @ image.ravel() + disturbance, image.ravel(), np.linalg.norm(disturbance)


A, B, IMAGE, NOISE = problem(PLANE)
STACKED, REAL_B = np.concatenate([A.real, A.imag]), np.concatenate([B.real, B.imag])
EXACT = {"tolerance": 1e-7, "iterations": 20000}


def distance(x, expected):
    return np.linalg.norm(np.asarray(x) - expected) / np.linalg.norm(expected)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_without_penalty_it_is_least_squares():
    nonnegative = admm(A, B, PLANE, **EXACT)
    assert nonnegative.stats["converged"]
    assert distance(nonnegative.value, nnls(STACKED, REAL_B)[0]) < 1e-4
    assert np.count_nonzero(nonnegative.value == 0) > 3
    real = admm(A, B, PLANE, constraint="real", **EXACT)
    assert distance(real.value, lsq_linear(STACKED, REAL_B).x) < 1e-4
    assert real.value.min() < 0


def test_l1_with_a_bound_from_below_is_a_quadratic_program():
    l1 = 0.2 * float(penalty_scale(A, B))
    gram, back = STACKED.T @ STACKED, STACKED.T @ REAL_B
    expected = minimize(
        lambda x: (0.5 * x @ gram @ x - back @ x + l1 * x.sum(), gram @ x - back + l1),
        np.ones(30), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 30,
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
    ).x  # fmt: skip
    assert distance(admm(A, B, PLANE, l1=l1, **EXACT).value, expected) < 1e-4


@pytest.mark.parametrize("l1", [0.0, 3.0])
def test_optimality_conditions(l1):
    x = np.asarray(admm(A, B, PLANE, l1=l1, tolerance=1e-9, iterations=20000).value)
    gradient = STACKED.T @ (STACKED @ x - REAL_B) + l1
    scale = np.max(np.abs(STACKED.T @ REAL_B))
    assert np.min(x) == 0
    assert np.max(np.abs(gradient[x > 0])) < 1e-6 * scale
    assert np.min(gradient[x == 0]) > -1e-6 * scale


@pytest.mark.parametrize(
    ("shape", "isotropic", "constraint"),
    [
        (PLANE, True, "nonnegative"),
        (PLANE, False, "real"),
        (VOLUME, True, "real"),
        (VOLUME, False, "nonnegative"),
    ],
)
def test_penalized_form_equals_chambolle_pock(shape, isotropic, constraint):
    a, b, _, _ = problem(shape)
    weights = {"l1": 0.5, "tv": 1.5}
    options = {"nonnegative": constraint == "nonnegative", "isotropic": isotropic}
    expected = reference.solve(a, b, shape, iterations=20000, **weights, **options)
    found = admm(a, b, shape, constraint=constraint, isotropic=isotropic, **weights, **EXACT)
    assert found.stats["converged"]
    assert distance(found.value, expected) < 1e-4
    cost = reference.objective(a, b, expected, shape, isotropic=isotropic, **weights)
    np.testing.assert_allclose(found.stats["objective"], cost, rtol=1e-6)
    np.testing.assert_allclose(
        found.stats["residual"], np.linalg.norm(a @ found.value - b) / np.linalg.norm(b), rtol=1e-9
    )


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize(("l1", "tv"), [(0.95, 0.05), (0.0, 1.0), (1.0, 0.0)])
def test_bounded_form_equals_chambolle_pock(l1, tv, isotropic):
    expected = reference.solve(A, B, PLANE, l1=l1, tv=tv, epsilon=NOISE, isotropic=isotropic, iterations=40000)
    found = admm(A, B, PLANE, l1=l1, tv=tv, epsilon=NOISE, isotropic=isotropic, **EXACT)
    assert found.stats["converged"]
    assert distance(found.value, expected) < 1e-4
    assert np.linalg.norm(A @ found.value - B) < NOISE * (1 + 1e-5)
    cost = reference.objective(A, B, expected, PLANE, l1=l1, tv=tv, epsilon=NOISE, isotropic=isotropic)
    np.testing.assert_allclose(found.stats["objective"], cost, rtol=1e-5)


def test_bounded_form_equals_a_general_solver():
    shape = (4, 1, 1)
    rng = np.random.default_rng(2)
    a = rng.normal(size=(7, 4)) + 1j * rng.normal(size=(7, 4))
    b = a @ np.array([1.0, 1.0, 0.2, 0.0]) + 0.1 * rng.normal(size=7)
    d = reference.differences(shape)[0][:3]
    # x and the slack s >= |D x|
    expected = minimize(
        lambda y: 0.3 * y[:4].sum() + y[4:].sum(), np.r_[np.ones(4), np.ones(3)], method="SLSQP",
        bounds=[(0, None)] * 7, options={"ftol": 1e-13, "maxiter": 500},
        constraints=[
            {"type": "ineq", "fun": lambda y: y[4:] - d @ y[:4]},
            {"type": "ineq", "fun": lambda y: y[4:] + d @ y[:4]},
            {"type": "ineq", "fun": lambda y: 0.8**2 - np.sum(np.abs(a @ y[:4] - b) ** 2)},
        ],
    )  # fmt: skip
    assert expected.success
    found = admm(a, b, shape, l1=0.3, tv=1.0, epsilon=0.8, **EXACT)
    assert distance(found.value, expected.x[:4]) < 1e-4


def test_a_loose_bound_gives_zero_and_the_penalty_scale_is_where_the_image_vanishes():
    loose = admm(A, B, PLANE, l1=1.0, epsilon=1.01 * np.linalg.norm(B), **EXACT)
    assert loose.stats["converged"] and np.all(np.abs(loose.value) < 1e-6)
    scale = float(penalty_scale(A, B))
    heavy = admm(A, B, PLANE, l1=1.001 * scale, constraint="real", **EXACT)
    assert heavy.stats["converged"] and np.all(heavy.value == 0)
    assert np.any(admm(A, B, PLANE, l1=0.97 * scale, constraint="real", **EXACT).value != 0)
    weights = np.linspace(0.5, 2, len(B))
    np.testing.assert_allclose(penalty_scale(A, B, weights), penalty_scale(weights[:, None] * A, weights * B))


@pytest.mark.parametrize("epsilon", [None, 1.6 * NOISE])
def test_row_weights_are_those_of_the_rows(epsilon):
    weights = np.linspace(0.5, 2, len(B))
    options = {"l1": 0.5, "tv": 0.5, "epsilon": epsilon, "tolerance": 1e-5}
    weighted = admm(A, B, PLANE, row_weights=weights, **options)
    plain = admm(weights[:, None] * A, weights * B, PLANE, **options)
    np.testing.assert_allclose(weighted.value, plain.value, atol=1e-9)
    np.testing.assert_allclose(weighted.stats["residual"], plain.stats["residual"], rtol=1e-6)


@pytest.mark.parametrize("epsilon", [None, NOISE * np.array([1, 2, 20, 1])])
def test_frames_together_equal_frames_alone(epsilon):
    frames = np.stack([B, 2 * B, B[::-1], 0 * B])
    factors = admm_factor(A, PLANE)
    fixed = {"l1": 0.5, "tv": 1.0, "tolerance": None, "rho": 0.5 if epsilon is None else 5.0, "iterations": 50}
    together = admm_solve(factors, frames, epsilon=epsilon, **fixed)
    assert together.value.shape == (4, 30) and together.stats["residual"].shape == (4,)
    np.testing.assert_array_equal(together.value[3], 0)
    for k in range(4):
        alone = admm_solve(factors, frames[k], epsilon=None if epsilon is None else epsilon[k], **fixed)
        assert alone.value.shape == (30,) and alone.stats["objective"].shape == ()
        np.testing.assert_allclose(together.value[k], alone.value, atol=1e-12)
        np.testing.assert_allclose(together.stats["objective"][k], alone.stats["objective"], atol=1e-9)
    adaptive = {"l1": 0.5, "tv": 1.0, "tolerance": 1e-8, "iterations": 20000}
    together = admm_solve(factors, frames, epsilon=epsilon, **adaptive)
    alone = admm_solve(factors, frames[1], epsilon=None if epsilon is None else epsilon[1], **adaptive)
    assert np.all(together.stats["converged"])
    assert distance(together.value[1], alone.value) < 1e-5


@pytest.mark.parametrize("epsilon", [None, NOISE])
def test_single_precision_on_signals_in_si_units(epsilon):
    """Entries near 1e-13, whose squares are zero in single precision."""
    tiny = 2.0**-43
    exact = admm(A, B, PLANE, l1=0.5, tv=1.5, epsilon=epsilon, **EXACT)
    found = admm(
        (tiny * A).astype(np.complex64), (tiny * B).astype(np.complex64), PLANE,
        l1=0.5 * tiny**2, tv=1.5 * tiny**2, epsilon=None if epsilon is None else tiny * epsilon,
        tolerance=1e-5, iterations=5000,
    )  # fmt: skip
    assert found.value.dtype == np.float32 and found.stats["converged"]
    assert distance(found.value, exact.value) < 1e-3


def test_stopping_and_statistics():
    few = admm(A, B, PLANE, l1=0.5, tv=1.0, tolerance=1e-12, iterations=37)
    assert few.stats["iterations"] == 37 and not few.stats["converged"]
    done = admm(A, B, PLANE, l1=0.5, tv=1.0, tolerance=1e-3)
    assert done.stats["converged"] and done.stats["iterations"] < 1000
    assert max(done.stats["primal_residual"], done.stats["dual_residual"]) <= 1e-3
    # a rho a hundred times off is corrected
    factors = admm_factor(A, PLANE, rho=100.0)
    balanced = admm_solve(factors, B, l1=0.5, tv=1.0, tolerance=1e-6, iterations=5000)
    assert balanced.stats["converged"] and balanced.stats["rho"] < 10
    again = admm(A, B, PLANE, l1=0.5, tv=1.0, tolerance=None, rho=balanced.stats["rho"], iterations=2000)
    assert distance(again.value, balanced.value) < 1e-4
    np.testing.assert_allclose(again.stats["rho"], balanced.stats["rho"])


def test_a_real_problem_is_allowed():
    stacked = admm(STACKED, REAL_B, PLANE, l1=0.5, tv=1.0, tolerance=1e-8, iterations=20000)
    assert distance(stacked.value, admm(A, B, PLANE, l1=0.5, tv=1.0, tolerance=1e-8, iterations=20000).value) < 1e-6
    assert jnp.isrealobj(stacked.value)


@pytest.mark.parametrize("scale", [1.0, 1e-13])
def test_a_bound_that_no_image_under_the_constraint_meets(scale):
    matrix, data = scale * np.eye(3, dtype=np.complex64), scale * np.array([-1, -1, -1], np.complex64)
    with pytest.raises(
        ValueError, match=f"no non-negative image .* below {np.sqrt(3) * scale:.6g}.*errors of the matrix"
    ):
        admm(matrix, data, (3, 1, 1), l1=1.0, epsilon=0.1 * scale)
    real = admm(matrix, data, (3, 1, 1), l1=1.0, epsilon=0.1 * scale, constraint="real")
    assert real.stats["converged"] and np.all(real.value < 0)
    loose = admm(matrix, data, (3, 1, 1), l1=1.0, epsilon=1.8 * scale)
    assert loose.stats["converged"] and np.all(loose.value == 0)
    # values are not known while tracing
    traced = jax.jit(lambda data: admm(matrix, data, (3, 1, 1), l1=1.0, epsilon=0.1 * scale, iterations=50).stats)(data)
    assert not traced["converged"]


@pytest.mark.parametrize("constraint", ["nonnegative", "real"])
def test_the_least_bound_is_that_of_least_squares(constraint):
    solution = nnls(STACKED, REAL_B)[0] if constraint == "nonnegative" else lsq_linear(STACKED, REAL_B).x
    least = np.linalg.norm(STACKED @ solution - REAL_B)
    options = {"l1": 1.0, "tv": 0.1, "constraint": constraint}
    with pytest.raises(ValueError, match=f"frame 1, but .* below {least:.6g}"):
        admm(A, np.stack([B, B]), PLANE, epsilon=np.array([2, 0.95]) * least, **options)
    few = admm(A, B, PLANE, epsilon=1.001 * least, iterations=1, **options)
    assert few.stats["residual"] * np.linalg.norm(B) > 1.01 * least and not few.stats["converged"]


@pytest.mark.parametrize("constraint", ["nonnegative", "real"])
def test_basis_pursuit(constraint):
    """Fewer rows than voxels and epsilon = 0: rounding of the least residual, zero, is no error, converged or not."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(5, 42)) + 1j * rng.normal(size=(5, 42))
    image = np.zeros(42)
    image[[3, 20]] = 1, 2
    options = {"l1": 1.0, "epsilon": 0.0, "constraint": constraint}
    for iterations in (1, 20):
        early = admm(matrix, matrix @ image, (7, 6, 1), iterations=iterations, **options)
        assert not early.stats["converged"]
    found = admm(matrix, matrix @ image, (7, 6, 1), tolerance=1e-7, iterations=20000, **options)
    assert found.stats["converged"] and distance(found.value, image) < 1e-5


@pytest.mark.parametrize("image_shape", [30, None, "651", (6, 5)])
def test_an_image_shape_that_is_none(image_shape):
    with pytest.raises(ValueError, match=f"image_shape = {re.escape(str(image_shape))}; expected"):
        check_image_shape(image_shape, 30)
