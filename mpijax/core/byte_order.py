"""Arrays in the byte order of the machine, the only one that JAX takes."""

from typing import Any

import numpy as np


def native(value: Any) -> Any:
    """A NumPy array with its numbers in the byte order of the machine; anything else as it is."""
    if isinstance(value, np.ndarray) and not value.dtype.isnative:
        return value.astype(value.dtype.newbyteorder("="))
    return value
