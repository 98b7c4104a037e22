"""Upsampling of grids larger than the one that a network was trained on, patch by patch."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpijax.core.checks import check_count, check_finite, check_range, check_shape
from mpijax.core.typing import Array, Complex, Float


def upsample_by_patches(
    upsampler: Callable[..., Any],
    coarse: Complex[Array, "b h w"],
    scale: int,
    *,
    patch: Sequence[int],
    overlap: Sequence[int] | None = None,
    sigma: Any = None,
    batch_size: int = 64,
) -> Complex[np.ndarray, "b y x"]:
    """Apply an upsampler of one grid to rows on a larger one, in overlapping patches.

    x = sum_p w_p U(b_p), where b_p is the p-th patch of the coarse rows and sum_p w_p = 1 in every cell, see
    :func:`patch_weights`. The weights are those of coarse cells: where the patches' block means are their coarse values, those of
    x are, too. The last patch of an axis ends with the grid. An axis shorter than the patch is continued by its edge values on
    both sides and cropped after. Every patch is scaled by the upsampler on its own. Host side, for inference.

    Args:
        upsampler: coarse rows (k, h0, w0) and their noise (k,) or None to fine rows (k, h0 S, w0 S); see :class:`Upsampler`.
        coarse: rows (b, h, w).
        scale: the factor S.
        patch: the grid (h0, w0) that the upsampler takes [coarse cells].
        overlap: of neighboring patches along y and x [coarse cells]; None = half the patch. A quarter of it next to a seam is
            not used: a method that looks no further than that gives what it gives on the whole grid.
        sigma: complex standard deviation of the noise of the coarse rows (b,), or one number; None = not known.
        batch_size: patches that go through the upsampler at once.

    Returns:
        Fine rows (b, h S, w S).

    Raises:
        ValueError: no rows, values that are not finite, a patch, overlap or noise that does not fit, or an upsampler that returns
            another shape.

    Source: A. Gungor et al., IEEE TMI 41(12):3562 (2022), section V-B2, Fig. 8 (patches of 16 x 16; the weights are this
        project's).
    """
    coarse = np.asarray(coarse)
    coarse = coarse.astype(np.result_type(coarse, np.complex64), copy=False)
    if coarse.ndim != 3 or not coarse.size:
        raise ValueError(f"coarse has shape {coarse.shape}; expected rows (b, h, w), none of them zero.")
    check_finite("coarse", coarse)
    check_count("scale", scale)
    check_count("batch_size", batch_size)
    overlap = _checked_overlap(patch, overlap)
    noise = None if sigma is None else _row_noise(sigma, coarse)

    b, h, w = coarse.shape
    before = [max(n0 - n, 0) // 2 for n0, n in zip(patch, (h, w), strict=True)]
    after = [max(n0 - n, 0) - a for n0, n, a in zip(patch, (h, w), before, strict=True)]
    padded = np.pad(coarse, ((0, 0), *zip(before, after, strict=True)), mode="edge")
    (starts_y, weights_y), (starts_x, weights_x) = (
        patch_weights(n, n0, o) for n, n0, o in zip(padded.shape[1:], patch, overlap, strict=True)
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(patch), axis=(1, 2))
    fine = np.zeros((b, padded.shape[1] * scale, padded.shape[2] * scale), coarse.dtype)
    parts = list(np.ndindex(b, len(starts_y), len(starts_x)))
    count = min(batch_size, len(parts))
    for first in range(0, len(parts), count):
        here = parts[first : first + count]
        row, i, j = np.transpose(here + here[-1:] * (count - len(here)))  # all batches have one shape
        level = None if noise is None else noise[row]
        results = np.asarray(upsampler(windows[row, starts_y[i], starts_x[j]], level))
        check_shape("the upsampler's result", results, (count, patch[0] * scale, patch[1] * scale))
        for (r, p, q), result in zip(here, results, strict=False):
            top, left = starts_y[p] * scale, starts_x[q] * scale
            weight = np.repeat(weights_y[p], scale)[:, None] * np.repeat(weights_x[q], scale)
            fine[r, top : top + len(result), left : left + len(result[0])] += weight * result
    y, x = (a * scale for a in before)
    return fine[:, y : y + h * scale, x : x + w * scale]


def patch_weights(length: int, patch: int, overlap: int) -> tuple[np.ndarray, Float[np.ndarray, "p n"]]:
    """Where the patches of one axis start, and how much each counts in its cells.

    Patches follow one another at ``patch - overlap`` cells, the last one ends with the axis. Within an overlap of o cells a patch
    counts nothing in its outer o/4 (rounded down), everything in the inner o/4, and sin^2(pi t / 2) with t rising linearly from 0
    to 1 between; then the weights of every cell are divided by their sum. The two ends of the axis are no seams.

    Args:
        length: cells of the axis, at least ``patch``.
        patch: cells of a patch.
        overlap: least number of common cells of neighbors, below ``patch``.

    Returns:
        First cells (p,) and weights (p, patch) that add up to one in every cell.
    """
    starts = np.unique(np.append(np.arange(0, length - patch, patch - overlap), length - patch))
    margin = overlap // 4
    rise = np.clip((np.arange(patch) - margin + 0.5) / max(overlap - 2 * margin, 0.5), 0, 1)
    rise = np.sin(math.pi / 2 * rise) ** 2
    weights = np.ones((len(starts), patch))
    weights[1:] *= rise
    weights[:-1] *= rise[::-1]
    total = np.zeros(length)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + patch] += weight
    return starts, np.stack([w / total[s : s + patch] for s, w in zip(starts, weights, strict=True)])


def _checked_overlap(patch: Sequence[int], overlap: Sequence[int] | None) -> Sequence[int]:
    for name, pair in (("patch", patch), ("overlap", overlap)):
        if pair is not None and np.shape(pair) != (2,):
            raise ValueError(f"{name} = {pair!r}; expected coarse cells along y and x, such as (16, 16).")
    for n in patch:
        check_count("patch", n)
    if overlap is None:
        return patch[0] // 2, patch[1] // 2
    for n, o in zip(patch, overlap, strict=True):
        check_count("overlap", o, 0)
        if o >= n:
            raise ValueError(f"overlap = {overlap} is not below patch = {patch}; half the patch is usual.")
    return overlap


def _row_noise(sigma: Any, coarse: np.ndarray) -> np.ndarray:
    check_range("sigma", sigma, 0, math.inf, "")
    noise = np.asarray(sigma, coarse.real.dtype)
    if noise.shape not in ((), coarse.shape[:1]):
        raise ValueError(f"sigma has shape {noise.shape}; expected one number or one per row, ({len(coarse)},).")
    return np.broadcast_to(noise, coarse.shape[:1])
