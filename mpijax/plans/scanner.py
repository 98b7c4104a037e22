"""What is chosen of a preset, in units of the lab."""

from dataclasses import dataclass
from typing import Any

from mpijax.datasets import presets


@dataclass(frozen=True)
class GeometryOptions:
    """What is not given is the preset's.

    Attributes:
        gradient: of the selection field along x, y, z [T/m]; the sum must vanish.
        amplitude: of the drive field along x, y, z [mT]; 0 = axis not driven.
        shape: voxels of the calibration along x, y, z.
        fov: field of view of the calibration [mm].
        dividers: base frequency over drive frequency along x, y, z; of a field-free point.
        base_frequency: of which the drive frequencies are parts [kHz]; of a field-free point.
    """

    gradient: tuple[float, float, float] | None = None
    amplitude: tuple[float, float, float] | None = None
    shape: tuple[int, int, int] | None = None
    fov: tuple[float, float, float] | None = None
    dividers: tuple[int, int, int] | None = None
    base_frequency: float | None = None

    def preset(self, name: str) -> presets.Preset:
        """The preset of this name with the given numbers in place of its own."""
        return presets.preset(name, **self.numbers())

    def numbers(self) -> dict[str, Any]:
        """What is given, SI units; None = it is not."""
        return {
            "gradient": self.gradient,
            "amplitude": None if self.amplitude is None else tuple(a * 1e-3 for a in self.amplitude),
            "shape": self.shape,
            "fov": None if self.fov is None else tuple(f * 1e-3 for f in self.fov),
            "dividers": self.dividers,
            "base_frequency": None if self.base_frequency is None else self.base_frequency * 1e3,
        }


@dataclass(frozen=True)
class ScannerOptions(GeometryOptions):
    """What is not given is the preset's.

    Attributes:
        gradient: of the selection field along x, y, z [T/m]; the sum must vanish.
        amplitude: of the drive field along x, y, z [mT]; 0 = axis not driven.
        shape: voxels of the calibration along x, y, z.
        fov: field of view of the calibration [mm].
        dividers: base frequency over drive frequency along x, y, z; of a field-free point.
        base_frequency: of which the drive frequencies are parts [kHz]; of a field-free point.
        diameter: of the particle cores [nm].
        anisotropy: anisotropy constant of the particles [J/m^3]; needs an easy axis or a modulation.
        easy_axis: direction of the easy axes of immobilized particles.
        modulation: exponent of fluid particles, whose axes follow the selection field.
        concentration: of the calibration sample [mmol(Fe)/L].
        viscosity: of the fluid that particles turn in [mPa s]; of presets with Brownian rotation.
        hydrodynamic_diameter: of the particles with their shells [nm]; of presets with Brownian rotation.
        damping: of the precession, 0.03 to 1; of presets with Neel rotation.
    """

    diameter: float | None = None
    anisotropy: float | None = None
    easy_axis: tuple[float, float, float] | None = None
    modulation: float | None = None
    concentration: float | None = None
    viscosity: float | None = None
    hydrodynamic_diameter: float | None = None
    damping: float | None = None

    def preset(self, name: str) -> presets.Preset:
        """The preset of this name with the given numbers in place of its own."""
        whole = self.hydrodynamic_diameter
        return (
            super()
            .preset(name)
            .with_dynamics(
                viscosity=None if self.viscosity is None else self.viscosity * 1e-3,
                hydrodynamic_diameter=None if whole is None else whole * 1e-9,
                damping=self.damping,
            )
        )

    def numbers(self) -> dict[str, Any]:
        """What is given, SI units; None = it is not."""
        return {
            **super().numbers(),
            "core_diameter": None if self.diameter is None else self.diameter * 1e-9,
            "anisotropy_constant": self.anisotropy,
            "easy_axis": self.easy_axis,
            "spatial_modulation": self.modulation,
            "concentration": self.concentration,
        }
