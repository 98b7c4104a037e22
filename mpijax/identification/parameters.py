"""What can be fitted: names, units, bounds, and how values enter scanner and particle."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_interval, check_number, check_range
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Float, Scalar, Vector
from mpijax.system import Dynamics, Grid, Particle, Scanner
from mpijax.system.dynamics import brown, neel
from mpijax.system.particle import ALPHA_BOUNDS

UNITS = {
    "core_diameter": "m",
    "size_spread": "",
    "anisotropy_constant": "J/m^3",
    "gradient": "T/m",
    "gradient_x": "T/m",
    "gradient_y": "T/m",
    "ffp_x": "m",
    "ffp_y": "m",
    "ffp_z": "m",
    "angle": "rad",
    "damping": "",
    "time_scale": "",
    "viscosity": "Pa s",
    "shell_thickness": "m",
}
"""Every parameter that can be fitted, with its unit; :func:`mpijax.fit` says what they mean."""

DYNAMICS = {
    name: (neel.LIMITS | brown.LIMITS)[name] for name in ("damping", "time_scale", "viscosity", "shell_thickness")
}
"""Numbers of the dynamics, and what they allow."""

LOGARITHMIC = ("core_diameter", "size_spread", "anisotropy_constant", "gradient", *DYNAMICS)
PARTICLE = ("core_diameter", "size_spread", "anisotropy_constant")
ROUNDING = 1e-9
"""By how much, relative, a first guess may lie outside of its bounds, as that of a fit which ended there does."""

FFP = ("ffp_x", "ffp_y", "ffp_z")


@pytree
class Box:
    """The free parameters in order, and the box they are searched in, as coordinates 0 to 1.

    Diameter, spread, anisotropy, gradient strength and what belongs to the dynamics are scaled logarithmically, the others
    linearly.

    Attributes:
        names: free parameters, static.
        start, low, high: values of the first guess and the bounds, (p,), SI units.
        held: of those that stay at the first guess after all, 1, else 0, (p,).
    """

    start: Vector
    low: Vector
    high: Vector
    held: Vector
    names: tuple[str, ...] = static()

    def to_unit(self, values: np.ndarray) -> np.ndarray:
        """Coordinates in the box of values (p,)."""
        low, high = self._scaled(self.low, np), self._scaled(self.high, np)
        return (self._scaled(values, np) - low) / (high - low)

    def to_values(self, unit: Float[Array, " p"]) -> jax.Array:
        """Values (p,) at coordinates in the box."""
        low, high, start = (self._scaled(values, jnp) for values in (self.low, self.high, self.start))
        scaled = jnp.where(jnp.asarray(self.held) > 0, start, low + unit * (high - low))
        return jnp.where(self._logarithmic, jnp.exp(jnp.where(self._logarithmic, scaled, 0.0)), scaled)

    def slope(self, values: np.ndarray) -> np.ndarray:
        """d value/d coordinate (p,) at values."""
        width = self._scaled(self.high, np) - self._scaled(self.low, np)
        return np.where(self._logarithmic, values, 1.0) * width

    @property
    def selection_field(self) -> bool:
        """Whether a parameter of the selection field is free."""
        return any(name not in (*PARTICLE, *DYNAMICS) for name in self.names)

    @property
    def _logarithmic(self) -> np.ndarray:
        return np.array([name in LOGARITHMIC for name in self.names])

    def _scaled(self, values: Any, xp: Any) -> Any:
        return xp.where(self._logarithmic, xp.log(xp.where(self._logarithmic, values, 1.0)), values)


def search_box(
    free: Sequence[str],
    bounds: Mapping[str, tuple[float, float]] | None,
    scanner: Scanner,
    particle: Particle,
    grid: Grid,
) -> Box:
    """Check names, first guess and bounds.

    Raises:
        ValueError: an unknown or doubled name, a parameter that the scanner or particle does not have, bounds the wrong way
            round or outside of what is physical, a first guess outside of them.
    """
    names = _names(free, grid)
    bounds = dict(bounds or {})
    foreign = [name for name in bounds if name not in names]
    if foreign:
        raise ValueError(f"bounds are given for {foreign}, which are not free; free are {list(names)}.")
    start = _start(names, scanner, particle)
    default = _default_bounds(start, grid, memory=particle.has_memory)
    rows = []
    for name in names:
        given = bounds.get(name, default[name])
        check_interval(f"bounds of {name}", given)
        check_number(f"bounds of {name}", given, UNITS[name])
        low, high = map(float, given)
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(
                f"bounds of {name} = ({low:g}, {high:g}) {UNITS[name]}; expected finite (low, high), low < high."
            )
        if name in DYNAMICS:
            check_range(f"bounds of {name}", (low, high), *DYNAMICS[name], UNITS[name])
        if name in LOGARITHMIC and low <= 0:
            raise ValueError(f"bounds of {name} = ({low:g}, {high:g}) {UNITS[name]}; its lower bound must be positive.")
        if not low - ROUNDING * abs(low) <= start[name] <= high + ROUNDING * abs(high):
            raise ValueError(
                f"the first guess {name} = {start[name]:g} {UNITS[name]} lies outside of its bounds ({low:g}, {high:g}); give "
                "bounds around it or another guess."
            )
        rows.append((np.clip(start[name], low, high), low, high))
    first, low, high = np.array(rows, np.float64).T
    box = Box(first, low, high, np.zeros(len(names)), names)
    _check_alpha(box, particle)
    return box


def apply(
    values: Mapping[str, Scalar], scanner: Scanner, particle: Particle, ffp: Float[Array, "3"] | None
) -> tuple[Scanner, Particle]:
    """Scanner and particle with the named parameters set; differentiable in everything.

    Args:
        values: parameters by name.
        scanner, particle: the first guess.
        ffp: its field-free point [m]; None where only parameters of the particle are given.
    """
    fitted: dict[str, Any] = {name: values[name] for name in PARTICLE if name in values}
    own = {name: values[name] for name in DYNAMICS if name in values}
    if own:
        fitted["dynamics"] = replace(cast(Any, particle.dynamics), **own)
    particle = replace(particle, **fitted)
    if ffp is None:
        return scanner, particle
    start = jnp.asarray(scanner.gradient)
    center = jnp.stack([jnp.asarray(values.get(name, ffp[i])) for i, name in enumerate(FFP)])
    gradient = start
    if "gradient" in values:
        gradient = start * (values["gradient"] / jnp.max(jnp.abs(start)))
    if "gradient_x" in values or "gradient_y" in values:
        x, y = values.get("gradient_x", start[0, 0]), values.get("gradient_y", start[1, 1])
        gradient = start - jnp.diag(jnp.diagonal(start)) + jnp.diag(jnp.stack([x, y, -(x + y)]))
    if "angle" in values:
        rotation = jnp.asarray(_rotation(values["angle"]))
        gradient = rotation @ gradient @ rotation.T
    return replace(scanner, gradient=gradient, offset_field=-gradient @ center), particle


def own_numbers(dynamics: Dynamics | None) -> dict[str, Scalar]:
    """The numbers of a particle's dynamics by name, which are its leaves without shape."""
    if dynamics is None:
        return {}
    values = {field.name: getattr(dynamics, field.name) for field in fields(cast(Any, dynamics))}
    return {
        name: value for name, value in values.items() if isinstance(value, np.ndarray | jax.Array) and value.ndim == 0
    }


def field_free_point(scanner: Scanner) -> np.ndarray:
    """Position of the field-free point (3,) [m] of a linear selection field; the one nearest to the origin of a line.

    Raises:
        ValueError: the field is not linear or vanishes nowhere.
    """
    gradient, offset = np.asarray(scanner.gradient, np.float64), np.asarray(scanner.offset_field, np.float64)
    if scanner.selection_field is not None:
        raise ValueError("gradient, field-free point and angle can be fitted to linear selection fields only.")
    ffp = -np.linalg.pinv(gradient) @ offset
    if not np.any(gradient) or not np.allclose(gradient @ ffp, -offset, rtol=1e-9, atol=1e-12):
        raise ValueError(
            f"the first guess of the scanner, gradient {gradient.tolist()} T/m with offset {offset.tolist()} T, has no "
            "field-free point; gradient, ffp and angle cannot be fitted to it."
        )
    return ffp


def _names(free: Sequence[str], grid: Grid) -> tuple[str, ...]:
    if isinstance(free, str):
        raise ValueError(f"free = {free!r}; give a sequence of names, ({free!r},).")
    extended = [name for name, count in zip(FFP, grid.shape, strict=True) if count > 1]
    names = tuple(name for entry in free for name in (extended if entry == "ffp" else [entry]))
    unknown = [name for name in names if name not in UNITS]
    if unknown:
        raise ValueError(f"unknown free parameters {unknown}; allowed: ffp, {', '.join(UNITS)}.")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"free = {tuple(free)}; expected at least one parameter and none twice.")
    if "gradient" in names and {"gradient_x", "gradient_y"} & set(names):
        raise ValueError("free holds gradient (one factor) and gradient_x or gradient_y (the diagonal); choose one.")
    return names


def _start(names: tuple[str, ...], scanner: Scanner, particle: Particle) -> dict[str, float]:
    if "size_spread" in names and particle.size_spread is None:
        raise ValueError("size_spread is free, but the particle has one size; give it a first guess, size_spread=0.1.")
    if "anisotropy_constant" in names and particle.is_langevin:
        raise ValueError(
            "anisotropy_constant is free, but the particle is isotropic; give it a first guess (anisotropy_constant=2000 with "
            "easy_axis or spatial_modulation)."
        )
    own = own_numbers(particle.dynamics)
    missing = [name for name in names if name in DYNAMICS and name not in own]
    if missing:
        raise ValueError(
            f"{missing} is free, but the particle has none; give dynamics=mj.Neel() (damping, time_scale) or "
            "mj.Brown(shell_thickness=, viscosity=) (viscosity, shell_thickness)."
        )
    start = {name: getattr(particle, name) for name in PARTICLE if name in names}
    start |= {name: own[name] for name in DYNAMICS if name in names}
    if any(name not in (*PARTICLE, *DYNAMICS) for name in names):
        gradient = np.asarray(scanner.gradient)
        start |= dict(zip(FFP, field_free_point(scanner), strict=True))
        start |= {"gradient": np.abs(gradient).max(), "gradient_x": gradient[0, 0], "gradient_y": gradient[1, 1]}
        start["angle"] = 0.0
    return {name: float(start[name]) for name in names}


def _default_bounds(start: Mapping[str, float], grid: Grid, memory: bool) -> dict[str, tuple[float, float]]:
    """Bounds where none are given: wide, but inside of what the simulator is made for."""
    half = float(np.max(grid.fov)) / 2
    bounds = {"core_diameter": (5e-9, 30e-9 if memory or "anisotropy_constant" in start else 60e-9)}
    bounds |= {"damping": DYNAMICS["damping"], "time_scale": (0.1, 10.0)}
    bounds |= {"size_spread": (0.01, 0.5), "anisotropy_constant": (10.0, 1e4), "angle": (-np.pi / 4, np.pi / 4)}
    for name in ("gradient", "gradient_x", "gradient_y", "viscosity", "shell_thickness"):
        ends = sorted((start.get(name, 1.0) / 4, start.get(name, 1.0) * 4))
        bounds[name] = (ends[0], ends[1])
    for name, middle in zip(FFP, np.asarray(grid.center), strict=True):
        bounds[name] = (float(middle) - half, float(middle) + half)
    return bounds


def _check_alpha(box: Box, particle: Particle) -> None:
    """Refuse bounds that would leave the range of the anisotropic model."""
    if particle.is_langevin:
        return
    if np.any(np.asarray(particle.anisotropy_constant) < 0):
        raise ValueError("the first guess has an easy plane (anisotropy_constant < 0); only easy axes can be fitted.")
    top = dict(zip(box.names, box.high, strict=True))
    largest = replace(particle, **{name: top[name] for name in PARTICLE if name in top})
    alpha = float(largest.alpha) * float(np.max(largest.sizes()[0])) ** 3
    if alpha > ALPHA_BOUNDS[-1]:
        raise ValueError(
            f"the upper bounds allow a reduced anisotropy K V/(kB T) of {alpha:.3g}; the model holds up to "
            f"{ALPHA_BOUNDS[-1]:g}. Give lower upper bounds for core_diameter, anisotropy_constant or size_spread."
        )


def _rotation(angle: Scalar) -> Float[Array, "3 3"]:
    c, s, zero = jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle)
    return jnp.stack([jnp.stack([c, -s, zero]), jnp.stack([s, c, zero]), jnp.stack([zero, zero, zero + 1])])
