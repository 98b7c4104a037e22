import numpy as np
import pytest

import mpijax as mj
from mpijax.restoration import find_outliers
from tests.restoration.matrices import UNIT, noisy, smooth_matrix


@pytest.mark.parametrize("shape", [(16, 14, 1), (10, 9, 8)])
def test_dropped_and_stuck_positions_are_found_and_nothing_else(shape):
    matrix = noisy(smooth_matrix(shape, rows=40, empty=8), 0.02)
    used = tuple(n for n in shape[::-1] if n > 1)
    images = np.asarray(matrix.images()).reshape(40, *used)
    assert not find_outliers(images).any()
    rng = np.random.default_rng(0)
    flat, size = images.reshape(40, -1), int(np.prod(used))
    for block in (slice(size // 2 + 3, size // 2 + 4), slice(size // 2, size // 2 + shape[0])):
        width = block.stop - block.start
        for kind in ("dropped", "stuck", "scrambled"):
            bad = flat.copy()
            if kind == "dropped":
                bad[:, block] = 0.02 * UNIT * rng.normal(size=(40, width))
            elif kind == "stuck":
                bad[:, block] = bad[:, block.start - 5, None]
            else:
                bad[:, block] *= np.exp(2j * np.pi * rng.uniform(size=(40, width)))
            found = find_outliers(bad.reshape(images.shape)).reshape(-1)
            assert found[block].mean() > 0.8, (kind, width)
            false = found.sum() - found[block].sum()
            assert false <= 0.03 * size, (kind, width, false)


def test_positions_that_are_not_finite_are_outliers():
    images = np.asarray(smooth_matrix().images()).reshape(24, 10, 12).copy()
    images[3, 4, 5] = np.nan
    images[:, 2, 2] = np.inf
    found = find_outliers(images)
    assert found[4, 5] and found[2, 2] and found.sum() == 2


@pytest.mark.parametrize("kind", ["zero", "equal", "noise", "garbage"])
@pytest.mark.parametrize("shape", [(16, 14, 1), (10, 9, 8)])
def test_blocks_of_any_thickness_are_found_whole(shape, kind):
    images = np.asarray(noisy(smooth_matrix(shape, rows=40, empty=8), 0.02).images())
    images = images.reshape(40, *(n for n in shape[::-1] if n > 1))
    rng = np.random.default_rng(0)
    for width in (1, 2, 3, 5):
        block = np.zeros(images.shape[1:], bool)
        block[tuple(slice(n // 3, n // 3 + width) for n in block.shape)] = True
        size = (40, np.count_nonzero(block))
        junk = rng.normal(size=size) + 1j * rng.normal(size=size)
        broken = images.copy()
        broken[:, block] = {"zero": 0, "equal": 3 * UNIT, "noise": 0.02 * UNIT * junk, "garbage": UNIT * junk}[kind]
        np.testing.assert_array_equal(find_outliers(broken), block, err_msg=f"{width}")


@pytest.mark.parametrize("sigma", [0, 1e-4, 1e-2])
def test_nothing_is_found_in_a_simulated_calibration(sigma):
    matrix = mj.simulate_system_matrix(
        mj.Scanner.create(gradient=(-1.0, -1.0, 2.0)),
        mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0)),
        mj.Particle.create(20e-9),
        mj.Grid.create((28, 26, 1), (50e-3, 50e-3, 1e-3)),
    )
    images = np.asarray(matrix.images()).reshape(-1, 26, 28)
    rng = np.random.default_rng(0)
    noise = sigma * np.abs(images).max() * (rng.normal(size=images.shape) + 1j * rng.normal(size=images.shape))
    assert not find_outliers(images + noise).any()


def test_never_more_than_half_is_marked():
    rng = np.random.default_rng(0)
    images = np.asarray(smooth_matrix((16, 14, 1), rows=40, empty=8).images()).reshape(40, 14, 16).copy()
    images[:, 2:12] = UNIT * rng.normal(size=(40, 10, 16))
    images[3, 1, 1] = np.nan
    found = find_outliers(images)
    assert found[1, 1] and found.sum() <= found.size / 2
