"""What the simulators ask of a particle: the protocol of particle models."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax

from mpijax.core.typing import Array, Float, Scalar
from mpijax.system.sequence import LissajousSequence

Rule = Hashable
"""What is static about how a moment is evaluated; a part of the key under which compiled functions are kept."""


@dataclass(frozen=True)
class Expansion:
    """Where the moment is analytic in the field, by which the separable engine chooses its number of terms.

    Attributes:
        beta: [1/T], so that xi = beta H is the field without a dimension.
        pole: distance of the moment's nearest pole from the real axis, in xi, for every component whatever the others are.
    """

    beta: Scalar
    pole: float


@runtime_checkable
class ParticleModel(Protocol):
    """A particle model: a frozen pytree that inherits from this class and has at least ``unit_moment``.

    Its arrays are leaves, which may be traced, and what chooses between formulas is static (a field that is None, ``rule()``).
    Every method is called inside and outside of jit. The defaults are those of a particle that is the same everywhere, whose
    moment is a formula of the field and of which nothing else is known: the engines "time" and phase nodes take it.

    Attributes:
        saturation_magnetization: Ms [A/m], a leaf. With the iron in the sample it makes the moment m0 of all particles, of which
            ``unit_moment`` is a fraction: m0 * particles = c M/(3 rho) Ms V_sample for magnetite.

    **Memory.** The methods above take the moment for a function of the field at the same time. A model whose moment remembers the
    field of before (relaxation) says so by ``has_memory`` and has ``periodic_moment`` in place of ``unit_moment``: its moment over
    a whole period, in the order of time, in the state that repeats with the period. Only the time engine takes it.
    """

    saturation_magnetization: Scalar

    def unit_moment(
        self, field: Sequence[Float[Array, "n t"]], static_field: Float[Array, "p 3"], rule: Rule
    ) -> list[jax.Array]:
        """Mean moment in units of m0, three components (n, t) in the precision of the field.

        Args:
            field: H [T], selection plus drive field, three components (n, t): of n positions at t times, which may be those of
                any sequence and in any order.
            static_field: the selection field alone [T], (p, 3) with p = n, for models that differ from position to position;
                of a model that is the same everywhere it is not to be used, and p may be 1.
            rule: what :meth:`rule` gave outside of jit.
        """
        ...

    def rule(self) -> Rule:
        """What is static about the evaluation, from concrete values where there are any: called outside of jit."""
        return ()

    @property
    def is_homogeneous(self) -> bool:
        """Whether the moment depends on the field alone and not on the position. Static."""
        return True

    @property
    def arrays_per_sample(self) -> int:
        """Arrays (n, t) beside field and moment that ``unit_moment`` keeps, for the size of the chunks. Static.

        With more than none of them, chunks are as small as the cache: such formulas pass through their working set many times.
        """
        return 0

    def expansion(self) -> Expansion | None:
        """Where the moment is analytic in the field; None = nowhere, or in a strip so narrow that no expansion pays.

        The separable engine takes models that have one and are the same everywhere; it may be exact to a tolerance only if the
        answer is true.
        """
        return None

    @property
    def has_memory(self) -> bool:
        """Whether the moment depends on the field of before. Static."""
        return False

    def mirrors_with(self, flips: tuple[bool, bool, bool]) -> bool:
        """Whether a field that is mirrored along these axes, selection field included, has the moment mirrored along them.

        Of all three axes: whether -H has the moment -m. The simulators then leave out what follows from the rest
        (:mod:`mpijax.system.engines.symmetry`). It may be True only where that is exact.
        """
        return False

    def periodic_moment(
        self, static_field: Float[Array, "n 3"], sequence: LissajousSequence, rule: Rule
    ) -> tuple[list[jax.Array], Float[Array, " n"]]:
        """Moments over one period that repeats, of a model with memory, three components (n, t) in units of m0.

        Args:
            static_field: selection field [T], (n, 3); its dtype is that of the computation.
            sequence: drive field, its rate and its values between the samples.
            rule: as in :meth:`unit_moment`.

        Returns:
            The moments, and how often the memory of its start decays by e while a position is measured, (n,).
        """
        raise NotImplementedError(f"{type(self).__name__} has no memory; its moment is unit_moment.")

    def prepared(self, field: Scalar | None, sequence: LissajousSequence) -> "ParticleModel":
        """The same model with what it computes once, outside of jit, for fields up to ``field`` [T] (None = unknown).

        Raises:
            ValueError: it cannot be simulated with these fields.
        """
        return self

    def measured_over(self, periods: Scalar) -> "ParticleModel":
        """The same model, of which a position is measured over so many periods of the drive field."""
        return self

    def with_reference(self, reference: Scalar) -> "ParticleModel":
        """The same model with its reference settled: the largest selection field [T] on the calibration's grid.

        For models whose moment depends on the position. It is called once for the whole grid, whatever is selected of it later.
        """
        return self


def check_model(particle: Any) -> None:
    """Raise TypeError unless the simulators can take ``particle``."""
    if not isinstance(particle, ParticleModel):
        raise TypeError(
            f"particle is a {type(particle).__name__}; expected a particle model, mj.Particle.create(...) or a class derived from "
            "mpijax.system.ParticleModel."
        )
