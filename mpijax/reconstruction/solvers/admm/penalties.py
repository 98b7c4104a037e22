"""Penalties from outside within the iteration: a proximal operator, and the linear operator before it where there is one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mpijax.reconstruction.scaling import shift


class Held:
    """Anything as a static argument of a compiled function: the same only as itself."""

    def __init__(self, held: Any):
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and self.held is other.held


class Term(NamedTuple):
    """f(K x) of scaled images x' = 2^-unit x, frame by frame: vectors x (n,), or images (nz, ny, nx) for prox without K."""

    penalty: Any
    strength: Any  # what f is multiplied with, in units of 4^exponent of the matrix
    unit: Any  # (frames, 1)
    volume: tuple[int, ...]  # (nz, ny, nx)

    def image(self, x: Any) -> Any:
        """K x."""
        operator = operator_of(self.penalty)
        return x if operator is None else jax.vmap(operator)(x)

    def adjoint(self, p: Any) -> Any:
        """K^T p."""
        operator = operator_of(self.penalty)
        return p if operator is None else jax.vmap(operator.adjoint)(p)

    def prox(self, v: Any, rho: Any) -> Any:
        """argmin_z strength f(z) + rho/2 |z - v|^2."""
        unit = self.unit.reshape(-1, *(1,) * (v.ndim - 1))
        given = shift(v, unit)
        if operator_of(self.penalty) is None:
            given = given.reshape(-1, *self.volume)
        found = jax.vmap(self.penalty.prox, in_axes=(0, None))(given, self.strength / rho)
        return shift(jnp.asarray(found, v.dtype).reshape(v.shape), -unit)


def operator_of(penalty: Any) -> Any:
    """K of a penalty, or None for the identity."""
    return getattr(penalty, "operator", None)


def check_penalties(penalties: Any, volume: tuple[int, ...], dtype: Any) -> None:
    """Raise unless every penalty has a proximal operator that keeps the shape, and its operator what ADMM needs.

    Raises:
        ValueError: another shape.
        TypeError: no ``prox``, or an operator without ``adjoint`` and ``matrix``.
    """
    for penalty in penalties:
        name, operator = type(penalty).__name__, operator_of(penalty)
        if not callable(getattr(penalty, "prox", None)):
            raise TypeError(
                f"penalty {penalty!r} has no prox(x, step); give L1(weight), TV(weight) or an object that has one."
            )
        if operator is not None and not all(hasattr(operator, part) for part in ("__call__", "adjoint", "matrix")):
            raise TypeError(
                f"the operator of penalty {name} lacks one of operator(x), operator.adjoint(p) and operator.matrix(dtype), "
                "the dense K^T K; see FiniteDifference."
            )
        image = jax.ShapeDtypeStruct(volume, dtype)
        if operator is not None:
            image = jax.eval_shape(operator, jax.ShapeDtypeStruct((volume[0] * volume[1] * volume[2],), dtype))
        found = jax.eval_shape(penalty.prox, image, jax.ShapeDtypeStruct((), dtype))
        if getattr(found, "shape", None) != image.shape:
            raise ValueError(f"prox of penalty {name} makes {found} of {image}; the shapes must agree.")
