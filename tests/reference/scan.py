"""The path of a calibration robot as a plain loop."""

import numpy as np


def loop_scan(extent, shape, meander, axes=(0, 1, 2)):
    """Walk through the grid as a robot would and note when each voxel of the box is reached."""
    index = np.full(np.prod(shape), np.prod(shape))
    a, b, c = axes
    time, backwards_a, backwards_b = 0, False, False
    for plane in range(extent[c]):
        lines = range(extent[b])
        for line in reversed(lines) if backwards_b else lines:
            positions = range(extent[a])
            for position in reversed(positions) if backwards_a else positions:
                voxel = [0, 0, 0]
                voxel[a], voxel[b], voxel[c] = position, line, plane
                index[voxel[0] + shape[0] * (voxel[1] + shape[1] * voxel[2])] = time
                time += 1
            backwards_a ^= meander
        backwards_b ^= meander
    return index
