"""Receive coils as pytrees with a common method, the field at unit current."""

from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp

from mpijax.core.constants import MU0
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float
from mpijax.physics.coils import loop_field, segments_field


@runtime_checkable
class Coil(Protocol):
    """Anything that gives its field at unit current."""

    def field(self, points: Any) -> Any:
        """B at 1 A [T], (n, 3), at points (n, 3) [m]."""
        ...


@pytree
class LoopCoil:
    """A circular loop: radius [m], center (3,) [m], normal (3,)."""

    radius: Any
    center: Any
    normal: Any

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """B at 1 A [T], (n, 3)."""
        return loop_field(points, self.radius, jnp.asarray(self.center), jnp.asarray(self.normal))


@pytree
class PolylineCoil:
    """A coil of straight segments given by its corners (s + 1, 3) [m]; repeat the first corner to close it."""

    vertices: Any

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """B at 1 A [T], (n, 3)."""
        return segments_field(points, jnp.asarray(self.vertices))


@pytree
class SeriesCoil:
    """Coils in series that make one channel: a tuple of coils and their turns (k,), negative where wound the other way.

    A gradiometer is ``SeriesCoil((receive, cancel), (n1, -n2))``.
    """

    coils: tuple[Any, ...]
    turns: Any

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """B at 1 A [T], (n, 3)."""
        fields = jnp.stack([coil.field(points) for coil in self.coils])
        return jnp.tensordot(jnp.asarray(self.turns, fields.dtype), fields, 1, precision="highest")


def coil_sensitivities(coils: Any, points: Float[Array, "n 3"]) -> Float[Array, "c n 3"]:
    """Sensitivities p = H/I = B/(mu0 I) [1/m] of receive coils at points.

    Args:
        coils: (c, 3) homogeneous sensitivities [1/m], or a tuple of coils with ``.field(points)``.
        points: (n, 3) [m].

    Returns:
        (c, n, 3) [1/m].
    """
    if isinstance(coils, tuple):
        return jnp.stack([coil.field(points) for coil in coils]) / MU0
    coils = jnp.asarray(coils, points.dtype)
    return jnp.broadcast_to(coils[:, None], (coils.shape[0], *points.shape))
