"""Rows of a rotated field-free line as one profile per harmonic, with tangents: what a fit to many rows is made of."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.interpolate import BSpline, make_interp_spline

from mpijax.core.typing import Array, Float, Inexact, Vector
from mpijax.identification.line import check_line, line_amplitude
from mpijax.physics import langevin
from mpijax.system import Grid, SystemMatrix
from mpijax.system.field_free_line import line_strength

PARAMETERS = ("beta", "gradient", "amplitude", "turn", "x", "y", "coil x", "coil y", "coil xx", "coil xy", "coil yy")
"""What is fitted: logarithms of beta, G and A, angle [rad], position of the line [m], and the coil's sensitivity, a polynomial of
positions over the half width of the grid, 1 at its middle."""

PRIOR = np.array([1.0, 0.05, 0.05, np.deg2rad(3.0), 1e-3, 1e-3, 0.3, 0.3, 0.3, 0.3, 0.3])
"""Standard deviations: of a file whose gradient and amplitude are known to 5 %, its angle to 3 degrees, its position to 1 mm."""

PARTICLE = 3
"""The first parameters shape the profile, the others the geometry."""

NODES_PER_VOXEL, KNOTS_PER_VOXEL, SAMPLES = 12, 1, 128
MARGIN = 4.0
"""Prior standard deviations by which the line may lie off what the file says."""


@partial(jax.jit, static_argnames=("harmonics",))
def line_profile(unit: Vector, distances: Float[Array, " n"], harmonics: tuple[int, ...]) -> Float[Array, "n f"]:
    """Signal of Langevin particles at some distances u from the line, up to one factor per harmonic.

    S_k(u) = i^k k int L(beta (G u + A sin phi)) exp(-i k phi) dphi / 2 pi, which is real

    Args:
        unit: logarithms of beta [1/T], G [T/m] and A [T].
        distances: u [m].
        harmonics: k.
    """
    beta, gradient, amplitude = jnp.exp(unit[:PARTICLE])
    phases, k = 2 * np.pi * np.arange(SAMPLES) / SAMPLES, np.asarray(harmonics)
    moment = langevin(beta * (gradient * distances[:, None] + amplitude * jnp.sin(phases)))
    return moment @ (1j**k * k * np.exp(-1j * np.outer(phases, k)) / SAMPLES).real


_profile_tangents = jax.jit(jax.jacfwd(line_profile), static_argnames=("harmonics",))


@dataclass(frozen=True, eq=False)
class LineRows:
    """How rows of a field-free line are sampled, and what they are for any parameters.

    Attributes:
        positions: fine voxels (n, 2) [m]; grid: theirs; scale: fine voxels per coarse one and axis.
        sampling: "box" (the sample fills a coarse voxel) or "stride" (a small one at every scale-th voxel).
        angles: (a,) [rad]; harmonics: of the drive.
        told: the parameters that the file says, (11,); that of beta is unknown and stands at 0.
    """

    positions: Float[np.ndarray, "n 2"]
    grid: Grid
    scale: int
    sampling: str
    angles: Float[np.ndarray, " a"]
    harmonics: tuple[int, ...]
    told: Float[np.ndarray, " p"]

    @staticmethod
    def of(coarse: SystemMatrix, scale: int, sampling: str = "box") -> "LineRows":
        """From what a matrix records of its line; raises ValueError that names what is missing."""
        scanner: Any = coarse.scanner
        missing = [name for name in ("sequence", "scanner") if getattr(coarse, name) is None]
        if coarse.angles is None:
            raise ValueError(
                "the matrix records no angles, so it is not of a rotated field-free line; rows can be fitted only for a field-free "
                "line so far. If it is of one, say dataclasses.replace(matrix, angles=...); else take another method."
            )
        if missing:
            raise ValueError(
                f"the matrix carries no {' and no '.join(missing)}; rows can be fitted only where gradient, amplitude and angles "
                f"of the line are known. Give it what it was measured with, dataclasses.replace(matrix, {missing[0]}=...)."
            )
        check_line(coarse)
        nx, ny, nz = coarse.grid.shape
        voxel = np.asarray(coarse.grid.fov, np.float64) / coarse.grid.shape
        shift = np.array([1, 1, 0]) * voxel / 2 * (1 - 1 / scale) if sampling == "stride" else 0
        fine = Grid.create((nx * scale, ny * scale, nz), coarse.grid.fov, np.asarray(coarse.grid.center) + shift)
        told = np.zeros(len(PARAMETERS))
        told[1:PARTICLE] = np.log([float(line_strength(scanner)), line_amplitude(coarse)])
        return LineRows(
            np.asarray(fine.positions, np.float64)[:, :2],
            fine,
            scale,
            sampling,
            np.asarray(coarse.angles, np.float64),
            tuple(np.asarray(coarse.frequency_indices).tolist()),
            told,
        )

    @property
    def voxel(self) -> float:
        """Width of a fine voxel [m]."""
        return float(np.min((np.asarray(self.grid.fov) / self.grid.shape)[:2]))

    @property
    def reach(self) -> float:
        """Largest distance from the line [m]."""
        return float(np.hypot(*self.positions.T).max() + MARGIN * np.hypot(*PRIOR[4:6]))

    def observe(self, values: Inexact[Array, "... n"]) -> Inexact[np.ndarray, "... c"]:
        """Fine values as the coarse grid sees them."""
        (nx, ny, _), s = self.grid.shape, self.scale
        lead = values.shape[:-1]
        lines = np.asarray(values).reshape(*lead, ny // s, s, nx)
        if self.sampling == "stride":
            return lines[..., 0, ::s].reshape(*lead, -1)
        rows: np.ndarray = lines[..., 0, :].copy()
        found: Any = 0.0
        for j in range(1, s):  # several times as fast as a mean over a short axis
            rows += lines[..., j, :]
        for j in range(s):
            found = found + rows[..., j::s] / s**2
        return np.asarray(found).reshape(*lead, -1)

    def distances(self, unit: Float[np.ndarray, " p"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distance u of every voxel from the line of every angle (a, n), its derivative by the angle, and its direction (a, 2)."""
        turned, points = self.angles + unit[3], self.positions + unit[4:6]
        across = np.stack([-np.sin(turned), np.cos(turned)], -1)
        along = np.stack([np.cos(turned), np.sin(turned)], -1)
        return across @ points.T, -along @ points.T, across

    def coil_terms(self) -> Float[np.ndarray, "5 n"]:
        """x, y, x^2, x y, y^2 over the half width of the grid."""
        middle = np.asarray(self.grid.center, np.float64)[:2]
        x, y = ((self.positions - middle) / (np.asarray(self.grid.fov)[:2] / 2)).T
        return np.stack([x, y, x * x, x * y, y * y])

    def rows(self, unit: Float[np.ndarray, " p"], bump: BSpline | None = None) -> Inexact[np.ndarray, "a f n"]:
        """Fine rows p(r) (S_k(u) + bump_k(u)) of the line with some parameters."""
        u, _, _ = self.distances(unit)
        return _at(self._profile(unit, bump), u) * self._coil(unit)

    def tangents(
        self, unit: Float[np.ndarray, " p"], bump: BSpline | None = None
    ) -> tuple[Inexact[np.ndarray, "a f n"], Inexact[np.ndarray, "p a f n"]]:
        """Fine rows and their derivatives by all parameters: by forward mode for the profile, by the chain rule for the rest."""
        (u, turning, across), coil, terms = self.distances(unit), self._coil(unit), self.coil_terms()
        profile = self._profile(unit, bump)
        by_particle = np.asarray(_profile_tangents(unit[:PARTICLE], self._nodes(), self.harmonics))  # (n, f, 3)
        bare, slope = _at(profile, u), _at(profile.derivative(), u) * coil
        found = np.empty((len(PARAMETERS), *bare.shape), bare.dtype)  # real without a bump
        for i in range(PARTICLE):
            found[i] = _at(make_interp_spline(self._nodes(), by_particle[..., i]), u) * coil
        for i, by in enumerate((turning, across[:, :1], across[:, 1:]), PARTICLE):
            found[i] = slope * by[:, None]
        for i, term in enumerate(terms, PARTICLE + 3):
            found[i] = bare * term
        return bare * coil, found

    def bump_basis(self) -> tuple[Float[np.ndarray, " t"], int]:
        """Knots of the cubic spline that a profile is corrected with, and how many coefficients it has."""
        step = self.voxel / KNOTS_PER_VOXEL
        half = int(np.ceil(self.reach / step)) + 4
        return step * np.arange(-half, half + 1), 2 * half - 3

    def bump_rows(self, unit: Float[np.ndarray, " p"]) -> Float[np.ndarray, "a k c"]:
        """Coarse rows of every function of :meth:`bump_basis`."""
        (u, _, _), (knots, count) = self.distances(unit), self.bump_basis()
        fine = BSpline.design_matrix(u.ravel(), knots, 3).toarray().reshape(*u.shape, count)
        return self.observe(np.moveaxis(fine, -1, 1) * self._coil(unit))

    def _nodes(self) -> Float[np.ndarray, " n"]:
        step = self.voxel / NODES_PER_VOXEL
        half = int(np.ceil(self.reach / step)) + 1
        return step * np.arange(-half, half + 1)

    def _profile(self, unit: Float[np.ndarray, " p"], bump: BSpline | None) -> BSpline:
        """As a spline in u."""
        nodes = self._nodes()
        table = np.asarray(line_profile(unit[:PARTICLE], nodes, self.harmonics))
        return make_interp_spline(nodes, table if bump is None else table + bump(nodes))

    def _coil(self, unit: Float[np.ndarray, " p"]) -> Float[np.ndarray, " n"]:
        return 1 + unit[PARTICLE + 3 :] @ self.coil_terms()


def _at(spline: BSpline, u: Float[np.ndarray, "a n"]) -> Inexact[np.ndarray, "a f n"]:
    return np.moveaxis(spline(u.ravel()).reshape(*u.shape, -1), -1, 1)
