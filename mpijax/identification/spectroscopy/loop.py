"""From harmonics of the moment to its loop over the field, and to the point-spread function."""

from dataclasses import dataclass

import numpy as np

from mpijax.core.record import Record
from mpijax.core.typing import Array, Complex, Float, HostArray, HostScalar, Int

PHASES = 2048
"""Phases of the drive at which a loop is drawn, four for the highest harmonic at least."""

REACH = 0.95
"""Share of the sweep that counts for dM/dH: at the turning points the field stands still and the quotient has no limit."""

CENTERED = 1e-3
"""Static field, over the drive's amplitude, up to which a loop has a center."""


@dataclass(frozen=True)
class Loop(Record):
    """The moment over the field. Its mean over a period is not induced, and taken for zero.

    Attributes:
        field: total field along the drive [T], (t,), from the middle of the rising branch on.
        moment: (t,), in the unit of the spectrum.
        point_spread: dM/dH (t,), unit of the moment over tesla; NaN near the turning points.
        coercive_field: half of the loop's width at moment 0 [T], positive for a moment that lags; NaN under a static field.
        remanence: half of its height at field 0 over its largest moment, likewise.
        peak_field: how far behind the field's zero the peaks of dM/dH lie, mean of both branches [T].
        width: full width at half maximum of dM/dH, mean of both branches [T]; NaN where the sweep does not reach half of it.

    Source: S. Biederer et al., J. Phys. D 42, 205007 (2009).
    """

    field: HostArray
    moment: HostArray
    point_spread: HostArray
    coercive_field: HostScalar
    remanence: HostScalar
    peak_field: HostScalar
    width: HostScalar


def moment_over(
    orders: Int[np.ndarray, " k"], moment: Complex[np.ndarray, " k"], phases: int
) -> Float[np.ndarray, " t"]:
    """Sum of a_k sin(k theta - phi_k) at theta = 2 pi j/phases, with moment = a_k exp(-i phi_k) and k < phases/2."""
    spectrum = np.zeros(phases // 2 + 1, complex)
    spectrum[orders] = moment / 2j
    return np.fft.irfft(spectrum * phases, phases)


def loop_of(
    orders: Int[np.ndarray, " k"], moment: Complex[np.ndarray, " k"], amplitude: float, static: float = 0.0
) -> Loop:
    """The loop of some harmonics over static + amplitude sin(theta).

    Args:
        orders: harmonics, from 1.
        moment: a_k exp(-i phi_k) of each.
        amplitude: of the drive field [T].
        static: field along the drive [T].
    """
    phases = max(PHASES, 4 * int(orders.max()))
    theta = 2 * np.pi * np.arange(phases) / phases
    total = moment_over(orders, moment, phases)
    field = static + amplitude * np.sin(theta)
    slope = amplitude * np.cos(theta)
    inside = np.abs(np.sin(theta)) <= REACH
    spread = np.full(phases, np.nan)
    spread[inside] = moment_over(orders, 1j * orders * moment, phases)[inside] / slope[inside]
    # each branch in the order of time: the rising one begins at theta = -pi/2
    rising, falling = np.roll(np.arange(phases), phases // 4).reshape(2, -1)
    peaks = [_peak(sign * field[half], spread[half]) for sign, half in ((1, rising), (-1, falling))]
    coercive = remanence = np.nan
    if abs(static) <= CENTERED * amplitude:
        coercive = float(np.mean([_crossing(field[rising], total[rising]), -_crossing(field[falling], total[falling])]))
        remanence = float((total[phases // 2] - total[0]) / 2 / np.abs(total).max())
    position, width = np.mean(peaks, axis=0).tolist()
    return Loop(field, total, spread, coercive, remanence, position, width)


def _crossing(field: Float[Array, " t"], moment: Float[Array, " t"]) -> float:
    """The field at which a branch's moment changes its sign first; NaN where it does not."""
    at = np.flatnonzero(np.signbit(moment[:-1]) != np.signbit(moment[1:]))
    if not len(at):
        return np.nan
    i = int(at[0])
    return float(field[i] - moment[i] * (field[i + 1] - field[i]) / (moment[i + 1] - moment[i]))


def _peak(field: Float[Array, " t"], spread: Float[Array, " t"]) -> tuple[float, float]:
    """Where a branch's dM/dH is largest and its full width at half maximum [T]; field ascends."""
    known = np.isfinite(spread)
    field, spread = field[known], spread[known]
    top = int(np.argmax(spread))
    if top in (0, len(spread) - 1):
        return np.nan, np.nan
    # the vertex of the parabola through the largest value and its neighbors
    curve = np.polyfit(field[top - 1 : top + 2] - field[top], spread[top - 1 : top + 2], 2)
    place = float(field[top] - curve[1] / (2 * curve[0]))
    half = float(curve[2] - curve[1] ** 2 / (4 * curve[0])) / 2
    below = np.flatnonzero(spread[:top] < half)
    above = top + np.flatnonzero(spread[top:] < half)
    if not len(below) or not len(above):
        return place, np.nan
    left, right = int(below[-1]), int(above[0])
    low = np.interp(half, spread[left : left + 2], field[left : left + 2])
    high = np.interp(half, spread[right - 1 : right + 1][::-1], field[right - 1 : right + 1][::-1])
    return place, float(high - low)
