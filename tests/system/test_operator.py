"""The system matrix as an operator: data of images, its adjoint, measurements made with it, rows in another's order."""

import inspect
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import mpijax as mj
from mpijax.io.mdf.fields import ASSUMED, OFFSET, UNIT

GRID = mj.Grid.create((5, 4, 2), (15e-3, 12e-3, 4e-3))
IMAGE = np.random.default_rng(0).uniform(0, 20, (2, 4, 5))


@pytest.fixture(scope="module")
def matrix():
    """Three channels of which one is left out, rows dropped by order, a sample of 50 mmol/L and 3 mm^3."""
    scanner = mj.Scanner.create((-1.0, -1.0, 2.0))
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), dividers=(16, 17, 15), n_samples=544)
    found = mj.simulate_system_matrix(
        scanner, sequence, mj.Particle.create(25e-9), GRID, np.arange(10, 60), concentration=50.0, sample_volume=3e-9
    )
    mask = np.ones((3, 50), bool)
    mask[0, ::3] = mask[2, 5] = False
    return replace(found, row_mask=mask).select(channels=[2, 0])


def numbers(matrix):
    """S c V_voxel/(c_sample V_sample) in NumPy."""
    unit = 50.0 * 3e-9 / float(GRID.voxel_volume)
    return np.asarray(matrix.rows(), np.complex128) @ (IMAGE.ravel() / unit)


def test_data_of_an_image_and_of_frames(matrix):
    data = matrix @ IMAGE
    np.testing.assert_allclose(data, numbers(matrix), rtol=0, atol=2e-6 * np.abs(data).max())
    frames = matrix @ np.stack([IMAGE, 2 * IMAGE])
    np.testing.assert_allclose(frames[1], 2 * frames[0], rtol=0, atol=1e-6 * np.abs(frames).max())
    np.testing.assert_array_equal(matrix @ IMAGE.ravel(), data)
    np.testing.assert_array_equal(matrix @ np.ones(GRID.size, int), matrix @ np.ones(GRID.size, np.float32))


def test_adjoint_by_the_inner_product(matrix):
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        double = replace(matrix, values=np.asarray(matrix.values, np.complex128))
        for _ in range(3):
            x = rng.normal(size=(GRID.size, 2)) @ [1, 1j]
            y = rng.normal(size=(len(double.rows()), 2)) @ [1, 1j]
            forward, back = np.vdot(double @ x, y), np.vdot(x, double.adjoint(y))
            assert abs(forward - back) < 1e-13 * abs(forward) and abs(forward) > 0
    assert matrix.adjoint(np.zeros((3, len(matrix.rows())))).shape == (3, GRID.size)


def test_derivatives_under_jit(matrix):
    with jax.enable_x64(True):
        check_grads(lambda c: jnp.abs(matrix @ c * 1e9), (IMAGE,), order=1, modes=["rev"])
        loss = lambda c: jnp.sum(jnp.abs(matrix.measure(c).values * 1e9) ** 2)  # noqa: E731
        slope = jax.jit(jax.grad(loss))(IMAGE)
        expected = 2 * np.real(matrix.adjoint(matrix @ IMAGE)) * 1e18
    np.testing.assert_allclose(slope.ravel(), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    whole = replace(matrix, row_mask=None)
    traced = jax.jit(lambda m, c: m.measure(c))(whole, IMAGE)  # the matrix may be an argument too
    np.testing.assert_allclose(traced.values, whole.measure(IMAGE).values, rtol=1e-5, atol=1e-16)
    assert OFFSET not in traced.metadata
    with pytest.raises(TypeError, match="select rows on the host"):
        jax.jit(lambda m: m.measure(IMAGE))(matrix)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["kaczmarz", "tikhonov"])
def test_reconstruct_inverts_measure(matrix, solver):
    numbered = replace(matrix, channel_numbers=(7, 3), patch=4, transfer_function_corrected=True)
    numbered = replace(numbered, metadata=type(matrix.metadata)({UNIT: "T", "/acquisition/numAverages": 7}))
    data = numbered.measure(IMAGE)
    assert data.channels == (7, 3) and data.periods == (4,) and data.transfer_function_corrected
    assert data.metadata[UNIT] == "T" and data.n_samples == 544 and "/acquisition/numAverages" not in data.metadata
    options = {"sweeps": 2000} if solver == "kaczmarz" else {}
    found = mj.reconstruction.reconstruct(numbered, data, solver=solver, regularization=1e-9, **options)
    np.testing.assert_allclose(found.value[0], IMAGE, atol=1.0)
    np.testing.assert_array_equal(data.rows(numbered.row_index())[0], numbered @ IMAGE)


def test_what_is_only_assumed_stays_so(matrix):
    data = replace(matrix, metadata=type(matrix.metadata)({ASSUMED: (OFFSET,)})).measure(IMAGE)
    assert data.acquisitions()[0].offset_field is None
    assert matrix.measure(IMAGE).acquisitions()[0].offset_field is not None


def test_noise_and_frames(matrix):
    level = np.outer([1e-12, 2e-12], np.ones(50))
    clean = matrix.measure(np.stack([IMAGE, 0 * IMAGE]), frames=3)
    noisy = matrix.measure(np.stack([IMAGE, 0 * IMAGE]), frames=3, sigma=level, key=jax.random.key(0))
    assert noisy.values.shape == (6, 1, 2, 50)
    np.testing.assert_array_equal(clean.values[0], clean.values[2])
    assert not np.any(clean.values[3:])
    std = np.sqrt(np.mean(np.abs(noisy.values - clean.values) ** 2, axis=(0, 1, 3)))
    np.testing.assert_allclose(std, [1e-12, 2e-12], rtol=0.15)
    index = matrix.row_index()
    assert clean.holds(index).all() and not clean.row_mask.all()


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda m: m.measure(np.ones(3)), r"concentration has shape \(3,\); expected \(2, 4, 5\) or \(40,\)"),
        (lambda m: m @ np.float32(1), r"image has shape \(\)"),
        (lambda m: m.measure(np.ones((2, 3, 40))), "expected one image, or one per frame"),
        (lambda m: m.measure(IMAGE, sigma=1e-12), "without key"),
        (lambda m: m.measure(IMAGE, sigma=np.ones(50), key=jax.random.key(0)), r"expected one number or \(c, f\)"),
        (lambda m: m.measure(IMAGE, sigma=-1.0, key=jax.random.key(0)), "sigma"),
        (lambda m: m.measure(IMAGE, frames=0), "frames"),
        (lambda m: m.adjoint(np.ones(3)), "one value for each kept row"),
        (lambda m: m.as_measurement(np.ones((1, 1, 2, 3), complex)), r"expected \(frames, 1, 2, 50\)"),
    ],
)
def test_wrong_input(matrix, call, said):
    with pytest.raises(ValueError, match=said):
        call(matrix)


def test_frequencies_of_the_rows(matrix):
    channel, position = matrix.kept_rows()
    np.testing.assert_array_equal(matrix.row_frequencies, np.asarray(matrix.frequencies)[position])
    np.testing.assert_array_equal(matrix.measure(IMAGE).row_frequencies, matrix.row_frequencies)
    assert len(matrix.row_frequencies) == len(matrix.rows()) < 100


def test_rows_in_the_order_of_another(matrix):
    order = np.random.default_rng(2).permutation(50)
    values = np.asarray(matrix.values)
    facts = {"sequence": matrix.sequence, "channels": (0, 2)}
    shuffled = mj.SystemMatrix.create(
        values[::-1][:, order],
        matrix.frequencies[order],
        GRID,
        frequency_indices=matrix.frequency_indices[order],
        **facts,
    )
    np.testing.assert_array_equal(shuffled.rows_like(matrix), matrix.rows())
    data = shuffled.measure(IMAGE)
    np.testing.assert_array_equal(data.rows_like(matrix)[0], data.rows(matrix.row_index())[0])
    np.testing.assert_array_equal(shuffled.rows_like(matrix.measure(IMAGE)), matrix.rows())
    # twice the period: every second bin is the same frequency
    longer = mj.SystemMatrix.create(
        values[::-1][:, order], matrix.frequencies[order], GRID, frequency_indices=2 * matrix.frequency_indices[order],
        n_samples=1088, bandwidth=matrix.bandwidth, channels=(0, 2),
    )  # fmt: skip
    np.testing.assert_array_equal(longer.rows_like(matrix), matrix.rows())
    np.testing.assert_array_equal(longer.measure(IMAGE).rows_like(matrix)[0], data.rows_like(matrix)[0])
    with pytest.raises(ValueError, match="does not keep 18 of the 100 rows"):
        matrix.rows_like(shuffled)
    with pytest.raises(ValueError, match="the matrix lacks 25 of the other's frequencies"):
        replace(longer, **{name: getattr(longer, name)[::2] for name in ("frequencies", "frequency_indices")},
                values=longer.values[:, ::2]).rows_like(longer)  # fmt: skip
    odd = replace(longer, frequency_indices=longer.frequency_indices + 1, frequencies=longer.frequencies * 1.01)
    with pytest.raises(ValueError, match="not multiples of"):
        shuffled.rows_like(odd)


def test_what_is_no_image_data_or_key_is_named(matrix):
    kind = type(matrix)
    apply, adjoint, measure = (inspect.unwrap(getattr(kind, name)) for name in ("__matmul__", "adjoint", "measure"))
    for call, error, message in (
        (lambda: apply(matrix, None), TypeError, "image is None; expected an array of numbers"),
        (lambda: measure(matrix, "snake"), TypeError, "concentration is 'snake'"),
        (lambda: adjoint(matrix, ["x"]), TypeError, "data is a list that holds no numbers"),
        (lambda: measure(matrix, IMAGE * 1j), ValueError, "concentration is complex"),
        (lambda: measure(matrix, IMAGE, sigma=1e-12, key=3), ValueError, "expected one key"),
        (lambda: measure(matrix, IMAGE, sigma=1e-12, key=jax.random.split(jax.random.key(0))), ValueError, "one key"),
    ):
        with pytest.raises(error, match=message):
            call()


def test_adjoint_takes_a_measurement_and_matches_its_rows(matrix):
    data = matrix.measure(np.stack([IMAGE, 2 * IMAGE]))
    want = matrix.adjoint(matrix @ np.stack([IMAGE, 2 * IMAGE]))
    np.testing.assert_allclose(matrix.adjoint(data), want, rtol=0, atol=1e-6 * float(jnp.abs(want).max()))
