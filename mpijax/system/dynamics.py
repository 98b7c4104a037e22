"""How moments follow the field: Neel's rotation inside the core, Brown's of the whole particle."""

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_range, check_scalar, is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.dynamics.neel import neel_moment
from mpijax.physics.dynamics.stored import LARGEST_ALPHA, LARGEST_FIELD, neel_table
from mpijax.physics.dynamics.table import Table
from mpijax.physics.fokker_planck import GYROMAGNETIC_RATIO
from mpijax.system.engines.moments import Anisotropy
from mpijax.system.leaves import as_leaf
from mpijax.system.sequence import LissajousSequence

if TYPE_CHECKING:
    from mpijax.system.particle import Particle

PERIODS = 1000.0
"""Periods of the drive field over which a position is measured, where nothing else is said."""


@runtime_checkable
class Dynamics(Protocol):
    """How the moment of a :class:`mpijax.Particle` follows the field: a frozen pytree whose numbers are leaves."""

    def checked(self, particle: "Particle") -> "Dynamics":
        """The same with leaves for numbers; ValueError for values, or a particle, that it cannot describe."""
        ...

    def prepared(self, particle: "Particle", field: Scalar, sequence: LissajousSequence) -> "Dynamics":
        """The same with what it computes once, outside of jit, for fields up to ``field`` [T]; ValueError where it does not apply."""
        ...

    def moment(
        self,
        particle: "Particle",
        static: Float[Array, "n 3"],
        anisotropy: Anisotropy | None,
        sequence: LissajousSequence,
    ) -> tuple[list[jax.Array], Float[Array, " n"]]:
        """Moments of one size of cores over a period that repeats, three components (n, t) in units of m0.

        Returns:
            The moments, and -ln of the share of its start that a position remembers after one period, (n,).
        """
        ...


@pytree
class Neel:
    """Neel rotation: the moment turns inside the core, against its anisotropy, and precesses.

    Brown's Fokker-Planck equation reduced onto its slow manifold (:mod:`mpijax.physics.dynamics.neel`), with the relaxation time
    tau = time_scale m0 (1 + a^2)/(2 gamma a kB T) of an isotropic core.

    Attributes:
        damping: a of the Landau-Lifshitz-Gilbert equation.
        gyromagnetic_ratio: gamma [rad/(s T)].
        time_scale: factor of tau; 0 is equilibrium.
        periods: of the drive field over which a position is measured. Cores that remember their start beyond them are blocked.
        table: of the slow manifold, None = the right one; ``mpijax.physics.neel_table(damping=(0.03, 1.0))`` lets the damping be
            differentiated.
    """

    damping: Scalar = 0.1
    gyromagnetic_ratio: Scalar = GYROMAGNETIC_RATIO
    time_scale: Scalar = 1.0
    periods: Scalar = PERIODS
    table: Table | None = None
