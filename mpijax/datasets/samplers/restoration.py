"""The calibrations of the restoration paper: particles, scanners and grids of its Table 1."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice, check_range
from mpijax.core.constants import BOLTZMANN
from mpijax.core.typing import Array, Bool, Float
from mpijax.system.mixed_particle import MixedParticle
from mpijax.system.particle import ALPHA_BOUNDS, Particle
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence
from mpijax.system.setup import Setup

Range = tuple[float, float]

N_UNITS = 20
"""Uniform numbers behind one draw: d, K, kind, q, axis (2), A (3), Gx Gy, field of view (3), center (3), voxels (3)."""

FWHM = 4.16
"""Full width at half maximum of the derivative of the Langevin function."""

THICKNESS = 1e-3
"""Thickness of the slice of a 2-D calibration [m]."""

ATTEMPTS = 256
"""Draws of which :meth:`RestorationPrior.draw_accepted` takes the first accepted one."""

DEFAULT_SIZES = {2: (8, 64), 3: (12, 32)}


@dataclass(frozen=True)
class RestorationPrior:
    """Lissajous calibrations with anisotropic particles on grids of many sizes, 2-D or 3-D.

    Every range is (low, high) in SI units; the defaults are the paper's. A draw is a smooth function of 20 numbers that are
    uniform on [0, 1), :meth:`units`, which are the same bits on every machine. The voxels follow the resolution: the full
    width at half maximum R_i = 4.16/(beta |G_i|) gets 6.24/4.16 to 8.32/4.16 times 4.16 of them.

    Attributes:
        dimensions: 2 (x and y driven, one slice at z = 0) or 3.
        particles: "mixed" (fluid or immobilized with equal odds), "fluid", "immobilized", or "langevin": the same draws
            without anisotropy.
        size_range: smallest and largest accepted voxel count of each driven axis; None = (8, 64) in 2-D, (12, 32) in 3-D.
        max_alpha: largest reduced anisotropy K V/(kB T), or None. K is drawn log-uniformly below it; everything else stays.
        core_diameter: d [m]; its cube is uniform.
        anisotropy_constant: K [J/m^3], log-uniform.
        spatial_modulation: q of fluid particles.
        amplitude: A of each driven axis [T].
        gradient: Gx and Gy [T/m]; Gz = -(Gx + Gy).
        fov_factor: calibrated over driven field of view.
        voxels_per_fwhm: voxels per R_i.

    Source: restoration paper, Table 1 and eq. 8. The size filter is this project's: the sizes in its Table 3 need one.
    """

    dimensions: int = 2
    particles: str = "mixed"
    size_range: tuple[int, int] | None = None
    max_alpha: float | None = None
    core_diameter: Range = (15e-9, 25e-9)
    anisotropy_constant: Range = (1e3, 1e4)
    spatial_modulation: Range = (0.3, 1.3)
    amplitude: Range = (5e-3, 14e-3)
    gradient: Range = (0.1, 1.5)
    fov_factor: Range = (1.0, 2.0)
    voxels_per_fwhm: Range = (6.24, 8.32)

    def __post_init__(self) -> None:
        check_choice("dimensions", self.dimensions, (2, 3))
        check_choice("particles", self.particles, ("mixed", "fluid", "immobilized", "langevin"))
        limits = {
            "core_diameter": (1e-9, 1e-6, "m"),
            "anisotropy_constant": (10, 1e6, "J/m^3"),
            "spatial_modulation": (1e-3, 10, ""),
            "amplitude": (1e-4, 1, "T"),
            "gradient": (1e-3, 100, "T/m"),
            "fov_factor": (1, 10, ""),
            "voxels_per_fwhm": (0.1, 100, ""),
        }
        for name, (low, high, unit) in limits.items():
            bounds = getattr(self, name)
            check_range(name, bounds, low, high, unit)
            if bounds[0] > bounds[1]:
                raise ValueError(f"{name} = {bounds}; expected (low, high) with low <= high.")
        if not 1 <= self.sizes[0] <= self.sizes[1]:
            raise ValueError(f"size_range = {self.sizes}; expected (low, high) voxels with 1 <= low <= high.")
        largest = self._alpha(self.anisotropy_constant[0], self.core_diameter[1])
        if self.max_alpha is not None and self.max_alpha < largest:
            raise ValueError(
                f"max_alpha = {self.max_alpha:g} leaves no anisotropy constant for the largest cores: the lowest, "
                f"{self.anisotropy_constant[0]:g} J/m^3, gives them alpha = {largest:.3g}. Raise it or lower the constants."
            )
        if self.alpha_limit > ALPHA_BOUNDS[-1]:
            raise ValueError(
                f"the reduced anisotropy K V/(kB T) reaches {self.alpha_limit:.3g}; allowed is at most {ALPHA_BOUNDS[-1]:g}. "
                "Lower anisotropy_constant or core_diameter, or give max_alpha."
            )

    @property
    def sizes(self) -> tuple[int, int]:
        """Smallest and largest accepted voxel count of a driven axis."""
        return DEFAULT_SIZES[self.dimensions] if self.size_range is None else self.size_range

    @property
    def alpha_limit(self) -> float:
        """The largest reduced anisotropy that can be drawn."""
        largest = self._alpha(self.anisotropy_constant[1], self.core_diameter[1])
        return largest if self.max_alpha is None else min(largest, self.max_alpha)

    @staticmethod
    def _alpha(constant: Any, diameter: Any) -> Any:
        return constant * (diameter * 1e9) ** 3 * (math.pi / 6 * 1e-27 / (BOLTZMANN * 293.0))

    def units(self, key: jax.Array, shape: tuple[int, ...] = ()) -> Float[Array, "*shape 20"]:
        """The uniform numbers of a draw, float32; equal bits for equal keys on every machine."""
        return jax.random.uniform(key, (*shape, N_UNITS), jnp.float32)

    def draw(self, key: jax.Array) -> Setup:
        """One calibration, whether its size is accepted or not; a pure function of the key that can be traced."""
        return self.setup(self.units(key))

    def setup(self, units: Float[Array, "20"]) -> Setup:
        """The calibration of 20 numbers in [0, 1]."""
        driven = np.array([1.0, 1.0, float(self.dimensions == 3)], np.float32)
        particle = self.particle(units)
        # drawn in nm, mT: 1e-9 is near the spacing of random bits in single precision
        amplitude = _between(units[6:9], self.amplitude, 1e3) * 1e-3 * driven
        gx, gy = _between(units[9:11], self.gradient)
        gradient = jnp.stack([gx, gy, -(gx + gy)])
        drive_fov = 2 * amplitude / jnp.abs(gradient)
        fov = drive_fov * _between(units[11:14], self.fov_factor)
        center = (fov - drive_fov) * (units[14:17] - 0.5)
        resolution = FWHM / (particle.beta * jnp.abs(gradient))
        voxels = jnp.ceil(fov / resolution * _between(units[17:20], self.voxels_per_fwhm))
        active = (True, True, self.dimensions == 3)
        return Setup(
            scanner=Scanner.create(gradient=gradient),
            sequence=LissajousSequence.create(amplitude=amplitude, active=active),
            particle=particle,
            extent=jnp.where(driven > 0, voxels, 1).astype(jnp.int32),
            fov=jnp.where(driven > 0, fov, THICKNESS),
            center=center,
        )

    def particle(self, units: Float[Array, "20"]) -> Particle:
        """The particles of 20 numbers in [0, 1]."""
        low, high = (d * 1e9 for d in self.core_diameter)
        diameter = jnp.cbrt(_between(units[0], (low**3, high**3))) * 1e-9
        if self.particles == "langevin":
            return Particle.create(core_diameter=diameter)
        weakest: Any = math.log10(self.anisotropy_constant[0])
        strongest: Any = math.log10(self.anisotropy_constant[1])
        if self.max_alpha is not None:
            strongest = jnp.minimum(strongest, jnp.log10(self.max_alpha / self._alpha(1.0, diameter)))
        height, angle = 2 * units[4] - 1, 2 * math.pi * units[5]
        around = jnp.sqrt(1 - height * height)
        return MixedParticle(
            core_diameter=diameter,
            saturation_magnetization=474e3,
            temperature=293.0,
            anisotropy_constant=10 ** (weakest + (strongest - weakest) * units[1]),
            easy_axis=jnp.stack([around * jnp.cos(angle), around * jnp.sin(angle), height]),
            spatial_modulation=_between(units[3], self.spatial_modulation),
            fluid={"mixed": units[2] < 0.5, "fluid": True, "immobilized": False}[self.particles],
            bound=next(bound for bound in ALPHA_BOUNDS if self.alpha_limit <= bound),
        )

    def accepts(self, setup: Setup) -> Bool[Array, ""]:
        """Whether every driven axis has a voxel count within ``size_range``."""
        driven = setup.extent[: self.dimensions]
        return jnp.all((driven >= self.sizes[0]) & (driven <= self.sizes[1]))

    def draw_accepted(self, key: jax.Array, *, attempts: int = ATTEMPTS) -> tuple[Setup, Bool[Array, ""]]:
        """The first accepted of ``attempts`` draws, and whether there was one (else the first draw); can be traced."""
        units, found = self.accepted_units(key, attempts=attempts)
        return self.setup(units), found

    def accepted_units(self, key: jax.Array, *, attempts: int = ATTEMPTS) -> tuple[Float[Array, "20"], Bool[Array, ""]]:
        """The uniform numbers behind :meth:`draw_accepted`."""
        units = self.units(key, (attempts,))
        accepted = jax.vmap(lambda u: self.accepts(self.setup(u)))(units)
        first = jnp.argmax(accepted)
        return units[first], accepted[first]

    def acceptance(self, key: jax.Array, n: int = 20_000) -> float:
        """Fraction of ``n`` draws that the size filter accepts; host side."""
        return float(_acceptance(self, key, n))

    def check_acceptance(self, key: jax.Array, *, attempts: int = ATTEMPTS) -> float:
        """The acceptance, where ``attempts`` draws hold an accepted one with a probability of at least 1 - 1e-6.

        Raises:
            ValueError: the filter accepts too little.
        """
        accepted = self.acceptance(key)
        failure = (1 - accepted) ** attempts
        if failure > 1e-6:
            raise ValueError(
                f"size_range = {self.sizes} accepts {accepted:.3%} of the draws in {self.dimensions}-D: {attempts} draws in a "
                f"row are all rejected with a probability of {failure:.2g}. Widen the range (or give more attempts); the defaults "
                f"{DEFAULT_SIZES[self.dimensions]} accept {'92' if self.dimensions == 2 else '25'} %."
            )
        return accepted

    def describe(self) -> str:
        """What is drawn, with units."""
        kind = {
            "mixed": "fluid or immobilized with equal odds",
            "fluid": "fluid: easy axis along the selection field",
            "immobilized": "immobilized: easy axis uniform on the sphere",
            "langevin": "Langevin: no anisotropy, K and q unused",
        }[self.particles]
        axes = "x, y" if self.dimensions == 2 else "x, y, z"
        limit = "" if self.max_alpha is None else f", K V/(kB T) <= {self.max_alpha:g}"
        lines = (
            f"{self.dimensions}-D Lissajous calibrations (restoration paper, Table 1)",
            f"core diameter      {_text(self.core_diameter, 1e9)} nm, uniform in its cube; 474 kA/m, 293 K",
            f"anisotropy         {_text(self.anisotropy_constant, 1e-3)} kJ/m^3, log-uniform{limit}",
            f"modulation         q {_text(self.spatial_modulation)}, of fluid particles",
            f"kind               {kind}",
            f"drive amplitude    {_text(self.amplitude, 1e3)} mT along {axes}",
            f"gradient           Gx, Gy {_text(self.gradient)} T/m, Gz = -(Gx + Gy)",
            f"field of view      {_text(self.fov_factor)} times the driven one, center within the margins",
            f"voxels             {_text(self.voxels_per_fwhm)} per FWHM; {self.sizes[0]} to {self.sizes[1]} per axis accepted",
        )
        return "\n".join(lines)


@partial(jax.jit, static_argnums=(0, 2))
def _acceptance(prior: RestorationPrior, key: jax.Array, n: int) -> jax.Array:
    return jnp.mean(jax.vmap(lambda u: prior.accepts(prior.setup(u)))(prior.units(key, (n,))))


def _between(unit: Any, bounds: Range, scale: float = 1.0) -> Any:
    low, high = bounds[0] * scale, bounds[1] * scale
    return low + (high - low) * unit


def _text(bounds: Range, scale: float = 1.0) -> str:
    return f"{bounds[0] * scale:g} to {bounds[1] * scale:g}"
