"""Magnetic nanoparticles."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_range, is_concrete
from mpijax.core.constants import BOLTZMANN
from mpijax.core.pytree import pytree
from mpijax.system.leaves import as_leaf


@pytree
class Particle:
    """A monodisperse magnetic core. Make it with :meth:`create`.

    The fields that are None choose the model: neither ``easy_axis`` nor ``spatial_modulation`` is the Langevin model, an
    easy axis is an immobilised particle, a spatial modulation a fluid one.

    Attributes:
        core_diameter: d [m].
        saturation_magnetization: Ms [A/m].
        temperature: T [K].
        anisotropy_constant: K [J/m^3].
        easy_axis: unit vector (3,) or None.
        spatial_modulation: exponent q or None.
    """

    core_diameter: Any
    saturation_magnetization: Any
    temperature: Any
    anisotropy_constant: Any
    easy_axis: Any
    spatial_modulation: Any

    @staticmethod
    def create(
        core_diameter: Any = 20e-9,
        saturation_magnetization: Any = 474e3,
        temperature: Any = 293.0,
        anisotropy_constant: Any = 0.0,
        easy_axis: Any = None,
        spatial_modulation: Any = None,
    ) -> "Particle":
        """Check and build a particle.

        Args:
            core_diameter: d [m], 1e-9 to 1e-6.
            saturation_magnetization: Ms [A/m], 1e3 to 2e6; 474e3 is magnetite.
            temperature: T [K].
            anisotropy_constant: K [J/m^3].
            easy_axis: (3,) of any length: the particle is immobilised along it. Needs K != 0.
            spatial_modulation: exponent q of a fluid particle, whose axis follows the selection field. Needs K != 0.

        Raises:
            ValueError: a value outside its range (a diameter in nm, say), or an anisotropy without its geometry or the
                reverse.
        """
        check_range("core_diameter", core_diameter, 1e-9, 1e-6, "m", "Diameters are in metres: 20 nm is 20e-9.")
        check_range("saturation_magnetization", saturation_magnetization, 1e3, 2e6, "A/m", "0.6 T/mu0 is 477e3 A/m.")
        check_range("temperature", temperature, 1.0, 2000.0, "K", "Temperatures are in kelvin: 20 degrees C is 293.")
        if easy_axis is not None and spatial_modulation is not None:
            raise ValueError(
                "easy_axis and spatial_modulation are both given; a particle is either immobilised or fluid."
            )
        if is_concrete(anisotropy_constant):
            isotropic = np.all(np.asarray(anisotropy_constant) == 0)
            if not isotropic and easy_axis is None and spatial_modulation is None:
                raise ValueError(
                    f"anisotropy_constant = {anisotropy_constant} J/m^3 without an axis; give easy_axis (immobilised) or "
                    "spatial_modulation (fluid)."
                )
            if isotropic and (easy_axis is not None or spatial_modulation is not None):
                raise ValueError(
                    "easy_axis or spatial_modulation is given but anisotropy_constant is 0; give K > 0 or neither."
                )
        if easy_axis is not None:
            easy_axis = as_leaf(easy_axis)
            norm = (jnp if not is_concrete(easy_axis) else np).linalg.norm(easy_axis)
            if is_concrete(norm) and not (np.isfinite(norm) and norm > 0):
                raise ValueError(f"easy_axis = {easy_axis}; it must be a finite vector (3,) other than zero.")
            easy_axis = easy_axis / norm
        return Particle(
            core_diameter=as_leaf(core_diameter),
            saturation_magnetization=as_leaf(saturation_magnetization),
            temperature=as_leaf(temperature),
            anisotropy_constant=as_leaf(anisotropy_constant),
            easy_axis=easy_axis,
            spatial_modulation=None if spatial_modulation is None else as_leaf(spatial_modulation),
        )

    @property
    def core_volume(self) -> Any:
        """V = pi d^3/6 [m^3]."""
        return math.pi / 6 * self.core_diameter**3

    @property
    def moment(self) -> Any:
        """Magnetic moment m0 = Ms V [A m^2]."""
        return self.saturation_magnetization * self.core_volume

    @property
    def beta(self) -> Any:
        """m0/(kB T) [1/T].

        Computed with the diameter in nm so that no intermediate value, nor its square, leaves the range of float32.
        """
        scaled = self.saturation_magnetization * (self.core_diameter * 1e9) ** 3 / self.temperature
        return scaled * (math.pi / 6 * 1e-27 / BOLTZMANN)

    @property
    def alpha(self) -> Any:
        """Reduced anisotropy K V/(kB T), dimensionless."""
        scaled = self.anisotropy_constant * (self.core_diameter * 1e9) ** 3 / self.temperature
        return scaled * (math.pi / 6 * 1e-27 / BOLTZMANN)

    @property
    def is_langevin(self) -> bool:
        """Whether the isotropic model applies."""
        return self.easy_axis is None and self.spatial_modulation is None
