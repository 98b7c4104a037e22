"""Whether the background of a calibration is heard at all, or what would be subtracted is noise."""

from dataclasses import replace

import numpy as np

from mpijax.core.frames import stands_out
from mpijax.io import SystemMatrixFile

HEARD = 0.05
"""Share of the rows in which the background must stand out of its noise; in one of a hundred noise alone does."""
LOOKED_AT = 128
"""Frequencies that are looked at, evenly spread."""


def background_advice(source: SystemMatrixFile) -> list[str]:
    """A line where the mean of the background frames is no more than noise, which all voxels of a row then have in common.

    The noise of that mean adds up over an object of many voxels, as the noise of the voxels does not.

    Args:
        source: the calibration, of whose rows a part is read.
    """
    frames = source.info.n_background_frames
    if frames < 3 or source.info.flags["isBackgroundCorrected"]:
        return []
    part = slice(None, None, -(-len(source.bins) // LOOKED_AT))
    mask, snr = (None if each is None else each[:, part] for each in (source.row_mask, source.snr))
    some = replace(source, bins=source.bins[part], row_mask=mask, snr=snr).read(apply_transfer_function=False)
    heard = stands_out(some.row_values(np.asarray(some.background)))
    if np.mean(heard) > HEARD:
        return []
    return [
        f"the mean of the {frames} background frames of {source.info.path} stands out of its noise in {np.count_nonzero(heard)} of "
        f"{heard.size} rows: if the scanner hears nothing when it is empty, --background none gives cleaner rows and images"
    ]
