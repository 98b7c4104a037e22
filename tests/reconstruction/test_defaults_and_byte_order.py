"""One default for one method, in Python and on the command line; arrays in the other byte order; counts and orders."""

from inspect import unwrap

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.cli.solvers import choose
from mpijax.reconstruction import (
    admm,
    kaczmarz,
    kaczmarz_factor,
    neural_implicit,
    reconstruct,
    relative_lambda,
    tikhonov,
    tikhonov_factor,
    tikhonov_solve,
)
from mpijax.reconstruction.inputs import check_iteration
from mpijax.reconstruction.solvers.registry import solver_class
from tests.reference import kaczmarz as reference

MATRIX, DATA, WEIGHTS, _, PRIOR = (
    part.astype(np.complex64) if np.iscomplexobj(part) else part for part in reference.problem()
)
ROWS, VOXELS = MATRIX.shape
SHAPE = (4, 2, 1)
KEY = jax.random.key(0)
FACTORS = tikhonov_factor(MATRIX, 0.1)


@pytest.fixture(scope="module")
def scan():
    facts = {"frequency_indices": np.arange(1, ROWS + 1), "n_samples": 40, "bandwidth": 2e4}
    frequencies = np.arange(1, ROWS + 1) * 1e3
    matrix = mj.SystemMatrix.create(MATRIX[None], frequencies, mj.Grid.create(SHAPE, (4e-3, 2e-3, 1e-3)), **facts)
    return matrix, mj.Measurement.create(DATA[None, None, None], frequencies, **facts)


def test_python_and_the_command_line_have_the_same_defaults(scan):
    strengths = {"kaczmarz": 1e-2, "tikhonov": 1e-2, "admm": 1e-3}
    for name, expected in strengths.items():
        plain = solver_class(name)()
        asked = choose(["reconstruct", name])[1]
        assert asked().solvers() == {name: plain} and plain.regularization == expected
        given = reconstruct(*scan, solver=name, regularization=expected, sweeps=10).value
        np.testing.assert_array_equal(given, reconstruct(*scan, solver=name).value)
    assert solver_class("kaczmarz")().sweeps == 10
    for name in strengths:
        with pytest.raises(ValueError, match="an absolute lambda has no default"):
            reconstruct(*scan, solver=name, relative=False)


def big(array):
    return array.astype(array.dtype.newbyteorder(">"))


LAM = np.full(VOXELS, 0.1)
CALLS = {
    "kaczmarz": lambda o: kaczmarz(
        *(o(MATRIX), o(DATA), o(LAM)),
        row_weights=o(WEIGHTS),
        row_order=o(np.arange(ROWS)[::-1].copy()),
        init=o(PRIOR.real.astype(np.float32)),
    ),
    "randomized": lambda o: kaczmarz(
        o(MATRIX), o(DATA), o(LAM), row_weights=o(WEIGHTS), row_order="randomized", key=KEY
    ),
    "tikhonov": lambda o: tikhonov(o(MATRIX), o(DATA), o(LAM), row_weights=o(WEIGHTS)),
    "admm": lambda o: admm(
        o(MATRIX), o(DATA), SHAPE, l1=o(np.array(0.1)), tv=0.1, row_weights=o(WEIGHTS), iterations=20
    ),
    "neural": lambda o: neural_implicit(
        *(o(MATRIX), o(DATA), SHAPE),
        key=KEY,
        row_weights=o(WEIGHTS),
        width=4,
        depth=0,
        steps=1,
        check_every=1,
        max_factor=1,
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_arrays_in_the_other_byte_order(name):
    np.testing.assert_array_equal(CALLS[name](big).value, CALLS[name](np.copy).value)


def test_a_relative_lambda_in_the_other_byte_order():
    assert relative_lambda(big(MATRIX), 0.1, big(WEIGHTS)) == relative_lambda(MATRIX, 0.1, WEIGHTS)


@pytest.mark.parametrize(
    "order, message",
    [
        (np.arange(ROWS) > 3, r"row_order is of bool; .*of a mask give np.flatnonzero\(mask\)"),
        (np.arange(4.0), "row_order is of float64; expected None or an integer array"),
        ([0, 1], "row_order is of list; expected None or an integer array"),
    ],
)
def test_an_order_is_made_of_indices(order, message):
    with pytest.raises(TypeError, match=message):
        unwrap(kaczmarz_factor)(MATRIX, 0.1, row_order=order)


@pytest.mark.parametrize("count", [True, 2.0, np.float32(2), "2", None, np.array(2)])
def test_counts_are_whole_numbers(count):
    with pytest.raises(ValueError, match="sweeps = .*; expected a whole number of at least 1, known before tracing"):
        check_iteration(count, None)
    with pytest.raises(ValueError, match="max_iterations = .*; expected a whole number"):
        unwrap(tikhonov_solve)(FACTORS, DATA, max_iterations=count or 0.5)
