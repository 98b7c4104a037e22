"""How moments follow the field: Neel's rotation inside the core, Brown's of the whole particle."""

import math
import warnings
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_range, check_scalar, is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.dynamics.neel import SETTLED, neel_moment
from mpijax.physics.dynamics.stored import DAMPINGS, LARGEST_ALPHA, LARGEST_FIELD, SHIPPED_DAMPING, neel_table
from mpijax.physics.dynamics.table import Table
from mpijax.physics.fokker_planck import GYROMAGNETIC_RATIO
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

ALPHAS, REACHES = (LARGEST_ALPHA, 20.0), (LARGEST_FIELD, 70.0, 100.0)
"""Reduced anisotropies and fields up to which tables are made."""


@runtime_checkable
class Dynamics(Protocol):
    """How the moment of a :class:`mpijax.Particle` follows the field: a frozen pytree whose numbers are leaves.

    Attributes:
        periods: of the drive field over which a position is measured.
    """

    periods: Scalar

    def checked(self, particle: "Particle") -> "Dynamics":
        """The same with leaves for numbers; ValueError for values, or a particle, that it cannot describe."""
        ...

    def prepared(self, particle: "Particle", field: Scalar | None, sequence: LissajousSequence) -> "Dynamics":
        """The same with what it computes once, outside of jit, for fields up to ``field`` [T], None = unknown.

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
        gamma = self.gyromagnetic_ratio
        return self.time_scale * particle.beta * (1 + self.damping**2) / (2 * gamma * self.damping)

    def prepared(self, particle: "Particle", field: Scalar | None, sequence: LissajousSequence) -> "Neel":
        """See :class:`Dynamics`."""
        ratios = particle.sizes()[0] if is_concrete(particle) else np.ones(1)
        if is_concrete((self, particle, sequence.amplitude)):
            speed = float(np.linalg.norm(sequence.amplitude * 2 * np.pi * np.array(sequence.cycles) / sequence.period))
            pace = float(self.time(particle) * particle.beta * np.max(ratios) ** 6) * speed
            if pace > FASTEST:
                raise ValueError(
                    f"the drive field turns too fast for the slow-manifold engine of Neel rotation: tau beta |dH/dt| reaches "
                    f"{pace:.2g}, allowed is {FASTEST:g}. Use engine='full', a lower frequency or amplitude, or smaller cores."
                )
        if self.table is not None:
            axes = self.table.axes
            _check_reach(particle, field, axes[1].high, axes[2].high)
            return self
        if not is_concrete(self.damping):
            raise ValueError(
                "the damping is traced, and a table holds one damping unless it was built for more; give "
                "mj.Neel(damping, table=mj.physics.neel_table((0.03, 1.0)))."
            )
        alpha, xi = _check_reach(particle, field, ALPHAS[-1], REACHES[-1])
        top = next(bound for bound in ALPHAS if alpha <= bound * (1 + 1e-5))
        reach = next(bound for bound in REACHES if xi <= bound * (1 + 1e-5))
        damping = float(self.damping)
        ships = damping == SHIPPED_DAMPING and top == LARGEST_ALPHA and reach == LARGEST_FIELD
        one = not ships and particle.is_homogeneous and particle.size_spread is None and is_concrete(particle.alpha)
        return replace(self, table=neel_table(damping, float(particle.alpha) if one else (0.0, top), reach))

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


def warn_of_memory(settled: Any) -> None:
    """Warn of positions whose moments remember their start throughout the measurement."""
    if settled is not None and is_concrete(settled):
        blocked = int(np.sum(np.asarray(settled) < SETTLED))
        if blocked:
            warnings.warn(
                f"{blocked} of {np.size(settled)} positions hold cores that do not settle while they are measured (blocked): their "
                "moment is the average from a demagnetized start, and depends on how long that is.",
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
