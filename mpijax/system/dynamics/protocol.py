"""What a particle asks of its dynamics."""

import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np

from mpijax.core.checks import check_scalar, is_concrete
from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.dynamics.neel import SETTLED
from mpijax.physics.dynamics.table import Table
from mpijax.system.engines.moments import Anisotropy
from mpijax.system.leaves import as_leaf
from mpijax.system.sequence import LissajousSequence

if TYPE_CHECKING:
    from mpijax.system.particle import Particle

D = TypeVar("D")

PERIODS = 1000.0
"""Periods of the drive field over which a position is measured, where nothing else is said."""


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


def leaves(dynamics: D) -> D:
    """The same with leaves for its numbers."""
    numbers = {}
    for field in fields(dynamics):  # type: ignore[arg-type]
        value = getattr(dynamics, field.name)
        if value is not None and not isinstance(value, Table) and not field.metadata.get("static"):
            check_scalar(field.name, value)
            numbers[field.name] = as_leaf(value)
    return replace(dynamics, **numbers)  # type: ignore[type-var]
