"""Fits of matrices with failed positions, silent channels, and bins or channels in any order."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.identification.problem import coils_of
from tests.identification.test_fit import FREE, TRUTH, refit, simulate

SEQUENCE = mj.LissajousSequence.create((8e-3, 8e-3, 0), dividers=(10, 8, 9), base_frequency=1e6)
COILS = ((1, 0, 0), (0, 1, 0))


def plane():
    """Two channels on 3 x 3 positions, gradient 1.1 T/m."""
    truth = mj.Scanner.create((-1.1, -1.1, 2.2), (0, 0, 0), COILS)
    grid = mj.Grid.create((3, 3, 1), (20e-3, 20e-3, 1e-3), (3e-3, 1e-3, 0))
    with jax.enable_x64(True):
        matrix = mj.simulate_system_matrix(
            truth, SEQUENCE, mj.Particle.create(23e-9), grid, np.array([8, 9, 12, 13, 14, 15])
        )
        return replace(matrix, values=np.asarray(matrix.values))


def gradient(matrix):
    guess = mj.Scanner.create((-1, -1, 2), receive_coils=COILS)
    return mj.fit(matrix, guess, particle=mj.Particle.create(23e-9), free=("gradient",), starts=1)


def test_entries_without_a_value_are_left_out_with_a_word():
    matrix = simulate()
    values = matrix.values.copy()
    values[..., 4], values[0, 2, 7] = np.nan, np.inf
    with pytest.warns(UserWarning, match="left out of the fit are 5 of 36 entries"):
        found = refit(replace(matrix, values=values))
    for name in FREE[:2]:
        assert found.values[name] == pytest.approx(TRUTH[name], rel=1e-6)
    np.testing.assert_allclose(found.correlation, 1, atol=1e-10)
    weights = np.ones((1, 4, 9))
    weights[..., 4] = weights[0, 2, 7] = 0
    assert refit(replace(matrix, values=values), weights=weights).values["gradient"] == pytest.approx(0.25, rel=1e-6)


def test_a_silent_channel_is_left_out_with_a_word():
    matrix = plane()
    values = matrix.values.copy()
    values[1] = 0
    with pytest.warns(UserWarning, match="channels that are zero or NaN in every row: 1"):
        found = gradient(replace(matrix, values=values))
    assert found.values["gradient"] == pytest.approx(2.2, rel=1e-5)
    assert not found.gains[1].any() and np.isnan(found.correlation[1]).all()


def test_bins_in_any_order_give_the_same_fit():
    matrix = plane()
    order = np.random.default_rng(4).permutation(6)
    moved = replace(
        matrix,
        values=matrix.values[:, order],
        frequencies=np.asarray(matrix.frequencies)[order],
        frequency_indices=np.asarray(matrix.frequency_indices)[order],
    )
    want, found = gradient(matrix), gradient(moved)
    assert found.values["gradient"] == pytest.approx(want.values["gradient"], rel=1e-8)
    np.testing.assert_allclose(found.gains, want.gains[:, order], rtol=1e-6)
    np.testing.assert_allclose(found.system_matrix(matrix.grid).values, moved.values, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("channels", [[1, 0], [1], [0]])
def test_channels_meet_the_coils_of_their_numbers(channels):
    """Rows of y before rows of x, or of one alone, meet their coils, in the fit and in what it simulates."""
    matrix = plane()
    assert coils_of(matrix, matrix.scanner).tolist() == [0, 1]
    some = matrix.select(channels=channels)
    found = gradient(some)
    assert coils_of(some, matrix.scanner).tolist() == channels
    assert found.values["gradient"] == pytest.approx(2.2, rel=1e-5)
    again = found.system_matrix(matrix.grid)
    assert again.channels == tuple(channels)
    np.testing.assert_allclose(again.values, some.values, rtol=1e-4, atol=1e-12)
