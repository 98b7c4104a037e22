"""The vocabulary of array annotations.

Shapes are written with jaxtyping, one letter per meaning everywhere: ``b`` batch, ``c`` receive channel, ``f`` frequency,
``n`` voxel, ``m`` matrix row, ``t`` time sample, ``z y x`` image axes, ``3`` or ``xyz`` a spatial vector.
"""

import jax
import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact, Int, Num, Shaped

Array = jax.Array | np.ndarray
"""What every public function takes: a JAX array (or tracer) or a NumPy array."""

__all__ = ["Array", "Bool", "Complex", "Float", "Inexact", "Int", "Num", "Shaped"]
