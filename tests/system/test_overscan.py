import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax.system import overscan_mask

GRID = mj.Grid.create((12, 10, 3), (24e-3, 20e-3, 3e-3), (1e-3, 0, 0))


def test_the_drive_field_covers_a_box_around_the_field_free_point():
    scanner = mj.Scanner.create((-1.0, -2.0, 3.0)).at((3e-3, -1e-3, 0.4e-3))
    sequence = mj.LissajousSequence.create((6e-3, 8e-3, 0), n_samples=100)
    x, y, _ = np.asarray(GRID.positions).T
    outside = (np.abs(x - 3e-3) > 6e-3) | (np.abs(y + 1e-3) > 4e-3)  # edges 2 A/|G|; z is not driven
    mask = overscan_mask(GRID, scanner, sequence)
    np.testing.assert_array_equal(mask, outside)
    assert 0 < mask.sum() < len(mask)
    matrix = mj.simulate_system_matrix(scanner, sequence, mj.Particle.create(20e-9), GRID, [3, 4])
    np.testing.assert_array_equal(matrix.overscan_mask(), outside)


def test_a_rim_of_voxels():
    mask = GRID.to_image(overscan_mask(GRID, margin=1))
    assert not mask[1, 1:-1, 1:-1].any() and mask.sum() == GRID.size - 1 * 8 * 10
    flat = mj.Grid.create((5, 4, 1), (5e-3, 4e-3, 1e-3))
    np.testing.assert_array_equal(flat.to_image(overscan_mask(flat, margin=1))[0, 1:3, 1:4], False)
    sides = GRID.to_image(overscan_mask(GRID, margin=(2, 0, 1)))
    assert not sides[1, :, 2:-2].any() and sides.sum() == GRID.size - 10 * 8


def test_refusals():
    scanner, sequence = mj.Scanner.create((-1.0, -1.0, 2.0)), mj.LissajousSequence.create((6e-3, 0, 0), n_samples=50)
    with pytest.raises(ValueError, match="margin= in voxels"):
        overscan_mask(GRID, scanner)
    with pytest.raises(ValueError, match="one of the two"):
        overscan_mask(GRID, scanner, sequence, margin=1)
    for margin in (-1, (1, 2), "2", 0.5):
        with pytest.raises(ValueError, match="whole number of voxels"):
            overscan_mask(GRID, margin=margin)
    with pytest.raises(ValueError, match="leaves no voxel"):
        overscan_mask(GRID, margin=(2, 5, 0))
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda grid: overscan_mask(grid, scanner, sequence))(GRID)
