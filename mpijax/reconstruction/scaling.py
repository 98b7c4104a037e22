"""Exact scaling by powers of two, by which every solver gives the same image in every unit.

Signals in SI units are so small (1e-18 V m^2) that their squares, and a lambda of that size, leave the range of single
precision. A power of two rounds nothing: a solver whose matrix, data and parameters are first brought to order one makes
the same roundings, and so the same bits, whatever common factor 2^k they came with. With A = 2^a A' and b = 2^b b' the
image is x = 2^(b - a) x', and lambda = 2^(2a) lambda'.

Exponents are constants under differentiation: the image does not depend on them.
"""

from functools import reduce
from typing import Any, cast, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from mpijax.core.checks import is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, DType, Inexact, Int, Num, Values

_LOWEST = -(2**20)


@pytree
class Scaled:
    """Numbers kept as value * 2^exponent, where they can be smaller or larger than the precision allows.

    Attributes:
        value: the largest entry (of every part with an exponent of its own) lies between 1/2 and 1; or all are zero.
        exponent: whole numbers, broadcast against ``value``.
    """

    value: Values
    exponent: Values

    def within(self, exponent: Values | int) -> jax.Array:
        """The numbers in units of 2^exponent."""
        return shift(self.value, self.exponent - exponent)

    def times(self, other: "Scaled") -> "Scaled":
        """The product, entry by entry."""
        return Scaled(self.value * other.value, self.exponent + other.exponent)

    def number(self) -> Any:
        """The numbers themselves: in double precision, on the host, where they are known.

        Traced values keep their precision and can leave its range.
        """
        if not is_concrete(self):
            return self.within(0)
        return np.ldexp(np.asarray(self.value, np.float64), np.asarray(self.exponent))


@overload
def number(value: None, dtype: DType) -> None: ...
@overload
def number(value: ArrayLike | Scaled, dtype: DType) -> Scaled: ...
def number(value: Any, dtype: Any) -> Any:
    """Real parameters as ``Scaled`` with one exponent, of the precision of ``dtype``; None and what is scaled stay.

    Known ones are scaled in double precision before they are rounded: 1e-40 is a Python number.
    """
    if value is None or isinstance(value, Scaled):
        return value
    dtype = jnp.finfo(jnp.result_type(jax.dtypes.canonicalize_dtype(dtype), jnp.float32)).dtype
    if not is_concrete(value):
        found = normalize(jnp.asarray(value))
        return Scaled(found.value.astype(dtype), found.exponent)
    host = np.asarray(value, np.float64)
    exponent = np.frexp(np.max(np.abs(host), initial=0))[1]
    return Scaled(np.asarray(np.ldexp(host, -exponent), dtype), cast(Values, np.int32(exponent)))


def exponents(values: Inexact[Array, "..."], axis: int | None = None) -> Int[jax.Array, "..."]:
    """The exponent of the power of two above the largest entry, over all axes or over one, which is kept; of zeros 0."""
    values = lax.stop_gradient(values)
    size = jnp.maximum(jnp.abs(values.real), jnp.abs(values.imag)) if jnp.iscomplexobj(values) else jnp.abs(values)
    if axis is None and size.ndim > 1:
        size = jnp.max(size, axis=0)  # on a CPU twice as fast as all axes at once
    return jnp.frexp(jnp.max(size, axis=axis, keepdims=axis is not None))[1]


def power_of_two(values: Inexact[Array, "..."], axis: int | None = None) -> Inexact[jax.Array, "..."]:
    """2^exponents, so that a division by it rounds nothing; 1 for zeros. A constant."""
    found = exponents(values, axis)
    return jnp.ldexp(jnp.ones(found.shape, values.real.dtype), found)


def shift(values: Inexact[Array, "..."], exponent: Values) -> Inexact[jax.Array, "..."]:
    """values * 2^exponent, exact unless the result leaves the range of the precision; in two steps, for large exponents."""
    if jnp.iscomplexobj(values):
        return lax.complex(shift(values.real, exponent), shift(values.imag, exponent))
    values = jnp.asarray(values)
    info = jnp.finfo(values.dtype)
    first = exponent // 2
    for part in (first, exponent - first):
        power = jnp.clip(part, info.minexp, info.maxexp - 1)
        values = values * jnp.ldexp(jnp.ones(jnp.shape(power), values.dtype), power)
    return values


def normalize(values: Num[Array, "..."], axis: int | None = None) -> Scaled:
    """Numbers divided by the power of two above their largest entry, over all axes or over one."""
    values = jnp.asarray(values)
    values = values.astype(jnp.result_type(values.dtype, jnp.float32))
    exponent = exponents(values, axis)
    return Scaled(shift(values, -exponent), exponent)


def common_exponent(*parts: Scaled, axis: int | None = None) -> Int[jax.Array, "..."]:
    """The largest exponent of what is not zero, over all axes or along one, which is kept; 0 if everything is."""
    found = [
        jnp.max(jnp.where(part.value != 0, part.exponent, _LOWEST), axis=axis, keepdims=axis is not None)
        for part in parts
    ]
    largest = reduce(jnp.maximum, found)
    return jnp.where(largest > _LOWEST, largest, 0)


def scaled_rows(matrix: Inexact[Array, "m n"], weights: Scaled | None) -> Scaled:
    """The weighted matrix W A (m, n), with one exponent."""
    found = normalize(matrix)
    return found if weights is None else _product(found, weights.value[:, None], weights.exponent)


def scaled_frames(data: Num[Array, "frames m"], weights: Scaled | None) -> Scaled:
    """The weighted data W b (frames, m), with one exponent per frame (frames, 1)."""
    found = normalize(data, axis=-1)
    return found if weights is None else _product(found, weights.value, weights.exponent, axis=-1)


def _product(factor: Scaled, value: Values, exponent: Values, axis: int | None = None) -> Scaled:
    """Scaled once more, because small entries can meet large weights: rows divided by their norms."""
    found = normalize(factor.value * value, axis)
    return Scaled(found.value, found.exponent + factor.exponent + exponent)
