"""What a fit found, how well, and how sure it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, HostArray, HostScalar
from mpijax.identification.gains import row_correlation
from mpijax.identification.least_squares import Search
from mpijax.identification.parameters import UNITS
from mpijax.identification.problem import Found, Problem, coils_of
from mpijax.system import Grid, LissajousSequence, Particle, Scanner, SystemMatrix, simulate_system_matrix

LAB_UNITS = {"m": ("mm", 1e3), "rad": ("deg", 180 / np.pi), "Pa s": ("mPa s", 1e3)}
NANOMETERS = ("core_diameter", "shell_thickness")
DECIMALS = {"nm": 3, "mm": 3, "deg": 3, "J/m^3": 1, "1/m": 1}
"""Most decimals that :meth:`Fit.describe` prints of a unit; 4 of any other."""

DOUBTFUL = 0.5
"""Median correlation of the rows below which a note says so."""

COLLINEAR = 0.98
"""Correlation of two estimates from which on they are reported as not told apart."""

UNDETERMINED = 0.5
"""Standard deviation of the posterior over that of the prior from which on a parameter is not determined."""

FLAT = 1e-10
"""Columns of the Jacobian below this fraction of the largest belong to parameters without influence."""


@pytree
class Fit:
    """Parameters, gains and how well they explain the measured rows. Made by :func:`mpijax.fit`.

    Attributes:
        scanner, particle, sequence: as fitted. A fluid particle carries its reference field.
        gains: complex (c, f), measured unit per simulated volt; 0 for rows that were left out.
        values, stds: parameters and their standard deviations [SI], by name. NaN = at a bound, or held at the first guess,
            infinite = held because it has no influence on the rows.
        determined: by name, whether the rows determine it: its posterior is narrower than half its prior, and not at a bound.
        covariance: (p, p) [SI], in the order of ``values``.
        beta_gradient, beta_gradient_std: beta G [1/m], G the largest entry of the gradient: what a row's width determines
            even where diameter and gradient alone cannot be told apart. None without gradient.
        correlation: |<s_model, s>|/(|s_model| |s|) of each row (c, f); NaN for rows that were left out.
        residual: |w (s - g s_model)|/|w s| over all rows.
        condition: condition number of the Jacobian with columns of norm one.
        costs: squared residual reached from each start (k,), whether each search converged (k,).
        measured: the matrix that was fitted.
        notes: what to know before using the numbers, in sentences; static.
    """

    scanner: Scanner
    particle: Particle
    sequence: LissajousSequence
    gains: HostArray
    values: "dict[str, float]"
    stds: "dict[str, float]"
    determined: "dict[str, bool]"
    covariance: HostArray
    beta_gradient: HostScalar | None
    beta_gradient_std: HostScalar | None
    correlation: HostArray
    residual: HostScalar
    condition: HostScalar
    costs: HostArray
    converged: HostArray
    measured: SystemMatrix
    notes: tuple[str, ...] = static(default=())

    def system_matrix(self, grid: Grid) -> SystemMatrix:
        """The hybrid calibration: the rows simulated on any grid, times the fitted gains.

        Args:
            grid: where, also beyond the measured positions.

        Returns:
            A matrix with the rows, sample and metadata of the measured one, without its background frames.
        """
        with jax.enable_x64(True):
            simulated = simulate_system_matrix(
                self.scanner,
                self.sequence,
                self.particle,
                grid,
                np.asarray(self.measured.frequency_indices),
                concentration=self.measured.sample_concentration,
                sample_volume=self.measured.sample_volume,
                engine="time",
                dtype=jnp.float64,
            )
            values = np.asarray(simulated.values)[coils_of(self.measured, self.scanner)] * self.gains[..., None]
        return replace(
            self.measured,
            values=values.astype(self.measured.values.dtype),
            grid=grid,
            background=None,
            scanner=self.scanner,
            sequence=self.sequence,
            particle=self.particle,
        )

    def describe(self) -> str:
        """The result as text: parameters with uncertainties, rows, starts and notes."""
        kept = self.correlation[np.isfinite(self.correlation)]
        near = np.sum(self.costs <= self.costs.min() * 1.001 + 1e-12)
        lines = [f"fit of {kept.size} rows at {self.measured.grid.size} positions"]
        lines += [_line(name, self.values[name], self.stds[name]) for name in self.values]
        if self.beta_gradient is not None and self.beta_gradient_std is not None:
            lines.append(f"  {'beta G':<24} {_digits(self.beta_gradient, self.beta_gradient_std, '1/m')}")
        lines += [
            f"  correlation of rows: {kept.min():.4f} to {kept.max():.4f}, median {np.median(kept):.4f}",
            f"  relative residual {self.residual:.4f}; condition number {self.condition:.3g}",
            f"  {near} of {len(self.costs)} starts end at the best cost, {int(np.sum(self.converged))} converged",
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def summarize(matrix: SystemMatrix, problem: Problem, searches: Sequence[Search], best: Search, found: Found) -> Fit:
    """The fit from the best search and what was found there."""
    found, best = jax.tree.map(np.asarray, (found, best))
    names = problem.box.names
    values = np.array([found.values[name] for name in names])
    where = uncertainty(best, problem)
    slope = problem.box.slope(values)
    covariance = where.covariance * np.outer(slope, slope)
    held = np.asarray(problem.box.held)
    stds = np.where(where.sure, np.sqrt(np.diagonal(covariance)), np.where(np.isinf(held), np.inf, np.nan))
    beta_gradient = beta_gradient_std = None
    if np.isfinite(found.log_beta_gradient):
        relative = found.log_beta_gradient_slope
        beta_gradient = float(np.exp(found.log_beta_gradient))
        beta_gradient_std = beta_gradient * float(np.sqrt(relative @ where.covariance @ relative))
    shape, rows = matrix.values.shape[:2], (problem.channel, problem.position)
    correlation, gains = np.full(shape, np.nan), np.zeros(shape, np.complex128)
    used = problem.weights > 0
    correlation[rows] = row_correlation(np.asarray(found.model * used), np.asarray(problem.measured * used))
    gains[rows] = found.gains
    static_field = np.asarray(found.scanner.field(np.asarray(problem.grid.positions)))
    reference = np.linalg.norm(static_field, axis=1).max()
    return Fit(
        scanner=found.scanner,
        particle=found.particle.with_reference(reference),
        sequence=problem.sequence,
        gains=gains,
        values=dict(zip(names, values.tolist(), strict=True)),
        stds=dict(zip(names, stds.tolist(), strict=True)),
        determined=dict(zip(names, where.sure.tolist(), strict=True)),
        covariance=covariance,
        beta_gradient=beta_gradient,
        beta_gradient_std=beta_gradient_std,
        correlation=correlation,
        residual=float(np.sqrt(best.cost)),
        condition=where.condition,
        costs=np.array([float(search.cost) for search in searches]),
        converged=np.array([bool(search.converged) for search in searches]),
        measured=matrix,
        notes=tuple(_notes(problem, best, where, found.gains, correlation, matrix)),
    )


@dataclass(frozen=True)
class Uncertainty:
    """How sure the parameters are.

    Attributes:
        covariance: (p, p) of the coordinates in the box.
        condition: of the Jacobian with columns of norm one.
        bound: which parameters stand at a bound (p,); sure: which neither do nor are held at the first guess.
        width: standard deviation of the posterior over that of the prior, uniform in the box, (p,); infinite without influence,
            0 of those that are not free.
    """

    covariance: np.ndarray
    condition: float
    bound: np.ndarray
    sure: np.ndarray
    width: np.ndarray


def uncertainty(best: Search, problem: Problem) -> Uncertainty:
    """How sure the parameters are, from the curvature at the minimum and the residual.

    (J^T J)^-1 J^T V J (J^T J)^-1 with V the variance of every row's residual, which is sigma^2 (J^T J)^-1 where all rows are
    equally noisy. Of the 2 n real data of a row, its gain takes 2 and the parameters their share.

    Source: Huber, Proc. 5th Berkeley Symp. 1 (1967) 221 (covariance under rows of unequal variance).
    """
    unit, jacobian = np.asarray(best.unit), np.asarray(best.jacobian)
    m, n = problem.measured.shape
    squares = (np.asarray(best.residual).reshape(2, m, n) ** 2).sum((0, 2))
    norms = np.linalg.norm(jacobian, axis=0)
    kept = np.asarray(problem.box.held) > 0
    flat = (norms <= FLAT * norms.max()) & ~kept
    bound = ((unit <= 0) | (unit >= 1)) & ~flat & ~kept
    sure = ~(flat | bound | kept)
    freedom = 2.0 * np.count_nonzero(problem.weights, axis=1) - (2 if problem.gains is None else 0) - sure.sum() / m
    deviation = np.sqrt(squares / np.maximum(freedom, 1.0))
    columns = jacobian[:, sure] / norms[sure]
    inverse = np.linalg.pinv(columns) * np.broadcast_to(deviation[:, None], (2, m, n)).reshape(-1)
    covariance = np.zeros((len(unit), len(unit)))
    covariance[np.ix_(sure, sure)] = inverse @ inverse.T / np.outer(norms[sure], norms[sure])
    condition = float(np.linalg.cond(columns)) if sure.any() else np.inf
    width = np.where(flat, np.inf, np.sqrt(12 * np.diagonal(covariance)))
    return Uncertainty(covariance, condition, bound, sure, width)


def _notes(
    problem: Problem,
    best: Search,
    where: Uncertainty,
    gains: Array,
    correlation: np.ndarray,
    matrix: SystemMatrix,
) -> Iterator[str]:
    names, deviation = problem.box.names, np.sqrt(np.diagonal(where.covariance))
    for name, bound, held in zip(names, where.bound, np.asarray(problem.box.held), strict=True):
        if bound:
            yield f"{name} stands at its bound; its uncertainty is not known and the others assume it is right."
        elif np.isinf(held):
            yield f"{name} has no influence on the rows here and is held at the first guess."
        elif held:
            yield (
                f"{name} is not determined and held at the first guess: the rows narrow the range between its bounds to "
                f"{min(held, 1.0):.0%} only."
            )
    for i, j in combinations(np.flatnonzero(deviation), 2):
        rho = where.covariance[i, j] / (deviation[i] * deviation[j])
        if abs(rho) > COLLINEAR:
            yield (
                f"{names[i]} and {names[j]} are hardly told apart (correlation {rho:.4f}): their combination is known better "
                "than each."
            )
    if not best.converged:
        yield "the search did not converge; raise iterations or starts."
    if empty := int(np.sum(gains == 0)):
        yield f"{empty} rows have no simulated signal and the gain 0."
    if (median := float(np.nanmedian(correlation))) < DOUBTFUL:
        yield (
            f"the median correlation of the rows is {median:.2f}: most rows are noise or not described by the model, and the "
            "uncertainties are then too small; select rows by SNR."
        )
    noise = matrix.noise_std
    if noise is not None:
        row = np.sqrt((best.residual.reshape(2, *problem.measured.shape) ** 2).sum((0, 2)))
        expected = np.linalg.norm(problem.weights, axis=1) * noise[problem.channel, problem.position]
        known = expected > 0  # not NaN: a row without frames
        ratio = float(np.median(row[known] / expected[known])) if known.any() else 0.0
        if ratio > 2:
            yield (
                f"the residual is {ratio:.2g} times the background noise: the model, not the noise, limits the fit, and the "
                "uncertainties, which assume independent residuals, are lower bounds."
            )


def _line(name: str, value: float, std: float) -> str:
    unit, factor = ("nm", 1e9) if name in NANOMETERS else LAB_UNITS.get(UNITS[name], (UNITS[name], 1.0))
    label = "gradient (largest entry)" if name == "gradient" else name
    return f"  {label:<24} {_digits(value * factor, std * factor, unit)}".rstrip()


def _digits(value: float, std: float, unit: str) -> str:
    """Value and uncertainty to two digits of the uncertainty, but not beyond the decimals of the unit."""
    decimals = most = DECIMALS.get(unit, 4)
    if np.isfinite(std) and std > 0:
        decimals = int(np.clip(1 - np.floor(np.log10(std)), 0, most))
    uncertainty = f"+- {std:.{decimals}f}"
    if np.isnan(std):
        uncertainty = "not determined"
    elif std < 0.5 * 10.0**-most:
        uncertainty = f"+- <{10.0**-most:.{most}f}"
    return f"{value:z.{decimals}f} {uncertainty} {unit}"
