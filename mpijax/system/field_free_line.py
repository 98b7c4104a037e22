"""System matrices of a field-free line that is turned step by step."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_finite, check_range
from mpijax.system.grid import Grid
from mpijax.system.matrix import SystemMatrix
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence
from mpijax.system.simulate import simulate_system_matrix

HARMONICS = tuple(range(2, 10))
"""Harmonics of the drive frequency that TranSMS uses."""


def line_angles(count: int = 60) -> np.ndarray:
    """``count`` angles over half a turn [rad]: 0, 3, .., 177 degrees for 60."""
    return np.pi * np.arange(count) / count


def simulate_field_free_line(
    gradient: Any,
    amplitude: Any,
    angles: Any,
    particle: Any,
    grid: Grid,
    *,
    harmonics: Sequence[int] = HARMONICS,
    frequency: float = 23.2e3,
    samples: int = 256,
    **options: Any,
) -> SystemMatrix:
    """System matrix of a rotated field-free line: one "channel" per angle, one row per angle and harmonic.

    At each angle the line of :meth:`Scanner.field_free_line` is moved across the plane by a homogeneous field A sin(2 pi f t)
    along z, in which direction the one receive coil looks. One period of the drive is simulated, so that bin = harmonic.

    Args:
        gradient: G [T/m], across the line.
        amplitude: A [T]; G FOV/2 moves the line over the field of view.
        angles: (a,) [rad] of the line to the x axis, see :func:`line_angles`.
        particle: model.
        grid: voxels; in the plane z = 0 the field has its z component alone.
        harmonics: of the drive frequency.
        frequency: f [Hz].
        samples: per period; at least four times the highest harmonic.
        options: concentration, sample_volume, dtype, memory_limit of :func:`simulate_system_matrix`.

    Returns:
        SystemMatrix (a, f, n) with ``angles``; its ``row_index()`` gives the angle of every row.

    Raises:
        ValueError: a harmonic that the samples do not resolve, angles in degrees, or as :func:`simulate_system_matrix`.

    Source: TranSMS paper, section IV-A (60 angles, harmonics 2 to 9, 23.2 kHz).
    """
    chosen = np.asarray(harmonics)
    if chosen.ndim != 1 or not chosen.size or chosen.min() < 1 or 4 * chosen.max() > samples:
        raise ValueError(
            f"harmonics = {tuple(harmonics)} with {samples} samples per period; give integers from 1 to samples/4."
        )
    angles = np.atleast_1d(np.asarray(angles, np.float64))
    check_finite("angles", angles)
    check_range("angles", angles, -2 * np.pi, 2 * np.pi, "rad", "Angles are in radians: 90 degrees is pi/2.")
    sequence = LissajousSequence.create(
        amplitude=jnp.stack([0.0 * amplitude, 0.0 * amplitude, amplitude])
        if isinstance(amplitude, jax.Array)
        else (0.0, 0.0, amplitude),
        dividers=(1, 1, 1),
        base_frequency=frequency,
        waveform="sine",
        n_samples=samples,
        active=(False, False, True),
    )
    radius = jnp.max(jnp.linalg.norm(jnp.asarray(grid.positions), axis=1))
    particle = particle.with_reference(jnp.abs(gradient) * radius)  # the same at every angle

    def at(angle: Any, sequence: LissajousSequence, particle: Any, grid: Grid) -> SystemMatrix:
        scanner = Scanner.field_free_line(gradient, angle)
        return simulate_system_matrix(scanner, sequence, particle, grid, chosen, engine="time", **options)

    traced = jax.tree.map(jnp.asarray, (sequence, particle, grid))
    values = jax.lax.map(lambda angle: at(angle, *traced).values[0], jnp.asarray(angles))
    return replace(at(angles[0], sequence, particle, grid), values=values, angles=angles)
