"""The simulated calibrations of the VRF-Net paper: two scans, three receive loops of random sensitivity."""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice, check_range
from mpijax.core.constants import MU0
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float
from mpijax.system.coils import LoopCoil
from mpijax.system.grid import Grid
from mpijax.system.matrix import SystemMatrix
from mpijax.system.particle import Particle
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence
from mpijax.system.setup import Setup
from mpijax.system.simulate import simulate_system_matrix

N_VOXELS = 32
"""Voxels per axis; the paper names none, and its rows are 2-D slices that 2, 4 and 8 divide."""

GRADIENT = (-1.0, -1.0, 2.0)
"""[T/m]; the printed (-0.1, -1.0, 2.0) has a divergence."""

AMPLITUDE = 12e-3
"""On all three axes [T]."""

SCANS: dict[int, dict[str, Any]] = {
    1: {
        "dividers": (675, 702, 650),
        "base_frequency": 17.55e6,
        "n_samples": 1000,
        "fov": 30e-3,
        "core_diameter": 15.7e-9,
    },
    2: {"dividers": (78, 65, 60), "base_frequency": 2.34e6, "n_samples": 780, "fov": 45e-3, "core_diameter": 25e-9},
}
"""The two columns of the table: 26, 25, 27 kHz (1 ms at 1 MS/s) and 30, 36, 39 kHz (1/3 ms at 2.34 MS/s: 1 MS/s would be
333.3 samples)."""


@pytree
class ScaledLoop:
    """A receive loop whose sensitivity |p| at the origin is given: coil, sensitivity [1/m]."""

    coil: LoopCoil
    sensitivity: Any

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """The loop's field [T], (n, 3), scaled so that |B|/mu0 at the origin is the sensitivity."""
        center = self.coil.field(jnp.zeros((1, 3), points.dtype))
        return self.coil.field(points) * (MU0 * self.sensitivity / jnp.linalg.norm(center))


@dataclass(frozen=True)
class SuperResolutionPrior:
    """3-D Lissajous calibrations of Langevin particles, 32^3 voxels, in which the three receive coils vary.

    Coil i is a circular loop around axis i. Its profile is the Biot-Savart field (analytic), normalized to eta_i at the
    center of the field of view. The paper gives "0.5-1 mV/uT" and neither radius nor place: eta is relative here, the radius
    is two fields of view, and the loop sits one field of view off center, so that the profile falls along its axis.

    Attributes:
        scan: 1 (26, 25, 27 kHz; 30 mm; 15.7 nm) or 2 (30, 36, 39 kHz; 45 mm; 25 nm).
        sensitivity: range of eta.
        radius: of the loops, in fields of view.
        distance: of a loop's plane from the center, in fields of view.
        waveform: "cosine" or "sine".

    Source: VRF-Net paper, Table 2, section 3.1.2, eq. 8 and Algorithm 1 (which fills in one coil; here three).
    """

    scan: int = 1
    sensitivity: tuple[float, float] = (0.5, 1.0)
    radius: float = 2.0
    distance: float = 1.0
    waveform: str = "cosine"

    def __post_init__(self) -> None:
        check_choice("scan", self.scan, tuple(SCANS))
        check_range("sensitivity", self.sensitivity, 1e-6, 1e6, "")
        check_range("radius", self.radius, 0.1, 100, "fields of view")
        check_range("distance", self.distance, 0, 100, "fields of view")
        # the nearest wire to the field of view, in the plane through the axis
        if math.hypot(max(0.0, self.radius - 0.5 * math.sqrt(2)), max(0.0, self.distance - 0.5)) == 0:
            raise ValueError(
                f"radius = {self.radius:g} and distance = {self.distance:g} fields of view lead the wire through the field of "
                "view, where its field is singular; enlarge one of them."
            )

    def draw(self, key: jax.Array) -> Setup:
        """One calibration; a pure function of the key that can be traced."""
        scan = SCANS[self.scan]
        fov = scan["fov"]
        low, high = self.sensitivity
        sensitivity = low + (high - low) * jax.random.uniform(key, (3,), jnp.float32)
        coils = tuple(
            ScaledLoop(LoopCoil(self.radius * fov, self.distance * fov * axis, axis), eta)
            for axis, eta in zip(np.eye(3), sensitivity, strict=True)
        )
        return Setup(
            scanner=Scanner.create(gradient=GRADIENT, receive_coils=coils),
            sequence=LissajousSequence.create(
                amplitude=(AMPLITUDE,) * 3,
                dividers=scan["dividers"],
                base_frequency=scan["base_frequency"],
                n_samples=scan["n_samples"],
                waveform=self.waveform,
            ),
            particle=Particle.create(core_diameter=scan["core_diameter"]),
            extent=np.full(3, N_VOXELS, np.int32),
            fov=np.full(3, fov),
            center=np.zeros(3),
        )

    def system_matrix(self, key: jax.Array) -> SystemMatrix:
        """One slice z = const of a drawn calibration, (3, f, 32 * 32); can be traced."""
        draw_key, slice_key = jax.random.split(key)
        setup = z_slice(self.draw(draw_key), jax.random.randint(slice_key, (), 0, N_VOXELS))
        grid = Grid.create((N_VOXELS, N_VOXELS, 1), setup.fov, setup.center)
        return simulate_system_matrix(setup.scanner, setup.sequence, setup.particle, grid)

    def describe(self) -> str:
        """What is drawn, with units."""
        scan = SCANS[self.scan]
        frequencies = ", ".join(f"{scan['base_frequency'] / d / 1e3:g}" for d in scan["dividers"])
        low, high = self.sensitivity
        lines = (
            f"3-D Lissajous calibrations (VRF-Net paper, Table 2, scan {self.scan})",
            f"core diameter      {scan['core_diameter'] * 1e9:g} nm, Langevin; 474 kA/m, 293 K",
            f"drive              {AMPLITUDE * 1e3:g} mT on every axis at {frequencies} kHz, {scan['n_samples']} samples a period",
            f"gradient           {GRADIENT} T/m",
            f"grid               {N_VOXELS}^3 voxels over {scan['fov'] * 1e3:g}^3 mm",
            f"receive coils      three loops, relative sensitivity {low:g} to {high:g} at the center (drawn), radius "
            f"{self.radius:g} and distance {self.distance:g} fields of view",
        )
        return "\n".join(lines)


def z_slice(setup: Setup, index: Any) -> Setup:
    """The calibration of one slice z = const of another one: what a network of 2-D images sees.

    Args:
        setup: a 3-D calibration.
        index: number of the slice, may be traced.
    """
    xp = jnp if isinstance(index, jax.Array) or isinstance(setup.fov, jax.Array) else np
    n = setup.extent[2]
    keep, last = np.array([1, 1, 0]), np.array([0, 0, 1])
    offset = (index + 0.5) / n - 0.5
    return replace(
        setup,
        extent=setup.extent * keep + last,
        fov=setup.fov * (keep + last / n),
        center=xp.asarray(setup.center) + offset * setup.fov * last,
    )
