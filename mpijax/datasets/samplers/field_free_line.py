"""The simulated matrices of the TranSMS paper: a field-free line that turns in a plane."""

from dataclasses import dataclass, fields
from typing import Any

import jax
import numpy as np

from mpijax.core.checks import check_range
from mpijax.core.constants import MU0
from mpijax.system.field_free_line import HARMONICS, line_angles, line_sequence, simulate_field_free_line
from mpijax.system.grid import Grid
from mpijax.system.matrix import SystemMatrix
from mpijax.system.particle import Particle
from mpijax.system.scanner import Scanner

FOV = (32e-3, 32e-3, 1e-3)
SHAPE = (32, 32, 1)
FREQUENCY = 23.2e3
"""Drive frequency [Hz]."""

GRADIENTS = np.linspace(0.40, 1.00, 10)
DIAMETERS = 14.10e-9 + 2.145e-9 * np.arange(10)
"""The 100 matrices to train and test on: ten gradients [T/m] by ten diameters [m]."""

VALIDATION_GRADIENTS = np.array([0.70, 0.865, 1.03])
VALIDATION_DIAMETERS = 15.17e-9 + 2.145e-9 * np.arange(10)
"""The 30 matrices to validate on, half a step away in diameter."""


@dataclass(frozen=True)
class FieldFreeLineItem:
    """One matrix: gradient G [T/m] and core diameter d [m]; everything else is the same for all.

    60 angles of 3 degrees, harmonics 2 to 9 of 23.2 kHz, Ms = 0.55 T/mu0, T = 300 K, homogeneous receive coil along z.

    Source: TranSMS paper, section IV-A1.
    """

    gradient: float
    core_diameter: float

    @property
    def amplitude(self) -> float:
        """Drive amplitude A = G FOV/2 [T]: the line sweeps the field of view."""
        return self.gradient * FOV[0] / 2

    @property
    def angles(self) -> np.ndarray:
        """Angles of the line [rad], (60,)."""
        return line_angles(60)

    @property
    def particle(self) -> Particle:
        """Langevin particles."""
        return Particle.create(self.core_diameter, saturation_magnetization=0.55 / MU0, temperature=300.0)

    def simulate(self, grid: Grid | None = None, **options: Any) -> SystemMatrix:
        """The matrix of 60 angles by 8 harmonics; the grid defaults to 32 x 32 voxels of 1 mm.

        Args:
            grid: voxels in the plane z = 0.
            options: passed on to :func:`mpijax.system.simulate_field_free_line`.
        """
        grid = Grid.create(SHAPE, FOV) if grid is None else grid
        line, drive = (
            Scanner.field_free_line(self.gradient),
            line_sequence(self.amplitude, FREQUENCY, options.pop("samples", 256)),
        )
        return simulate_field_free_line(line, drive, self.particle, grid, **{"angles": self.angles} | options)

    def describe(self) -> str:
        """Its values, with units."""
        beta = float(self.particle.beta)
        return (
            f"field-free line   G = {self.gradient:.3f} T/m, A = {self.amplitude * 1e3:.2f} mT, {FREQUENCY / 1e3:g} kHz, "
            f"60 angles, harmonics {HARMONICS[0]} to {HARMONICS[-1]}\n"
            f"particle          d = {self.core_diameter * 1e9:.3f} nm, beta = {beta:.1f} /T, FWHM "
            f"{4.16 / (beta * self.gradient) * 1e3:.2f} mm"
        )


@dataclass(frozen=True)
class FieldFreeLineSet:
    """The matrices of the paper, split. Make it with :meth:`create`.

    The printed grids give 90 and 20 matrices for the stated 100 and 30; ten gradients from 0.40 to 1.00 T/m by ten diameters
    from 14.10 nm in steps of 2.145 nm, and three gradients (0.70, 0.865, 1.03 T/m) by ten, agree with all counts.

    Attributes:
        train: 66 matrices.
        validation: 30 matrices.
        extrapolation: 19 test matrices with G = 1 T/m or d = 33.4 nm: beyond all that is trained on.
        interpolation: 15 test matrices drawn from the others.

    Source: TranSMS paper, section IV-A1 and Table I.
    """

    train: tuple[FieldFreeLineItem, ...]
    validation: tuple[FieldFreeLineItem, ...]
    extrapolation: tuple[FieldFreeLineItem, ...]
    interpolation: tuple[FieldFreeLineItem, ...]

    @staticmethod
    def create(key: jax.Array, n_interpolation: int = 15) -> "FieldFreeLineSet":
        """Split the matrices; the key draws the test matrices that lie inside.

        Args:
            key: of the draw.
            n_interpolation: how many.

        Raises:
            ValueError: more than there are.
        """
        check_range("n_interpolation", n_interpolation, 0, 81, "", "There are 81 matrices away from the edge.")
        edge = [(g, d) for g in GRADIENTS for d in DIAMETERS if g == GRADIENTS[-1] or d == DIAMETERS[-1]]
        inner = [(g, d) for g in GRADIENTS[:-1] for d in DIAMETERS[:-1]]
        order = np.asarray(jax.random.permutation(key, len(inner)))
        drawn, rest = np.sort(order[:n_interpolation]), np.sort(order[n_interpolation:])
        return FieldFreeLineSet(
            train=_items(inner[i] for i in rest),
            validation=_items((g, d) for g in VALIDATION_GRADIENTS for d in VALIDATION_DIAMETERS),
            extrapolation=_items(edge),
            interpolation=_items(inner[i] for i in drawn),
        )

    @property
    def test(self) -> tuple[FieldFreeLineItem, ...]:
        """All 34 test matrices."""
        return self.extrapolation + self.interpolation

    def describe(self) -> str:
        """What each part holds, with units."""
        lines = ["field-free line in a plane (TranSMS paper, Table I)"]
        for part in fields(self):
            items = getattr(self, part.name)
            gradients, diameters = ([getattr(item, name) for item in items] for name in ("gradient", "core_diameter"))
            if items:
                lines.append(
                    f"{part.name:<18} {len(items):>3} matrices, G {min(gradients):.3f} to {max(gradients):.3f} T/m, "
                    f"d {min(diameters) * 1e9:.2f} to {max(diameters) * 1e9:.2f} nm"
                )
        return "\n".join(lines)


def _items(pairs: Any) -> tuple[FieldFreeLineItem, ...]:
    return tuple(FieldFreeLineItem(float(gradient), float(diameter)) for gradient, diameter in pairs)
