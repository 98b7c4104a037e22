"""Finding positions of a calibration that went wrong: where many rows at once leave their neighborhood."""

import numpy as np

from mpijax.core.typing import Array, Bool, Complex

THRESHOLD = 6.0
"""Deviation from the neighborhood, in units of each row's usual one, that a quarter of the rows exceeds."""

ROWS = 32
"""Strongest rows that are looked at."""


def find_outliers(
    images: Complex[Array, " m *s"], *, threshold: float = THRESHOLD, rows: int = ROWS
) -> Bool[np.ndarray, " *s"]:
    """Positions where many rows at once deviate from what their neighbors along an axis let expect.

    Along every axis a voxel is extrapolated linearly from two voxels on either side; the smaller of both errors counts, so that
    a good voxel beside a bad one is not blamed, and the larger of the axes, so that a bad line is found across the line. Each
    row is measured in its median error; a position's score is what a quarter of the strongest rows exceeds. Gaps of up to a
    quarter line between outliers along the scan (x fastest) are closed.

    A block thicker than two voxels along every axis hides its own middle: name such positions instead.

    Args:
        images: rows (m, y, x) or (m, z, y, x); NaN where nothing was measured.
        threshold: least score.
        rows: how many of the strongest rows are used.

    Returns:
        True = outlier or not finite in any row.
    """
    images = np.asarray(images)
    bad = ~np.isfinite(images).all(axis=0)
    filled = np.where(bad, np.nan, images)
    energy = np.median(np.abs(np.where(bad, 0, images)).reshape(len(images), -1), axis=1)
    filled = filled[np.argsort(energy)[::-1][:rows]]
    score = np.zeros(images.shape[1:])
    for axis in range(1, images.ndim):
        if images.shape[axis] < 6:
            continue
        error = np.minimum(
            _extrapolation_error(filled, axis),
            _extrapolation_error(filled[_flip(axis, images.ndim)], axis)[_flip(axis, images.ndim)],
        )
        usual = np.median(np.where(np.isfinite(error), error, 0).reshape(len(error), -1), axis=1)
        usual = np.where(usual > 0, usual, np.inf).reshape(-1, *(1,) * (images.ndim - 1))
        score = np.maximum(score, np.quantile(np.where(np.isfinite(error), error, 0) / usual, 0.75, axis=0))
    return _closed(bad | (score > threshold))


def _extrapolation_error(images: np.ndarray, axis: int) -> np.ndarray:
    """|v_i - (2 v_{i-1} - v_{i-2})|, infinite where there are no two voxels before or one is NaN."""
    along = np.moveaxis(images, axis, -1)
    error = np.full(along.shape, np.inf)
    error[..., 2:] = np.abs(along[..., 2:] - 2 * along[..., 1:-1] + along[..., :-2])
    return np.moveaxis(np.where(np.isnan(error), np.inf, error), -1, axis)


def _flip(axis: int, ndim: int) -> tuple[slice, ...]:
    return tuple(slice(None, None, -1) if a == axis else slice(None) for a in range(ndim))


def _closed(mask: np.ndarray) -> np.ndarray:
    """Gaps of up to a quarter line, two positions at least, between two marked ones along the scan are marked."""
    gap = max(2, mask.shape[-1] // 4)
    flat = mask.reshape(-1).copy()
    marked = np.flatnonzero(flat)
    for a, b in zip(marked, marked[1:], strict=False):
        if b - a <= gap + 1:
            flat[a:b] = True
    return flat.reshape(mask.shape)
