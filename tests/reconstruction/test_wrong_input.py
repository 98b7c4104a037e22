"""Wrong types and values are refused with what was given and what is expected, also without the tests' type checks."""

from inspect import unwrap

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.reconstruction import (
    Problem,
    UnrolledKaczmarz,
    check_compatible,
    discrepancy,
    kaczmarz,
    kaczmarz_factor,
    kaczmarz_stream,
    neural_implicit,
    randomized_svd,
    reconstruct,
    relative_lambda,
    row_norm_weights,
    tikhonov,
    tikhonov_factor,
    tikhonov_solve,
)
from mpijax.reconstruction.measured_rows import Rows
from mpijax.reconstruction.prepared import solve
from tests.reference import kaczmarz as reference

MATRIX, DATA, WEIGHTS, *_ = reference.problem()
ROWS, VOXELS = MATRIX.shape
KEY = jax.random.key(0)


def measured(shape):
    """A system matrix or a measurement of 6 frequencies and one channel."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(*shape, 6)) + 1j * rng.normal(size=(*shape, 6))


@pytest.fixture(scope="module")
def scan():
    facts = {"frequency_indices": np.arange(1, 7), "n_samples": 20, "bandwidth": 1e4}
    frequencies = np.arange(1, 7) * 1e3
    grid = mj.Grid.create((2, 2, 1), (2e-3, 2e-3, 1e-3))
    matrix = mj.SystemMatrix.create(measured((1,))[..., None] * np.arange(1, 5), frequencies, grid, **facts)
    return matrix, mj.Measurement.create(measured((2, 1, 1)), frequencies, **facts)


@pytest.mark.parametrize("call", [kaczmarz, tikhonov, neural_implicit])
@pytest.mark.parametrize(
    "matrix, data, message",
    [
        (MATRIX.tolist(), DATA, "matrix is a list; give a NumPy or JAX array"),
        (MATRIX, DATA.tolist(), "data is a list; give"),
        (MATRIX.astype(object), DATA, "matrix has dtype object"),
        (MATRIX, None, "data is a NoneType"),
    ],
)
def test_only_arrays_are_taken(call, matrix, data, message):
    more = {"image_shape": (4, 2, 1), "key": KEY} if call is neural_implicit else {"regularization": 0.1}
    with pytest.raises(TypeError, match=message):
        unwrap(call)(matrix, data, **more)


def test_only_arrays_are_taken_elsewhere():
    with pytest.raises(TypeError, match="matrix is a list"):
        unwrap(relative_lambda)(MATRIX.tolist(), 1e-3)
    with pytest.raises(TypeError, match="matrix is a list"):
        unwrap(randomized_svd)(MATRIX.tolist(), 2, key=KEY)
    with pytest.raises(TypeError, match="a frame is a list"):
        next(unwrap(kaczmarz_stream)(kaczmarz_factor(MATRIX, 0.1), [DATA.tolist()], warm_start=True))


@pytest.mark.parametrize("value", ["1e-3", None])
def test_lambda_is_a_number(value, scan):
    for call in (kaczmarz_factor, tikhonov_factor):
        with pytest.raises(ValueError, match="regularization = .*; expected a number"):
            unwrap(call)(MATRIX, value)
    if value is not None:  # the method's own
        with pytest.raises(ValueError, match="regularization = .*; expected a number"):
            unwrap(solve)(Problem.create(*scan), "kaczmarz", regularization=value)


def test_a_relative_lambda_is_checked_before_it_is_scaled(scan):
    for solver in ("kaczmarz", "tikhonov"):
        with pytest.raises(ValueError, match="regularization = -1; expected a finite number >= 0"):
            reconstruct(*scan, solver=solver, regularization=-1)
    with pytest.raises(ValueError, match="value = -1"):
        relative_lambda(MATRIX, -1)


def test_matrix_and_measurement_in_this_order(scan):
    matrix, data = scan
    with pytest.raises(
        TypeError, match="got a Measurement and a SystemMatrix; expected a SystemMatrix and a Measurement"
    ):
        unwrap(check_compatible)(data, matrix)
    with pytest.raises(TypeError, match="got a ndarray and a ndarray.*kaczmarz"):
        unwrap(check_compatible)(MATRIX, DATA)
    for count in (-1, "2", 1.5):
        with pytest.raises(ValueError, match=f"drift_components = {count!r}; expected a whole number of at least 0"):
            unwrap(Problem.create)(matrix, data, drift_components=count)


@pytest.mark.parametrize("key", [3, None, jax.random.split(KEY, 2)], ids=["number", "none", "two"])
def test_keys(key):
    with pytest.raises(TypeError, match="expected one random key"):
        unwrap(randomized_svd)(MATRIX, 2, key=key)
    with pytest.raises(TypeError, match="expected one random key"):
        unwrap(neural_implicit)(MATRIX, DATA, (4, 2, 1), key=key)
    if key is not None:
        with pytest.raises(TypeError, match="expected one random key"):
            unwrap(kaczmarz)(MATRIX, DATA, 0.1, row_order="randomized", key=key)


def test_an_old_key_is_a_key():
    old, new = jax.random.PRNGKey(5), jax.random.key(5)
    found = [kaczmarz(MATRIX, DATA, 0.1, row_order="randomized", key=key).value for key in (old, new)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"image_shape": 60}, ValueError, "image_shape = 60; expected voxel counts"),
        ({"image_shape": None}, ValueError, "image_shape = None; expected voxel counts"),
        ({"state": 3}, TypeError, "state = 3; expected None or the NeuralState"),
    ],
)
def test_neural_fields(change, error, message):
    arguments = {"image_shape": (4, 2, 1), "key": KEY, **change}
    with pytest.raises(error, match=message):
        unwrap(neural_implicit)(MATRIX, DATA, **arguments)


def test_real_where_reals_are_meant():
    for call in (kaczmarz, tikhonov):
        with pytest.raises(TypeError, match="row_weights is complex"):
            call(MATRIX, DATA, 0.1, row_weights=1j * WEIGHTS)
    for constraint in ("real", "nonnegative"):
        with pytest.raises(TypeError, match="init is complex, but constraint"):
            kaczmarz(MATRIX, DATA, 0.1, init=np.ones(VOXELS, complex), constraint=constraint)
    with pytest.raises(TypeError, match="matrix is complex and the data are real"):
        tikhonov_solve(tikhonov_factor(MATRIX, 0.1), DATA.real)
    with pytest.raises(TypeError, match="matrix is real and the data are complex"):
        tikhonov_solve(tikhonov_factor(MATRIX.real, 0.1), DATA)
    with pytest.raises(TypeError, match="matrix is complex and the data are real"):
        UnrolledKaczmarz.create(np.ones(ROWS))(MATRIX, DATA.real)


def test_rank_and_key_belong_to_low_rank():
    with pytest.raises(TypeError, match="rank is given, but method = 'auto' has none"):
        tikhonov(MATRIX, DATA, 0.1, rank=2)
    with pytest.raises(TypeError, match="key is given, but method = 'cgnr' has none"):
        tikhonov(MATRIX, DATA, 0.1, method="cgnr", key=KEY)


def test_a_safety_below_one():
    with pytest.raises(ValueError, match="safety = 0.5; allowed is at least 1"):
        discrepancy(MATRIX, DATA, 1.0, safety=0.5)


@pytest.mark.parametrize("magnitude", [1e-30, 1.0, 1e18])
def test_weights_and_lambda_of_small_signals(magnitude):
    """The squares of 1e-30 underflow in single precision; the norms and lambda of the weighted rows do not."""
    small = (magnitude * MATRIX).astype(np.complex64)
    norms = np.linalg.norm(small.astype(complex), axis=1)
    exact = np.divide(1, norms, out=np.zeros(ROWS), where=norms > 0)
    assert np.count_nonzero(exact) == ROWS - 1  # one row is empty
    weights = row_norm_weights(small)
    np.testing.assert_allclose(weights, exact, rtol=1e-6)
    np.testing.assert_allclose(relative_lambda(small, 1e-3, weights), 1e-3 * (ROWS - 1) / VOXELS, rtol=1e-6)


def test_a_lambda_below_single_precision_is_a_number():
    small = (1e-30 * MATRIX).astype(np.complex64)
    assert relative_lambda(small, 1e-3) == pytest.approx(1e-60 * relative_lambda(MATRIX, 1e-3), rel=1e-5)
    assert relative_lambda(small, 0.0) == 0 and relative_lambda(0 * small, 1e-3) == 0


def test_without_lambda_the_singular_normal_matrix_is_refused():
    wide, wide_data, *_ = reference.problem(7, 13)
    with pytest.raises(ValueError, match="7 equations for 13 unknowns.*method='dual'"):
        tikhonov(wide, wide_data, 0.0, method="primal")
    with pytest.raises(ValueError, match="12 equations for 8 unknowns.*method='primal'"):
        tikhonov(MATRIX, DATA, 0, method="dual")
    with pytest.raises(ValueError, match="14 equations for 13 unknowns.*method='primal'"):
        tikhonov(wide, wide_data, 0.0, method="dual", constraint="real")
    with jax.enable_x64(True):
        full = np.where(wide == 0, 1.0, wide)  # without the empty row
        for matrix, data, method in ((full, wide_data, "dual"), (MATRIX, DATA, "primal")):
            expected = np.linalg.lstsq(matrix, data, rcond=None)[0]
            for name in (method, "cgnr"):
                assert reference.error(tikhonov(matrix, data, 0.0, method=name).value, expected) < 1e-10
        least = np.linalg.lstsq(wide, wide_data, rcond=None)[0]  # the data contradict the empty row
        assert reference.error(tikhonov(wide, wide_data, 0.0, method="cgnr").value, least) < 1e-10


def test_unknown_options_name_all_arguments(scan):
    with pytest.raises(TypeError, match="no option lamda; it takes .*regularization, relative, sweeps, constraint"):
        reconstruct(*scan, lamda=1.0)


def test_an_empty_scan_is_a_measurement(scan):
    with pytest.raises(TypeError, match="empty is a ndarray; expected a Measurement"):
        unwrap(Rows.take)(*scan, empty=DATA, period=0, drift=False, check=True)
