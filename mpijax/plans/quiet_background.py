"""Whether the background of a calibration is heard at all, or what would be subtracted is noise."""

import numpy as np

from mpijax.core.frames import stands_out
from mpijax.io import SystemMatrixFile

CHANCE = 0.01
"""Share of the rows in which noise alone stands out."""
READ_BYTES = 256e6
"""Of larger calibrations, only every so many frequencies are looked at."""


def background_advice(source: SystemMatrixFile) -> list[str]:
    """A line where the mean of the background frames is no more than noise, which all voxels of a row then have in common.

    The noise of that mean adds up over an object of many voxels, as the noise of the voxels does not. It is taken for noise where
    no more rows stand out than chance allows (three standard deviations), and none so far as chance puts one in a thousand files.

    Args:
        source: the calibration, of whose rows some are read.
    """
    frames = source.info.n_background_frames
    if frames < 3 or source.info.flags["isBackgroundCorrected"]:
        return []
    some = source.thinned(READ_BYTES).read(apply_transfer_function=False)
    empty = some.row_values(np.asarray(some.background))
    rows = empty.shape[1]
    heard, expected = np.count_nonzero(stands_out(empty, CHANCE)), CHANCE * rows
    if heard > expected + 3 * np.sqrt(expected) or np.any(stands_out(empty, 1e-3 / max(rows, 1))):
        return []
    return [
        f"what is subtracted from the matrix is only noise: the mean of its {frames} background frames stands out in {heard} of "
        f"{rows} rows, by chance in {expected:.0f}; the same at every position, it adds up over an object: try --background none"
    ]
