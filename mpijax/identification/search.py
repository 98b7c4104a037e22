"""Fitting particle, scanner and receive chain to a measured system matrix."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import qmc

from mpijax.core.checks import check_count, check_finite, check_range, check_shape, is_concrete
from mpijax.core.typing import Matrix, Values, Vector
from mpijax.identification.gains import counted
from mpijax.identification.least_squares import Search, levenberg_marquardt
from mpijax.identification.parameters import DYNAMICS, PARTICLE, Box, apply, field_free_point, own_numbers, search_box
from mpijax.identification.problem import Found, Problem, check_measured, coils_of
from mpijax.identification.result import UNDETERMINED, Fit, summarize, uncertainty
from mpijax.system import Dynamics, Grid, LissajousSequence, Particle, Scanner, SystemMatrix


def fit(
    system_matrix: SystemMatrix,
    scanner: Scanner | None = None,
    sequence: LissajousSequence | None = None,
    particle: Particle | None = None,
    *,
    dynamics: Dynamics | None = None,
    free: Sequence[str] = ("core_diameter", "gradient", "ffp"),
    bounds: Mapping[str, tuple[float, float]] | None = None,
    weights: Values | None = None,
    gains: Matrix | None = None,
    subvoxels: tuple[int, int, int] = (1, 1, 1),
    starts: int = 8,
    iterations: int = 60,
) -> Fit:
    r"""Find the parameters of particle and scanner, and one complex gain per row, that explain a measured system matrix.

    .. math:: \min_{\vartheta, g}\ \sum_{ck} |w_{ck} (s_{ck} - g_{ck}\, s_{ck}(\vartheta))|^2

    over parameters theta and gains g.

    The gains are solved in closed form at every step (variable projection), so receive chain, coil sensitivity and sample
    size need not be known and only the shape of the rows counts. The parameters are found by Levenberg-Marquardt with the
    simulator's own derivatives, inside their bounds, in logarithmic or linear scale, from the first guess and from
    ``starts - 1`` further points that fill the box evenly (Halton). Inside, everything is float64, whatever the x64 mode.

    The free parameters:

    ===================== ======== =========================================================================================
    core_diameter         m        median where the sizes spread
    size_spread           -        standard deviation of ln d
    anisotropy_constant   J/m^3    > 0, of an immobilized or fluid particle
    gradient              T/m      largest entry of the gradient; the others keep their ratios and signs
    gradient_x, _y        T/m      diagonal entries with sign; the third makes the trace vanish
    ffp_x, ffp_y, ffp_z   m        field-free point without drive field; ``ffp``: the axes along which the grid extends
    angle                 rad      rotation of the selection field about z, from the first guess
    damping               -        of Neel rotation, with a table that holds several: ``mj.physics.neel_table((0.03, 1.0))``
    time_scale            -        factor of Neel's relaxation time
    viscosity             Pa s     of the fluid of Brownian rotation
    shell_thickness       m        (d_h - d)/2 of Brownian rotation; of one size it and the viscosity make one number, tau
    ===================== ======== =========================================================================================

    Default bounds: diameter 5 to 60 nm (30 with anisotropy or dynamics), spread 0.01 to 0.5, anisotropy 10 to 1e4 J/m^3,
    gradient a quarter to four times the guess, field-free point within half of the longest side around the grid's center,
    angle +-45 degrees, damping 0.03 to 1, time scale 0.1 to 10, viscosity and shell as the gradient.

    **What the rows determine.** The bounds are the prior, uniform in the scale of the search. A parameter whose posterior, from the
    curvature at the minimum, is not narrower than half of it is not determined: one after the other, the widest first, they are put
    back to the first guess and held there, and the others are fitted again.

    Args:
        system_matrix: measured rows on one grid; those that ``row_mask`` drops and those that are zero everywhere are
            left out, as are entries that are NaN or infinite: with a warning. Select rows by SNR first.
        scanner: first guess and everything that stays fixed, one receive coil per channel in the order of the receivers' numbers;
            None = the matrix's own.
        sequence: None = the matrix's own.
        particle: first guess, whose fields choose the model; None = the matrix's own, else Langevin particles of 20 nm.
        dynamics: how its moment follows the field, ``mj.Neel()`` or ``mj.Brown(shell_thickness=, viscosity=)``; None = as the
            particle says.
        free: parameters to fit.
        bounds: (low, high) in SI units by name, for those that shall not be the default.
        weights: per row (c, f) or entry (c, f, n), >= 0; None = 1/|s_ck|, every row counts the same. 1/noise_std is best where
            noise, not the model, limits the fit. A position of weight 0 is left out.
        gains: complex (c, f), held fixed, as from the fit of another calibration with the same chain; None = solved.
        subvoxels: points along x, y, z that a voxel is split into and averaged over, for a large sample that fills its voxel;
            (1, 1, 1) = a sample so small that the rows hardly change within it.
        starts: how many points the search starts from.
        iterations: most steps of each.

    Returns:
        The fit: parameters with uncertainties, gains, correlation of every row, and ``.system_matrix(grid)``.

    Raises:
        ValueError: an unknown parameter or one the model does not have, bounds the wrong way round, a guess outside of them,
            no value in the rows, no sequence, or a matrix, scanner and sequence that do not fit together.
        TypeError: something other than a system matrix, or under a transformation: the search runs on the host.

    Notes:
        Where most rows are noise the standard deviations are too small, by up to 30 %: select rows by SNR.

    Source: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413 (variable projection).
    """
    if not isinstance(system_matrix, SystemMatrix):
        raise TypeError(
            f"system_matrix is a {type(system_matrix).__name__}; fit() needs a SystemMatrix, which "
            "mpijax.io.read_system_matrix(path) reads from an MDF file."
        )
    check_measured(system_matrix)
    if not is_concrete((system_matrix, scanner, sequence, particle)):
        raise TypeError("fit() searches on the host; call it outside jit, grad and vmap.")
    scanner = _given("scanner", scanner, system_matrix.scanner)
    sequence = _given("sequence", sequence, system_matrix.sequence)
    model = particle or system_matrix.particle or Particle.create()
    if not isinstance(model, Particle):
        raise TypeError(
            f"particle is a {type(model).__name__}; fit() knows the parameters of an mj.Particle alone, give one as first guess."
        )
    for name, count in (("starts", starts), ("iterations", iterations), *(("subvoxels", count) for count in subvoxels)):
        check_count(name, count)
    _check_match(system_matrix, scanner, sequence)
    model = model.with_dynamics(dynamics) if dynamics is not None else model
    box = search_box(free, bounds, scanner, model, system_matrix.grid)
    model = prepared(model, box, scanner, sequence, system_matrix.grid)
    problem = _problem(system_matrix, scanner, sequence, model, box, weights, gains, subvoxels)
    with jax.enable_x64(True):
        searches = searches_from(problem, box, starts, iterations)
        best = min(searches, key=lambda search: float(search.cost))
        if not np.isfinite(best.cost):
            raise ValueError(
                "no starting point can be simulated: fields or anisotropy are beyond what the particle's dynamics are computed "
                "for. Give another first guess or narrower bounds."
            )
        problem, best = _hold(problem, best, iterations)
        return summarize(system_matrix, problem, searches, best, _found(problem, best.unit))


def _hold(problem: Problem, best: Search, iterations: int) -> tuple[Problem, Search]:
    """Put what the rows do not determine back to the first guess, the widest first, and fit the others again."""
    start = problem.box.to_unit(np.asarray(problem.box.start))
    while True:
        width = uncertainty(best, problem).width
        worst = int(np.argmax(width))
        if not width[worst] > UNDETERMINED:
            return problem, best
        held = np.array(problem.box.held)
        held[worst] = width[worst]
        problem = replace(problem, box=replace(problem.box, held=held))
        best = _search(problem, np.where(held > 0, start, np.asarray(best.unit)), iterations)


def prepared(particle: Particle, box: Box, scanner: Scanner, sequence: LissajousSequence, grid: Grid) -> Particle:
    """The first guess with what its dynamics compute once, for all that lies between the bounds."""
    if particle.dynamics is None:
        return particle
    names = [name for name in box.names if name in (*PARTICLE, *DYNAMICS)]
    ends = []
    for bound in (box.low, box.high):
        values = dict(zip(box.names, bound, strict=True))
        ends.append(apply({name: values[name] for name in names}, scanner, particle, None)[1])
    field = np.linalg.norm(np.asarray(scanner.field(np.asarray(grid.positions))), axis=1).max()
    field = float(field + np.linalg.norm(np.asarray(sequence.amplitude)))
    return replace(particle, dynamics=particle.dynamics.prepared(particle, field, sequence, ends=tuple(ends)))


@partial(jax.jit, static_argnames="iterations")
def _search(problem: Any, unit: Vector, iterations: int) -> Search:
    return levenberg_marquardt(problem.residual, jnp.asarray(unit), iterations)


def searches_from(problem: Any, box: Box, starts: int, iterations: int) -> list[Search]:
    """Searches from the start of the box and from points spread over it (Halton's)."""
    first = box.to_unit(np.asarray(box.start))
    others = qmc.Halton(len(box.names), scramble=False).random(starts)[1:]
    return [_search(problem, unit, iterations) for unit in np.concatenate([first[None], others])]


@jax.jit
def _found(problem: Problem, unit: Vector) -> Found:
    return problem.found(unit)


def _given(name: str, given: Any, own: Any) -> Any:
    if given is None and own is None:
        raise ValueError(f"the system matrix carries no {name} and none is given; pass {name}=...")
    return own if given is None else given


def _check_match(matrix: SystemMatrix, scanner: Scanner, sequence: LissajousSequence) -> None:
    if matrix.angles is not None:
        raise ValueError(
            "the matrix belongs to a rotating field-free line; only a static selection field can be fitted."
        )
    if matrix.n_samples != sequence.n_samples:
        raise ValueError(
            f"the matrix has {matrix.n_samples} samples per period, the sequence {sequence.n_samples}; rows of different "
            "sampling cannot be compared. Give the sequence n_samples."
        )
    expected = sequence.frequencies[np.asarray(matrix.frequency_indices)]
    worst = float(np.max(np.abs(np.asarray(matrix.frequencies) - expected)))
    if np.isnan(worst):
        raise ValueError("the frequencies of some rows are not known, so they cannot be compared with a simulation.")
    if not worst <= 1e-3 * sequence.frequencies[1]:
        raise ValueError(
            f"the rows' frequencies differ by up to {worst:g} Hz from those of the sequence's bins; the sequence is not the one "
            "the matrix was measured with."
        )


def _problem(
    matrix: SystemMatrix,
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: Particle,
    box: Box,
    weights: Values | None,
    gains: Matrix | None,
    subvoxels: tuple[int, int, int] = (1, 1, 1),
) -> Problem:
    """The kept rows in float64 with weights of norm one."""
    shape = np.shape(matrix.values)
    channel, position = matrix.kept_rows()
    measured = np.asarray(matrix.values, np.complex128)[channel, position]
    given = np.ones(measured.shape) if weights is None else _weights(weights, shape)[channel, position]
    numbers = matrix.row_index().channel
    silent = np.setdiff1d(numbers, numbers[np.any(np.isfinite(measured) & (measured != 0), axis=1)])
    measured, given = counted(measured, given)
    norms = np.linalg.norm(measured, axis=1)
    if not norms.any() and (weights is None or given.any()):
        raise ValueError(f"all {len(norms)} rows are zero everywhere; select rows with a signal.")
    if len(silent):
        warnings.warn(
            f"left out of the fit are channels that are zero or NaN in every row: {', '.join(map(str, silent))}.",
            stacklevel=3,
        )
    channel, position, measured, given, norms = (
        array[norms > 0] for array in (channel, position, measured, given, norms)
    )
    weights = given / norms[:, None] if weights is None else given
    scale = np.linalg.norm(weights * measured)
    if not scale > 0:
        raise ValueError("weights leave no data; at least some must be positive where the matrix is not zero.")
    if gains is not None:
        check_shape("gains", gains, shape[:2])
        gains = np.asarray(gains, np.complex128)[channel, position]
        check_finite("gains", gains)
    unknown = len(box.names) + (2 * len(norms) if gains is None else 0)
    data = 2 * int(np.count_nonzero(weights))
    if data <= unknown:
        raise ValueError(
            f"{data} real data for {unknown} unknowns (parameters, and a complex gain per row); measure more positions or free "
            "fewer parameters."
        )
    return Problem(
        scanner=scanner,
        sequence=sequence,
        particle=particle,
        grid=matrix.grid.refine(subvoxels),
        ffp=field_free_point(scanner) if box.selection_field else None,
        box=box,
        indices=np.asarray(matrix.frequency_indices),
        channel=channel,
        coil=coils_of(matrix, scanner)[channel],
        position=position,
        measured=measured,
        weights=weights / scale,
        gains=gains,
        concentration=matrix.sample_concentration,
        volume=matrix.sample_volume,
        subvoxels=subvoxels,
        dynamics=tuple(
            (name, float(value)) for name, value in own_numbers(particle.dynamics).items() if name not in box.names
        ),
    )


def _weights(weights: Values, shape: tuple[int, ...]) -> np.ndarray:
    weights = np.asarray(weights, np.float64)
    if weights.shape not in (shape, shape[:2]):
        raise ValueError(
            f"weights has shape {weights.shape}; expected (channels, frequencies) = {shape[:2]} or {shape}."
        )
    check_finite("weights", weights)
    check_range("weights", weights, 0.0, np.inf, "")
    return np.broadcast_to(weights if weights.ndim == 3 else weights[..., None], shape)
