"""Leaves of the containers: what is known stays a float64 NumPy array, what is traced or on a device stays as it is.

NumPy leaves keep full precision whatever the x64 mode; a compiled function casts them to its own precision.
"""

from typing import Any, overload

import jax
import numpy as np

from mpijax.core.byte_order import native
from mpijax.core.typing import Array, Numbers

HOST = 1
"""DLPack's number for the memory of the host."""


@overload
def as_array(value: Numbers) -> Array: ...
@overload
def as_array(value: Any) -> Any: ...
def as_array(value: Any) -> Any:
    """Lists and tuples as NumPy arrays, NumPy arrays in the byte order of the machine, arrays of other libraries without a copy.

    Those come by DLPack: as NumPy arrays where they lie in the memory of the host, else as JAX arrays on their device. What is no
    array stays unchanged.
    """
    if isinstance(value, np.ndarray | jax.Array) or not hasattr(value, "__dlpack__"):
        return native(np.asarray(value) if isinstance(value, list | tuple) else value)
    return np.from_dlpack(value) if value.__dlpack_device__()[0] == HOST else jax.numpy.from_dlpack(value)


def as_leaf(value: Any) -> Array:
    """A float64 NumPy array of a concrete host value; JAX arrays and tracers unchanged."""
    return value if isinstance(value, jax.Array) else np.asarray(value, np.float64)
