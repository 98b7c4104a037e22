"""Leaves of the containers: what is known stays a float64 NumPy array, what is traced or on a device stays as it is.

NumPy leaves keep full precision whatever the x64 mode; a compiled function casts them to its own precision.
"""

from typing import Any, overload

import jax
import numpy as np

from mpijax.core.byte_order import native
from mpijax.core.typing import Array, Numbers


@overload
def as_array(value: Numbers) -> Array: ...
@overload
def as_array(value: Any) -> Any: ...
def as_array(value: Any) -> Any:
    """Lists and tuples as NumPy arrays, NumPy arrays in the byte order of the machine; everything else unchanged."""
    return native(np.asarray(value) if isinstance(value, list | tuple) else value)


def as_leaf(value: Any) -> Array:
    """A float64 NumPy array of a concrete host value; JAX arrays and tracers unchanged."""
    return value if isinstance(value, jax.Array) else np.asarray(value, np.float64)
