"""A particle whose kind, fluid or immobilized, is a traced choice: one compiled simulator serves both."""

from dataclasses import fields, replace
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Float
from mpijax.system.particle import Particle


@pytree
class MixedParticle(Particle):
    """A particle that carries an easy axis and a spatial modulation, of which ``fluid`` chooses one by value.

    In :class:`Particle` the fields that are None make that choice, which is static. Everything else is inherited.

    Attributes:
        fluid: bool, may be traced: the easy axis follows the selection field; else it is ``easy_axis``.
        bound: static upper bound of alpha.
    """

    fluid: Any = True
    bound: float = static(default=21.0)

    @property
    def alpha_bound(self) -> float:
        """Static upper bound of alpha, which sizes the quadrature of the anisotropic moment."""
        return self.bound

    def local_anisotropy(
        self, static_field: Float[Array, "n 3"], reference: Any
    ) -> tuple[Float[Array, " n"], Float[Array, "n 3"]]:
        """Reduced anisotropy (n,) and easy axis (n, 3) at every position, of the chosen kind."""
        fluid, immobilized = (self._particle(kind).local_anisotropy(static_field, reference) for kind in (True, False))
        alpha, axis = jax.tree.map(lambda a, b: jnp.where(self.fluid, a, b), fluid, immobilized)
        return alpha, axis

    def resolve(self) -> Particle:
        """The ordinary particle of the chosen kind, where the choice is known.

        Raises:
            TypeError: ``fluid`` is traced.
        """
        if not is_concrete(self.fluid):
            raise TypeError(
                "fluid is traced; resolve() needs a concrete draw. The simulators take a MixedParticle as it is."
            )
        return self._particle(bool(self.fluid))

    def _particle(self, fluid: bool) -> Particle:
        particle = Particle(*(getattr(self, field.name) for field in fields(Particle)))
        if fluid:
            return replace(particle, easy_axis=None)
        return replace(particle, spatial_modulation=None, reference_field=None)
