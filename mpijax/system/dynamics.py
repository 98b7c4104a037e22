"""How moments follow the field: Neel's rotation inside the core, Brown's of the whole particle."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_range, check_scalar, is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.dynamics.brown import brown_degree, brown_moment, brown_periods, brown_substeps, brown_time
from mpijax.physics.dynamics.brown_line import brown_line_moment, brown_line_substeps
from mpijax.physics.dynamics.neel import SETTLED, neel_moment
from mpijax.physics.dynamics.stored import DAMPINGS, LARGEST_ALPHA, LARGEST_FIELD, SHIPPED_DAMPING, neel_table
from mpijax.physics.dynamics.table import Table
from mpijax.physics.fokker_planck import GYROMAGNETIC_RATIO, free_time
from mpijax.system.engines.moments import Anisotropy
from mpijax.system.leaves import as_leaf
from mpijax.system.sequence import LissajousSequence

if TYPE_CHECKING:
    from mpijax.system.particle import Particle

D = TypeVar("D")

PERIODS = 1000.0
"""Periods of the drive field over which a position is measured, where nothing else is said."""

FASTEST = 0.5
"""Largest tau beta |dH/dt|, how far the reduced field turns within a relaxation time, that the slow manifold is used for."""

STEP = 2.5
"""Largest change of the reduced field in one integration step."""

MAX_SUBSTEPS, MAX_PERIODS = 64, 200
"""Steps per sample and periods beyond which Brownian rotation is refused."""

TRACED_EFFORT = 20, 2, 4.0
"""Effort for Brownian rotation where tau and field are traced: |xi| <= 36, 16 us <= tau <= 200 us for 2.5 MS/s and 0.65 ms."""

DEFECT = 0.01
"""Largest change of a moment over the period that is kept; beyond it Brownian rotation has not settled, and is NaN."""

ACROSS = 1e-5
"""Selection field across the drive's axis, over the drive's amplitude, from which on fields are not collinear."""

ALPHAS, REACHES = (LARGEST_ALPHA, 20.0), (LARGEST_FIELD, 70.0, 100.0)
"""Reduced anisotropies and fields up to which tables are made."""


@runtime_checkable
class Dynamics(Protocol):
    """How the moment of a :class:`mpijax.Particle` follows the field: a frozen pytree whose numbers are leaves."""

    @property
    def arrays_per_sample(self) -> int:
        """See :class:`ParticleModel`; static."""
        ...

    @property
    def periods(self) -> Scalar:
        """Periods of the drive field over which a position is measured; a field of the class, which is replaced."""
        ...

    def checked(self, particle: "Particle") -> "Dynamics":
        """The same with leaves for numbers; ValueError for values, or a particle, that it cannot describe."""
        ...

    def prepared(
        self, particle: "Particle", field: Scalar | None, sequence: LissajousSequence, ends: Sequence["Particle"] = ()
    ) -> "Dynamics":
        """The same with what it computes once, outside of jit, for fields up to ``field`` [T], None = unknown.

        Args:
            particle: whose moment is asked for.
            field: largest field.
            sequence: the drive field.
            ends: of a search that begins at ``particle``: what is computed serves what lies between them, as far as that goes.

        Raises:
            ValueError: it does not apply.
        """
        ...

    def moment(
        self,
        particle: "Particle",
        static: Float[Array, "n 3"],
        anisotropy: Anisotropy | None,
        sequence: LissajousSequence,
    ) -> tuple[list[jax.Array], Float[Array, " n"]]:
        """Moments of one size of cores over a period that repeats, and how settled they are: see ``periodic_moment``."""
        ...

    @property
    def damping(self) -> Scalar:
        """Damping of the precession, infinite where there is none."""
        ...

    def time(self, particle: "Particle") -> Scalar:
        """Relaxation time tau [s] of free diffusion, of cores of the median size."""
        ...


@pytree
class Neel:
    """Neel rotation: the moment turns inside the core, against its anisotropy, and precesses.

    Brown's Fokker-Planck equation reduced onto its slow manifold (:mod:`mpijax.physics.dynamics.neel`), with the relaxation time
    tau = time_scale m0 (1 + a^2)/(2 gamma a kB T) of an isotropic core.

    Attributes:
        damping: a of the Landau-Lifshitz-Gilbert equation, 0.03 to 1.
        gyromagnetic_ratio: gamma [rad/(s T)].
        time_scale: factor of tau; towards 0 the moment is that of equilibrium.
        periods: of the drive field over which a position is measured; cores that remember their start beyond them are blocked.
        table: of the slow manifold, None = the right one. ``mpijax.physics.neel_table((0.03, 1.0))`` is one in which the damping
            can be differentiated.
    """

    damping: Scalar = SHIPPED_DAMPING
    gyromagnetic_ratio: Scalar = GYROMAGNETIC_RATIO
    time_scale: Scalar = 1.0
    periods: Scalar = PERIODS
    table: Table | None = None
    arrays_per_sample: ClassVar[int] = 100

    def checked(self, particle: "Particle") -> "Neel":
        """See :class:`Dynamics`."""
        check_range("damping", self.damping, *DAMPINGS, "", "It has no unit; 0.1 is usual.")
        check_range(
            "gyromagnetic_ratio", self.gyromagnetic_ratio, 1e10, 1e12, "rad/(s T)", "The electron's is 1.76e11."
        )
        check_range("time_scale", self.time_scale, 1e-6, 1e3, "", "It multiplies the relaxation time; 1 leaves it.")
        check_range("periods", self.periods, 1.0, 1e9, "periods")
        constant = particle.anisotropy_constant
        if is_concrete(constant) and np.any(np.asarray(constant) < 0):
            raise ValueError(
                f"anisotropy_constant = {constant} J/m^3 with Neel rotation, which is modelled for an easy axis alone; give K >= 0."
            )
        return _leaves(self)

    def time(self, particle: "Particle") -> Scalar:
        """Tau [s] of cores of the median size."""
        return free_time(self.time_scale * particle.beta, self.damping, self.gyromagnetic_ratio)

    def prepared(
        self, particle: "Particle", field: Scalar | None, sequence: LissajousSequence, ends: Sequence["Particle"] = ()
    ) -> "Neel":
        """See :class:`Dynamics`."""
        if self.table is not None:
            axes = self.table.axes
            for name, value, axis in (
                ("damping", self.damping, axes[0]),
                ("reduced anisotropy", particle.alpha, axes[1]),
            ):
                if axis.count == 1 and not is_concrete(value):
                    raise ValueError(
                        f"the {name} is traced, but the given table holds one: its derivative would be missing. Give a table of a "
                        "range, mj.physics.neel_table(damping=(0.03, 1.0), alpha=(0.0, 12.0))."
                    )
            _check_reach(particle, field, axes[1].high, axes[2].high)
            self._check_pace(particle, sequence)
            return self
        if not is_concrete(self.damping):
            raise ValueError(
                "the damping is traced, and a table holds one damping unless it was built for more; give "
                "mj.Neel(damping, table=mj.physics.neel_table((0.03, 1.0)))."
            )
        alpha, xi = _check_reach(particle, field, ALPHAS[-1], REACHES[-1])
        self._check_pace(particle, sequence)
        top = next(bound for bound in ALPHAS if alpha <= bound * (1 + 1e-5))
        reach = next(bound for bound in REACHES if xi <= bound * (1 + 1e-5))
        damping = float(self.damping)
        ships = damping == SHIPPED_DAMPING and top == LARGEST_ALPHA and reach == LARGEST_FIELD
        one = (
            not ships
            and not ends
            and particle.is_homogeneous
            and particle.size_spread is None
            and is_concrete(particle.alpha)
        )
        return replace(self, table=neel_table(damping, float(particle.alpha) if one else (0.0, top), reach))

    def _check_pace(self, particle: "Particle", sequence: LissajousSequence) -> None:
        """Raise ValueError where the field turns too fast for an expansion in its rate."""
        if not is_concrete((self.damping, self.gyromagnetic_ratio, self.time_scale, particle, sequence.amplitude)):
            return
        ratios = particle.sizes()[0]
        speed = float(np.linalg.norm(sequence.amplitude * 2 * np.pi * np.array(sequence.cycles) / sequence.period))
        pace = float(self.time(particle) * particle.beta * np.max(ratios) ** 6) * speed
        if pace > FASTEST:
            raise ValueError(
                f"the drive field turns too fast for the slow-manifold engine of Neel rotation: tau beta |dH/dt| reaches "
                f"{pace:.2g}, allowed is {FASTEST:g}. Use engine='full', a lower frequency or amplitude, or smaller cores."
            )

    def moment(
        self,
        particle: "Particle",
        static: Float[Array, "n 3"],
        anisotropy: Anisotropy | None,
        sequence: LissajousSequence,
    ) -> tuple[list[jax.Array], Float[Array, " n"]]:
        """See :class:`Dynamics`."""
        assert self.table is not None  # as prepared
        dtype = static.dtype
        if anisotropy is None:  # isotropic: any axis will do
            anisotropy = jnp.zeros(1, dtype), jnp.asarray([[0.0, 0.0, 1.0]], dtype)
        elif particle.is_homogeneous:
            anisotropy = anisotropy[0][:1], anisotropy[1][:1]
        turn = 2 * np.pi * max(sequence.cycles) / sequence.n_samples  # radians per sample
        return neel_moment(
            static,
            lambda offset: sequence.drive_field(dtype, offset),
            lambda offset: sequence.drive_rate(dtype, offset),
            particle.beta,
            *anisotropy,
            self.time(particle),
            self.damping,
            sequence.period / sequence.n_samples,
            self.table,
            self.periods,
            substeps=math.ceil(turn * self.table.axes[2].high / STEP),
        )


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
        check_range("viscosity", self.viscosity, 1e-5, 0.1, "Pa s", "Viscosities are in Pa s: 1 cP = 1 mPa s is 1e-3.")
        check_range("periods", self.periods, 1.0, 1e9, "periods")
        if (self.hydrodynamic_diameter is None) == (self.shell_thickness is None):
            raise ValueError("give mj.Brown either hydrodynamic_diameter or shell_thickness, in metres.")
        if self.shell_thickness is not None:
            check_range("shell_thickness", self.shell_thickness, 0.0, 1e-6, "m", "Lengths are in metres: 5 nm is 5e-9.")
        if self.hydrodynamic_diameter is not None:
            whole, core = self.hydrodynamic_diameter, particle.core_diameter
            check_range("hydrodynamic_diameter", whole, 1e-9, 1e-5, "m", "Diameters are in metres: 40 nm is 40e-9.")
            if is_concrete((whole, core)) and np.any(np.asarray(whole) < np.asarray(core) * (1 - 1e-6)):
                raise ValueError(
                    f"hydrodynamic_diameter = {whole} m is less than core_diameter = {core} m; it includes the shell."
                )
        if not particle.is_langevin:
            raise ValueError(
                "Brownian rotation locks the moment to the particle's body: leave out anisotropy_constant, easy_axis and "
                "spatial_modulation, or use mj.Neel."
            )
        known = _leaves(self)
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
            across = jnp.abs(static).at[:, axis].set(0).max(axis=1) > ACROSS * sequence.amplitude[axis]
            moment = jnp.where(across[:, None], jnp.nan, moment)
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
        good = (defect < DEFECT)[:, None]  # NaN is not
        return [jnp.where(good, component, jnp.nan) for component in moments], jnp.broadcast_to(settled, defect.shape)


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


def warn_of_memory(settled: Any) -> None:
    """Warn of positions whose moments remember their start throughout the measurement."""
    if settled is not None and is_concrete(settled):
        blocked = int(np.sum(np.asarray(settled) < SETTLED))
        if blocked:
            warnings.warn(
                f"{blocked} of {np.size(settled)} positions hold cores that do not settle while they are measured (blocked). A "
                "moment of Neel rotation is then the average from a demagnetized start, one of Brownian rotation that of endless "
                "repetition.",
                stacklevel=4,
            )


def _check_reach(particle: "Particle", field: Scalar | None, alpha: float, xi: float) -> tuple[float, float]:
    """Largest reduced anisotropy and field of the cores, 0 where unknown.

    Raises:
        ValueError: they exceed ``alpha`` or ``xi``.
    """
    if not is_concrete(particle):
        return 0.0, 0.0
    ratios, weights = particle.sizes()
    volumes = np.asarray(ratios) ** 3
    alphas = np.asarray(particle.alpha) * volumes
    xis = np.asarray(particle.beta) * volumes * (0.0 if field is None or not is_concrete(field) else float(field))
    outside = (alphas > alpha * (1 + 1e-5)) | (xis > xi * (1 + 1e-5))
    if np.any(outside):
        share = f", in cores that carry {weights[outside].sum():.1%} of the moment" if len(weights) > 1 else ""
        raise ValueError(
            f"the reduced anisotropy K V/(kB T) reaches {alphas.max():.3g} and the reduced field {xis.max():.3g}{share}; the table "
            f"of Neel rotation reaches {alpha:g} and {xi:g}. Use engine='full', smaller cores, a narrower spread or a weaker field."
        )
    return float(alphas.max()), float(xis.max())


def _leaves(dynamics: D) -> D:
    """The same with leaves for its numbers."""
    numbers = {}
    for field in fields(dynamics):  # type: ignore[arg-type]
        value = getattr(dynamics, field.name)
        if value is not None and not isinstance(value, Table) and not field.metadata.get("static"):
            check_scalar(field.name, value)
            numbers[field.name] = as_leaf(value)
    return replace(dynamics, **numbers)  # type: ignore[type-var]
