"""The vocabulary of array annotations.

Shapes are written with jaxtyping, one letter per meaning everywhere: ``b`` batch, ``c`` receive channel, ``f`` frequency,
``n`` voxel, ``m`` matrix row, ``t`` time sample, ``z y x`` image axes, ``3`` or ``xyz`` a spatial vector.

Leaves of pytrees and what is checked by value have words instead. A type checker reads in them what a user gives and gets;
while a program runs they say nothing, because jax puts tracers, axis numbers and placeholders into the same fields.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact, Int, Num, Shaped

Array = jax.Array | np.ndarray
"""What every public function takes: a JAX array (or tracer) or a NumPy array."""

if TYPE_CHECKING:
    Scalar: TypeAlias = float | np.floating | Array
    """One real number, ()."""
    Vector3: TypeAlias = Array
    """A point or direction in space, (3,)."""
    Matrix3: TypeAlias = Array
    """A linear map of space, (3, 3)."""
    Vector: TypeAlias = Array
    """A list of numbers, (k,)."""
    Matrix: TypeAlias = Array
    """Rows and columns, (k, l)."""
    Values: TypeAlias = Array
    """Numbers of another shape, which the docstring says."""
    IntVector: TypeAlias = Array
    """Whole numbers (k,), such as bins."""
    HostScalar: TypeAlias = float
    """One real number that is known on the host, ()."""
    HostArray: TypeAlias = np.ndarray
    """An array that is known on the host, of the shape that the docstring says."""
    Mask: TypeAlias = Array
    """Booleans of any shape."""
    Numbers: TypeAlias = Array | Sequence[float] | Sequence[Sequence[float]] | Sequence[Array]
    """What becomes a vector or matrix: an array, or a list or tuple of numbers."""
    Key: TypeAlias = jax.Array
    """A random key, ``jax.random.key(0)``."""
    DType: TypeAlias = str | type[Any] | np.dtype[Any]
    """A precision: ``jnp.complex64``, a NumPy type, its name."""
else:
    Scalar = Vector3 = Matrix3 = Vector = Matrix = Values = IntVector = HostScalar = HostArray = Mask = Any
    Numbers = Key = DType = Any

__all__ = [
    "Array", "Bool", "Complex", "DType", "Float", "HostArray", "HostScalar", "Inexact", "Int", "IntVector", "Key",
    "Mask", "Matrix", "Matrix3", "Num", "Numbers", "Scalar", "Shaped", "Values", "Vector", "Vector3",
]  # fmt: skip
