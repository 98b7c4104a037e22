"""How much noise a row carries: from the row itself, or from the background frames of its matrix."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.fft import dctn

from mpijax.core.checks import check_finite, check_range
from mpijax.core.frames import finite_frames, frame_std
from mpijax.core.typing import Array, Bool, Complex, Float, Shaped
from mpijax.rows.inpainting import biharmonic_inpaint, known_rows
from mpijax.rows.transforms import SMALLEST, check_grid
from mpijax.system import SystemMatrix

CUT = 3.0
START = 0.25
FEWEST = 8
"""The smallest quarter of the powers, and at least 8 of them, are taken for noise from the start."""
ENOUGH = 20
"""Background frames from which on the noise of a row is taken from them alone."""
OWN_DEGREES = 0.25
"""Degrees of freedom per voxel of a row's own estimate; one that knew the signal would have 1. On simulated planar rows of noise
0.06 to 0.3 its standard deviation is about 0.11 sigma (9 x 9 voxels), 0.05 to 0.07 sigma (17 x 15)."""
STRUCTURE = 0.01
"""Noise over largest modulus below which a row's own estimate may be its fine structure."""
CHUNK = 1 << 23
"""Entries of rows that are transformed at once."""


def estimate_noise(
    images: Complex[Array, " b *s"], known: Shaped[Array, "..."] | None = None
) -> Float[np.ndarray, " b"]:
    r"""Complex standard deviation sqrt(E|n|^2) of the white noise in every row, from the row alone.

    The powers p of the orthonormal DCT-II are sigma^2 times a unit exponential where a row holds noise only, which is nearly
    everywhere: signal gathers in a few coefficients. Sorted, the smallest k of them estimate

    .. math:: s_k = \left( 1 - \frac{t e^{-t}}{1 - e^{-t}} \right)^{-1} \frac1k \sum_{j \le k} p_j, \qquad t = 3

    and sigma^2 = s_k at the first k >= max(n/4, 8) with p_{k+1} > t s_k, the fixed point of clipping everything above t sigma^2.

    Where voxels are unknown, lines and planes without any known voxel are left out (the coarse grid of a completion remains),
    the others are filled (:func:`mpijax.rows.inpainting.biharmonic_inpaint`), and the power is divided by the known share,
    since what is filled carries hardly any noise at high frequencies. Host side.

    Median and 5 to 95 % of the estimate over the true value, 512 simulated planar rows of peak one: 1.07 (0.98 to 1.24) at
    sigma = 0.06, 1.05 (0.98 to 1.20) at 0.1, 1.04 (0.96 to 1.14) at 0.2, 1.03 (0.96 to 1.12) at 0.3. Rows without noise give
    0.0005 (95 %: below 0.007), their own fine structure. Of 4 x 4 voxels of mere noise it reads 12 % low.

    Args:
        images: rows (b, y, x) or (b, z, y, x); what they hold at unknown voxels is not read.
        known: True or 1 = measured, for all rows (*s) or for each (b, *s); None = everything.

    Returns:
        Standard deviations (b,) [unit of the rows].

    Raises:
        ValueError: a row without known voxels, NaN or infinite values at known ones, shapes that do not fit, or a grid with
            fewer than 4 voxels along an axis.
    """
    if known is None:
        check_grid("images", images.shape)
        check_finite("images", images)
        return _clipped_deviation(np.asarray(images))
    rows, masks = known_rows(np.asarray(images), np.asarray(known))
    sigma = np.empty(len(rows), rows.real.dtype)
    distinct, group = np.unique(masks.reshape(len(masks), -1), axis=0, return_inverse=True)
    for index, flat in enumerate(distinct):
        members = np.flatnonzero(group.reshape(-1) == index)
        box = _occupied(flat.reshape(rows.shape[1:]))
        mask = flat.reshape(rows.shape[1:])[box]
        part = rows[members][(slice(None), *box)]
        filled = part if mask.all() else biharmonic_inpaint(part, mask)
        sigma[members] = _clipped_deviation(filled) / math.sqrt(mask.mean())
    return sigma


def background_noise(system_matrix: SystemMatrix) -> Float[np.ndarray, " m"] | None:
    r"""Complex standard deviation of one voxel's value in every kept row, from the background frames of the file.

    The sample standard deviation :math:`\sqrt{\sum_e |b_e - \bar b|^2 / (E - 1)}` of the E background frames b_e about their
    mean, of those that hold a finite value (:func:`mpijax.core.frames.frame_std`). A calibration stores one frame per voxel,
    with as many averages as a background frame, so this is the noise of one voxel. It counts every change of the background
    during the scan, slow drift included; a background that was subtracted by interpolation has less, so the number is an upper
    bound there. Frames averaged differently than the voxels need a factor sqrt(averages of a background frame / averages of a
    voxel).

    Args:
        system_matrix: any matrix.

    Returns:
        Standard deviations (m,) in the order of ``system_matrix.rows()`` [unit of the rows], NaN for rows of which fewer than two
        frames hold a value; None where that is every row.
    """
    if system_matrix.background is None:
        return None
    noise = np.asarray(system_matrix.row_values(frame_std(system_matrix.background)))
    return noise if np.isfinite(noise).any() else None


@dataclass(frozen=True)
class RowNoise:
    """Noise of every row, and where it is from.

    Attributes:
        sigma: over the largest modulus of the row (m,).
        source: where it is from, in words.
        frames: how many background frames know it as well; None where it was given or comes from the rows alone.
        from_rows: whether the rows themselves were asked, at least in part.
    """

    sigma: Float[np.ndarray, " m"]
    source: str
    frames: int | None = None
    from_rows: bool = False


def row_noise(
    system_matrix: SystemMatrix,
    images: Complex[np.ndarray, " b *s"],
    known: Bool[np.ndarray, " *s"],
    noise_std: Any,
    unit: Float[np.ndarray, " m"],
) -> RowNoise:
    """Noise of every kept row: as given, else from the background frames, else from the rows.

    Fewer than 20 background frames are complemented by the rows' own estimates, see :func:`pooled_noise`; a row without two finite
    frames has its own estimate alone. The frames of a restored matrix are not used: they say the noise before.

    Args:
        system_matrix: the matrix.
        images: its rows, (m slices, *s), over their largest modulus.
        known: the measured voxels.
        noise_std: a number, (m,) or (c, f) [unit of the matrix], or None.
        unit: largest modulus of every row [unit of the matrix].

    Returns:
        The noise, over the largest modulus of each row, and where it is from.

    Raises:
        ValueError: a negative noise_std, or of another shape.
    """
    if noise_std is not None:
        check_range("noise_std", noise_std, 0, float("inf"), "")
        given: Any = np.asarray(noise_std, np.float64)
        if given.shape == system_matrix.values.shape[:2]:
            given = system_matrix.row_values(given)
        elif given.shape not in ((), unit.shape):
            raise ValueError(
                f"noise_std has shape {given.shape}; expected a number, ({len(unit)},) or {system_matrix.values.shape[:2]}."
            )
        return RowNoise(np.broadcast_to(given, unit.shape) / unit, "noise as given")
    measured = None if system_matrix.header.restoration is not None else background_noise(system_matrix)
    frames = 0
    if measured is not None and system_matrix.background is not None:
        count = np.asarray(system_matrix.row_values(finite_frames(system_matrix.background)))
        frames = int(count[np.isfinite(measured)].min())
    if measured is not None and frames >= ENOUGH and np.isfinite(measured).all():
        return RowNoise(measured / unit, f"noise from {frames} background frames", frames)
    guess = np.asarray(estimate_noise(images, None if known.all() else known), np.float64)
    own = np.sqrt(np.mean(guess.reshape(len(unit), -1) ** 2, axis=1))
    if measured is None:
        return RowNoise(own, "noise estimated from the rows themselves", from_rows=True)
    voxels = int(np.count_nonzero(known)) * len(images) // len(unit)
    sigma, equivalent = pooled_noise(np.where(np.isnan(measured), own, measured / unit), own, frames, voxels)
    return RowNoise(sigma, f"noise from {frames} background frames and the rows themselves", equivalent, from_rows=True)


def pooled_noise(
    measured: Float[np.ndarray, " m"], own: Float[np.ndarray, " m"], frames: int, voxels: int
) -> tuple[Float[np.ndarray, " m"], int]:
    """Noise from fewer than 20 background frames and the row's own estimate, weighted by their degrees of freedom.

    sigma^2 = ((E - 1) measured^2 + d own^2) / (E - 1 + d), d = min(20 - E, N/4). The variance of E complex frames has E - 1
    degrees of freedom, a relative variance of 1/(E - 1), and weights in proportion to the degrees of freedom give the sum of least
    variance. The row's own over N voxels scatters like one of N/4; of these it gets as many as the frames lack to 20, since it has
    a bias, too, of a few percent. An own estimate below 1 % of the largest modulus may be the row's fine structure, and is
    left out.

    Args:
        measured: from the frames, over the row's largest modulus (m,).
        own: from the row, likewise (m,).
        frames: E.
        voxels: N, measured ones.

    Returns:
        Noise over largest modulus (m,), and E + d, the frames that would know it as well.
    """
    degrees = min(max(ENOUGH - frames, 0), int(OWN_DEGREES * voxels))
    pooled = ((frames - 1) * measured**2 + degrees * own**2) / (frames - 1 + degrees)
    return np.where(own >= STRUCTURE, np.sqrt(pooled), measured), frames + degrees


def _clipped_deviation(rows: np.ndarray) -> np.ndarray:
    parts = np.array_split(rows, -(-rows.size // CHUNK))
    return np.concatenate([_clipped_chunk(part) for part in parts])


def _clipped_chunk(rows: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, rows.ndim))
    peak = np.max(np.abs(rows), axis=axes, keepdims=True)
    scale = np.where(peak > 0, peak, 1)  # squares of raw receive voltages underflow in single precision
    dtype = rows.real.dtype
    rows = rows / scale
    real, imaginary = (dctn(part, axes=axes, norm="ortho") for part in (rows.real, rows.imag))
    power = np.sort((real**2 + imaginary**2).reshape(len(rows), -1).astype(np.float64), axis=1)
    n = power.shape[1]
    share = 1 - CUT * math.exp(-CUT) / -math.expm1(-CUT)  # mean of a unit exponential below the cut
    variance = np.cumsum(power, axis=1) / (np.arange(1, n + 1) * share)
    above = np.full(power.shape, True)
    above[:, :-1] = power[:, 1:] > CUT * variance[:, :-1]
    above[:, : min(max(int(START * n), FEWEST), n) - 1] = False
    count = np.argmax(above, axis=1)
    return (scale.reshape(-1) * np.sqrt(variance[np.arange(len(rows)), count])).astype(dtype)


def _occupied(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Index of the sub-grid of the positions along each axis that hold a known voxel; axes that would become too short stay."""
    indices = []
    for axis, n in enumerate(mask.shape):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        indices.append(occupied if len(occupied) >= SMALLEST or n == 1 else np.arange(n))
    return np.ix_(*indices)
