"""How far simulated rows are from measured ones, and Levenberg-Marquardt on all rows of a matrix at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mpijax.core.typing import Bool, Complex, Float, Int
from mpijax.identification.per_matrix.numbers import COIL_SLOPE, CROSS_TALK

WIDEST = 1.5
"""Longest step of a number, in standard deviations of its prior."""

FLOOR = 1e-14
"""Power of a simulated row over the largest one's, below which it has no factor."""

FIRST_TALK = 0.1
"""Cross talk that the search starts from, in standard deviations: at none a channel without signal of its own tells nothing."""


@dataclass(frozen=True)
class Rows:
    """Measured rows and where they are from.

    Attributes:
        values: (r, n); known: voxels that were measured (n,); sigma: complex standard deviation of the noise (r,).
        coil, place: receive coil of each row, and place of its bin in ``bins`` (f,).
        unit: positions over half the field of view, along the axes in use (u, n).
    """

    values: Complex[np.ndarray, "r n"]
    known: Bool[np.ndarray, " n"]
    sigma: Float[np.ndarray, " r"]
    coil: Int[np.ndarray, " r"]
    place: Int[np.ndarray, " r"]
    bins: Int[np.ndarray, " f"]
    unit: Float[np.ndarray, "u n"]

    @staticmethod
    def of(
        values: Complex[np.ndarray, "r n"],
        known: Bool[np.ndarray, " n"],
        sigma: Float[np.ndarray, " r"],
        coil: Int[np.ndarray, " r"],
        bins: Int[np.ndarray, " r"],
        unit: Float[np.ndarray, "u n"],
    ) -> "Rows":
        """With the bin of every row."""
        different, place = np.unique(bins, return_inverse=True)
        return Rows(values, known, sigma, coil, place, different, unit)

    def at(self, voxels: Int[np.ndarray, " k"]) -> "Rows":
        """Some of the voxels."""
        return Rows(
            self.values[:, voxels],
            self.known[voxels],
            self.sigma,
            self.coil,
            self.place,
            self.bins,
            self.unit[:, voxels],
        )

    def some(self, rows: Int[np.ndarray, " k"]) -> "Rows":
        """Some of the rows."""
        return Rows.of(
            self.values[rows], self.known, self.sigma[rows], self.coil[rows], self.bins[self.place[rows]], self.unit
        )


Simulator = Callable[[Float[np.ndarray, " p"]], tuple[Complex[np.ndarray, "c f n"], Complex[np.ndarray, "p c f n"]]]
"""Coordinates -> signals of all channels and their derivatives."""


def n_coil_numbers(channels: int, axes: int) -> int:
    """How many numbers describe the coils: slopes of every channel along every axis, and what it has of every other one."""
    return channels * axes + channels * (channels - 1)


def imperfect(
    signals: Complex[np.ndarray, "c f n"],
    slopes: Complex[np.ndarray, "p c f n"],
    coils: Float[np.ndarray, " q"],
    rows: Rows,
) -> tuple[Complex[np.ndarray, "r n"], Complex[np.ndarray, "pq r n"]]:
    """Rows (1 + g_c . u)(s_c + sum_j x_cj s_j) and their derivatives by all numbers, those of the coils last.

    Args:
        signals, slopes: of ideal coils.
        coils: g (c, u), then x (c, c - 1), in standard deviations.
        rows: which rows are asked for.
    """
    channels, axes = len(signals), len(rows.unit)
    steep = COIL_SLOPE * coils[: channels * axes].reshape(channels, axes)
    talk = np.zeros((channels, channels))
    talk[~np.eye(channels, dtype=bool)] = CROSS_TALK * coils[channels * axes :]
    gain = (1 + steep @ rows.unit)[rows.coil]
    at = rows.coil, rows.place
    mixed = signals[at] + np.einsum("rj,jrn->rn", talk[rows.coil], signals[:, rows.place])
    derived = [gain * (s[at] + np.einsum("rj,jrn->rn", talk[rows.coil], s[:, rows.place])) for s in slopes]
    for channel in range(channels):
        own = (rows.coil == channel)[:, None] * COIL_SLOPE
        derived += [own * along * mixed for along in rows.unit]
    for channel in range(channels):
        own = (rows.coil == channel)[:, None] * CROSS_TALK
        derived += [own * gain * signals[j, rows.place] for j in range(channels) if j != channel]
    return gain * mixed, np.stack(derived)


@dataclass(frozen=True)
class Match:
    """Simulated rows at one point of the search.

    Attributes:
        numbers: coordinates, of the particle and the geometry, then of the coils.
        model: simulated rows (r, n), the largest value of all channels about one.
        cost: sum |y - g model|^2 / sigma^2 over the known voxels, g the best factor of each row.
        curvature, descent: normal equations of half of the cost, (p, p) and (p,), without the prior.
    """

    numbers: Float[np.ndarray, " p"]
    model: Complex[np.ndarray, "r n"]
    cost: float
    curvature: Float[np.ndarray, "p p"]
    descent: Float[np.ndarray, " p"]

    @property
    def total(self) -> float:
        """Minus twice the logarithm of the posterior: 2 cost + |numbers|^2."""
        return 2 * self.cost + float(self.numbers @ self.numbers)


def match(simulate: Simulator, numbers: Float[np.ndarray, " p"], rows: Rows, coils: int) -> Match:
    """Compare rows with the simulation at ``numbers``, the last ``coils`` of which are of the coils.

    The factors are solved in closed form, and so the derivative of the residual is that at the best factors
    (Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, with Kaufman's simplification).
    """
    split = len(numbers) - coils
    signals, slopes = simulate(numbers[:split])
    if not np.isfinite(signals).all():  # fields that the particle cannot be simulated in
        nothing = np.zeros((len(numbers), len(numbers)))
        return Match(numbers, np.zeros_like(rows.values), np.inf, nothing, nothing[0])
    scale = max(float(np.abs(signals).max()), 1e-30)
    model, derived = imperfect(signals / scale, slopes / scale, numbers[split:], rows)
    seen = model * rows.known
    power = np.sum(np.abs(seen) ** 2, axis=1) + FLOOR
    factor = np.sum(np.conj(seen) * rows.values, axis=1) / power
    weight = rows.known / rows.sigma[:, None]
    residual = (rows.values - factor[:, None] * model) * weight
    moved = derived * factor[None, :, None]
    moved = moved - (np.einsum("prn,rn->pr", moved, np.conj(seen)) / power)[..., None] * model
    moved = (moved * weight).reshape(len(numbers), -1)
    return Match(
        numbers,
        model,
        float(np.sum(np.abs(residual) ** 2)),
        2 * np.real(moved.conj() @ moved.T),
        2 * np.real(moved.conj() @ residual.reshape(-1)),
    )


def search(
    simulate: Simulator,
    first: Float[np.ndarray, " p"],
    free: Bool[np.ndarray, " p"],
    rows: Rows,
    coils: int,
    steps: int,
) -> Match:
    """Levenberg-Marquardt from ``first`` under a Gaussian prior of standard deviation one around zero."""
    best, damping = match(simulate, first, rows, coils), 1e-2
    index = np.flatnonzero(free)
    for _ in range(steps):
        if not np.isfinite(best.total):
            return best
        curvature = (best.curvature + np.eye(len(first)))[np.ix_(index, index)]
        descent = (best.descent - best.numbers)[index]
        gained = 0.0
        for _ in range(5):
            step = np.zeros(len(first))
            step[index] = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), descent)
            tried = match(simulate, best.numbers + np.clip(step, -WIDEST, WIDEST), rows, coils)
            if np.isfinite(tried.total) and tried.total < best.total:
                gained, best, damping = best.total - tried.total, tried, max(damping / 5, 1e-5)
                break
            damping *= 8
        if gained < 1.0:
            break
    return best
