"""The noise of frames, of which some may hold no value: NaN and infinite entries do not count."""

from typing import Any

import numpy as np

from mpijax.core.typing import Array, Bool, Float, Int, Num


def finite_frames(frames: Num[Array, "e ..."]) -> Int[np.ndarray, "..."]:
    """How many frames hold a finite value, of each entry."""
    return np.count_nonzero(np.isfinite(np.asarray(frames)), axis=0)


def frame_std(frames: Num[Array, "e ..."]) -> Float[np.ndarray, "..."]:
    """Complex standard deviation sqrt(sum |b_e - mean b|^2 / (E - 1)) over the E frames that hold a finite value.

    In double precision: squares of raw receive voltages underflow in single precision.

    Args:
        frames: (e, ..), such as background frames (e, c, f).

    Returns:
        (..) in the unit of the frames; NaN where fewer than two frames hold a finite value.
    """
    values: Any = np.asarray(frames, np.complex128)
    finite = np.isfinite(values)
    values, count = np.where(finite, values, 0), np.count_nonzero(finite, axis=0)
    deviation = np.where(finite, values - values.sum(0) / np.maximum(count, 1), 0)
    power = np.sum(np.abs(deviation) ** 2, axis=0)
    return np.sqrt(np.divide(power, count - 1, out=np.full(power.shape, np.nan), where=count > 1))


def stands_out(frames: Num[Array, "e ..."], chance: float = 0.01) -> Bool[np.ndarray, "..."]:
    """Whether the mean of E frames is larger than noise alone makes it with this probability.

    Of E frames of circular Gaussian noise, t = E |mean b|^2 / s^2, s of :func:`frame_std`, follows the F distribution with 2 and
    2 (E - 1) degrees of freedom, so that P(t > x) = (1 + x / (E - 1))^(1 - E).

    Args:
        frames: (e, ..), at least two.
        chance: that probability, above 0.
    """
    values: Any = np.asarray(frames, np.complex128)
    freedom = len(values) - 1
    power, noise = len(values) * np.abs(values.mean(0)) ** 2, frame_std(values) ** 2
    return power > noise * freedom * (chance ** (-1 / freedom) - 1)
