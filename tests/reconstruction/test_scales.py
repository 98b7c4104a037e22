"""The image does not depend on the unit: matrix and data times powers of two give the same bits, times others the same image."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpijax as mj
from mpijax.reconstruction import (
    Problem,
    admm,
    discrepancy,
    kaczmarz,
    kaczmarz_rows,
    l_curve,
    neural_implicit,
    penalty_scale,
    plug_and_play,
    randomized_svd,
    reconstruct,
    relative_lambda,
    row_norm_weights,
    solve,
    tikhonov,
    whitening_weights,
)

SHAPE, ROWS = (3, 2, 1), 12
RNG = np.random.default_rng(0)
MATRIX = (RNG.normal(size=(ROWS, 6)) + 1j * RNG.normal(size=(ROWS, 6))).astype(np.complex64)
IMAGES = np.abs(RNG.normal(size=(3, 6)))
IMAGES[1] = 0
NOISE = 0.05 * (RNG.normal(size=(3, ROWS)) + 1j * RNG.normal(size=(3, ROWS))) * (IMAGES.max(1) > 0)[:, None]
DATA = (IMAGES @ MATRIX.T + NOISE).astype(np.complex64)
WEIGHTS = RNG.uniform(0.5, 2, ROWS)
KEY = jax.random.key(0)
LAM = relative_lambda(MATRIX, 1e-2)
VECTOR = LAM * RNG.uniform(0.5, 4, 6)
PENALTY = float(np.max(penalty_scale(MATRIX, DATA)))
EPSILON = np.array([0.2, 0.1, 0.2]) * np.linalg.norm(DATA[0])

SOLVERS = {
    "kaczmarz": lambda a, b, f, g: kaczmarz(a, b, LAM * f * f, init=(IMAGES[0] * g / f).astype(a.real.dtype)),
    "kaczmarz, lambda per voxel": lambda a, b, f, g: kaczmarz(
        a, b, VECTOR * f * f, row_weights=WEIGHTS, constraint="real"
    ),
    "kaczmarz, until it is done": lambda a, b, f, g: kaczmarz(a, b, LAM * f * f, tolerance=1e-2, sweeps=30),
    "kaczmarz, random rows": lambda a, b, f, g: kaczmarz(a, b, LAM * f * f, row_order="randomized", key=KEY),
    "kaczmarz, row norms": lambda a, b, f, g: kaczmarz(a, b, 1e-2, row_weights=row_norm_weights(a), constraint=None),
    "rows": lambda a, b, f, g: kaczmarz_rows(a, b, VECTOR * f * f, row_weights=WEIGHTS),
    "primal": lambda a, b, f, g: tikhonov(a, b, LAM * f * f, method="primal", constraint="real"),
    "dual": lambda a, b, f, g: tikhonov(a, b, VECTOR * f * f, method="dual", row_weights=WEIGHTS),
    "cgnr": lambda a, b, f, g: tikhonov(a, b, LAM * f * f, method="cgnr"),
    "low rank": lambda a, b, f, g: tikhonov(a, b, LAM * f * f, method="low_rank", rank=5, key=KEY),
    "admm": lambda a, b, f, g: admm(a, b, SHAPE, l1=0.01 * PENALTY * f * g, tv=0.01 * PENALTY * f * g),
    "admm, bounded": lambda a, b, f, g: admm(a, b, SHAPE, l1=0.8 * f * g, tv=0.2 * f * g, epsilon=EPSILON * g),
}
CLOSE = {name: 1e-3 if name.startswith("admm") else 1e-5 for name in SOLVERS}
few = settings(max_examples=6, deadline=None, derandomize=True)


def times(array, factor):
    return (array.astype(np.complex128) * factor).astype(array.dtype)


def solved(name, of_matrix, of_data, dtype=np.complex64):
    """The image in the unit of the plain problem, and what is said of it."""
    arrays = times(MATRIX.astype(dtype), of_matrix), times(DATA.astype(dtype), of_data)
    found = SOLVERS[name](*arrays, of_matrix, of_data)
    stats = {key: np.asarray(value) for key, value in found.stats.items() if key != "objective"}
    return np.asarray(found.value).astype(np.complex128) * of_matrix / of_data, stats


plain = cache(lambda name: solved(name, 1.0, 1.0))


def assert_same_bits(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1].keys() == expected[1].keys()
    for key, value in expected[1].items():
        np.testing.assert_array_equal(found[1][key], value)


@pytest.mark.parametrize("name", SOLVERS)
@few
@given(of_matrix=st.integers(-53, 53), of_data=st.integers(-53, 53))
def test_powers_of_two_change_no_bit(name, of_matrix, of_data):
    """Of the image, of residuals, histories and iterations; for a lambda that no float32 holds as well."""
    assert_same_bits(solved(name, 2.0**of_matrix, 2.0**of_data), plain(name))
    assert np.any(plain(name)[0][0]) and (name == "kaczmarz" or not np.any(plain(name)[0][1]))


@pytest.mark.parametrize("name", SOLVERS)
@few
@given(of_matrix=st.integers(-16, 16), of_data=st.integers(-16, 16))
def test_powers_of_ten_change_the_rounding_only(name, of_matrix, of_data):
    found, expected = solved(name, 10.0**of_matrix, 10.0**of_data)[0], plain(name)[0]
    assert np.linalg.norm(found - expected) < CLOSE[name] * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["kaczmarz", "dual", "admm"])
def test_double_precision_has_more_room(name):
    with jax.enable_x64(True):
        expected = solved(name, 1.0, 1.0, np.complex128)
        for exponents in ((-400, -400), (-400, 300)):
            assert_same_bits(solved(name, *(2.0**k for k in exponents), np.complex128), expected)


@pytest.mark.parametrize("method", ["kaczmarz", "tikhonov"])
def test_the_unit_of_the_weights_does_not_matter(method):
    """Weights far from one, and small rows whose weights are large."""
    call = {"kaczmarz": kaczmarz, "tikhonov": tikhonov}[method]
    expected = call(MATRIX, DATA, LAM, row_weights=WEIGHTS).value
    for k in (-160, 90):
        found = call(MATRIX, DATA, LAM * 4.0**k, row_weights=WEIGHTS * 2.0**k).value
        np.testing.assert_array_equal(found, expected)


def test_frames_of_any_size_stand_beside_each_other():
    frames = np.stack([DATA[0], 2.0**-100 * DATA[0], 0 * DATA[0]])
    for call in (kaczmarz, tikhonov, partial(admm, image_shape=SHAPE)):
        options = {"l1": 0.0} if isinstance(call, partial) else {"regularization": LAM}
        found = call(MATRIX, frames, **options)
        np.testing.assert_allclose(found.value[1] * 2.0**100, found.value[0], rtol=1e-4, atol=1e-6)
        assert not np.any(found.value[2])
        residual = np.asarray(found.stats["residual"])
        np.testing.assert_allclose(residual[1], residual[0], rtol=1e-3)


def test_gradients_have_the_same_bits():
    def loss(a, b, lam):
        return jnp.sum(jnp.sin(kaczmarz(a, b, lam, constraint=None).value.real))

    a, b = jnp.asarray(MATRIX), jnp.asarray(DATA)
    plain = jax.grad(loss, (0, 1))(a, b, LAM)
    tiny = jax.grad(loss, (0, 1))(2.0**-50 * a, 2.0**-50 * b, LAM * 4.0**-50)
    for found, expected in zip(tiny, plain, strict=True):
        assert np.abs(expected).max() > 0
        np.testing.assert_array_equal(2.0**-50 * found, expected)


def test_lambda_and_penalty_are_numbers_of_double_precision():
    small, data = 2.0**-90 * MATRIX, 2.0**-80 * DATA
    assert relative_lambda(small, 1e-2) == LAM * 4.0**-90 > 0
    np.testing.assert_array_equal(penalty_scale(small, data), np.ldexp(penalty_scale(MATRIX, DATA), -170))
    curve, expected = l_curve(small, data), l_curve(MATRIX, DATA)
    np.testing.assert_array_equal(curve.lambdas, np.ldexp(expected.lambdas, -180))
    assert curve.regularization == expected.regularization * 4.0**-90 > 0
    given = l_curve(small, data, lambdas=np.asarray(curve.lambdas))
    np.testing.assert_allclose(given.residual_norm, np.ldexp(expected.residual_norm, -80), rtol=1e-5)
    noise = 1.5 * np.linalg.norm(NOISE)
    found, expected = discrepancy(small, data, noise * 2.0**-80), discrepancy(MATRIX, DATA, noise)
    assert found.value == expected.value * 4.0**-90 > 0
    assert found.stats["solution_norm"] == expected.stats["solution_norm"] * 2.0**10
    low = randomized_svd(MATRIX, 4, key=KEY)
    np.testing.assert_array_equal(low.compress(data) * 2.0**80, low.compress(DATA))
    sigma = np.array([2.0, 1.0, 4.0])
    np.testing.assert_array_equal(whitening_weights(1e-40 * sigma), whitening_weights(sigma))
    with jax.enable_x64(True), pytest.raises(ValueError, match="below 2.23e-308, the smallest number of double"):
        relative_lambda(1e-170 * MATRIX.astype(complex), 1e-2)


def test_a_denoiser_sees_the_image_in_its_own_unit():
    def solve(k, seen):
        def denoise(image, strength):
            seen.append(strength)
            return jnp.maximum(image - 0.01, 0)

        options = {"regularization": LAM * 4.0**k, "iterations": 20}
        return plug_and_play(times(MATRIX, 2.0**k), times(DATA, 2.0**k), SHAPE, denoise, **options)

    found, expected = solve(-60, []), solve(0, [])
    np.testing.assert_array_equal(found.value, expected.value)
    assert found.stats["strength"] == expected.stats["strength"] > 0


@pytest.fixture(scope="module")
def scan():
    facts = {"frequency_indices": np.arange(1, 7), "n_samples": 20, "bandwidth": 1e4}
    grid = mj.Grid.create(SHAPE, (3e-3, 2e-3, 1e-3))
    frequencies = np.arange(1, 7) * 1e3
    matrix = mj.SystemMatrix.create(MATRIX.reshape(2, 6, 6), frequencies, grid, **facts)
    return matrix, mj.Measurement.create(DATA.reshape(3, 1, 2, 6), frequencies, **facts)


@pytest.mark.parametrize("solver", ["kaczmarz", "tikhonov", "admm"])
def test_reconstruct(scan, solver):
    matrix, data = scan
    expected = reconstruct(matrix, data, solver=solver)
    assert np.any(expected.value)
    for k in (-90, 40):
        small, signal = (replace(part, values=np.asarray(part.values) * np.float32(2.0**k)) for part in scan)
        found = reconstruct(small, signal, solver=solver)
        np.testing.assert_array_equal(found.value, expected.value)
        for name in {"lambda", "l1", "tv"} & set(expected.stats):
            assert found.stats[name] == expected.stats[name] * 4.0**k
        traced = jax.jit(lambda problem: solve(problem, solver).value)(Problem.create(small, signal))
        np.testing.assert_allclose(traced, expected.value, rtol=2e-3, atol=1e-4)


def test_the_neural_field():
    options = dict(width=8, depth=1, omega=3.0, steps=20, check_every=20, max_factor=1, key=KEY, learning_rate=5e-3)
    expected = neural_implicit(MATRIX, DATA[0], SHAPE, **options).value
    found = neural_implicit(times(MATRIX, 2.0**-90), times(DATA[0], 2.0**-80), SHAPE, **options).value
    np.testing.assert_array_equal(found * 2.0**-10, expected)
