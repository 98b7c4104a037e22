"""Receive coils as pytrees with a common method, the field at unit current."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_finite, check_range, check_scalar, check_shape, is_concrete
from mpijax.core.constants import MU0
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float, Matrix, Numbers, Scalar, Vector, Vector3
from mpijax.physics.coils import loop_field, segments_field

METERS = "Lengths are in meters."


@runtime_checkable
class Coil(Protocol):
    """Anything that gives its field at unit current."""

    def field(self, points: Array) -> Array:
        """B at 1 A [T], (n, 3), at points (n, 3) [m]."""
        ...


if TYPE_CHECKING:
    Field: TypeAlias = Coil
    """Anything with a field, checked by value."""
else:
    Field = Any

Coils: TypeAlias = Matrix | tuple[Coil, ...] | None
"""What a scanner receives with: (c, 3) homogeneous sensitivities [1/m], or coils; None = x, y and z with 1 1/m."""


@pytree
class LoopCoil:
    """A circular loop: radius [m], center (3,) [m], normal (3,).

    Source: Bulirsch, Numer. Math. 13 (1969) 305, whose integral the field of a loop is.
    """

    radius: Scalar
    center: Vector3
    normal: Vector3

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """B at 1 A [T], (n, 3)."""
        return loop_field(points, self.radius, jnp.asarray(self.center), jnp.asarray(self.normal))

    def check(self, name: str) -> None:
        """Raise ValueError where concrete values cannot be a loop in meters."""
        check_range(f"{name}.radius", self.radius, 1e-4, 10.0, "m", METERS)
        check_scalar(f"{name}.radius", self.radius)
        check_shape(f"{name}.center", self.center, (3,))
        check_range(f"{name}.center", self.center, -10.0, 10.0, "m", METERS)
        check_shape(f"{name}.normal", self.normal, (3,))
        check_finite(f"{name}.normal", self.normal)
        if is_concrete(self.normal) and not np.any(np.asarray(self.normal)):
            raise ValueError(f"{name}.normal = {self.normal}; it must be a vector other than zero.")


@pytree
class PolylineCoil:
    """A coil of straight segments given by its corners (s + 1, 3) [m]; repeat the first corner to close it.

    Source: Hanson and Hirshman, Physics of Plasmas 9, 4410 (2002).
    """

    vertices: Matrix

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """B at 1 A [T], (n, 3)."""
        return segments_field(points, jnp.asarray(self.vertices))

    def check(self, name: str) -> None:
        """Raise ValueError where concrete values cannot be corners in meters."""
        shape = np.shape(self.vertices)
        if len(shape) != 2 or shape[0] < 2 or shape[1] != 3:
            raise ValueError(
                f"{name}.vertices has shape {shape}; expected (segments + 1, 3) with at least one segment."
            )
        check_range(f"{name}.vertices", self.vertices, -10.0, 10.0, "m", METERS)


@pytree
class SeriesCoil:
    """Coils in series that make one channel: a tuple of coils and their turns (k,), negative where wound the other way.

    A gradiometer is ``SeriesCoil((receive, cancel), (n1, -n2))``.
    """

    coils: "tuple[Coil, ...]"
    turns: Vector

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """B at 1 A [T], (n, 3)."""
        fields = jnp.stack([coil.field(points) for coil in self.coils])
        return jnp.tensordot(jnp.asarray(self.turns, fields.dtype), fields, 1, precision="highest")

    def check(self, name: str) -> None:
        """Raise ValueError where there is not one number of turns per coil, or one of the coils is wrong."""
        if not self.coils or np.shape(self.turns) != (len(self.coils),):
            raise ValueError(
                f"{name} has {len(self.coils)} coils and turns of shape {np.shape(self.turns)}; expected one number of turns per "
                "coil, and at least one coil."
            )
        check_finite(f"{name}.turns", self.turns)
        check_coils(f"{name}.coils", self.coils)


def check_coils(name: str, coils: Sequence[object]) -> None:
    """Raise ValueError unless every entry is a coil whose concrete values make sense."""
    for index, coil in enumerate(coils):
        if not hasattr(coil, "field"):
            raise ValueError(
                f"{name}[{index}] is a {type(coil).__name__}; among coils every entry needs a method field(points). A channel "
                "of homogeneous sensitivity goes into an array (channels, 3) of its own."
            )
        if isinstance(coil, LoopCoil | PolylineCoil | SeriesCoil):
            coil.check(f"{name}[{index}]")


def coil_sensitivities(coils: Numbers | tuple[Coil, ...], points: Float[Array, "n 3"]) -> Float[Array, "c n 3"]:
    r"""Sensitivities :math:`p = H/I = B/(\mu_0 I)` [1/m] of receive coils at points.

    Args:
        coils: (c, 3) homogeneous sensitivities [1/m], or a tuple of coils with ``.field(points)``.
        points: (n, 3) [m].

    Returns:
        (c, n, 3) [1/m].

    Source: VRF-Net paper, Algorithm 1 and eq. 8.
    """
    if isinstance(coils, tuple):
        return jnp.stack([coil.field(points) for coil in coils]) / MU0
    coils = jnp.asarray(coils, points.dtype)
    return jnp.broadcast_to(coils[:, None], (coils.shape[0], *points.shape))
