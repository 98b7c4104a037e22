"""Every method of Tikhonov gives the same minimizer, in both precisions, with gradients and for signals in SI units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import mpijax as mj
from mpijax.reconstruction import relative_lambda, tikhonov, tikhonov_factor, tikhonov_solve
from mpijax.reconstruction.solvers.tikhonov.normal_equations import apply, apply_adjoint, gram, join, split, stack
from tests.reference import kaczmarz as reference

MATRIX, DATA, WEIGHTS, *_ = reference.problem()
WIDE, WIDE_DATA, WIDE_WEIGHTS, *_ = reference.problem(7, 13)
PROBLEMS = {"tall": (MATRIX, DATA, WEIGHTS), "wide": (WIDE, WIDE_DATA, WIDE_WEIGHTS)}
METHODS = ("primal", "dual", "cgnr", "low_rank")
LAM = 0.3


def options(method, matrix):
    return {"method": method} | ({"rank": min(matrix.shape), "key": jax.random.key(0)} if method == "low_rank" else {})


def minimizer(matrix, data, lam, weights=None, constraint=None):
    """Least squares with the penalty as further rows, and real unknowns where the image is real."""
    weights = np.ones(len(data)) if weights is None else weights
    matrix, data = weights[:, None] * matrix, weights * data
    penalty = np.diag(np.sqrt(np.broadcast_to(lam, matrix.shape[1])))
    rows = [matrix.real, matrix.imag, penalty] if constraint else [matrix, penalty]
    right = [data.real, data.imag] if constraint else [data]
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate([*right, np.zeros(len(penalty))]), rcond=None)[0]


@pytest.fixture(scope="module")
def mpi():
    """A simulated matrix in volts, about 1e-13, and noisy data of a real image, single precision."""
    scanner = mj.Scanner.create((-1.0, -1.0, 2.0))
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=400)
    grid = mj.Grid.create((12, 11, 1), (24e-3, 21e-3, 1e-3))
    matrix = mj.simulate_system_matrix(scanner, sequence, mj.Particle.create(25e-9), grid, np.arange(2, 120))
    rows = np.asarray(matrix.select(channels=[0, 1]).rows())
    rows = (rows * (1e-13 / np.abs(rows).max())).astype(np.complex64)
    rng = np.random.default_rng(0)
    image = np.zeros(132)
    image[[40, 41, 66, 67, 78]] = [1, 1, 2, 2, 1]
    data = rows @ image
    noise = rng.normal(size=(len(data), 2)) @ [1, 1j]
    return rows, (data + 1e-3 * np.abs(data).max() * noise).astype(np.complex64)


@pytest.mark.parametrize("constraint", [None, "real"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_all_methods_find_the_same_minimizer(problem, constraint):
    matrix, data, weights = PROBLEMS[problem]
    expected = minimizer(matrix, data, LAM, weights, constraint)
    with jax.enable_x64(True):
        for method in METHODS:
            kwargs = options(method, matrix) | {"row_weights": weights, "constraint": constraint}
            solution = tikhonov(matrix, data, LAM, **kwargs)
            assert reference.error(solution.value, expected) < 1e-9, method
            assert solution.value.dtype == expected.dtype
            assert solution.stats["normal_residual"] < 1e-12
    if (problem, constraint) in (("tall", "real"), ("wide", None)):
        for method in METHODS:
            kwargs = options(method, matrix) | {"row_weights": weights, "constraint": constraint}
            single = tikhonov(matrix.astype(np.complex64), data.astype(np.complex64), LAM, **kwargs)
            assert single.value.dtype == (np.float32 if constraint else np.complex64)
            assert reference.error(single.value, expected) < 1e-4, method


@pytest.mark.parametrize("constraint", [None, "real"])
@pytest.mark.parametrize("relative", [1e-6, 1e-3, 1e-1])
def test_signals_in_si_units_in_single_precision(mpi, relative, constraint):
    matrix, data = mpi
    lam = np.float32(relative_lambda(matrix, relative))
    expected = minimizer(
        1e13 * matrix.astype(complex), 1e13 * data.astype(complex), 1e26 * float(lam), None, constraint
    )
    for method in ("primal", "dual") + (("cgnr",) if relative > 1e-4 else ()):
        solution = tikhonov(matrix, data, lam, method=method, constraint=constraint, max_iterations=5000)
        assert solution.value.dtype in (np.float32, np.complex64)
        assert reference.error(solution.value, expected) < (1e-3 if relative < 1e-4 else 1e-4), method
    factored = tikhonov(matrix, data, lam, constraint=constraint)
    assert factored.stats["iterations"] <= 30


def test_iterations_and_residual_tell_how_far_it_got():
    solution = tikhonov(MATRIX.astype(np.complex64), DATA.astype(np.complex64), 1e-3, method="cgnr", max_iterations=2)
    assert solution.stats["iterations"] == 2
    x = np.asarray(solution.value)
    right = MATRIX.conj().T @ DATA
    normal = np.linalg.norm(MATRIX.conj().T @ (DATA - MATRIX @ x) - 1e-3 * x) / np.linalg.norm(right)
    np.testing.assert_allclose(solution.stats["normal_residual"], normal, rtol=1e-4)
    bound = normal * np.linalg.norm(right) / 1e-3
    assert np.linalg.norm(x - reference.tikhonov(MATRIX, DATA, 1e-3)) < bound
    done = tikhonov(MATRIX.astype(np.complex64), DATA.astype(np.complex64), 1e-3, method="cgnr", tolerance=1e-3)
    assert 2 < done.stats["iterations"] < 20


@pytest.mark.parametrize("method", METHODS)
def test_a_penalty_per_voxel(method):
    lam = np.linspace(0.1, 2, 8)
    with jax.enable_x64(True):
        value = tikhonov(MATRIX, DATA, lam, **options(method, MATRIX)).value
    assert reference.error(value, minimizer(MATRIX, DATA, lam)) < 1e-9


@pytest.mark.parametrize("method", ["primal", "dual", "cgnr"])
@pytest.mark.parametrize("problem, constraint", [("tall", "real"), ("wide", None)])
def test_gradients_against_differences(problem, constraint, method):
    """In matrix, data, weights and lambda, forward and reverse."""
    matrix, data, weights = PROBLEMS[problem]

    def loss(real, imag, data, lam, weights):
        value = tikhonov(
            real + 1j * imag, data * (1 + 1j), lam, method=method, constraint=constraint, row_weights=weights
        ).value
        return jnp.sum(jnp.cos(value.real) + jnp.sin(2 * value.imag))

    with jax.enable_x64(True):
        arguments = (matrix.real, matrix.imag, data.real, LAM, weights)
        check_grads(jax.jit(loss), arguments, 1, modes=["fwd", "rev"], eps=1e-6, rtol=1e-5)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_gradient_in_lambda_is_finite_at_zero(problem):
    """d x / d lambda = -(A^H A)^-1 x; of the image of least norm -A^H (A A^H)^-2 b."""
    matrix, data, _ = PROBLEMS[problem]
    used = np.linalg.norm(matrix, axis=1) > 0
    matrix, data = matrix[used], data[used]
    pinv = np.linalg.pinv(matrix)
    for method in ("auto", "cgnr") if problem == "tall" else ("auto",):
        with jax.enable_x64(True):
            x, tangent = jax.jvp(
                lambda lam, m=method: tikhonov(matrix, data, lam, method=m).value,
                (jnp.asarray(0.0),),
                (jnp.asarray(1.0),),
            )
            single = jax.grad(
                lambda lam, m=method: jnp.sum(
                    jnp.abs(tikhonov(matrix.astype("c8"), data.astype("c8"), lam, method=m).value) ** 2
                )
            )(jnp.float32(0))
        np.testing.assert_allclose(x, pinv @ data, atol=1e-10)
        expected = -(pinv @ pinv.conj().T) @ pinv @ data
        np.testing.assert_allclose(tangent, expected, atol=1e-9)
        np.testing.assert_allclose(single, 2 * np.real(np.vdot(pinv @ data, expected)), rtol=1e-3)


def test_small_cotangents_do_not_underflow():
    matrix, data = MATRIX.astype(np.complex64), DATA.astype(np.complex64)

    def gradient(scale):
        return jax.grad(lambda b: scale * jnp.sum(jnp.real(tikhonov(matrix, b * (1 + 0j), LAM, method="cgnr").value)))(
            data.real
        )

    np.testing.assert_allclose(gradient(1e-28) * 1e28, gradient(1.0), rtol=1e-4, atol=1e-5)


def test_factors_serve_many_frames_without_another_trace():
    frames = np.stack([DATA, 1e-9j * DATA, 0 * DATA])
    traces = []

    @jax.jit
    def solve(factors, data):
        traces.append(None)
        return tikhonov_solve(factors, data).value

    with jax.enable_x64(True):
        for lam in (LAM, 1.0):
            together = solve(tikhonov_factor(MATRIX, lam, constraint="real"), frames)
            for one, frame in zip(together, frames, strict=True):
                alone = tikhonov(MATRIX, frame, lam, constraint="real").value
                np.testing.assert_allclose(one, alone, rtol=1e-11, atol=1e-22)
    assert len(traces) == 1


def test_vmap_of_cgnr_equals_a_loop():
    lams = np.array([0.1, 0.5])
    with jax.enable_x64(True):
        mapped = jax.vmap(lambda lam: tikhonov(MATRIX, DATA, lam, method="cgnr").value)(lams)
        loop = [tikhonov(MATRIX, DATA, lam, method="cgnr").value for lam in lams]
    np.testing.assert_allclose(mapped, loop, rtol=1e-11)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("dual", [False, True])
def test_products_and_normal_matrices(parts, dual):
    """Adjoint by inner products; the normal matrix by the products it stands for."""
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        stacked = stack(WIDE)
        x, y = rng.normal(size=(3, parts, 13)), rng.normal(size=(3, 2, 7))
        forward, back = apply(stacked, x), apply_adjoint(stacked, y, parts)
        np.testing.assert_allclose(jnp.sum(forward * y), jnp.sum(x * back), rtol=1e-12)
        np.testing.assert_allclose(join(forward), join(x) @ WIDE.T, rtol=1e-12)
        normal = np.asarray(gram(stacked, dual=dual, parts=parts))
        if parts == 2:
            expected = WIDE @ WIDE.conj().T if dual else WIDE.conj().T @ WIDE
        else:
            real = np.concatenate([WIDE.real, WIDE.imag])
            expected = real @ real.T if dual else real.T @ real
        np.testing.assert_allclose(normal, expected, atol=1e-12)
        np.testing.assert_array_equal(join(split(WIDE)), WIDE)


def test_errors():
    with pytest.raises(ValueError, match="method = 'svd'; allowed: 'auto', 'primal'"):
        tikhonov(MATRIX, DATA, LAM, method="svd")
    with pytest.raises(ValueError, match="constraint = 'nonnegative'; allowed: 'real', None"):
        tikhonov(MATRIX, DATA, LAM, constraint="nonnegative")
    with pytest.raises(TypeError, match="needs rank="):
        tikhonov(MATRIX, DATA, LAM, method="low_rank", rank=3)
    with pytest.raises(ValueError, match="at most rank 8"):
        tikhonov(MATRIX, DATA, LAM, method="low_rank", rank=9, key=jax.random.key(0))
    with pytest.raises(ValueError, match="regularization has 1 of 8"):
        tikhonov(MATRIX, DATA, np.arange(8.0))
    with pytest.raises(ValueError, match="regularization has shape"):
        tikhonov(MATRIX, DATA, np.ones(7))
    with pytest.raises(ValueError, match="has only zeros"):
        tikhonov(0 * MATRIX, DATA, LAM)
    with pytest.raises(ValueError, match="tolerance = 0"):
        tikhonov(MATRIX, DATA, LAM, tolerance=0.0)
    with pytest.raises(ValueError, match="max_iterations = 0"):
        tikhonov(MATRIX, DATA, LAM, max_iterations=0)
    with pytest.raises(TypeError, match="complex"):
        tikhonov(MATRIX, DATA.real, LAM)


@pytest.mark.parametrize(("shape", "constraint"), [((40, 12), None), ((12, 30), None), ((40, 12), "real")])
def test_a_prepared_inverse_serves_frames_refined_and_unrefined(shape, constraint):
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    frames = rng.standard_normal((3, shape[0])) + 1j * rng.standard_normal((3, shape[0]))
    with jax.enable_x64(True):
        exact = tikhonov(matrix, frames, 0.5, constraint=constraint)
    factors = tikhonov_factor(matrix.astype(np.complex64), 0.5, constraint=constraint)
    assert factors.inverse is not None and factors.triangle is None
    single = frames.astype(np.complex64)
    refined, unrefined = (tikhonov_solve(factors, single, **o) for o in ({}, {"max_iterations": 0}))
    scale = np.abs(exact.value).max()
    np.testing.assert_allclose(refined.value, exact.value, atol=3e-6 * scale)
    np.testing.assert_allclose(unrefined.value, exact.value, atol=3e-5 * scale)
    assert np.isnan(unrefined.stats["residual"]).all() and refined.stats["residual"].shape == (3,)


def test_a_nearly_singular_matrix_keeps_its_triangle():
    matrix = np.ones((6, 4), np.complex64) + 1e-4 * np.eye(6, 4).astype(np.complex64)
    assert tikhonov_factor(matrix, 1e-6).inverse is None
    factors = tikhonov_factor(matrix, 1e-6, method="cgnr")
    with pytest.raises(ValueError, match="max_iterations = 0"):
        tikhonov_solve(factors, np.ones(6, np.complex64), max_iterations=0)


def test_gradients_through_an_inverse_are_those_of_the_minimizer():
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((9, 5)) + 1j * rng.standard_normal((9, 5))
    data, weight = rng.standard_normal(9) + 1j * rng.standard_normal(9), rng.standard_normal(5)

    def loss(data, **options):
        return jnp.sum(weight * tikhonov_solve(factors, data, **options).value.real)

    with jax.enable_x64(True):
        factors = tikhonov_factor(matrix, 0.3)
        one, other = jax.grad(loss)(data), jax.grad(lambda d: loss(d, max_iterations=0))(data)
    np.testing.assert_allclose(one, other, rtol=1e-8)
