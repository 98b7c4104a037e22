"""Finding positions of a calibration that went wrong: where many rows at once leave their neighborhood."""

import numpy as np
from scipy import ndimage

from mpijax.core.typing import Array, Bool, Complex, Float

THRESHOLD = 6.0
"""Deviation from the neighborhood, in units of each row's usual one, that a quarter of the rows exceeds."""

FLOOR = 0.12
"""Least usual deviation over the rms of a row: most of a row may be empty, and smoother than the rest."""

ROWS = 32
"""Strongest rows that are looked at."""

ROUNDS = 8
"""How often the search is repeated without what has been found."""

DIM = 0.2
"""Rms over the rows, in units of their rms, below which a voxel may be dead."""

EDGE = 3.0
"""Times ``DIM`` that the surroundings of dead voxels have at least."""


def find_outliers(
    images: Complex[Array, " m *s"], *, threshold: float = THRESHOLD, rows: int = ROWS
) -> Bool[np.ndarray, " *s"]:
    """Positions where many rows at once deviate from what their neighbors along an axis let expect, and dead ones.

    Dead is a voxel with the same value, zero or another, in all rows; and a region of any thickness where the strongest rows all
    have less than a fifth of their rms while its surroundings have more than three times that: rows fade toward the edge of the
    field, but not so within one voxel.

    Along every axis a voxel is extrapolated linearly from two voxels on either side; the smaller of both errors counts, so that
    a good voxel beside a bad one is not blamed, and the larger of the axes, so that a bad line is found across the line. Each row
    is measured in its median error, at least 12 % of its rms; a position's score is what a quarter of the strongest rows exceeds.
    The search is repeated from voxels that have not been found only, until nothing changes: good voxels at the edge of the grid are
    cleared, and the middle of a block of scattered values stays found. Gaps of up to a quarter line between outliers along the scan
    (x fastest) are closed.

    Not found is a block thicker than two voxels along every axis that is as smooth and as strong as its surroundings, like a value
    that got stuck for several lines: name such positions instead. On a grid too coarse for the rows good voxels look like
    outliers. Where more than half of the grid would be marked, only dead voxels and those that are not finite are.

    Args:
        images: rows (m, y, x) or (m, z, y, x); NaN where nothing was measured. Rows of zeros do not count.
        threshold: least score.
        rows: how many of the strongest rows are used.

    Returns:
        True = outlier, dead, or not finite in any row.
    """
    images = np.asarray(images)
    bad = np.any(~np.isfinite(images), axis=0)
    images = images[np.any(np.where(bad, 0, images) != 0, axis=tuple(range(1, images.ndim)))]
    if not len(images):
        return bad
    strong = np.where(bad, 0, images)
    if len(images) > 1:
        bad |= (strong == strong[0]).all(axis=0) & strong.any()
    energy = np.median(np.abs(strong).reshape(len(images), -1), axis=1)
    strong = strong[np.argsort(energy)[::-1][:rows]]
    certain = bad | _dead(strong, bad)
    found = certain
    for _ in range(ROUNDS):
        score = _score(strong, found)
        new = certain | np.where(np.isnan(score), found, score > threshold)
        if np.array_equal(new, found):
            break
        found = new
    found = _closed(found)
    return found if 2 * np.count_nonzero(found) <= found.size else certain


def _dead(images: Complex[np.ndarray, " m *s"], bad: Bool[np.ndarray, " *s"]) -> Bool[np.ndarray, " *s"]:
    """Regions that are dim in all rows at once, between voxels that are not."""
    axes = tuple(range(1, images.ndim))
    power = np.abs(images.astype(np.complex128)) ** 2
    usual = np.mean(power, axis=axes, keepdims=True, where=~bad)
    strength = np.sqrt(np.mean(power / np.where(usual > 0, usual, 1), axis=0))
    regions, count = ndimage.label((strength < DIM) | bad)
    dead = np.zeros_like(bad)
    for region in (regions == i for i in range(1, count + 1)):
        around = strength[ndimage.binary_dilation(region) & ~region]
        dead |= region & (around.size > 0 and np.median(around) > EDGE * DIM)
    return dead


def _score(images: Complex[np.ndarray, " m *s"], found: Bool[np.ndarray, " *s"]) -> Float[np.ndarray, " *s"]:
    """Deviation from what has not been found that a quarter of the rows exceeds, in each row's unit; NaN where there is no such."""
    score = np.full(images.shape[1:], np.nan)
    rms = np.sqrt(np.mean(np.abs(images[:, ~found]).astype(np.float64) ** 2, axis=1))
    for axis in range(1, images.ndim):
        if images.shape[axis] < 6:
            continue
        flip = _flip(axis, images.ndim)
        error = np.fmin(
            _extrapolation_error(images, found, axis), _extrapolation_error(images[flip], found[flip[1:]], axis)[flip]
        )
        seen = np.isfinite(error[0]) & ~found
        usual = np.median(error[:, seen], axis=1) if seen.any() else np.zeros(len(error))
        usual = np.maximum(usual, FLOOR * rms)
        usual = np.where(usual > 0, usual, np.inf).reshape(-1, *(1,) * (images.ndim - 1))
        score = np.fmax(score, np.quantile(error / usual, 0.75, axis=0))
    return score


def _extrapolation_error(
    images: Complex[np.ndarray, " m *s"], found: Bool[np.ndarray, " *s"], axis: int
) -> Float[np.ndarray, " m *s"]:
    """|v_i - (2 v_{i-1} - v_{i-2})|, NaN where one of the two voxels before is not there or has been found."""
    along = np.moveaxis(images, axis, -1)
    gone = np.moveaxis(found, axis - 1, -1)
    error = np.full(along.shape, np.nan)
    error[..., 2:] = np.abs(along[..., 2:] - 2 * along[..., 1:-1] + along[..., :-2])
    error[..., 2:][:, gone[..., 1:-1] | gone[..., :-2]] = np.nan
    return np.moveaxis(error, -1, axis)


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
