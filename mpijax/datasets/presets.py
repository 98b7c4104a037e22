"""Scanners to start from, by name: what ``mpijax simulate PRESET`` makes."""

from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np

from mpijax.core.checks import check_choice
from mpijax.system import (
    Brown,
    Dynamics,
    Grid,
    LissajousSequence,
    Neel,
    Particle,
    Scanner,
    SystemMatrix,
    line_angles,
    line_sequence,
    simulate_field_free_line,
    simulate_system_matrix,
)
from mpijax.system.field_free_line import HARMONICS

MAGNETITE = 474e3


@dataclass(frozen=True)
class LineScan:
    """How a field-free line is driven, turned and moved.

    Attributes:
        frequency: of the drive field [Hz].
        angles: that the line is turned by [rad].
        harmonics: of the drive frequency.
        focus: fields along the drive field [T] that move the line to one position after another, measured at every angle.
    """

    frequency: float = 23.2e3
    angles: tuple[float, ...] = tuple(line_angles().tolist())
    harmonics: tuple[int, ...] = HARMONICS
    focus: tuple[float, ...] = (0.0,)


@dataclass(frozen=True)
class Preset:
    """A scanner, a sequence, particles and a grid in plain numbers, SI units.

    Attributes:
        summary: one line.
        kind: "point" (field-free point, Lissajous), "line" (rotating field-free line, driven along z) or "spectrometer".
        gradient: diagonal [T/m]; of a line (G, 0, -G); of a spectrometer zero.
        amplitude: of the drive field [T]; of a line (0, 0, A).
        dividers: of the base frequency [Hz], which give the drive frequencies of a point.
        core_diameter: [m]; saturation_magnetization [A/m]; temperature [K].
        anisotropy_constant: [J/m^3]; easy_axis or spatial_modulation go with it.
        dynamics: how the moment follows the field; None = at once.
        shape, fov: voxels and field of view [m].
        concentration: of the sample [mmol(Fe)/L].
        max_order: keep frequencies of at most this mixing order; None = all.
        line: frequency, angles and positions of a field-free line.
    """

    summary: str
    kind: str = "point"
    gradient: tuple[float, float, float] = (-1.0, -1.0, 2.0)
    amplitude: tuple[float, float, float] = (12e-3, 12e-3, 0.0)
    dividers: tuple[int, int, int] = (102, 96, 99)
    base_frequency: float = 2.5e6
    core_diameter: float = 20e-9
    saturation_magnetization: float = MAGNETITE
    temperature: float = 293.0
    anisotropy_constant: float = 0.0
    easy_axis: tuple[float, float, float] | None = None
    spatial_modulation: float | None = None
    dynamics: Dynamics | None = None
    shape: tuple[int, int, int] = (32, 32, 1)
    fov: tuple[float, float, float] = (30e-3, 30e-3, 1e-3)
    concentration: float = 100.0
    max_order: int | None = None
    line: LineScan = LineScan()

    @property
    def grid(self) -> Grid:
        """The calibration's voxels."""
        return Grid.create(self.shape, self.fov)

    @property
    def sequence(self) -> LissajousSequence:
        """The drive field of a point or a spectrometer."""
        return LissajousSequence.create(self.amplitude, self.dividers, self.base_frequency)

    def with_dynamics(self, **numbers: float | None) -> "Preset":
        """The same with numbers of its dynamics replaced, SI units; None leaves the preset's.

        Raises:
            ValueError: its dynamics has no such number.
        """
        given = {name: value for name, value in numbers.items() if value is not None}
        if not given:
            return self
        for name in given:
            if not _has(self.dynamics, name):
                turning = (
                    "follow the field at once"
                    if self.dynamics is None
                    else f"have {type(self.dynamics).__name__} rotation"
                )
                others = ", ".join(key for key, one in PRESETS.items() if _has(one.dynamics, name))
                raise ValueError(
                    f"{name} is given, but the particles of this preset {turning}; leave it out, or take a preset that has it: "
                    f"{others}."
                )
        return replace(self, dynamics=replace(cast(Any, self.dynamics), **given))

    def simulate(self, grid: Grid | None = None) -> SystemMatrix:
        """The noise-free system matrix [V].

        Args:
            grid: voxels in place of the preset's; the sample fills one.

        Raises:
            ValueError: as the containers and simulators.
        """
        self._check()
        grid = self.grid if grid is None else grid
        particle = Particle.create(
            self.core_diameter,
            self.saturation_magnetization,
            self.temperature,
            self.anisotropy_constant,
            self.easy_axis,
            self.spatial_modulation,
            dynamics=self.dynamics,
        )
        if self.kind == "line":
            return self._of_line(particle, grid)
        spectrometer = self.kind == "spectrometer"
        scanner = Scanner.spectrometer() if spectrometer else Scanner.create(self.gradient)
        sequence = self.sequence
        bins = None
        if self.max_order is not None:
            bins = np.flatnonzero(np.abs(sequence.mixing_orders(self.max_order)).sum(1) <= self.max_order)[
                1:
            ]  # without 0 Hz
        return simulate_system_matrix(scanner, sequence, particle, grid, bins, concentration=self.concentration)

    def _of_line(self, particle: Particle, grid: Grid) -> SystemMatrix:
        """Rows of every position of the line, position by position; a matrix of several positions records no scanner."""
        resting, scan = Scanner.field_free_line(self.gradient[0]), self.line
        drive = line_sequence(self.amplitude[2], scan.frequency)
        matrices = [
            simulate_field_free_line(
                replace(resting, offset_field=np.array([0.0, 0.0, field])),
                drive,
                particle,
                grid,
                angles=np.asarray(scan.angles),
                harmonics=scan.harmonics,
                concentration=self.concentration,
            )
            for field in scan.focus
        ]
        if len(matrices) == 1:
            return matrices[0]
        values = np.concatenate([matrix.values for matrix in matrices])
        return replace(matrices[0], values=values, angles=np.tile(scan.angles, len(matrices)), scanner=None)

    def _check(self) -> None:
        """Refuse numbers that this kind of scanner would ignore."""
        (x, y, z), amplitude = self.gradient, self.amplitude
        if self.kind == "line" and not (x != 0 and y == 0 and z == -x):
            raise ValueError(
                f"gradient = {self.gradient} T/m; that of a field-free line is (G, 0, -G) with G not zero."
            )
        if self.kind == "line" and not (amplitude[0] == 0 and amplitude[1] == 0 and amplitude[2] > 0):
            raise ValueError(
                f"amplitude = {amplitude} T; a field-free line is driven along z: (0, 0, A), on the command line 0 0 A in mT."
            )
        if self.kind == "line" and (self.dividers, self.base_frequency) != (Preset.dividers, Preset.base_frequency):
            raise ValueError("dividers and base_frequency are those of a field-free point; leave them out for a line.")
        if self.kind == "spectrometer" and any(self.gradient):
            raise ValueError(f"gradient = {self.gradient} T/m; a spectrometer has none. Leave it out.")


def _has(dynamics: Dynamics | None, name: str) -> bool:
    """Whether dynamics have a number of this name."""
    return dynamics is not None and name in {field.name for field in fields(cast(Any, dynamics))}


PRESETS = {
    "2d": Preset("2-D Lissajous, field-free point, Langevin particles"),
    "2d-fluid": Preset("the same with fluid anisotropic particles", anisotropy_constant=3500.0, spatial_modulation=0.8),
    "2d-immobilized": Preset(
        "the same with immobilized anisotropic particles", anisotropy_constant=3500.0, easy_axis=(1.0, 1.0, 0.0)
    ),
    "2d-neel": Preset(
        "the same with Neel rotation: 22.5 nm, 5 kJ/m^3, damping 0.1",
        core_diameter=22.5e-9,
        anisotropy_constant=5e3,
        easy_axis=(1.0, 1.0, 0.0),
        dynamics=Neel(),
    ),
    "2d-brown": Preset(
        "the same with Brownian rotation: 25 nm cores, 40 nm with their shell, water",
        core_diameter=25e-9,
        dynamics=Brown(hydrodynamic_diameter=40e-9, viscosity=1e-3),
        shape=(16, 16, 1),
    ),
    "3d": Preset(
        "3-D Lissajous, 53,856 samples, frequencies up to mixing order 9",
        amplitude=(12e-3, 12e-3, 12e-3),
        shape=(19, 19, 19),
        fov=(38e-3, 38e-3, 19e-3),
        max_order=9,
    ),
    "line": Preset(
        "field-free line at 60 angles, harmonics 2 to 9 (TranSMS)",
        kind="line",
        gradient=(0.7, 0.0, -0.7),
        amplitude=(0.0, 0.0, 11.2e-3),
        saturation_magnetization=437676.0,
        temperature=300.0,
        fov=(32e-3, 32e-3, 1e-3),
    ),
    "line-buaa": Preset(
        "open-sided field-free line of FFL-MPI-Data: 4 mT at 3 kHz, 25 positions by a focus field of 15 mT, 31 angles",
        kind="line",
        gradient=(1.5, 0.0, -1.5),
        amplitude=(0.0, 0.0, 4e-3),
        core_diameter=70e-9,  # with 30 kA/m the particles of the authors' simulation, for Synomag of 70 nm
        saturation_magnetization=3e4,
        temperature=293.15,
        shape=(49, 49, 1),
        fov=(20e-3, 20e-3, 1e-3),
        concentration=179.0,  # 10 mg(Fe)/mL
        line=LineScan(
            frequency=3e3,
            angles=tuple(np.deg2rad(np.arange(0.0, 181.0, 6.0)).tolist()),
            harmonics=(2, 3, 4, 5, 6, 7),
            focus=tuple(np.linspace(-15e-3, 15e-3, 25).tolist()),
        ),
    ),
    "spectrometer": Preset(
        "gradient-free spectrometer, one voxel, 1-D excitation",
        kind="spectrometer",
        gradient=(0.0, 0.0, 0.0),
        amplitude=(20e-3, 0.0, 0.0),
        shape=(1, 1, 1),
        fov=(2e-3, 2e-3, 2e-3),
    ),
    "spectrometer-neel": Preset(
        "the spectrometer with Neel rotation: 22.5 nm, 5 kJ/m^3, damping 0.1, axis along the field",
        kind="spectrometer",
        gradient=(0.0, 0.0, 0.0),
        amplitude=(20e-3, 0.0, 0.0),
        core_diameter=22.5e-9,
        anisotropy_constant=5e3,
        easy_axis=(1.0, 0.0, 0.0),
        dynamics=Neel(),
        shape=(1, 1, 1),
        fov=(2e-3, 2e-3, 2e-3),
    ),
}
"""Name -> :class:`Preset`: scanner, sequence, particle, grid and concentration to start from, as ``mpijax simulate`` takes them."""


def preset(name: str, **overrides: Any) -> Preset:
    """A preset by name with some of its numbers replaced; None leaves the preset's.

    Raises:
        ValueError: an unknown name.
    """
    check_choice("preset", name, tuple(PRESETS))
    return replace(PRESETS[name], **{key: value for key, value in overrides.items() if value is not None})
