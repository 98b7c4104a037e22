"""System matrices of a field-free line that is turned step by step."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_finite, check_range, is_concrete
from mpijax.core.typing import Array, Complex
from mpijax.system.engines import time_domain
from mpijax.system.grid import Grid
from mpijax.system.leaves import as_leaf
from mpijax.system.matrix import SystemMatrix
from mpijax.system.model import ParticleModel, Rule, check_model
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence
from mpijax.system.simulate import precision, time_chunk, voltage_factor

HARMONICS = tuple(range(2, 10))
"""Harmonics of the drive frequency that TranSMS uses."""


def line_angles(count: int = 60) -> np.ndarray:
    """``count`` angles over half a turn [rad]: 0, 3, .., 177 degrees for 60."""
    if int(count) != count or count < 1:
        raise ValueError(f"count = {count}; expected a positive integer.")
    return np.pi * np.arange(count) / count


def simulate_field_free_line(
    gradient: Any,
    amplitude: Any,
    angles: Any,
    particle: ParticleModel,
    grid: Grid,
    *,
    harmonics: Sequence[int] = HARMONICS,
    frequency: float = 23.2e3,
    samples: int = 256,
    concentration: Any = 1.0,
    sample_volume: Any = None,
    dtype: Any = None,
    memory_limit: int | None = None,
) -> SystemMatrix:
    """System matrix of a rotated field-free line: one "channel" per angle, one row per angle and harmonic.

    At each angle the line of :meth:`Scanner.field_free_line` is moved across the plane by a homogeneous field A sin(2 pi f t)
    along z, in which direction the one receive coil looks. One period of the drive is simulated, so that bin = harmonic. A
    fluid particle has its full anisotropy at the grid's largest distance from the origin, the same at every angle.

    Args:
        gradient: G [T/m], across the line.
        amplitude: A [T]; G FOV/2 moves the line over the field of view.
        angles: (a,) [rad] of the line to the x axis, see :func:`line_angles`.
        particle: model.
        grid: voxels; in the plane z = 0 the field has its z component alone.
        harmonics: of the drive frequency.
        frequency: f [Hz].
        samples: per period; at least four times the highest harmonic.
        concentration, sample_volume, dtype, memory_limit: see :func:`simulate_system_matrix`.

    Returns:
        SystemMatrix (a, f, n) with ``angles``; its ``row_index()`` gives the angle of every row, its scanner is that of the
        first angle.

    Raises:
        ValueError: no gradient, no amplitude, no angle, angles in degrees, a harmonic that the samples do not resolve, or as
            :func:`simulate_system_matrix`.

    Source: TranSMS paper, section IV-A (60 angles, harmonics 2 to 9, 23.2 kHz).
    """
    chosen = np.asarray(harmonics)
    if (
        chosen.ndim != 1
        or not chosen.size
        or np.any(chosen != chosen.astype(int))
        or chosen.min() < 1
        or 4 * chosen.max() > samples
    ):
        raise ValueError(
            f"harmonics = {tuple(harmonics)} with {samples} samples per period; give integers from 1 to samples/4."
        )
    for name, value, unit in (("gradient", gradient, "T/m"), ("amplitude", amplitude, "T")):
        if is_concrete(value) and not np.all(np.abs(value) > 1e-7):
            raise ValueError(f"{name} = {value} {unit}; a field-free line needs one that is not zero.")
    check_model(particle)
    angles = as_leaf(angles)
    angles = angles[None] if angles.ndim == 0 else angles
    if angles.ndim != 1 or not angles.size:
        raise ValueError(f"angles has shape {angles.shape}; expected at least one angle in radians, (a,).")
    check_finite("angles", angles)
    check_range("angles", angles, -2 * np.pi, 2 * np.pi, "rad", "Angles are in radians: 90 degrees is pi/2.")
    check_range("concentration", concentration, 1e-12, 1e12, "mmol/L")
    xp = np if is_concrete(amplitude) else jnp
    sequence = LissajousSequence.create(
        amplitude=xp.stack([0 * amplitude, 0 * amplitude, amplitude]),
        dividers=(1, 1, 1),
        base_frequency=frequency,
        waveform="sine",
        n_samples=samples,
        active=(False, False, True),
    )
    dtype, indices = precision(dtype), chosen.astype(int)
    scanner = Scanner.field_free_line(gradient, angles[0])
    radius = jnp.max(jnp.linalg.norm(jnp.asarray(grid.positions), axis=1))
    particle = particle.with_reference(jnp.abs(gradient) * radius)
    values = _rows(
        jnp.asarray(gradient, dtype),
        jnp.asarray(angles, dtype),
        sequence,
        particle,
        grid,
        rule=particle.rule(),
        indices=tuple(indices.tolist()),
        dtype=dtype,
        chunk=time_chunk(particle, sequence.n_samples, grid.size, 1, dtype, memory_limit, traced=True),
    )
    frequencies = sequence.frequencies[indices]
    sample_volume = grid.voxel_volume if sample_volume is None else sample_volume
    factor = voltage_factor(particle, sequence, frequencies, concentration, sample_volume)
    return SystemMatrix.create(
        values * jnp.asarray(factor, values.dtype)[:, None],
        frequencies,
        grid,
        frequency_indices=indices,
        n_samples=samples,
        bandwidth=sequence.bandwidth,
        scanner=scanner,
        sequence=sequence,
        particle=particle,
        sample_concentration=concentration,
        sample_volume=sample_volume,
        metadata={"/experiment/isSimulation": 1, "/calibration/method": "simulation"},
        angles=angles,
    )


@partial(jax.jit, static_argnames=("rule", "indices", "dtype", "chunk"))
def _rows(
    gradient: Any,
    angles: Any,
    sequence: LissajousSequence,
    particle: ParticleModel,
    grid: Grid,
    *,
    rule: Rule,
    indices: tuple[int, ...],
    dtype: Any,
    chunk: int,
) -> Complex[Array, "a f n"]:
    """Spectra of the moment along z, angle after angle."""
    points = jnp.asarray(grid.positions, dtype)

    def at(angle: Any) -> Complex[Array, "f n"]:
        scanner = Scanner.field_free_line(gradient, angle)
        bins = np.asarray(indices)
        coils = scanner.receive_coils
        return time_domain.spectra(scanner, sequence, particle, points, coils, rule=rule, indices=bins, chunk=chunk)[0]

    return jax.lax.map(at, angles)
