"""Fine matrices from a simulator that was fitted to a coarse, noisy one: for field-free points and field-free lines."""

from dataclasses import replace
from typing import Any, cast

import jax
import numpy as np
from scipy import sparse
from scipy.optimize import OptimizeResult, least_squares
from scipy.stats import qmc

from mpijax.core.checks import check_count, is_concrete
from mpijax.core.interpolation import keys_kernel
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float, HostArray, HostScalar, Vector
from mpijax.identification.gains import counted, solve_gains
from mpijax.identification.problem import check_measured
from mpijax.identification.search import fit
from mpijax.system import Grid, Particle, Scanner, SystemMatrix, line_sequence, simulate_field_free_line

NODES_PER_VOXEL = 16
"""Distances from the line, per fine voxel, at which the signal is tabulated."""

UNDETERMINED = 0.1
"""Relative standard deviation from which on a parameter is reported as not determined."""


def fitted_matrix(coarse: SystemMatrix, scale: int, *, starts: int = 4) -> SystemMatrix:
    """The fine matrix of the simulator that explains a coarse one best: an inverse-crime bound on simulated data.

    On simulated data the model that is fitted is the model that made the data. Two or three parameters are then all that is
    unknown, and the result says how small an error can get where the physics is known exactly, not what the method reaches
    on a scanner. Do not list it among methods that were not told the simulator.

    The coarse values are means over blocks of scale x scale fine voxels, as a sample measures that fills a coarse voxel. With
    ``angles`` a field-free line is fitted (:func:`fit_field_free_line`), otherwise diameter, gradient and field-free point of a
    Lissajous sequence (:func:`mpijax.fit`), whose search starts from what the matrix records.

    Args:
        coarse: matrix with its sequence (and scanner, for Lissajous sequences); rows count by 1/noise, equal for all where no
            background frames say otherwise.
        scale: fine voxels per coarse one along x and y; z is left as it is.
        starts: how many points the search starts from.

    Returns:
        The matrix on the finer grid, in the unit of the coarse one.

    Raises:
        ValueError: no sequence or scanner, or as :func:`mpijax.fit` and :func:`fit_field_free_line`.
        TypeError: something other than a system matrix, or under a transformation.
    """
    _check_request(coarse, scale, starts)
    fine = coarse.grid.refine((scale, scale, 1))
    if coarse.angles is not None:
        return fit_field_free_line(coarse, scale, starts=starts).system_matrix(fine)
    missing = [name for name in ("sequence", "scanner") if getattr(coarse, name) is None]
    if missing:
        raise ValueError(
            f"the matrix carries no {' and no '.join(missing)} and no angles of a field-free line; a simulator can be fitted only "
            f"to a known scan. Give it what it was measured with, dataclasses.replace(matrix, {missing[0]}=...)."
        )
    return fit(coarse, weights=_weights(coarse), subvoxels=(scale, scale, 1), starts=starts).system_matrix(fine)


@pytree
class LineFit:
    """A simulated field-free line fitted to a matrix. Made by :func:`fit_field_free_line`.

    The shape of the rows depends on beta G and A/G alone. Gradient and diameter follow from them by the amplitude that the
    sequence records, and by the particle's saturation magnetization and temperature.

    Attributes:
        beta_gradient: beta G [1/m], the inverse width of the blur; sweep: A/G [m], how far the drive moves the line.
        gradient: G = A / sweep [T/m]; particle: with the core diameter that beta = beta_gradient / G gives.
        gains: complex (f,), measured unit per simulated volt, one for every harmonic.
        stds: relative standard deviations of "beta_gradient", "sweep", "gradient" and "core_diameter"; NaN where a bound holds
            a parameter, infinite where the rows do not depend on it.
        residual: |w (s - g s_model)|/|w s| over all rows.
        costs: squared residual reached from each start (k,).
        measured: the matrix that was fitted.
    """

    beta_gradient: HostScalar
    sweep: HostScalar
    gradient: HostScalar
    particle: Particle
    gains: HostArray
    stds: "dict[str, float]"
    residual: HostScalar
    costs: HostArray
    measured: SystemMatrix

    def system_matrix(self, grid: Grid) -> SystemMatrix:
        """The rows simulated on any grid in the plane z = 0, times the fitted gains.

        Args:
            grid: where.

        Returns:
            A matrix with the rows, sample and metadata of the measured one, without its background frames.
        """
        matrix, angles = self.measured, np.asarray(self.measured.angles)
        with jax.enable_x64(True):
            simulated = _simulate(matrix, self.gradient, self.particle, grid, angles)
            values = np.asarray(simulated.values) * self.gains[:, None]
        return replace(
            matrix,
            values=values.astype(matrix.values.dtype),
            grid=grid,
            background=None,
            scanner=Scanner.field_free_line(self.gradient, angles[0]),
            particle=self.particle,
        )

    def describe(self) -> str:
        """The result as text, with what the rows do not determine."""
        values = {
            "beta_gradient": (self.beta_gradient, "1/m"),
            "sweep": (self.sweep * 1e3, "mm"),
            "gradient": (self.gradient, "T/m"),
            "core_diameter": (float(self.particle.core_diameter) * 1e9, "nm"),
        }
        lines = [
            f"field-free line fitted to {self.measured.rows().shape[0]} rows, relative residual {self.residual:.4f}"
        ]
        for name, (value, unit) in values.items():
            std = self.stds[name]
            sure = (
                "at its bound" if np.isnan(std) else "not determined" if std > UNDETERMINED else f"+- {std * 100:.2g} %"
            )
            lines.append(f"  {name:<14} {value:.5g} {unit} {sure}")
        return "\n".join(lines)


def fit_field_free_line(coarse: SystemMatrix, scale: int = 1, *, starts: int = 4) -> LineFit:
    r"""Fit blur and sweep of a rotated field-free line, and one complex gain per harmonic, to a coarse matrix.

    .. math:: \min_{\beta G,\, A/G,\, g}\ \sum_{ak\mathbf r} |w_{ak} (s_{ak}(\mathbf r)
        - g_k\, \bar s_k(\mathbf e_a \cdot \mathbf r;\, \beta G,\, A/G))|^2

    with the mean of s_k over the voxel.

    The signal depends on the distance e.r from the line alone: it is simulated on one line of points, and interpolation (Keys)
    to all angles and voxels and the means over voxels are one sparse matrix. The gains are solved in closed form. The two
    parameters are searched in logarithmic scale by a trust-region method from points that fill their bounds evenly (Halton):
    1/(beta G) from a quarter of a fine voxel to ten times, and A/G from a tenth to ten times the grid's largest distance from
    the line. What the matrix records of gradient and diameter is not read. In float64, whatever the x64 mode.

    Args:
        coarse: matrix with angles and sequence, rows at harmonics of the drive frequency, in the plane z = 0; its particle, if
            recorded, gives saturation magnetization and temperature. Rows that ``row_mask`` drops do not count, the others by
            1/noise, equally where no background frames say otherwise.
        scale: fine voxels per coarse one along x and y, of which the coarse values are means; 1 = a small sample.
        starts: how many points the search starts from.

    Returns:
        The fit, with uncertainties and ``.system_matrix(grid)``.

    Raises:
        ValueError: no angles, no sequence, no drive along z, rows that are not at harmonics, a volume, particles that are not
            of the Langevin model and one size, or no signal. Entries that are NaN or infinite do not count, with a warning.
        TypeError: something other than a system matrix, or under a transformation.

    Source: this project; variable projection after Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413.
    """
    _check_request(coarse, scale, starts)
    check_line(coarse)
    particle = _line_particle(coarse)
    amplitude = line_amplitude(coarse)
    fine = coarse.grid.refine((scale, scale, 1))
    angles = np.asarray(coarse.angles, np.float64)
    distances = np.asarray(fine.positions)[:, :2] @ np.stack([-np.sin(angles), np.cos(angles)])  # (n, a)
    reach, voxel = float(np.abs(distances).max()), float(np.min((fine.fov / fine.shape)[:2]))
    n_nodes = 2 * int(np.ceil(reach / voxel * NODES_PER_VOXEL)) + 5
    step = voxel / NODES_PER_VOXEL
    line = Grid.create((1, n_nodes, 1), (step, n_nodes * step, step))
    sampling = _sampling(distances.T / step + (n_nodes - 1) / 2, n_nodes, fine, scale)

    measured = np.moveaxis(np.asarray(coarse.values, np.complex128), 1, 0)  # (f, a, n)
    weights = np.broadcast_to(_weights(coarse).T[..., None], measured.shape).reshape(len(measured), -1)
    measured, weights = counted(measured.reshape(weights.shape), weights)
    norm = np.linalg.norm(weights * measured)
    if not norm > 0:
        raise ValueError("all kept rows are zero everywhere; select rows with a signal.")
    weights = weights / norm

    def built(unit: np.ndarray) -> tuple[float, Particle]:
        beta_gradient, sweep = np.exp(unit)
        beta = beta_gradient * sweep / amplitude
        diameter = particle.core_diameter * np.cbrt(beta / particle.beta)
        return amplitude / sweep, replace(particle, core_diameter=diameter)

    def solved(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        table = np.asarray(_simulate(coarse, *built(unit), line, np.zeros(1)).values)[0]
        model = (sampling @ table.T).T
        return model, np.asarray(solve_gains(model, measured, weights))

    def residual(unit: np.ndarray) -> np.ndarray:
        model, gains = solved(unit)
        distance = weights * (measured - gains[:, None] * model)
        return np.concatenate([distance.real.ravel(), distance.imag.ravel()])

    low = np.log([0.1 / reach, reach / 10])
    high = np.log([4 / voxel, reach * 10])
    points = low + (high - low) * qmc.Halton(2, scramble=False).random(starts + 1)[1:]
    with jax.enable_x64(True):
        searches = [least_squares(residual, point, bounds=(low, high), x_scale=high - low) for point in points]
        best = min(searches, key=lambda search: search.cost)
        _, gains = solved(best.x)
    gradient, particle = built(best.x)
    beta_gradient, sweep = np.exp(best.x)
    freedom = 2 * int(np.count_nonzero(weights)) - 2 * len(gains) - 2
    return LineFit(
        beta_gradient=float(beta_gradient),
        sweep=float(sweep),
        gradient=float(gradient),
        particle=particle,
        gains=gains,
        stds=_relative_stds(best, freedom),
        residual=float(np.sqrt(2 * best.cost)),
        costs=np.array([2 * search.cost for search in searches]),
        measured=coarse,
    )


def _check_request(coarse: object, scale: int, starts: int) -> None:
    if not isinstance(coarse, SystemMatrix):
        raise TypeError(f"coarse is a {type(coarse).__name__}; a simulator is fitted to a whole SystemMatrix.")
    if not is_concrete(coarse):
        raise TypeError("the fit searches on the host; call it outside jit, grad and vmap.")
    check_count("scale", scale)
    check_count("starts", starts)


def check_line(matrix: SystemMatrix) -> None:
    """Raise ValueError where the matrix is not that of a field-free line that can be fitted."""
    check_measured(matrix)
    sequence = matrix.sequence
    if matrix.angles is None or sequence is None:
        missing = "angles" if matrix.angles is None else "sequence"
        hint = " Use mpijax.fit for a Lissajous sequence." if matrix.angles is None else ""
        raise ValueError(
            f"the matrix carries no {missing}; the fit of a field-free line needs its angles and its sequence.{hint}"
        )
    coils = None if matrix.scanner is None else matrix.scanner.receive_coils
    repeated = len(np.unique(np.asarray(matrix.angles))) < len(np.asarray(matrix.angles))
    if repeated if coils is None else np.size(cast(Array, coils)) != 3:  # files do not record coils
        raise ValueError(
            "the matrix has several receive coils at each angle; a field-free line is fitted to one coil along z."
        )
    if not line_amplitude(matrix) > 1e-7:
        raise ValueError(
            f"the sequence drives with {np.asarray(sequence.amplitude).tolist()} T; the line is moved by a field along z."
        )
    drive = sequence.base_frequency / sequence.dividers[2]
    expected = drive * np.asarray(matrix.frequency_indices)
    if not np.allclose(np.asarray(matrix.frequencies), expected, rtol=1e-6):
        raise ValueError(
            f"the rows lie at {np.asarray(matrix.frequencies)} Hz, but bins {np.asarray(matrix.frequency_indices)} of one period "
            f"of {drive:g} Hz are {expected} Hz; keep rows at harmonics of the drive and number them as such."
        )
    if matrix.grid.shape[2] != 1 or abs(float(matrix.grid.center[2])) > 1e-9:
        raise ValueError(
            f"the grid has shape {matrix.grid.shape} around z = {float(matrix.grid.center[2]):g} m; the line is fitted in the "
            "plane z = 0 alone."
        )


def _line_particle(matrix: SystemMatrix) -> Particle:
    """The particle whose diameter is searched."""
    particle = matrix.particle or Particle.create()
    if not (isinstance(particle, Particle) and particle.is_langevin and particle.size_spread is None):
        raise ValueError(
            "the matrix records particles with anisotropy or a spread of sizes; only Langevin particles of one size are fitted."
        )
    return particle


def line_amplitude(matrix: SystemMatrix) -> float:
    """Of the drive field along z [T]."""
    sequence: Any = matrix.sequence
    return float(np.abs(np.asarray(sequence.amplitude)[2]))


def _weights(matrix: SystemMatrix) -> Float[np.ndarray, "c f"]:
    """1/noise of every kept row, zero where it is not known; one where no row's is. Zero for the other rows."""
    noise = matrix.noise_std
    shape = matrix.values.shape[:2]
    kept = np.ones(shape, bool) if matrix.row_mask is None else np.asarray(matrix.row_mask)
    if noise is None or not np.any(noise > 0):
        return kept.astype(np.float64)
    return np.where(kept & (noise > 0), 1 / np.where(noise > 0, noise, 1), 0.0)


def _simulate(matrix: SystemMatrix, gradient: float, particle: Particle, grid: Grid, angles: Vector) -> SystemMatrix:
    """The scan of ``matrix`` with another gradient, particle, grid and angles, in float64."""
    sequence: Any = matrix.sequence
    drive = line_sequence(line_amplitude(matrix), sequence.base_frequency / sequence.dividers[2], matrix.n_samples)
    return simulate_field_free_line(
        Scanner.field_free_line(gradient),
        drive,
        particle,
        grid,
        angles=angles,
        harmonics=np.asarray(matrix.frequency_indices).tolist(),
        concentration=matrix.sample_concentration,
        sample_volume=matrix.sample_volume,
        dtype=np.float64,
    )


def _sampling(places: Float[np.ndarray, "a n"], n_nodes: int, fine: Grid, scale: int) -> sparse.csr_array:
    """Keys interpolation to all fine voxels of every angle and the mean over coarse ones: (a * coarse voxels, nodes).

    Args:
        places: position of every fine voxel on the line, in nodes.
        n_nodes: of the line.
        fine: grid.
        scale: fine voxels per coarse one.
    """
    nx, ny, _ = fine.shape
    y, x = np.divmod(np.arange(fine.size), nx)
    block = y // scale * (nx // scale) + x // scale
    rows = np.arange(len(places))[:, None] * (fine.size // scale**2) + block
    taps = np.floor(places).astype(int)[..., None] + np.arange(-1, 3)
    weights = keys_kernel(places[..., None] - taps) / scale**2
    shape = (len(places) * fine.size // scale**2, n_nodes)
    where = np.broadcast_to(rows[..., None], taps.shape).ravel(), taps.ravel()
    return sparse.csr_array(sparse.coo_array((weights.ravel(), where), shape=shape))


def _relative_stds(best: OptimizeResult, freedom: int) -> dict[str, float]:
    """Of the parameters and what follows from them: G = A/sweep, d^3 ~ beta G * sweep."""
    combinations = {"beta_gradient": (1, 0), "sweep": (0, 1), "gradient": (0, -1), "core_diameter": (1 / 3, 1 / 3)}
    normal = best.jac.T @ best.jac
    if np.any(best.active_mask):
        return dict.fromkeys(combinations, np.nan)
    if np.linalg.cond(normal) > 1 / np.finfo(float).eps:
        return dict.fromkeys(combinations, np.inf)
    covariance = 2 * best.cost / max(freedom, 1) * np.linalg.inv(normal)
    return {name: float(np.sqrt(np.asarray(c) @ covariance @ np.asarray(c))) for name, c in combinations.items()}
