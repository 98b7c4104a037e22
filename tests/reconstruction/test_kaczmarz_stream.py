"""Frames one by one; and single precision over many sweeps on a simulated matrix."""

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.reconstruction import kaczmarz, kaczmarz_factor, kaczmarz_solve, kaczmarz_stream, relative_lambda
from tests.reference import kaczmarz as reference

MATRIX, DATA, *_ = reference.problem(m=30, n=10, seed=5)
MATRIX, DATA = MATRIX.astype(np.complex64), DATA.astype(np.complex64)


def frames(count):
    """Made when asked for, so that none is kept."""
    return (DATA * (1 + 0.1 * k) for k in range(count))


@pytest.mark.parametrize("constraint", ["nonnegative", None])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_stream_is_a_loop_over_solve(warm_start, constraint):
    factors = kaczmarz_factor(MATRIX, 0.3)
    image = None
    solutions = list(kaczmarz_stream(factors, frames(4), sweeps=2, warm_start=warm_start, constraint=constraint))
    for solution, frame in zip(solutions, frames(4), strict=True):
        expected = kaczmarz_solve(factors, frame, sweeps=2, constraint=constraint, init=image)
        np.testing.assert_allclose(solution.value, expected.value, rtol=1e-5, atol=1e-6)
        image = expected.value if warm_start else None


def test_a_warm_start_is_a_prior():
    lam = 0.3
    factors = kaczmarz_factor(MATRIX, lam)
    first, second = kaczmarz_stream(factors, frames(2), sweeps=3000, warm_start=True, constraint=None)
    prior = reference.tikhonov(MATRIX, DATA, lam)
    assert reference.error(first.value, prior) < 1e-4
    expected = prior + reference.tikhonov(MATRIX, 1.1 * DATA - MATRIX @ prior, lam)
    assert reference.error(second.value, expected) < 1e-4
    assert reference.error(second.value, 1.1 * prior) > 1e-3  # what a mere first guess would have led to


def test_a_stream_compiles_once_and_keeps_nothing(caplog):
    factors = kaczmarz_factor(MATRIX[:, :9], 0.3)  # a shape of its own
    for warm_start in (False, True):
        stream = kaczmarz_stream(factors, frames(12), sweeps=2, warm_start=warm_start)
        for _ in range(2):
            jax.block_until_ready(next(stream))
        with jax.log_compiles(), caplog.at_level("WARNING"):
            live = []
            for solution in stream:
                jax.block_until_ready(solution)
                live.append(len(jax.live_arrays()))
        assert len(live) == 10 and len(set(live)) == 1
        assert not [message for message in caplog.messages if message.startswith("Finished tracing")]


def test_frames_are_taken_when_asked_for():
    taken = []
    stream = kaczmarz_stream(kaczmarz_factor(MATRIX, 0.3), (taken.append(k) or DATA for k in range(5)))
    assert taken == []
    next(stream)
    assert taken == [0]


def test_a_stream_refuses_what_solve_refuses():
    factors = kaczmarz_factor(MATRIX, 0.3)
    with pytest.raises(ValueError, match="sweeps = 0"):
        kaczmarz_stream(factors, frames(1), sweeps=0)
    with pytest.raises(ValueError, match="data has 1 NaN"):
        list(kaczmarz_stream(factors, [np.where(np.arange(30) == 3, np.nan, DATA)]))
    with pytest.raises(ValueError, match=r"data has shape \(29,\)"):
        list(kaczmarz_stream(factors, [DATA[1:]]))


@pytest.mark.parametrize("constraint", [None, "nonnegative"])
def test_single_precision_keeps_to_the_double_precision_rows_on_a_simulated_matrix(constraint):
    """20 sweeps of the float32 block form against the float64 row loop; entries of some 1e-13 V."""
    scanner, particle = mj.Scanner.create((-1.0, -1.0, 2.0)), mj.Particle.create(20e-9)
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), (16, 15, 1))
    grid = mj.Grid.create((9, 9, 1), (24e-3, 24e-3, 1e-3))
    simulated = mj.simulate_system_matrix(scanner, sequence, particle, grid, concentration=1e-7).select(
        min_frequency=80e3, max_mixing_order=16, channels=(0, 1)
    )
    matrix = np.asarray(simulated.rows())
    assert 1e-13 < np.abs(matrix).max() < 1e-12 and len(matrix) > 100
    image = np.zeros(81)
    image[[20, 40, 41, 60]] = 1, 3, 2, 1
    rng = np.random.default_rng(0)
    noise = rng.normal(size=len(matrix)) + 1j * rng.normal(size=len(matrix))
    data = (matrix @ image + 0.02 * np.abs(matrix).max() * noise).astype(np.complex64)
    lam = relative_lambda(matrix, 1e-3)
    value = kaczmarz(matrix, data, lam, sweeps=20, constraint=constraint).value
    assert value.real.dtype == np.float32
    expected, _ = reference.kaczmarz(matrix, data, float(lam), sweeps=20, constraint=constraint)
    assert reference.error(value, expected) < 1e-5


@pytest.mark.parametrize("count", [3, 6, 7])
def test_frames_together_are_the_frames_one_by_one(count):
    factors = kaczmarz_factor(MATRIX, 0.3)
    single = list(kaczmarz_stream(factors, frames(count), sweeps=2))
    together = list(kaczmarz_stream(factors, frames(count), sweeps=2, together=3))
    assert len(together) == count
    for one, other in zip(single, together, strict=True):
        np.testing.assert_allclose(other.value, one.value, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other.stats["residual"], one.stats["residual"], rtol=1e-5)
        assert {k: np.shape(v) for k, v in other.stats.items()} == {k: np.shape(v) for k, v in one.stats.items()}


def test_frames_together_take_no_warm_start_and_single_frames_only():
    factors = kaczmarz_factor(MATRIX, 0.3)
    with pytest.raises(ValueError, match="warm_start"):
        kaczmarz_stream(factors, frames(2), warm_start=True, together=2)
    with pytest.raises(ValueError, match="one by one"):
        list(kaczmarz_stream(factors, [np.stack([DATA, DATA])], together=2))
    with pytest.raises(ValueError, match="together"):
        kaczmarz_stream(factors, frames(2), together=0)
