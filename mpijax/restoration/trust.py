"""Whether a restored row can be believed, judged from the data alone.

The judge is Stein's unbiased estimate of the error that is left: with y = x + n, n of known variance sigma^2, and any method
f, E |f(y) - x|^2 = E [ |y - f(y)|^2 - N sigma^2 + sigma^2 div f(y) ] over the N measured voxels, where div f is the sum of the
derivatives of all real and imaginary parts by themselves. f(y) = y has an error of N sigma^2; what removes signal leaves a
residual larger than noise and is found out; what only smooths the noise is not.
"""

from typing import Any

import numpy as np
from scipy import ndimage, signal, stats

from mpijax.core.typing import Array, Bool, Complex, Float, Int

FALSE_ALARMS = 1e-3
"""Share of the rows of pure noise that are taken for signal."""

MARGIN = 3.0
"""Standard deviations of what a check can tell that are granted to a row."""

CLEAN = 0.01
"""Noise over largest modulus below which a failed check of "denoise" is put down to the row having so little of it."""

WORTH = 0.9
"""Remaining error power over sigma^2 above which no row is denoised, however much the check can tell."""

OVERSTATED = 0.5
"""Negative remaining error below which no row is believed, however little the check can tell: twice the noise power that there is,
where all of it is removed."""

STEP = 0.1
"""Length of the step that the derivative is taken with, in units of sigma."""

LEAST_STEP = 1e-5
"""Over the largest modulus: what single precision resolves."""

RESTORED, NOISE, TOO_NOISY, CLEAN_ROW, NOT_BELIEVED, UNSTABLE, NOT_PREDICTED = range(7)
REASONS = (
    "restored",
    "not above the noise",
    "noisier than what the network was trained for",
    "so clean that a network gains nothing",
    "the check of the residual fails",
    "the ensemble disagrees by more than the noise",
    "held-out voxels are not predicted",
)
"""What became of a row, by its code."""


def probe(rows: Int[np.ndarray, " b"], shape: tuple[int, ...]) -> Complex[np.ndarray, " b *s"]:
    """Pieces of the chirp e^{i pi g k^2}, g the golden ratio: of modulus one, nearly white, another piece for each row.

    In place of random directions for :func:`divergence`: no key is needed, and a row has the same direction every time.
    """
    size = int(np.prod(shape))
    k = (rows[:, None] * float(size) + np.arange(size)) % 2**24  # exact in double precision
    golden = (np.sqrt(5) - 1) / 2
    return np.exp(1j * np.pi * ((golden * k) % 2 * k % 2)).reshape(len(rows), *shape).astype(np.complex64)


def divergence(
    change: Complex[Array, " b *s"], direction: Complex[Array, " b *s"], step: Float[Array, " b"]
) -> Float[np.ndarray, " b"]:
    """div f from one finite difference, f(y + step d) - f(y), d = :func:`probe`: 2 Re <d, change> / step.

    The factor two counts real and imaginary parts: <d, J d> of a circular direction of modulus one has the mean tr(J)/2.

    Args:
        change: f(y + step d) - f(y) at the measured voxels, zero at others.
        direction: d.
        step: length of the step of every row, in the unit of the rows.
    """
    inner = np.real(np.conj(direction) * change).reshape(len(change), -1).sum(1, dtype=np.float64)
    return 2 * np.divide(inner, step, out=np.zeros(len(change)), where=np.asarray(step) > 0)


def uncertainty(count: int, frames: int | None) -> float:
    """Relative standard deviation of a row's noise power over ``count`` voxels against that of ``frames`` background frames.

    None = the noise comes from the row itself or was given.
    """
    return float(np.sqrt(1 / max(count, 1) + (0 if frames is None else 1 / max(frames - 1, 1))))


def present(
    power: Float[np.ndarray, " m"], sigma: Float[np.ndarray, " m"], count: int, frames: int | None
) -> Bool[np.ndarray, " m"]:
    """Rows above the noise: the power of white noise alone would reach theirs in one of 1000 rows.

    The ratio of mean |y|^2 over the N measured voxels to sigma^2 is then F-distributed with 2 N and 2 (e - 1) degrees of
    freedom, where sigma is from e background frames.
    """
    degrees = 1e9 if frames is None else 2 * (frames - 1)
    return power > sigma**2 * stats.f.isf(FALSE_ALARMS, 2 * count, degrees)


def remaining_error(
    residual: Float[np.ndarray, " m"],
    divergence: Float[np.ndarray, " m"],
    sigma: Float[np.ndarray, " m"],
    count: int,
    frames: int | None = None,
) -> Float[np.ndarray, " m"]:
    """Estimated error power of the restored rows at measured voxels over that of the measured rows; 1 = nothing gained.

    residual / (N sigma^2) - 1 + div / N, which is unbiased, so that it may be negative for a single row. A variance from e
    frames is divided by (e - 2)/(e - 1) first, because the mean of its inverse is too large by that.

    Args:
        residual: sum |y - f(y)|^2 over the measured voxels (m,).
        divergence: div f (m,).
        sigma: noise (m,).
        count: measured voxels N.
        frames: background frames that sigma is from, or None.

    Source: C. Stein, Ann. Statist. 9(6):1135 (1981); S. Ramani, T. Blu, M. Unser, IEEE Trans. Image Process. 17(9):1540 (2008),
        for the derivative by one finite difference.
    """
    noise = count * sigma**2 * (1.0 if frames is None or frames < 3 else (frames - 1) / (frames - 2))
    return residual / noise - 1 + divergence / count


def judge(
    error: Float[np.ndarray, " m"],
    spread: Float[np.ndarray, " m"],
    level: Float[np.ndarray, " m"],
    power: Float[np.ndarray, " m"],
    held_out: Int[np.ndarray, " m"] | None,
    *,
    fills: bool,
    count: int,
    frames: int | None,
) -> np.ndarray:
    """A code of ``REASONS`` for every row that was tried, all in units of the row's noise.

    With u of :func:`uncertainty`, a denoised row is believed where its remaining error is below 0.9 - u. A filled row must not be
    worse than measured at measured voxels as far as the check can tell, 1 + 3 u, or within 5 % of the row's rms. Neither may lie
    below -(1/4 + 3 u), at least -1/2: the noise must be overstated then. Members of the ensemble may differ by sigma.

    Args:
        error: :func:`remaining_error`.
        spread: of the ensemble over sigma.
        level: sigma over the largest modulus.
        power: mean |y|^2 over sigma^2.
        held_out: codes of :func:`predicted` (m,), or None.
        fills: whether rows are filled, not only denoised.
        count, frames: see :func:`uncertainty`.
    """
    deviation = uncertainty(count, frames)
    margin = MARGIN * deviation
    if not fills:
        most: Any = WORTH - deviation
        apart: Any = 1.0
    else:
        least = 0.05**2 * np.maximum(power - 1, 0)
        most = np.maximum(1 + margin, least)
        apart = np.maximum(1, np.sqrt(4 * least))
    codes = np.full(len(error), RESTORED) if held_out is None else held_out.copy()
    codes[spread >= apart] = UNSTABLE
    codes[(error >= most) | (error <= -min(0.25 + margin, OVERSTATED))] = NOT_BELIEVED
    if not fills:
        codes[(error >= most) & (level < CLEAN)] = CLEAN_ROW
    return codes


def predicted(
    error: Float[np.ndarray, " b"],
    power: Float[np.ndarray, " b"],
    sigma: Float[np.ndarray, " b"],
    count: int,
) -> Int[np.ndarray, " b"]:
    """Whether measured voxels that were hidden have been predicted: ``RESTORED`` or ``NOT_PREDICTED``.

    At least half of their power beyond the noise must be, error < N sigma^2 (1 + 3/sqrt N) + max(0, power - N sigma^2)/2, with sums
    over the N hidden voxels.

    Args:
        error: sum of |prediction - measured|^2 (b,).
        power: sum of |measured|^2 (b,).
        sigma: noise (b,).
        count: hidden voxels N.
    """
    noise = count * sigma**2
    codes = np.full(len(error), RESTORED)
    codes[error >= noise * (1 + MARGIN / np.sqrt(count)) + np.maximum(power - noise, 0) / 2] = NOT_PREDICTED
    return codes


def hold_out(missing: Bool[np.ndarray, " *s"]) -> Bool[np.ndarray, " *s"] | None:
    """Measured voxels to hide: the missing ones, moved as a whole to where most of them are clear of the missing ones.

    Clear = inside the grid, measured, and no neighbor along an axis of a missing voxel; of several such places the nearest. Those
    that fall outside the grid or on missing ones are dropped. None where more than half of them would be, or more than a quarter of
    the grid is missing.
    """
    lost = np.count_nonzero(missing)
    if 4 * lost > missing.size:
        return None
    clear = ~ndimage.binary_dilation(missing)
    found = np.rint(signal.correlate(clear.astype(float), missing.astype(float), mode="full"))  # clear voxels per move
    moves = np.argwhere(found == found.max()) - (np.array(missing.shape) - 1)
    move = moves[np.argmin(np.sum(moves**2, axis=1))]
    moved = np.argwhere(missing) + move
    moved = moved[np.all((moved >= 0) & (moved < missing.shape), axis=1)]
    held = np.zeros_like(missing)
    held[tuple(moved.T)] = True
    held &= ~missing
    return held if 2 * np.count_nonzero(held) >= lost else None
