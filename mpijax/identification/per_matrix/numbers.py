"""The numbers that a calibration is fitted with, and the particle and fields that they make."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.pytree import pytree
from mpijax.core.typing import Float, Scalar, Vector3
from mpijax.identification.per_matrix.facts import Told
from mpijax.system import LissajousSequence, Scanner
from mpijax.system.mixed_particle import MixedParticle

PRIOR: dict[str, tuple[float, str]] = {
    "core_diameter": (0.3, "relative"),
    "anisotropy_constant": (0.8, "relative"),
    "spatial_modulation": (0.4, ""),
    "easy_axis_1": (1.0, ""),
    "easy_axis_2": (1.0, ""),
    "time_scale": (0.5, "relative"),
    "gradient_x": (0.05, "relative"),
    "gradient_y": (0.05, "relative"),
    "shift_x": (7e-4, "m"),
    "shift_y": (7e-4, "m"),
    "shift_z": (7e-4, "m"),
    "turn_x": (0.045, "rad"),
    "turn_y": (0.045, "rad"),
    "turn_z": (0.045, "rad"),
    "amplitude_x": (0.05, "relative"),
    "amplitude_y": (0.05, "relative"),
    "amplitude_z": (0.05, "relative"),
}
"""Standard deviation of every number and its unit; a relative one is that of the logarithm. Those of the particle are around the
start of the search, the others around what the file says: they are how wrong files are taken to be."""

PARTICLE = ("core_diameter", "anisotropy_constant", "spatial_modulation", "easy_axis_1", "easy_axis_2", "time_scale")

COIL_SLOPE, CROSS_TALK = 0.2, 0.1
"""Standard deviations of what is not ideal in receive coils: change of a sensitivity over half the field of view, and what a
channel has of every other one."""

LARGEST_ALPHA = 35.0
"""Reduced anisotropy that the quadrature is sized for."""


@pytree
class Start:
    """A particle from which a search starts; ``fluid`` chooses its kind by value: one compiled search serves both."""

    core_diameter: Scalar
    anisotropy_constant: Scalar
    spatial_modulation: Scalar
    easy_axis: Vector3
    fluid: Any


def names_of(told: Told, relaxes: bool) -> tuple[str, ...]:
    """The numbers that a calibration can be fitted with: those of the axes that it uses."""
    used = dict(zip("xyz", told.used, strict=True))
    driven = dict(zip("xyz", told.sequence.active, strict=True))
    plane = {"x": used["y"] and used["z"], "y": used["x"] and used["z"], "z": used["x"] and used["y"]}

    def applies(name: str) -> bool:
        kind, axis = name.rsplit("_", 1)
        by_kind = {"shift": used, "turn": plane, "amplitude": driven}
        return relaxes if name == "time_scale" else by_kind.get(kind, {axis: True}).get(axis, True)

    return tuple(name for name in PRIOR if applies(name))


def free_of(names: tuple[str, ...], fluid: bool) -> np.ndarray:
    """Which of them belong to a kind of particle, (p,)."""
    other = ("easy_axis_1", "easy_axis_2") if fluid else ("spatial_modulation",)
    return np.array([name not in other for name in names])


class Moved:
    """The physical values of coordinates t (p,), in standard deviations of the prior."""

    def __init__(self, t: Any, names: tuple[str, ...]):
        self._values = {name: t[i] * PRIOR[name][0] for i, name in enumerate(names)}

    def __getitem__(self, name: str) -> Any:
        return self._values.get(name, 0.0)

    def vector(self, kind: str) -> jax.Array:
        """The three numbers of a kind, x, y, z."""
        return jnp.stack([jnp.asarray(self[f"{kind}_{axis}"], jnp.float32) for axis in "xyz"])


def particle_of(moved: Moved, start: Start, told: Told) -> MixedParticle:
    """The particle, in equilibrium, of either kind."""
    first, second = across(start.easy_axis)
    axis = start.easy_axis + moved["easy_axis_1"] * first + moved["easy_axis_2"] * second
    return MixedParticle(
        core_diameter=start.core_diameter * jnp.exp(moved["core_diameter"]),
        saturation_magnetization=474e3,
        temperature=293.0,
        anisotropy_constant=start.anisotropy_constant * jnp.exp(moved["anisotropy_constant"]),
        easy_axis=axis / jnp.linalg.norm(axis),
        spatial_modulation=jnp.clip(start.spatial_modulation + moved["spatial_modulation"], 0.05, 4.0),
        reference_field=told.reference,
        fluid=start.fluid,
        bound=LARGEST_ALPHA,
    )


def scan_of(moved: Moved, told: Told) -> tuple[Scanner, LissajousSequence, "Turned"]:
    """Scanner, sequence and how positions are moved."""
    scanner, sequence = told.scanner, told.sequence
    amplitude = jnp.asarray(sequence.amplitude) * jnp.exp(moved.vector("amplitude"))
    steep = jnp.diagonal(jnp.asarray(scanner.gradient))
    x, y = steep[0] * jnp.expm1(moved["gradient_x"]), steep[1] * jnp.expm1(moved["gradient_y"])
    change = jnp.diag(jnp.stack([x, y, -(x + y)]))
    return scanner, replace(sequence, amplitude=amplitude), Turned(moved.vector("turn"), moved.vector("shift"), change)


@pytree
class Turned:
    """Where the calibration really was: p' = p + w x p + s in the scanner's frame, and a change of the gradient."""

    turn: Vector3
    shift: Vector3
    change: Any

    def points(self, points: Float[jax.Array, "n 3"]) -> Float[jax.Array, "n 3"]:
        """True positions of positions (n, 3) of the file."""
        return points + jnp.cross(self.turn, points) + self.shift


def across(axis: Vector3) -> tuple[jax.Array, jax.Array]:
    """Two directions across an axis, for small turns of it."""
    axis = jnp.asarray(axis)
    least = jnp.eye(3, dtype=axis.dtype)[jnp.argmin(jnp.abs(axis))]
    first = jnp.cross(axis, least)
    first = first / jnp.linalg.norm(first)
    return first, jnp.cross(axis, first)
