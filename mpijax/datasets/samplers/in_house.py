"""Simulated matrices like those that TranSMS was tried on in the authors' own field-free-line scanner."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpijax.datasets.samplers.field_free_line import FREQUENCY
from mpijax.system.field_free_line import line_angles, line_sequence, simulate_field_free_line
from mpijax.system.grid import Grid
from mpijax.system.matrix import SystemMatrix
from mpijax.system.particle import Particle
from mpijax.system.scanner import Scanner

FOV = (64e-3, 32e-3, 2e-3)
SHAPE = (32, 16, 1)
SENSITIVE = (23, 13, 1)
"""Voxels of the coil's sensitive region, in the middle of the grid."""

AMPLITUDE = 9e-3
HARMONICS = tuple(range(2, 12))
NOISE = 0.0436
"""Noise of a fine row over its matrix' root mean square: the paper's nRMSE of a measured matrix."""


@dataclass(frozen=True)
class InHouseItem:
    """One matrix: gradient G [T/m]; 9 mT at 23.2 kHz, 60 angles of 3 degrees, harmonics 2 to 11, 2 mm voxels.

    The paper's particles are Perimag. Here they are Langevin cores of 27 nm, with which bicubic interpolation makes the errors that
    the paper prints (11.0 and 38.5 % at 2x and 4x; paper 10.97 and 36.26 %: ``python -m experiments.transms_inhouse_like``).

    Source: TranSMS paper, section IV-A3.
    """

    gradient: float
    core_diameter: float = 27e-9

    def simulate(self, grid: Grid | None = None, **options: Any) -> SystemMatrix:
        """The matrix of 60 angles by 10 harmonics; the grid defaults to 32 x 16 voxels of 2 mm.

        Args:
            grid: voxels in the plane z = 0.
            options: passed on to :func:`mpijax.system.simulate_field_free_line`.
        """
        grid = Grid.create(SHAPE, FOV) if grid is None else grid
        particle = Particle.create(self.core_diameter)
        drive = line_sequence(AMPLITUDE, options.pop("frequency", FREQUENCY), options.pop("samples", 256))
        settings: dict[str, Any] = {"angles": line_angles(60), "harmonics": HARMONICS} | options
        return simulate_field_free_line(Scanner.field_free_line(self.gradient), drive, particle, grid, **settings)


@dataclass(frozen=True)
class InHouseSet:
    """Three gradients to train on (0.3, 0.4, 0.6 T/m) and one between them to test on (0.5 T/m).

    The whole grid of 32 x 16 voxels, which 2, 4 and 8 divide, is recovered; errors are those of the sensitive region of
    23 x 13 voxels in its middle, to which the paper crops.

    Source: TranSMS paper, section IV-A3 and Table I.
    """

    train: tuple[InHouseItem, ...] = tuple(InHouseItem(g) for g in (0.3, 0.4, 0.6))
    test: tuple[InHouseItem, ...] = (InHouseItem(0.5),)

    @staticmethod
    def sensitive() -> np.ndarray:
        """Which voxels (y, x) lie in the sensitive region."""
        inside = np.zeros((SHAPE[1], SHAPE[0]), bool)
        low = [(n - m) // 2 for n, m in zip(SHAPE, SENSITIVE, strict=True)]
        inside[low[1] : low[1] + SENSITIVE[1], low[0] : low[0] + SENSITIVE[0]] = True
        return inside
