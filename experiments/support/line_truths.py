"""Field-free-line matrices whose truth is not what their file says, nor what a fit of Langevin particles assumes.

A true row is -(i 2 pi f_k) p(r) mhat_k(u), u = e_a.r the distance from the line: in the plane of the line field and moment have
their z component alone, so that one function of u per harmonic makes all rows. For the same reason cross talk of the two other
components adds nothing here: they are zero. Everything is integrated once more, in NumPy.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.interpolate import make_interp_spline

import mpijax as mj
from experiments.support.transms import Matrices
from mpijax.datasets import FieldFreeLineItem
from mpijax.datasets.samplers.field_free_line import FREQUENCY
from mpijax.system import line_sequence

SEEDS = {"development": 19_101, "test": 19_102}
"""Of the two halves."""

GRADIENTS, DIAMETERS = (0.40, 0.93), (14.1e-9, 31.3e-9)
"""Ranges of the draws [T/m], [m]: those that the networks of the TranSMS paper are trained on, without its edge."""

SPREAD, RELAXATION = (0.1, 0.2), (1e-6, 5e-6)
"""Standard deviation of ln d of log-normal sizes; relaxation time without field [s]."""

FIELD_TERM = 0.21
"""tau(xi) = tau/sqrt(1 + 0.21 xi^2)."""

SLOPE = 0.3
"""Change of the coil's sensitivity from the center to the edge, along a drawn direction."""

SCALE_ERROR, TURN_ERROR, SHIFT_ERROR = 0.05, np.deg2rad(3.0), 1e-3
"""By which a wrong file is wrong, signs drawn: gradient and amplitude, rotation, position along x and y [m]."""

CURVATURE, JITTER, DRIFT, SAG, BOW = 0.1, np.deg2rad(0.3), 0.01, 0.03, 0.05
"""Of an unruly scanner, whose angles share no profile: quadratic change of the coil from center to edge; standard deviation of
every angle and, relative, of the amplitude at every angle; changes from center to edge of the selection field, to lower slopes or
higher ones (cubic), and of the drive field's amplitude."""

SHELL, VISCOSITY = (2e-9, 8e-9), 1e-3
"""Thickness of the shell of Brownian particles [m], in water [Pa s]."""

NODES_PER_VOXEL, BROWN_NODES, STEPS, PERIODS, QUADRATURE = 16, 4, 1024, 3, 9
"""BROWN_NODES: per voxel, where the Fokker-Planck equation is solved at each."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "sizes": ("sizes",),
    "relax": ("relax",),
    "coils": ("coils",),
    "file": ("file",),
    "everything": ("sizes", "relax", "coils", "file"),
    "unruly": ("sizes", "relax", "coils", "file", "unruly"),
    "brown": ("brown", "coils", "file"),
}
"""Family -> what is not as in the file."""


@dataclass(frozen=True)
class LineTruth:
    """A matrix by its file (``item``) and by what is true.

    Attributes:
        spread: of ln d; tau: relaxation time [s]; 0 = none.
        slope: change of sensitivity (x, y) [1/m]; curvature: along the same direction squared [1/m^2].
        scale: true over recorded gradient and amplitude; turn [rad] and shift [m] of the true line.
        shell: of Brownian particles [m], by the Fokker-Planck equation; 0 = none, and no spread or tau beside it.
        jitter, drift: of every angle [rad] and amplitude (60,); sag, bow: relative changes at the edge of the selection field and
            of the drive field's amplitude.
    """

    item: FieldFreeLineItem
    spread: float = 0.0
    tau: float = 0.0
    slope: tuple[float, float] = (0.0, 0.0)
    curvature: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    jitter: Any = field(default=0.0)
    drift: Any = field(default=0.0)
    sag: float = 0.0
    bow: float = 0.0
    shell: float = 0.0

    @property
    def gradient(self) -> float:
        """That the file says."""
        return self.item.gradient

    @property
    def core_diameter(self) -> float:
        """Median."""
        return self.item.core_diameter

    def simulate(self, grid: mj.Grid | None = None) -> mj.SystemMatrix:
        """The true rows on the recorded grid, in a matrix that says what the file says."""
        told = self.item.simulate(grid)
        x, y = np.asarray(told.grid.positions, np.float64)[:, :2].T
        half = float(told.grid.fov[0]) / 2
        angles = np.asarray(told.angles, np.float64) + self.turn + self.jitter
        e = np.stack([-np.sin(angles), np.cos(angles)])
        u = np.outer(e[0], x + self.shift[0]) + np.outer(e[1], y + self.shift[1])  # (a, n)
        u = u * (1 + self.sag * (u / half) ** 2)
        drive = 1 + np.reshape(self.drift, (-1, 1)) + self.bow * (x**2 + y**2) / half**2
        rows = self._at(u, np.broadcast_to(drive, u.shape), half, np.asarray(told.frequency_indices))
        along = self.slope[0] * x + self.slope[1] * y
        rows = rows * (1 + along + self.curvature * (x**2 + y**2))
        return replace(told, values=rows.astype(np.complex64))

    def _at(self, u: np.ndarray, drive: np.ndarray, half: float, harmonics: np.ndarray) -> np.ndarray:
        """Rows (a, f, n) at distances and relative amplitudes (a, n): splines in the one, a parabola in the other."""
        step = half / 16 / (BROWN_NODES if self.shell else NODES_PER_VOXEL)
        nodes = np.arange(-np.abs(u).max() - 4 * step, np.abs(u).max() + 5 * step, step)

        def table(amplitude: float) -> np.ndarray:
            profile = make_interp_spline(nodes, self._profile(nodes, harmonics, amplitude))
            return np.moveaxis(profile(u), -1, 1)

        spread = float(np.abs(drive - 1).max())
        if not spread:
            return table(1.0)
        t = ((drive - 1) / spread)[:, None]
        low, middle, high = (table(1 + spread * sign) for sign in (-1, 0, 1))
        return middle + t * (high - low) / 2 + t**2 * ((high + low) / 2 - middle)

    def _profile(self, u: np.ndarray, harmonics: np.ndarray, drive: float) -> np.ndarray:
        """i k mhat_k(u), (n, f), in double precision."""
        gradient, amplitude = self.item.gradient * self.scale[0], self.item.amplitude * self.scale[1] * drive
        if self.shell:
            return self._brown(u, harmonics, gradient, amplitude)
        phases = 2 * np.pi * np.arange(STEPS) / STEPS
        ratios, weights = _sizes(self.spread)
        total = np.zeros((len(u), len(harmonics)), complex)
        transform = 1j * harmonics * np.exp(-1j * np.outer(phases, harmonics)) / STEPS
        for ratio, weight in zip(ratios, weights, strict=True):
            beta = float(self.item.particle.beta) * ratio**3
            xi = beta * (gradient * u + amplitude * np.sin(phases)[:, None])  # (t, n)
            total += weight * (self._moment(xi).T @ transform)
        return total

    def _brown(self, u: np.ndarray, harmonics: np.ndarray, gradient: float, amplitude: float) -> np.ndarray:
        """Rows (n, f) of Brownian rotation; at angle 0 the distance from the line is y."""
        rotation = mj.Brown(
            hydrodynamic_diameter=self.item.core_diameter + 2 * self.shell, viscosity=VISCOSITY, collinear=True
        )
        step = float(u[1] - u[0])
        grid = mj.Grid.create((1, len(u), 1), (step, len(u) * step, step), (0, float(u.mean()), 0))
        line, drive = mj.Scanner.field_free_line(gradient), line_sequence(amplitude, FREQUENCY)
        particle = replace(self.item.particle, dynamics=rotation.checked(self.item.particle))
        found = mj.simulate_field_free_line(line, drive, particle, grid, angles=[0.0], harmonics=harmonics.tolist())
        rows = np.asarray(found.values, complex)[0].T
        return rows / np.abs(rows).max()

    def _moment(self, xi: np.ndarray) -> np.ndarray:
        """Over the last period (t, n), of d m/dt = (L(xi) - m)/tau(xi): exact for a target and rate that hold during a step."""
        target = _langevin(xi)
        if not self.tau:
            return target
        middle = (xi + np.roll(xi, -1, axis=0)) / 2
        keep = np.exp(-np.sqrt(1 + FIELD_TERM * middle**2) / (self.tau * FREQUENCY * STEPS))
        goal = (target + np.roll(target, -1, axis=0)) / 2
        m, moment = target[0], np.empty_like(target)
        for _ in range(PERIODS):
            for t in range(STEPS):
                moment[t] = m
                m = goal[t] + (m - goal[t]) * keep[t]
        return moment


def draw(family: str, half: str, count: int) -> list[LineTruth]:
    """Draws of a family; the first are the same whatever the count, and all families share their gradients and diameters."""
    return [_draw(FAMILIES[family], SEEDS[half], number) for number in range(count)]


def matrices(family: str, half: str, count: int) -> Matrices:
    """Draws of a family, simulated."""
    return Matrices.of(draw(family, half, count))


def _draw(effects: tuple[str, ...], seed: int, number: int) -> LineTruth:
    rng = np.random.default_rng((seed, number))
    item = FieldFreeLineItem(float(rng.uniform(*GRADIENTS)), float(rng.uniform(*DIAMETERS)))
    spread, tau, direction = rng.uniform(*SPREAD), np.exp(rng.uniform(*np.log(RELAXATION))), rng.uniform(0, 2 * np.pi)
    signs, jitter, drift = rng.choice((-1.0, 1.0), 8), rng.normal(size=60), rng.normal(size=60)
    half, shell = 16e-3, float(rng.uniform(*SHELL))
    changes: dict[str, dict[str, Any]] = {
        "sizes": {"spread": float(spread)},
        "relax": {"tau": float(tau)},
        "coils": {"slope": (float(SLOPE / half * np.cos(direction)), float(SLOPE / half * np.sin(direction)))},
        "file": {
            "scale": tuple(1 + SCALE_ERROR * signs[:2]),
            "turn": float(TURN_ERROR * signs[2]),
            "shift": tuple(SHIFT_ERROR * signs[3:5]),
        },
        "brown": {"shell": shell},
        "unruly": {
            "curvature": float(CURVATURE / half**2 * signs[5]),
            "jitter": JITTER * jitter,
            "drift": DRIFT * drift,
            "sag": float(SAG * signs[6]),
            "bow": float(BOW * signs[7]),
        },
    }
    chosen: dict[str, Any] = {}
    for effect in effects:
        chosen |= changes[effect]
    return LineTruth(item, **chosen)


def _sizes(spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Diameters over the median, and shares of the iron."""
    if not spread:
        return np.ones(1), np.ones(1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    return np.exp(spread * nodes), weights / weights.sum()


def _langevin(x: np.ndarray) -> np.ndarray:
    small = np.abs(x) < 1e-2
    safe = np.where(small, 1.0, x)
    return np.where(small, x / 3 - x**3 / 45, 1 / np.tanh(safe) - 1 / safe)
