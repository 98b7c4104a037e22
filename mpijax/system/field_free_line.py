"""System matrices of a field-free line that is turned step by step."""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_finite, check_range, check_shape, is_concrete
from mpijax.core.typing import Array, Complex, DType, Float, Numbers, Scalar, Vector
from mpijax.system.dynamics import warn_of_memory
from mpijax.system.engines import time_domain
from mpijax.system.facts.header import as_metadata
from mpijax.system.grid import Grid
from mpijax.system.leaves import as_leaf
from mpijax.system.matrix import SystemMatrix
from mpijax.system.model import ParticleModel, Rule, check_model
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence
from mpijax.system.simulate import precision, voltage_factor

HARMONICS = tuple(range(2, 10))
"""Harmonics of the drive frequency that TranSMS uses."""


def line_angles(count: int = 60) -> np.ndarray:
    """``count`` angles over half a turn [rad]: 0, 3, .., 177 degrees for 60.

    Source: TranSMS paper, section IV-A.
    """
    if int(count) != count or count < 1:
        raise ValueError(f"count = {count}; expected a positive integer.")
    return np.pi * np.arange(count) / count


def line_sequence(amplitude: Scalar, frequency: float = 23.2e3, samples: int = 256) -> LissajousSequence:
    """The drive of a field-free line: A sin(2 pi f t) along z, one period of which is sampled, so that bin = harmonic.

    Args:
        amplitude: A [T]; G FOV/2 moves the line over the field of view.
        frequency: f [Hz].
        samples: per period; at least four times the highest harmonic.

    Raises:
        ValueError: as :meth:`LissajousSequence.create`, or no amplitude.

    Source: TranSMS paper, section IV-A.
    """
    if is_concrete(amplitude) and not np.all(np.abs(amplitude) > 1e-7):
        raise ValueError(f"amplitude = {amplitude} T; a field-free line needs one that is not zero.")
    xp = np if is_concrete(amplitude) else jnp
    return LissajousSequence.create(
        amplitude=xp.stack([0 * amplitude, 0 * amplitude, amplitude]),
        dividers=(1, 1, 1),
        base_frequency=frequency,
        waveform="sine",
        n_samples=samples,
        active=(False, False, True),
    )


def _or_in_numbers(function: Callable[..., SystemMatrix]) -> Callable[..., SystemMatrix]:
    """Accept the line in numbers too: (gradient, amplitude, angles, particle, grid, *, frequency, samples, ..)."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> SystemMatrix:
        if "scanner" in options or arguments and isinstance(arguments[0], Scanner):
            return function(*arguments, **options)
        given = dict(zip(("gradient", "amplitude", "angles", "particle", "grid"), arguments, strict=False)) | options
        missing = [name for name in ("gradient", "amplitude", "angles", "particle", "grid") if name not in given]
        if missing or len(arguments) > 5:
            raise TypeError(
                "a field-free line is simulated by simulate_field_free_line(Scanner.field_free_line(gradient), "
                "line_sequence(amplitude), particle, grid, angles=angles)."
            )
        sequence = {name: given.pop(name) for name in ("amplitude", "frequency", "samples") if name in given}
        gradient, particle, grid = (given.pop(name) for name in ("gradient", "particle", "grid"))
        return function(Scanner.field_free_line(gradient), line_sequence(**sequence), particle, grid, **given)

    return call


@_or_in_numbers
def simulate_field_free_line(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: ParticleModel,
    grid: Grid,
    *,
    angles: Numbers,
    harmonics: Sequence[int] = HARMONICS,
    concentration: Scalar = 1.0,
    sample_volume: Scalar | None = None,
    dwell_time: Scalar | None = None,
    dtype: DType | None = None,
    memory_limit: int | None = None,
) -> SystemMatrix:
    """System matrix of a rotated field-free line: a "channel" per angle and receive coil.

    At each angle the scanner's field is turned about the z axis, by that angle, and the line is moved across the plane by the drive
    field; receive coils and drive field stand still. A fluid particle has its full anisotropy at the grid's largest distance
    from the origin, the same at every angle. The line in numbers, (gradient, amplitude, angles, particle, grid, *, frequency,
    samples, ..), is short for ``Scanner.field_free_line(gradient)`` and :func:`line_sequence`.

    Args:
        scanner: the line at angle 0, :meth:`Scanner.field_free_line`, with its receive coils and transfer function.
        sequence: drive along one axis, z in general: :func:`line_sequence`.
        particle: model.
        grid: voxels; in the plane z = 0 the field has its z component alone.
        angles: (a,) [rad] that the line is turned by, see :func:`line_angles`.
        harmonics: of the drive frequency.
        dwell_time: how long the line stays at an angle [s], which decides whether particles with dynamics settle there; None =
            their number of periods. Each angle has its own steady state.
        concentration, sample_volume, dtype, memory_limit: see :func:`simulate_system_matrix`.

    Returns:
        SystemMatrix (a c, f, n), angle by angle and of each angle coil by coil, with ``angles`` (a c,), of which each stands
        as often as there are coils; its ``row_index()`` gives the angle of every row, its scanner is that of the first angle.

    Raises:
        ValueError: no gradient, no amplitude, no angle, angles in degrees, a harmonic that the samples do not resolve, a scanner
            that is no field-free line in the x-y plane, a drive of several axes, or as :func:`simulate_system_matrix`.

    Source: TranSMS paper, section IV-A (60 angles, harmonics 2 to 9, 23.2 kHz).
    """
    check_model(particle)
    strength = line_strength(scanner)
    if sum(sequence.active) != 1:
        raise ValueError(
            f"the sequence drives {sum(sequence.active)} axes; a line is driven along one: line_sequence(amplitude)."
        )
    cycles, samples = max(sequence.cycles), sequence.n_samples
    chosen = np.asarray(harmonics)
    if (
        chosen.ndim != 1
        or not chosen.size
        or np.any(chosen != chosen.astype(int))
        or chosen.min() < 1
        or 4 * cycles * chosen.max() > samples
    ):
        raise ValueError(
            f"harmonics = {tuple(harmonics)} with {samples} samples per period; give integers from 1 to samples/{4 * cycles}."
        )
    angles = as_leaf(angles)
    angles = angles[None] if angles.ndim == 0 else angles
    if angles.ndim != 1 or not angles.size:
        raise ValueError(f"angles has shape {angles.shape}; expected at least one angle in radians, (a,).")
    check_finite("angles", angles)
    check_range("angles", angles, -2 * np.pi, 2 * np.pi, "rad", "Angles are in radians: 90 degrees is pi/2.")
    check_range("concentration", concentration, 1e-12, 1e12, "mmol/L")
    coils = 3 if scanner.receive_coils is None else len(scanner.receive_coils)
    dtype, indices = precision(dtype), cycles * chosen.astype(int)
    radius = jnp.max(jnp.linalg.norm(jnp.asarray(grid.positions), axis=1))
    particle = particle.with_reference(strength * radius)
    prepared = particle
    if particle.has_memory:
        if dwell_time is not None:
            check_range(
                "dwell_time", dwell_time, sequence.period, 1e6, "s", "It is at least one period of the drive field."
            )
            prepared = particle.measured_over(dwell_time / sequence.period)
        field = strength * radius + jnp.linalg.norm(jnp.asarray(sequence.amplitude))
        prepared = prepared.prepared(field, sequence)
    values, settled = _rows(
        scanner,
        jnp.asarray(angles, dtype),
        sequence,
        prepared,
        grid,
        rule=particle.rule(),
        indices=tuple(indices.tolist()),
        dtype=dtype,
        chunk=time_domain.voxels_per_chunk(particle, samples, grid.size, coils, dtype, memory_limit, traced=True),
    )
    warn_of_memory(settled)
    frequencies = sequence.frequencies[indices]
    sample_volume = grid.voxel_volume if sample_volume is None else sample_volume
    factor = voltage_factor(particle, sequence, frequencies, concentration, sample_volume)
    transfer_function = None
    if scanner.transfer_function is not None:
        check_shape("transfer_function", scanner.transfer_function, (coils, len(sequence.frequencies)))
        chain = jnp.asarray(scanner.transfer_function)[:, indices]
        factor, transfer_function = factor * chain, jnp.tile(chain, (len(angles), 1))
    values = values * jnp.asarray(factor, values.dtype)[..., None]
    return SystemMatrix.create(
        values.reshape(-1, *values.shape[2:]),
        frequencies,
        grid,
        frequency_indices=indices,
        n_samples=samples,
        bandwidth=sequence.bandwidth,
        scanner=scanner.turned(angles[0]),
        sequence=sequence,
        particle=particle,
        sample_concentration=concentration,
        sample_volume=sample_volume,
        transfer_function=transfer_function,
        metadata=as_metadata(simulated=True, method="simulation"),
        angles=angles.repeat(coils),
    )


def line_strength(scanner: Scanner) -> Scalar:
    """|G| [T/m] of G (z e + e z), e in the x-y plane."""
    gradient = scanner.gradient
    if scanner.selection_field is not None:
        raise ValueError("only a linear field is turned; make the scanner with Scanner.field_free_line(gradient).")
    if is_concrete(gradient):
        matrix = np.asarray(gradient, float)
        if not np.all(np.abs(matrix).max() > 1e-7):
            raise ValueError(f"gradient = {gradient} T/m; a field-free line needs one that is not zero.")
        rest = np.abs([*matrix[:2, :2].ravel(), matrix[2, 2]]).max()
        if rest > 1e-6 * np.abs(matrix).max():
            raise ValueError(
                "the scanner's field-free region is no line in the x-y plane with its field along z; make it with "
                "Scanner.field_free_line(gradient)."
            )
    return jnp.hypot(jnp.asarray(gradient[0, 2]), jnp.asarray(gradient[1, 2]))


@partial(jax.jit, static_argnames=("rule", "indices", "dtype", "chunk"))
def _rows(
    scanner: Scanner,
    angles: Vector,
    sequence: LissajousSequence,
    particle: ParticleModel,
    grid: Grid,
    *,
    rule: Rule,
    indices: tuple[int, ...],
    dtype: DType,
    chunk: int,
) -> tuple[Complex[Array, "a c f n"], Float[Array, "a n"] | None]:
    """Spectra of what the coils see, and how settled they are, angle after angle."""
    points, bins = jnp.asarray(grid.positions, dtype), np.asarray(indices)

    def at(angle: Scalar) -> tuple[Complex[Array, "c f n"], Float[Array, " n"] | None]:
        turned, coils = scanner.turned(angle), scanner.receive_coils
        return time_domain.spectra(turned, sequence, particle, points, coils, rule=rule, indices=bins, chunk=chunk)

    return jax.lax.map(at, angles)
