"""Particles that a search starts from."""

import numpy as np

from mpijax.core.constants import BOLTZMANN
from mpijax.core.typing import Complex
from mpijax.identification.per_matrix.match import FLOOR, Rows
from mpijax.identification.per_matrix.numbers import Start

FLUID = [(d, constant) for d in (16e-9, 18e-9, 20e-9, 22e-9, 24e-9) for constant in (1.5e3, 3.5e3, 7e3)]
"""Diameters [m] and anisotropy constants [J/m^3] of fluid particles."""

IMMOBILIZED = [(d, constant) for d in (17e-9, 20e-9, 23e-9) for constant in (2e3, 4.5e3, 8e3)]

AXES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]
DIAGONALS = [(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]
"""Easy axes of immobilized ones: along the edges of a cube, across them, and along its diagonals."""

MODULATION, TEMPERATURE = 0.8, 293.0


def dictionary() -> list[Start]:
    """132 particles, fluid and immobilized."""
    fluid = [_start(*each, AXES[0], True) for each in FLUID]
    return fluid + [_start(*each, axis, False) for each in IMMOBILIZED for axis in AXES + DIAGONALS]


def late_dictionary() -> list[Start]:
    """45 particles with Neel rotation, by their reduced anisotropy."""

    def start(diameter: float, alpha: float, axis: tuple[int, int, int], fluid: bool) -> Start:
        volume = np.pi / 6 * diameter**3
        return _start(diameter, alpha * BOLTZMANN * TEMPERATURE / volume, axis, fluid)

    fluid = [start(d, alpha, AXES[0], True) for d in (16e-9, 19e-9, 22e-9) for alpha in (4.0, 7.0, 10.0)]
    immobilized = [start(d, alpha, axis, False) for d in (17e-9, 20e-9) for alpha in (5.0, 9.0) for axis in AXES]
    return fluid + immobilized


def _start(diameter: float, constant: float, axis: tuple[int, int, int], fluid: bool) -> Start:
    along = np.asarray(axis, np.float32)
    return Start(
        np.float32(diameter),
        np.float32(constant),
        np.float32(MODULATION),
        along / np.linalg.norm(along),
        np.asarray(fluid),
    )


def misfit(signals: Complex[np.ndarray, "c f n"], rows: Rows) -> float:
    """Sum over rows of |y - factor s|^2/sigma^2 of ideal coils; channels without a signal of their own are left out."""
    model = signals[rows.coil, rows.place] * rows.known
    model = model / max(float(np.abs(model).max()), 1e-30)
    power = np.sum(np.abs(model) ** 2, axis=1)
    explained = np.abs(np.sum(np.conj(model) * rows.values, axis=1)) ** 2 / (power + FLOOR)
    return float(np.sum((np.sum(np.abs(rows.values * rows.known) ** 2, axis=1) - explained) / rows.sigma**2))
