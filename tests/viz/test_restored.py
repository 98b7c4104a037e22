"""Rows before and after a restoration."""

import numpy as np

from mpijax.restoration import trust
from mpijax.viz.restored import plot_restored
from tests.restoration.matrices import smooth_matrix


def test_a_volume_shows_the_slice_that_was_filled():
    """A whole plane is missing: gray where it was measured, colored where it was filled, on the scale of the whole row."""
    after = smooth_matrix((8, 7, 9), rows=4, empty=0)
    missing = np.zeros((9, 7, 8), bool)
    missing[6] = True
    rows = np.where(missing.reshape(-1), np.nan, np.asarray(after.rows()))
    before = after.with_rows(rows)
    stats = {
        "missing": missing.reshape(-1),
        "level": np.full(4, 0.1),
        "trusted": np.ones(4, bool),
        "reason": np.full(4, trust.RESTORED),
    }
    figure = plot_restored(before, after, stats, rows=3)
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    measured, restored = pictures[:3], pictures[3:6]
    assert all(np.all(picture[..., :3] == 0.5) for picture in measured)
    assert all(np.all(np.isfinite(picture)) for picture in restored)
    assert max(picture[..., :3].max() for picture in restored) > 0.3
