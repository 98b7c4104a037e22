"""Neural fields: pooling, fitting, early stopping, ensembles, sampling, refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.models.siren import PureSiren
from mpijax.reconstruction.solvers.neural.field import NeuralField, cell_points
from mpijax.reconstruction.solvers.neural.steps import initial_state
from mpijax.reconstruction.solvers.neural.training import NEURAL_PRESETS, neural_implicit

SHAPE = (8, 8, 1)
KEY = jax.random.key(0)
SMALL = dict(width=16, depth=1, omega=3.0, steps=60, learning_rate=5e-3, check_every=20, max_factor=2)


@pytest.fixture(scope="module")
def problem():
    """Sixty mixtures of 36 smooth patterns in SI units, a blob, and noise."""
    rng = np.random.default_rng(0)
    x = (np.arange(8) + 0.5) / 4 - 1
    modes = np.cos(np.arange(6)[:, None] * np.pi * (x + 1) / 2)
    patterns = np.einsum("ay,bx->abyx", modes, modes).reshape(36, 64)
    matrix = (rng.normal(size=(60, 36)) + 1j * rng.normal(size=(60, 36))) @ patterns
    blob = np.exp(-4 * ((x[:, None] - 0.2) ** 2 + (x + 0.1) ** 2)).ravel()
    data = matrix @ blob
    data = data + 0.02 * np.abs(data).mean() * (rng.normal(size=60) + 1j * rng.normal(size=60))
    return (1e-13 * matrix).astype(np.complex64), (3e-13 * data).astype(np.complex64), 3 * blob


@pytest.fixture(scope="module")
def solution(problem):
    matrix, data, _ = problem
    return neural_implicit(matrix, data, SHAPE, key=KEY, **SMALL)


def test_cell_points_are_the_centers_of_the_finer_grid():
    np.testing.assert_allclose(cell_points((3, 1, 1), 1, (0,))[:, 0, 0], [-2 / 3, 0, 2 / 3])
    coarse, fine = cell_points((4, 3, 2), 2, (0, 1, 2)), cell_points((8, 6, 4), 1, (0, 1, 2))
    grouped = fine.reshape(2, 2, 3, 2, 4, 2, 3).transpose(0, 2, 4, 1, 3, 5, 6).reshape(24, 8, 3)
    np.testing.assert_allclose(coarse, grouped, atol=1e-15)
    np.testing.assert_allclose(coarse.mean(1), cell_points((4, 3, 2), 1, (0, 1, 2))[:, 0], atol=1e-15)
    assert cell_points((4, 1, 2), 3, (0, 2)).shape == (8, 9, 2)
    np.testing.assert_allclose(cell_points((4, 1, 2), 1, (0, 2))[:5, 0, 1], [-0.5, -0.5, -0.5, -0.5, 0.5])


def test_average_pooling_and_its_adjoint():
    """sample(average=s) is the block mean of the s times finer sampling: D as a matrix, and <D f, v> = <f, D^T v>."""
    state = initial_state(PureSiren(width=8, depth=1), (4, 3, 1), 2.0, 1, key=KEY)
    fine = np.asarray(state.field.sample((12, 9, 1))).reshape(3, 3, 4, 3)
    pooled = np.asarray(state.field.sample(average=3))
    np.testing.assert_allclose(pooled, fine.mean((1, 3)).ravel(), rtol=1e-5)
    v = np.random.default_rng(0).normal(size=(3, 4))
    spread = np.broadcast_to(v[:, None, :, None] / 9, fine.shape)
    assert pooled @ v.ravel() == pytest.approx(np.sum(fine * spread), rel=1e-5)


def test_fit_in_si_units(problem, solution):
    matrix, data, truth = problem
    stats = solution.stats
    assert solution.value.shape == (64,) and stats["steps"] == 60 and stats["loss"].shape == (1, 3)
    assert stats["loss"][0, -1] < 0.2 * stats["loss"][0, 0]
    longer = neural_implicit(matrix, data, SHAPE, key=KEY, **{**SMALL, "steps": 600})
    error = np.linalg.norm(np.asarray(longer.value) - truth) / np.linalg.norm(truth)
    assert error < 0.1
    weights = 1 / np.linalg.norm(matrix.astype(np.complex128), axis=1)
    residual = weights * (matrix @ np.asarray(longer.value) - data)
    assert longer.stats["residual"] == pytest.approx(
        np.linalg.norm(residual) / np.linalg.norm(weights * data), rel=1e-4
    )


def test_same_key_same_bits(problem, solution):
    matrix, data, _ = problem
    again = neural_implicit(matrix, data, SHAPE, key=KEY, **SMALL)
    np.testing.assert_array_equal(again.value, solution.value)
    other = neural_implicit(matrix, data, SHAPE, key=jax.random.key(1), **SMALL)
    assert np.abs(np.asarray(other.value) - np.asarray(solution.value)).max() > 1e-3


def test_value_is_the_mean_of_the_finest_grid(solution):
    fine = np.asarray(solution.field.sample((16, 16, 1))).reshape(8, 2, 8, 2)
    np.testing.assert_allclose(solution.value, fine.mean((1, 3)).ravel(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [54, 79])
def test_sampling_any_grid_in_chunks(solution, n):
    whole = solution.field.sample((n, n, 1))
    chunked = solution.field.sample((n, n, 1), memory_limit=2**16)
    assert whole.shape == (n * n,)
    np.testing.assert_allclose(chunked, whole, rtol=1e-5, atol=1e-6)
    x = (np.arange(n) + 0.5) / n * 2 - 1
    points = np.stack(np.meshgrid(x, x), -1).astype(np.float32)  # (y, x, 2) with x fastest
    params = jax.tree.map(lambda leaf: leaf[0], solution.field.params)
    expected = solution.field.scale * solution.field.network.apply(params, points)
    np.testing.assert_allclose(whole, np.asarray(expected).ravel(), rtol=1e-4, atol=1e-5)


def test_members_of_an_ensemble_are_single_runs(problem, solution):
    matrix, data, _ = problem
    both = neural_implicit(matrix, data, SHAPE, key=KEY, ensemble=2, **SMALL)
    members = both.field.sample_members(average=2)
    np.testing.assert_allclose(members[0], solution.value, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(both.value, np.mean(members, 0), rtol=1e-5)
    np.testing.assert_allclose(both.stats["std"], np.std(members, 0, ddof=1), rtol=1e-3, atol=1e-6)
    assert np.abs(members[0] - members[1]).max() > 1e-3
    with pytest.raises(ValueError, match="single network"):
        solution.field.sample_std()


def test_best_weights_are_returned_and_patience_ends_the_fit(problem):
    """With too large a rate the held-out loss wanders: what is returned is the least that was seen."""
    matrix, data, _ = problem
    seen = []
    run = partial(neural_implicit, matrix, data, SHAPE, key=KEY, **{**SMALL, "learning_rate": 0.05, "check_every": 5})
    full = run(
        callback=lambda state, loss, held: seen.append((float(held[0]), np.asarray(state.field.sample(average=2))))
    )
    losses = [loss for loss, _ in seen]
    best = int(np.argmin(losses))
    assert best < len(seen) - 1 and losses == pytest.approx(full.stats["held_out_loss"][0])
    np.testing.assert_array_equal(full.value, seen[best][1])
    assert full.stats["best_step"][0] == full.stats["history_step"][best]
    assert 6 == len(full.stats["held_out_rows"]) and full.stats["steps"] == 60
    short = run(patience=5)
    first = next(i for i in range(1, 12) if losses[i] >= min(losses[:i]))
    assert short.stats["steps"] == 5 * (first + 1)
    assert (
        np.isnan(short.stats["loss"][0, first + 1 :]).all() and np.isfinite(short.stats["loss"][0, : first + 1]).all()
    )


def test_continues_from_a_state(problem, solution):
    matrix, data, _ = problem
    kept = []
    neural_implicit(
        matrix, data, SHAPE, key=KEY, **{**SMALL, "steps": 40}, callback=lambda state, *losses: kept.append(state)
    )
    rest = neural_implicit(matrix, data, SHAPE, key=KEY, state=kept[-1], **SMALL)
    np.testing.assert_array_equal(rest.value, solution.value)
    assert rest.stats["steps"] == 60 and rest.stats["loss"].shape == (1, 1)
    with pytest.raises(ValueError, match="only the fit of one frame"):
        neural_implicit(matrix, data[None], SHAPE, key=KEY, state=kept[-1], **SMALL)


def test_frames_one_by_one(problem, solution):
    matrix, data, _ = problem
    frames = neural_implicit(matrix, np.stack([data, 2 * data]), SHAPE, key=KEY, **SMALL)
    np.testing.assert_array_equal(frames.value[0], solution.value)
    np.testing.assert_allclose(frames.value[1], 2 * np.asarray(solution.value), rtol=1e-3, atol=1e-3)
    assert frames.stats["loss"].shape == (2, 1, 3) and frames.field.sample((5, 4, 1)).shape == (2, 20)


def test_nonnegative_real_and_skipped_rows(problem):
    matrix, data, _ = problem
    options = {**SMALL, "steps": 20, "held_out": None}
    positive = neural_implicit(matrix, data, SHAPE, key=KEY, nonnegative=True, **options)
    assert np.min(positive.value) >= 0 and len(positive.stats["held_out_rows"]) == 0
    assert positive.stats["best_step"][0] == 20 and np.isinf(positive.stats["held_out_loss"]).all()
    padded = neural_implicit(
        np.concatenate([matrix, np.zeros_like(matrix[:1])]), np.append(data, data[:1]), SHAPE, key=KEY, **options
    )
    plain = neural_implicit(matrix, data, SHAPE, key=KEY, **options)
    np.testing.assert_allclose(padded.value, plain.value, rtol=1e-4, atol=1e-5)
    line = neural_implicit(matrix.real, data.real, (64, 1, 1), key=KEY, row_weights=None, **options)
    assert line.field.network.dimensions == 1 and np.isfinite(line.value).all()


def test_ensemble_shares_one_draw_of_factors():
    """Networks of an ensemble start from the same weights whatever its size."""
    make = partial(initial_state, PureSiren(width=4, depth=0), SHAPE, 1.0, key=KEY)
    one, three = make(1).field.params, make(3).field.params
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[0]), one, three)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"data": np.ones(5, np.complex64)}, ValueError, r"data has shape \(5,\).*\(60, 64\)"),
        ({"data": np.ones(60, np.float32)}, TypeError, "the matrix is complex and the data are real"),
        ({"data": np.full(60, np.nan + 0j, np.complex64)}, ValueError, "NaN"),
        ({"matrix": np.full((60, 64), np.nan + 0j, np.complex64)}, ValueError, "NaN"),
        ({"matrix": np.zeros((60, 64), np.complex64)}, ValueError, "only zeros"),
        ({"image_shape": (8, 7, 1)}, ValueError, "56 voxels, but the matrix has 64 columns"),
        ({"image_shape": (8, 8)}, ValueError, "expected voxel counts"),
        ({"image_shape": (-8, -8, 1)}, ValueError, "whole number of at least 1"),
        ({"steps": -1}, ValueError, "steps = -1"),
        ({"ensemble": 0}, ValueError, "ensemble = 0"),
        ({"max_factor": 0}, ValueError, "max_factor = 0"),
        ({"patience": 0}, ValueError, "patience = 0"),
        ({"learning_rate": -1.0}, ValueError, "learning_rate = -1"),
        ({"held_out": 1.5}, ValueError, "held_out = 1.5"),
        ({"preset": "slow"}, ValueError, "'quick', 'paper'"),
        ({"row_weights": "norm"}, ValueError, "'row_norm'"),
        ({"row_weights": np.ones(3)}, ValueError, "row_weights"),
    ],
)
def test_refusals(problem, change, error, message):
    matrix, data, _ = problem
    arguments = {"matrix": matrix, "data": data, "image_shape": SHAPE, **change}
    with pytest.raises(error, match=message):
        neural_implicit(**arguments, key=KEY)


def test_refusals_of_sampling(solution):
    with pytest.raises(ValueError, match="knows nothing along axis 2"):
        solution.field.sample((8, 8, 4))
    with pytest.raises(ValueError, match="average = 0"):
        solution.field.sample(average=0)


def test_presets_and_pytree(solution):
    assert NEURAL_PRESETS["paper"] == {"width": 256, "steps": 70_000, "learning_rate": 1e-4}
    doubled = jax.tree.map(lambda leaf: 2 * leaf, NeuralField({"a": jnp.ones(2)}, jnp.ones(()), PureSiren(), SHAPE))
    assert doubled.network == PureSiren() and float(doubled.scale) == 2
