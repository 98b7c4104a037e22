"""Fine rows of a rotated field-free line from coarse, noisy ones: a fitted simulator, and what the rows say beyond it."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from scipy.interpolate import BSpline

from mpijax.core.checks import check_choice, check_count, check_finite, check_range, is_concrete
from mpijax.core.typing import Complex, Float, HostArray, Inexact
from mpijax.identification.line_model import PARAMETERS, PARTICLE, PRIOR, LineRows
from mpijax.system import SystemMatrix

STARTS = np.geomspace(100.0, 3000.0, 6)
"""beta [1/T] that the fit is tried from: cores of 12 to 38 nm."""

LARGEST_STEP = np.array([0.3, 0.1, 0.1, 0.1, 2e-3, 2e-3, 0.3, 0.3, 0.3, 0.3, 0.3])
"""Of a parameter at once."""

ITERATIONS, CONVERGED = 12, 0.05
"""Most steps of the fit, and the step over the standard deviation at which it stops."""

BROKEN = 20.0
"""Times the median of its harmonic by which a row is explained worse that is taken for broken and not counted."""

ROUNDS = 2
"""How often profile and geometry are fitted in turn."""

SMOOTHNESS = np.logspace(-7, 7, 36)
"""Weights of a profile's third differences that are tried, relative to the data; RIDGE: of its coefficients themselves."""

RIDGE = 1e-6

TANGENT_STEPS = 40
"""Of the estimate of how large the deviations of rows are."""

LEAST_VARIANCE = 1e-12

STRENGTHS = np.concatenate([[0.0], np.logspace(-2.5, 1.0, 15)])
"""Standard deviations of what no deviation explains, in units of the noise, that are tried; it must be likelier than none by
EVIDENCE. Only its smoothness tells it from noise, so that a noise level that is given wrong does not bring it about."""

EVIDENCE = 3.0


@dataclass(frozen=True, eq=False)
class FittedRows:
    """Fine rows of a fitted field-free line. Made by :func:`fitted_rows`.

    Attributes:
        system_matrix: the fine matrix, in the unit of the coarse one, without its background frames.
        values: the parameters of :data:`mpijax.identification.line_model.PARAMETERS` by name, in their units: beta [1/T], gradient
            [T/m], amplitude [T], turn [rad], x and y [m], terms of the coil.
        stds: their standard deviations, the profile being known; relative for beta, gradient and amplitude.
        misfit: mean |residual|^2 over sigma^2 of every coarse row (c, f); freedom: numbers that each row was adjusted with.
        plain_misfit: the same over all rows of the fit alone, with one factor per row.
        told: what the file said of gradient [T/m] and amplitude [T].
    """

    system_matrix: SystemMatrix
    values: dict[str, float]
    stds: dict[str, float]
    misfit: HostArray
    freedom: HostArray
    plain_misfit: float
    told: tuple[float, float]

    def describe(self) -> str:
        """What was fitted, how far the file was off, and how well the rows are explained; with units."""
        v, s, (gradient, amplitude) = self.values, self.stds, self.told
        lines = [
            f"field-free line fitted to {self.misfit.size} rows: misfit {np.mean(self.misfit):.3f} of the noise power, "
            f"{self.plain_misfit:.3f} with one Langevin particle and one factor per row alone",
            f"  beta       {v['beta']:.5g} 1/T +- {100 * s['beta']:.2g} %",
            f"  gradient   {v['gradient']:.5g} T/m +- {100 * s['gradient']:.2g} %, file "
            f"{100 * (v['gradient'] / gradient - 1):+.2f} %",
            f"  amplitude  {1e3 * v['amplitude']:.5g} mT +- {100 * s['amplitude']:.2g} %, file "
            f"{100 * (v['amplitude'] / amplitude - 1):+.2f} %",
            f"  turned by  {np.rad2deg(v['turn']):.3f} +- {np.rad2deg(s['turn']):.2g} degrees",
            f"  moved by   {1e3 * v['x']:.3f}, {1e3 * v['y']:.3f} +- {1e3 * max(s['x'], s['y']):.2g} mm",
            f"  coil       {v['coil x']:+.3f} x {v['coil y']:+.3f} y {v['coil xx']:+.3f} x^2 {v['coil xy']:+.3f} x y "
            f"{v['coil yy']:+.3f} y^2 over half the grid's width",
        ]
        return "\n".join(lines)


def fitted_rows(coarse: SystemMatrix, scale: int, *, sampling: str = "box", sigma: Any = None) -> FittedRows:
    r"""Fine rows from a field-free line that is fitted to all coarse rows together, and adjusted to each.

    .. math:: s_{ak}(\mathbf r) = g_k\, p(\mathbf r)\, (S_k(u) + b_k(u))
        \left( 1 + \sum_j z_{akj}\, \partial_j \log s \right) + e_{ak}(\mathbf r)

    with u the distance from the line at angle a.

    1. One Langevin particle (beta), gradient, amplitude, angle and position of the line and a coil of degree 2 are fitted to all
    rows, with one complex factor per row in closed form and the file's geometry as a prior (5 %, 3 degrees, 1 mm).
    2. All angles see the same profile of each harmonic, whatever the particles: a smooth complex correction b_k(u), a spline whose
    smoothness has the largest evidence, holds what sizes and relaxation add. Profile and geometry are fitted in turn.
    3. Each row may differ along the tangents of all parameters, itself included; how much, per harmonic and tangent, is learned
    from all angles (empirical Bayes), so that rows that need no adjustment hardly get one.
    4. What remains of the coarse rows is not interpolated, for it is noise for the greater part, but enters through a Wiener
    filter: a smooth random field e whose strength has the largest evidence, often zero.
    A row that the first step explains 20 times worse than is usual in its harmonic does not count; it is predicted from the others.

    Args:
        coarse: matrix with sequence, scanner and angles of a field-free line in the plane z = 0 and one coil; kept rows count.
        scale: fine voxels per coarse one along x and y.
        sampling: "box", coarse values are means over blocks of scale x scale fine voxels, or "stride", every scale-th fine voxel.
        sigma: complex standard deviation of the coarse rows' noise [unit of the values], a number or (c, f); None = of the
            background frames.

    Returns:
        The fine matrix, the parameters, and what was not explained.

    Raises:
        ValueError: no angles, sequence or scanner, or not those of a line; no noise level, or not above zero; values that are NaN
            or infinite; no signal.
        TypeError: something other than a system matrix, or under a transformation.

    Source: this project; evidence after MacKay, Neural Comput. 4 (1992) 415.
    """
    if not isinstance(coarse, SystemMatrix):
        raise TypeError(f"coarse is a {type(coarse).__name__}; rows are fitted to a whole SystemMatrix.")
    if not is_concrete(coarse):
        raise TypeError("the fit searches on the host; call it outside jit, grad and vmap.")
    check_count("scale", scale)
    check_choice("sampling", sampling, ("box", "stride"))
    line = LineRows.of(coarse, scale, sampling)
    measured = np.asarray(coarse.values, np.complex128)
    check_finite("the values of the matrix", measured)
    noise = _noise(coarse, sigma)
    kept = np.ones(noise.shape, bool) if coarse.row_mask is None else np.asarray(coarse.row_mask)
    weights = kept / noise
    data = whole = measured * weights[..., None]
    if not np.any(data):
        raise ValueError("all kept rows are zero everywhere; select rows with a signal.")
    with jax.enable_x64(True):
        unit = _start(line, data, weights)
        everything = np.ones(len(unit), bool)
        unit, stds = _fitted(line, data, weights, unit, everything, None)
        distance = np.mean(np.abs(data - _scaled(line, data, weights, unit)) ** 2, axis=-1)
        usual = np.ma.median(np.ma.masked_where(weights == 0, distance), axis=0)
        broken = distance > BROKEN * np.ma.filled(usual, np.inf)
        if broken.any():
            weights, data = np.where(broken, 0, weights), np.where(broken[..., None], 0, data)
            unit, stds = _fitted(line, data, weights, unit, everything, None)
            distance = np.mean(np.abs(data - _scaled(line, data, weights, unit)) ** 2, axis=-1)
        plain = float(np.mean(distance[weights > 0]))
        bump = None
        geometry = np.arange(len(unit)) >= PARTICLE
        for _ in range(ROUNDS):
            bump = _profile(line, data, weights, unit, bump)
            unit, _ = _fitted(line, data, weights, unit, geometry, bump)
        fine, left, freedom = _adjusted(line, data, weights, unit, bump)
    smooth, taken = _random_field(line, left * (weights > 0)[..., None])
    fine, freedom = fine + noise[..., None] * smooth, freedom + taken
    left = whole - line.observe(fine) * (kept / noise)[..., None]
    values = np.concatenate([np.exp(unit[:PARTICLE]), unit[PARTICLE:]])
    gradient, amplitude = np.exp(line.told[1:PARTICLE])
    return FittedRows(
        replace(coarse, values=fine.astype(np.asarray(coarse.values[:0]).dtype), grid=line.grid, background=None),
        dict(zip(PARAMETERS, values.tolist(), strict=True)),
        dict(zip(PARAMETERS, stds.tolist(), strict=True)),
        np.mean(np.abs(left) ** 2, axis=-1),
        freedom,
        plain,
        (float(gradient), float(amplitude)),
    )


def _noise(matrix: SystemMatrix, sigma: Any) -> Float[np.ndarray, "c f"]:
    given = matrix.noise_std if sigma is None else sigma
    if given is None:
        raise ValueError(
            "the matrix has no background frames that say how noisy its rows are; give the complex standard deviation of their "
            "noise, sigma=."
        )
    check_range("sigma", given, 0, float("inf"), "")
    shape = matrix.values.shape[:2]
    if np.shape(given) not in ((), shape):
        raise ValueError(f"sigma has shape {np.shape(given)}; expected a number or one per row, {shape}.")
    noise = np.broadcast_to(np.asarray(given, np.float64), shape)
    kept = np.ones(shape, bool) if matrix.row_mask is None else np.asarray(matrix.row_mask)
    if not np.all(noise[kept] > 0):
        raise ValueError(f"sigma is 0 in {np.count_nonzero(~(noise[kept] > 0))} kept rows; give each its noise level.")
    return np.where(noise > 0, noise, 1.0)


def _factors(rows: Inexact[np.ndarray, "... c"], data: Inexact[np.ndarray, "... c"]) -> Inexact[np.ndarray, "..."]:
    """One factor per row that brings it closest to the data; 0 for a row that is zero."""
    energy = np.sum(np.abs(rows) ** 2, axis=-1)
    return np.sum(np.conj(rows) * data, axis=-1) / np.where(energy > 0, energy, 1)


def _scaled(line: LineRows, data: np.ndarray, weights: np.ndarray, unit: np.ndarray, bump: Any = None) -> np.ndarray:
    """Coarse rows of some parameters over their noise, each with its best factor."""
    rows = line.observe(line.rows(unit, bump)) * weights[..., None]
    return rows * _factors(rows, data)[..., None]


def _start(line: LineRows, data: np.ndarray, weights: np.ndarray) -> Float[np.ndarray, " p"]:
    """The file's geometry and the particle that explains the rows best with it."""
    tried = [np.concatenate([[np.log(beta)], line.told[1:]]) for beta in STARTS]
    return min(tried, key=lambda unit: float(np.sum(np.abs(data - _scaled(line, data, weights, unit)) ** 2)))


def _fitted(
    line: LineRows, data: np.ndarray, weights: np.ndarray, unit: np.ndarray, free: np.ndarray, bump: BSpline | None
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """Gauss-Newton steps with one factor per row eliminated (variable projection), and standard deviations."""
    center = np.concatenate([unit[:1], line.told[1:]])
    for _ in range(ITERATIONS):
        rows, tangents = (line.observe(x) * weights[..., None] for x in line.tangents(unit, bump))
        factors = _factors(rows, data)[..., None]
        residual = data - factors * rows
        slopes = factors * (tangents - _factors(rows, tangents)[..., None] * rows)
        slopes = slopes.reshape(len(slopes), -1)[free]
        normal = 2 * (slopes.conj() @ slopes.T).real + np.diag(1 / PRIOR[free] ** 2)
        toward = 2 * (slopes.conj() @ residual.ravel()).real + ((center - unit) / PRIOR**2)[free]
        step = np.zeros(len(unit))
        step[free] = np.linalg.solve(normal, toward)
        step /= max(1.0, np.max(np.abs(step) / LARGEST_STEP))
        unit = unit + step
        if np.max(np.abs(step[free]) * np.sqrt(np.diag(normal))) < CONVERGED:
            break
    stds = np.zeros(len(unit))
    stds[free] = np.sqrt(np.diag(np.linalg.inv(normal)))
    return unit, stds


def _profile(line: LineRows, data: np.ndarray, weights: np.ndarray, unit: np.ndarray, bump: BSpline | None) -> BSpline:
    """The smooth correction of the profile of every harmonic that has the largest evidence."""
    knots, count = line.bump_basis()
    basis = line.bump_rows(unit)  # (a, k, c)
    factors = weights * _factors(line.observe(line.rows(unit, bump)) * weights[..., None], data)
    residual = data - line.observe(line.rows(unit)) * factors[..., None]
    third = np.diff(np.eye(count), 3, axis=0)
    found = np.zeros((count, data.shape[1]), complex)
    for k, factor in enumerate(factors.T):
        if not factor.any():  # no row of this harmonic counts
            continue
        size, turn = np.abs(factor), np.exp(-1j * np.angle(factor))
        design = (basis * size[:, None, None]).transpose(1, 0, 2).reshape(count, -1)
        normal, toward = design @ design.T, design @ (residual[:, k] * turn[:, None]).ravel()
        unit_weight = np.trace(normal) / count
        best = -np.inf
        for smoothness in SMOOTHNESS:
            prior = unit_weight * (smoothness * third.T @ third / 20 + RIDGE * np.eye(count))
            solved = np.linalg.solve(normal + prior, toward)
            evidence = (
                (toward.conj() @ solved).real + np.linalg.slogdet(prior)[1] - np.linalg.slogdet(normal + prior)[1]
            )
            if evidence > best:
                best, found[:, k] = evidence, solved
    return BSpline(knots, found, 3)


def _adjusted(
    line: LineRows, data: np.ndarray, weights: np.ndarray, unit: np.ndarray, bump: BSpline
) -> tuple[Complex[np.ndarray, "a f n"], Complex[np.ndarray, "a f c"], Float[np.ndarray, "a f"]]:
    """Rows adjusted along their tangents, what they leave of the coarse ones over the noise, and the numbers that this took."""
    rows, tangents = line.tangents(unit, bump)
    fine = np.concatenate([rows[None], tangents * PRIOR[:, None, None, None]])
    seen = line.observe(fine)
    energy = np.sum(np.abs(seen[0]) ** 2, axis=-1) * weights**2  # (a, f)
    whole = energy.sum(axis=0)
    gains = np.sum(weights[..., None] * seen[0].conj() * data, axis=(0, 2)) / np.where(whole > 0, whole, 1)
    fine, seen = fine * gains[:, None], seen * (gains * weights)[..., None]
    residual = data - seen[0]
    stacked = seen.transpose(2, 1, 0, 3)  # (f, a, j, c)
    normal = stacked.conj() @ stacked.swapaxes(-1, -2)
    toward = (stacked.conj() @ residual.swapaxes(0, 1)[..., None])[..., 0]
    variance = np.full((len(gains), len(seen)), 0.01)
    counts = (energy.T > 0)[..., None]
    for _ in range(TANGENT_STEPS):
        spread = np.linalg.inv(normal + np.eye(len(seen)) / variance[:, None, :, None])
        change = (spread @ toward[..., None])[..., 0]
        power = np.abs(change) ** 2 + np.diagonal(spread, axis1=-2, axis2=-1).real
        variance = np.sum(power * counts, axis=1) / np.maximum(np.sum(counts, axis=1), 1)
        variance = np.maximum(variance, LEAST_VARIANCE)
    freedom = np.trace(spread @ normal, axis1=-2, axis2=-1).real.T
    adjusted = fine[0] + np.einsum("faj,jafn->afn", change, fine)
    return adjusted, residual - np.einsum("faj,jafc->afc", change, seen), freedom


def _random_field(
    line: LineRows, left: Complex[np.ndarray, "a f c"]
) -> tuple[Complex[np.ndarray, "a f n"], Float[np.ndarray, " f"]]:
    """The mean of a random field that is smooth over a coarse voxel, given what is left of the coarse rows; over the noise.

    And the numbers per row that this takes.
    """
    x = line.positions / (line.scale * line.voxel)
    covariance = np.exp(-np.sum((x[:, None] - x) ** 2, axis=-1) / 2)
    between = line.observe(covariance)  # (n, c)
    powers, modes = np.linalg.eigh(line.observe(between.T))
    powers = np.maximum(powers, 0)
    found, taken = np.zeros((*left.shape[:2], len(x)), complex), np.zeros(left.shape[1])
    for k in range(left.shape[1]):
        seen = left[:, k] @ modes
        power = np.mean(np.abs(seen) ** 2, axis=0)
        if not power.any():
            continue

        def evidence(strength: float, power: np.ndarray = power) -> float:
            variance = 1 + strength**2 * powers  # over that of the noise, whose own level is found as well
            return float(-len(left) * (len(power) * np.log(np.mean(power / variance)) + np.sum(np.log(variance))))

        strength = max(STRENGTHS, key=evidence)
        if evidence(strength) > evidence(0.0) + EVIDENCE:
            share = strength**2 / (1 + strength**2 * powers)
            found[:, k], taken[k] = (seen * share) @ modes.T @ between.T, np.sum(share * powers)
    return found, taken
