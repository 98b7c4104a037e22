import numpy as np
import pytest

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
