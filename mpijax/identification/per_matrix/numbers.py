"""The numbers that a calibration is fitted with, and the particle and fields that they make."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.pytree import pytree
from mpijax.core.typing import Float, Scalar, Vector3
from mpijax.identification.per_matrix.facts import Told
from mpijax.physics.harmonics import harmonic_gradients, solid_harmonics
from mpijax.system.mixed_particle import MixedParticle

PRIOR: dict[str, tuple[float, str]] = {
    "core_diameter": (0.3, "relative"),
    "anisotropy_constant": (0.8, "relative"),
    "spatial_modulation": (0.4, ""),
    "reference_field": (0.3, "relative"),
    "easy_axis_1": (1.0, ""),
    "easy_axis_2": (1.0, ""),
    "time_scale": (0.5, "relative"),
    "amplitude_x": (0.05, "relative"),
    "amplitude_y": (0.05, "relative"),
    "amplitude_z": (0.05, "relative"),
}
PLACE: dict[str, tuple[float, str]] = {
    "gradient_x": (0.05, "relative"),
    "gradient_y": (0.05, "relative"),
    "shift_x": (7e-4, "m"),
    "shift_y": (7e-4, "m"),
    "shift_z": (7e-4, "m"),
    "turn_x": (0.045, "rad"),
    "turn_y": (0.045, "rad"),
    "turn_z": (0.045, "rad"),
}
TERMS = {f"field_{number}": (0.03, "of |G| R") for number in range(16)}
PRIOR |= PLACE | TERMS
"""Standard deviation of every number and its unit; a relative one is that of the logarithm. Those of the particle are around the
start of the search, the others around what the file says: they are how wrong files are taken to be. Those of ``PLACE`` and
``TERMS`` (solid harmonics of degree 3 and 4 in the potential of the selection field) act through the static field alone."""

FLUID, IMMOBILIZED = ("spatial_modulation", "reference_field"), ("easy_axis_1", "easy_axis_2")
PARTICLE = ("core_diameter", "anisotropy_constant", *FLUID, *IMMOBILIZED, "time_scale")

COIL_SLOPE, CROSS_TALK = 0.2, 0.1
"""Standard deviations of what is not ideal in receive coils: change of a sensitivity over half the field of view, and what a
channel has of every other one."""

DEGREE = 4
"""Of the potential of the selection field."""

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
        if kind == "field":
            return sum(told.used) > 1
        return relaxes if name == "time_scale" else by_kind.get(kind, {}).get(axis, True)

    return tuple(name for name in PRIOR if applies(name))


def free_of(names: tuple[str, ...], fluid: bool) -> np.ndarray:
    """Which of them belong to a kind of particle, (p,)."""
    return np.array([name not in (IMMOBILIZED if fluid else FLUID) for name in names])


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
    """The particle, in equilibrium, of either kind.

    The field beyond which the anisotropy of a fluid particle grows no more is fitted; below it nothing changes with it:
    alpha(H) = alpha_0 (min(H, H_0 exp u)/H_0)^q, H_0 the largest selection field of the file.
    """
    first, second = across(start.easy_axis)
    modulation = jnp.clip(start.spatial_modulation + moved["spatial_modulation"], 0.05, 4.0)
    growth = jnp.where(start.fluid, modulation * moved["reference_field"], 0.0)
    axis = start.easy_axis + moved["easy_axis_1"] * first + moved["easy_axis_2"] * second
    return MixedParticle(
        core_diameter=start.core_diameter * jnp.exp(moved["core_diameter"]),
        saturation_magnetization=474e3,
        temperature=293.0,
        anisotropy_constant=start.anisotropy_constant * jnp.exp(moved["anisotropy_constant"] + growth),
        easy_axis=axis / jnp.linalg.norm(axis),
        spatial_modulation=modulation,
        reference_field=told.reference * jnp.exp(moved["reference_field"]),
        fluid=start.fluid,
        bound=LARGEST_ALPHA,
    )


def amplitudes(moved: Moved, told: Told) -> jax.Array:
    """Drive amplitudes [T], (3,)."""
    return jnp.asarray(told.sequence.amplitude) * jnp.exp(moved.vector("amplitude"))


def static_field(moved: Moved, told: Told, points: Float[jax.Array, "n 3"]) -> Float[jax.Array, "n 3"]:
    """Selection field where the calibration really was: B(p') + dG p' + grad Phi(p'/R), p' = p + w x p + s [T]."""
    points = points + jnp.cross(moved.vector("turn"), points) + moved.vector("shift")
    steep = jnp.diagonal(jnp.asarray(told.scanner.gradient))
    x, y = steep[0] * jnp.expm1(moved["gradient_x"]), steep[1] * jnp.expm1(moved["gradient_y"])
    field = told.scanner.field(points) + points * jnp.stack([x, y, -(x + y)])
    radius = jnp.linalg.norm(jnp.asarray(told.half) + jnp.abs(jnp.asarray(told.center)))
    strength = jnp.abs(steep).max() * radius
    potential = jnp.stack([jnp.asarray(moved[name], jnp.float32) for name in TERMS])
    slopes = [jnp.asarray(along, jnp.float32)[:, -len(TERMS) :] @ potential for along in harmonic_gradients(DEGREE)]
    harmonics = solid_harmonics(points / radius, DEGREE - 1)
    return field + strength / DEGREE * (harmonics @ jnp.stack(slopes, -1))


def across(axis: Vector3) -> tuple[jax.Array, jax.Array]:
    """Two directions across an axis, for small turns of it."""
    axis = jnp.asarray(axis)
    least = jnp.eye(3, dtype=axis.dtype)[jnp.argmin(jnp.abs(axis))]
    first = jnp.cross(axis, least)
    first = first / jnp.linalg.norm(first)
    return first, jnp.cross(axis, first)
