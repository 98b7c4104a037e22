"""Brownian rotation of particles in their fluid."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_range, is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.dynamics.brown import (
    brown_degree,
    brown_degree_share,
    brown_moment,
    brown_periods,
    brown_substeps,
    brown_time,
)
from mpijax.physics.dynamics.brown_line import brown_line_moment, brown_line_substeps
from mpijax.system.dynamics.protocol import PERIODS, Dynamics, leaves
from mpijax.system.engines.moments import Anisotropy
from mpijax.system.sequence import LissajousSequence

if TYPE_CHECKING:
    from mpijax.system.particle import Particle

MAX_SUBSTEPS, MAX_PERIODS = 64, 200
"""Steps per sample and periods beyond which Brownian rotation is refused."""

TRACED_EFFORT = 20, 2, 4.0
"""Effort for Brownian rotation where tau and field are traced: |xi| <= 36, 16 us <= tau <= 200 us for 2.5 MS/s and 0.65 ms."""

TRANSIENTS = 11.0
"""Relaxation times before the period that is kept; fewer leave more than 2e-5 of the start, and are NaN."""

DEFECT = 0.01
"""Largest change of a moment over the period that is kept; beyond it Brownian rotation has not settled, and is NaN."""

ACROSS = 1e-5
"""Selection field across the drive's axis, over the drive's amplitude, from which on fields are not collinear."""


LIMITS = {"viscosity": (1e-5, 0.1), "shell_thickness": (0.0, 1e-6)}
"""What the numbers may be."""


@pytree
class Brown:
    """Brownian rotation: the particle turns as a whole in its fluid, the moment locked to it; no anisotropy, no easy axis.

    The Fokker-Planck equation of the particle's direction (:mod:`mpijax.physics.dynamics.brown`) with the relaxation time
    tau = 3 eta V_h/(kB T) at zero field. Give either the hydrodynamic diameter, of the median core, or the thickness of the shell
    around a core of any size; where sizes spread, a hydrodynamic diameter means a shell of the median's thickness.

    Attributes:
        hydrodynamic_diameter: d_h [m], core with its shell.
        viscosity: eta [Pa s] at the particle's temperature; 1.0e-3 is water at 20 degrees C.
        shell_thickness: (d_h - d)/2 [m].
        periods: of the drive field over which a position is measured.
        effort: degree of the harmonics, steps per sample and periods before the one that is kept, static; None = enough of each.
            Where diameter, viscosity or field are traced it is (20, 2, 4), and a moment that this is too little for is NaN.
        collinear: static: the selection field is known to lie along the only driven axis, as in a spectrometer or on a line. Then
            Legendre polynomials are enough, a hundred times faster and without transients; a moment elsewhere is NaN.

    Source: Brown, Phys. Rev. 130, 1677 (1963); for a particle in a fluid Coffey and Kalmykov, The Langevin equation (2012).
    """

    hydrodynamic_diameter: Scalar | None = None
    viscosity: Scalar = 1e-3
    shell_thickness: Scalar | None = None
    periods: Scalar = PERIODS
    effort: tuple[int, int, float] | None = static(default=None)
    collinear: bool = static(default=False)
    damping: ClassVar[float] = math.inf

    @property
    def arrays_per_sample(self) -> int:
        """See :class:`Dynamics`."""
        return 1000 if self.collinear else 2

    def checked(self, particle: "Particle") -> "Brown":
        """See :class:`Dynamics`."""
        check_range(
            "viscosity",
            self.viscosity,
            *LIMITS["viscosity"],
            "Pa s",
            "Viscosities are in Pa s: 1 cP = 1 mPa s is 1e-3.",
        )
        check_range("periods", self.periods, 1.0, 1e9, "periods")
        if not isinstance(self.collinear, bool):
            raise TypeError(f"collinear = {self.collinear!r}; it is True or False.")
        if self.effort is not None:
            _check_effort(self.effort)
        if (self.hydrodynamic_diameter is None) == (self.shell_thickness is None):
            raise ValueError("give mj.Brown either hydrodynamic_diameter or shell_thickness, in meters.")
        if self.shell_thickness is not None:
            check_range(
                "shell_thickness",
                self.shell_thickness,
                *LIMITS["shell_thickness"],
                "m",
                "Lengths are in meters: 5 nm is 5e-9.",
            )
        if self.hydrodynamic_diameter is not None:
            whole, core = self.hydrodynamic_diameter, particle.core_diameter
            check_range("hydrodynamic_diameter", whole, 1e-9, 1e-5, "m", "Diameters are in meters: 40 nm is 40e-9.")
            if is_concrete((whole, core)) and np.any(np.asarray(whole) < np.asarray(core) * (1 - 1e-6)):
                raise ValueError(
                    f"hydrodynamic_diameter = {whole} m is less than core_diameter = {core} m; it includes the shell."
                )
        if not particle.is_langevin:
            raise ValueError(
                "Brownian rotation locks the moment to the particle's body: leave out anisotropy_constant, easy_axis and "
                "spatial_modulation, or use mj.Neel."
            )
        known = leaves(self)
        if known.hydrodynamic_diameter is None:
            return known
        shell = (
            known.hydrodynamic_diameter - particle.core_diameter
        ) / 2  # the median's, whatever size is asked for later
        return replace(known, hydrodynamic_diameter=None, shell_thickness=shell)

    def time(self, particle: "Particle") -> Scalar:
        """Tau [s] of cores of the median size."""
        assert self.shell_thickness is not None  # as checked
        return brown_time(particle.core_diameter + 2 * self.shell_thickness, self.viscosity, particle.temperature)

    def prepared(
        self, particle: "Particle", field: Scalar | None, sequence: LissajousSequence, ends: Sequence["Particle"] = ()
    ) -> "Brown":
        """See :class:`Dynamics`."""
        if self.collinear and sum(sequence.active) != 1:
            raise ValueError(f"collinear Brownian rotation with {sum(sequence.active)} driven axes; it takes one.")
        if self.effort is not None or not is_concrete((self, particle, field)) or field is None:
            return replace(self, effort=self.effort or TRACED_EFFORT)
        if ends:  # enough for each of them; a moment that it is too little for is NaN
            efforts = [_effort(one, float(field), sequence) for one in (particle, *ends)]
            degree, substeps, periods = (max(values) for values in zip(*efforts, strict=True))
            return replace(self, effort=(degree, min(substeps, MAX_SUBSTEPS), min(periods, MAX_PERIODS)))
        degree, substeps, periods = _effort(particle, float(field), sequence)
        tau = float(self.time(particle))
        if substeps > MAX_SUBSTEPS:
            raise ValueError(
                f"the particles turn too fast for this sampling: tau = {tau:.2g} s would take {substeps} steps per sample, "
                f"allowed are {MAX_SUBSTEPS}. Their moment is close to equilibrium: leave out dynamics, or use engine='full'."
            )
        if periods > MAX_PERIODS and not self.collinear:
            raise ValueError(
                f"the particles turn too slowly: tau = {tau:.2g} s would settle after {periods:.0f} periods of the drive, "
                f"allowed are {MAX_PERIODS}. Lower viscosity or size, or use engine='full'."
            )
        return replace(self, effort=(degree, substeps, periods))

    def moment(
        self,
        particle: "Particle",
        static: Float[Array, "n 3"],
        anisotropy: Anisotropy | None,
        sequence: LissajousSequence,
    ) -> tuple[list[jax.Array], Float[Array, " n"]]:
        """See :class:`Dynamics`."""
        assert self.effort is not None  # as prepared
        dtype = static.dtype
        degree, substeps, periods = self.effort
        tau = self.time(particle)
        settled = jnp.asarray(self.periods * sequence.period / tau, dtype)
        largest = jnp.linalg.norm(static, axis=1) + jnp.linalg.norm(jnp.asarray(sequence.amplitude))
        enough = brown_degree_share(particle.beta * largest) <= degree
        if self.collinear:
            axis = sequence.active.index(True)
            moment = brown_line_moment(
                static[:, axis],
                lambda offset: sequence.drive_field(dtype, offset)[axis],
                particle.beta,
                tau,
                sequence.period / sequence.n_samples,
                degree=degree,
                substeps=substeps,
            )
            along = jnp.abs(static).at[:, axis].set(0).max(axis=1) <= ACROSS * sequence.amplitude[axis]
            moment = jnp.where((along & enough)[:, None], moment, jnp.nan)
            return [moment if i == axis else 0 * moment for i in range(3)], jnp.broadcast_to(settled, static.shape[:1])
        moments, defect = brown_moment(
            static,
            lambda offset: sequence.drive_field(dtype, offset),
            particle.beta,
            tau,
            sequence.period / sequence.n_samples,
            sequence.n_samples,
            degree=degree,
            substeps=substeps,
            periods=periods,
        )
        good = ((defect < DEFECT) & enough & (periods * sequence.period / tau > TRANSIENTS))[:, None]  # NaN is not
        return [jnp.where(good, component, jnp.nan) for component in moments], jnp.broadcast_to(settled, defect.shape)


def _check_effort(effort: Any) -> None:
    """Raise ValueError for what is no (degree, steps per sample, periods)."""
    sound = isinstance(effort, tuple) and len(effort) == 3 and all(isinstance(n, int) and n > 0 for n in effort[:2])
    if not sound or not isinstance(effort[2], int | float) or not 0 <= effort[2] < math.inf:
        raise ValueError(
            f"effort = {effort!r}; expected (degree, steps per sample, periods before the one that is kept), (20, 2, 4.0), or None."
        )


def _effort(particle: "Particle", field: float, sequence: LissajousSequence) -> tuple[int, int, float]:
    """Degree, steps per sample and periods that Brownian rotation takes, of cores of any size."""
    cores = [particle.of_size(ratio) for ratio in np.asarray(particle.sizes()[0])]
    xi = max(float(core.beta) for core in cores) * field
    times = [float(cast(Dynamics, core.dynamics).time(core)) for core in cores]
    degree = brown_degree(xi)
    step = sequence.period / sequence.n_samples / min(times)
    if cast(Brown, particle.dynamics).collinear:
        substeps = brown_line_substeps(step, xi * 2 * math.pi * max(sequence.cycles) / sequence.n_samples)
    else:
        substeps = brown_substeps(step, degree, xi)
    return degree, substeps, brown_periods(sequence.period / max(times))
