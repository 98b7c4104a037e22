import jax
import numpy as np
import pytest

from mpijax.physics.scan_order import acquisition_order, box_coordinates, scan_index, valid_voxels
from tests.reference.scan import loop_scan


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_scan_index_is_the_walk_of_a_loop(axes):
    shape = (5, 4, 6)
    index = jax.jit(lambda extent, order, axes: scan_index(extent, shape, order, axes=axes))
    for extent in [(5, 4, 6), (3, 4, 2), (4, 3, 5), (5, 1, 3), (1, 1, 1)]:
        for meander in (False, True):
            got = np.asarray(index(np.array(extent), np.array(meander), np.array(axes)))
            np.testing.assert_array_equal(got, loop_scan(extent, shape, meander, axes))


def test_names_of_orders():
    shape = (3, 4, 2)
    np.testing.assert_array_equal(scan_index(shape, shape), np.arange(24))
    np.testing.assert_array_equal(scan_index(shape, shape, "meander"), loop_scan(shape, shape, True))
    with pytest.raises(ValueError, match="'raster', 'meander'"):
        scan_index(shape, shape, "spiral")
    with pytest.raises(ValueError, match="'raster', 'meander'"):
        acquisition_order(shape, "spiral")


@pytest.mark.parametrize("shape", [(5, 4, 3), (4, 3, 4), (6, 2, 1)])
def test_acquisition_order_inverts_the_index_and_a_meander_moves_to_neighbors(shape):
    for order in ("raster", "meander"):
        visited = acquisition_order(shape, order)
        np.testing.assert_array_equal(np.asarray(scan_index(shape, shape, order))[visited], np.arange(np.prod(shape)))
    steps = np.abs(np.diff(box_coordinates(shape)[:, acquisition_order(shape, "meander")], axis=1)).sum(0)
    np.testing.assert_array_equal(steps, 1)


def test_valid_voxels_are_the_corner_of_the_box():
    image = np.zeros((4, 3, 5), bool)  # z, y, x
    image[:2, :3, :4] = True
    np.testing.assert_array_equal(jax.jit(lambda e: valid_voxels(e, (5, 3, 4)))(np.array([4, 3, 2])), image.ravel())
