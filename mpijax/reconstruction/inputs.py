"""What the solvers accept: checks of concrete values, the machine's byte order, the conversion to one complex dtype.

Checks of arrays return them in the byte order that JAX takes; a solver goes on with what it is given back.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.byte_order import native
from mpijax.core.checks import (
    all_finite,
    check_choice,
    check_count,
    check_finite,
    check_number,
    check_range,
    check_shape,
    is_concrete,
    not_finite,
)
from mpijax.reconstruction.scaling import Scaled

CONSTRAINTS = ("nonnegative", "real", None)


def complex_pair(matrix: Any, data: Any) -> tuple[jax.Array, jax.Array]:
    """Matrix and data as complex arrays of their common precision."""
    dtype = jnp.result_type(matrix, data, jnp.complex64)
    converted = jnp.asarray(matrix, dtype)
    return converted, converted if data is matrix else jnp.asarray(data, dtype)


def check_array(name: str, value: Any) -> Any:
    """The array; raise TypeError unless it is one of numbers: nothing else is converted."""
    if not isinstance(value, jax.Array | np.ndarray):
        raise TypeError(f"{name} is a {type(value).__name__}; give a NumPy or JAX array.")
    if not jnp.issubdtype(value.dtype, jnp.number):
        raise TypeError(f"{name} has dtype {value.dtype}; give an array of numbers.")
    return native(value)


def check_matrix(matrix: Any) -> Any:
    """The matrix; raise unless it is a two-dimensional array of numbers and not empty."""
    matrix = check_array("matrix", matrix)
    if np.ndim(matrix) != 2 or 0 in np.shape(matrix):
        raise ValueError(f"matrix has shape {np.shape(matrix)}; expected (rows, voxels) with at least one of each.")
    return matrix


def check_problem(matrix: Any, data: Any) -> tuple[Any, Any]:
    """Matrix and data; raise unless they belong together: shapes, finite data, both complex or both real."""
    matrix = check_matrix(matrix)
    data = check_data(data, *np.shape(matrix))
    check_same_field(is_complex(matrix), data)
    return matrix, data


def is_complex(array: Any) -> bool:
    """Whether an array holds complex numbers by its dtype."""
    return bool(jnp.issubdtype(jnp.result_type(array), jnp.complexfloating))


def check_same_field(matrix_is_complex: bool, data: Any) -> None:
    """Raise TypeError unless data are complex for a complex matrix and real for a real one."""
    names = {True: "complex", False: "real"}
    if is_complex(data) != matrix_is_complex:
        raise TypeError(
            f"the matrix is {names[matrix_is_complex]} and the data are {names[is_complex(data)]} "
            f"({jnp.result_type(data)}); expected both complex (spectra) or both real. Give the complex Fourier "
            "coefficients of matrix and measurement, or stack the real and imaginary parts of both."
        )


def check_data(data: Any, rows: int, voxels: int | None = None) -> Any:
    """The data; raise unless it is an array (rows,) or (frames, rows) of numbers and, where they are known, finite."""
    data = check_array("data", data)
    shape = np.shape(data)
    if len(shape) not in (1, 2) or shape[-1] != rows or 0 in shape:
        matrix = f"the matrix has {rows} rows" if voxels is None else f"the matrix has shape ({rows}, {voxels})"
        raise ValueError(
            f"data has shape {shape}; expected ({rows},) or (frames, {rows}), because {matrix}. "
            "Select the same rows of matrix and measurement."
        )
    if is_concrete(data) and not all_finite(data):
        bad = not_finite(data).reshape(-1, rows)
        raise ValueError(
            f"data has {int(bad.sum())} NaN or infinite entries in {int(bad.any(axis=1).sum())} of {len(bad)} frames; all "
            "must be finite. Drop those frames, or give the rows concerned to neither side."
        )
    return data


def check_regularization(regularization: Any, voxels: int | None = None) -> None:
    """Raise unless the regularization is one real number >= 0 or, if ``voxels`` is given, (voxels,) numbers > 0."""
    if isinstance(regularization, Scaled):
        return  # made from a relative one, which was checked
    if np.iscomplexobj(regularization):
        raise TypeError("regularization is complex; expected real numbers >= 0.")
    check_number("regularization", regularization, "", "Give lambda >= 0.")
    vector = voxels is not None and np.ndim(regularization) == 1
    check_shape("regularization", regularization, (voxels,) if vector else ())  # type: ignore[arg-type]
    if not is_concrete(regularization):
        return
    values = np.asarray(regularization)
    if not vector and not 0 <= float(values) < np.inf:
        raise ValueError(f"regularization = {regularization}; expected a finite number >= 0.")
    bad = np.count_nonzero(~((values > 0) & (values < np.inf)))
    if vector and bad:
        raise ValueError(
            f"regularization has {bad} of {values.size} entries that are not positive and finite; with one number per "
            "voxel all must be."
        )
    if vector and values.min() < 1e-30 * values.max():
        raise ValueError(
            f"regularization goes from {values.min():.3g} to {values.max():.3g}; its entries may differ by a factor of 1e30."
        )


def check_row_weights(row_weights: Any, rows: int) -> None:
    """Raise unless there is one finite real weight per row (or None)."""
    if row_weights is not None:
        if np.iscomplexobj(row_weights):
            raise TypeError("row_weights is complex; expected one real number per row.")
        check_number("row_weights", row_weights, "", f"Give one weight for each of the {rows} rows, or None.")
        check_shape("row_weights", row_weights, (rows,))
        check_finite("row_weights", row_weights)


def check_row_order(row_order: Any, rows: int) -> Any:
    """The order; raise unless it is None or a vector of distinct row indices. Rows left out are never used."""
    if row_order is None:
        return None
    if isinstance(row_order, str):
        raise ValueError(f"row_order = {row_order!r}; allowed here: None or an integer array of row indices.")
    if not isinstance(row_order, jax.Array | np.ndarray) or row_order.dtype.kind not in "iu":
        kind = str(getattr(row_order, "dtype", type(row_order).__name__))
        mask = "; of a mask give np.flatnonzero(mask)" if kind == "bool" else ""
        raise TypeError(f"row_order is of {kind}; expected None or an integer array of row indices{mask}.")
    if np.ndim(row_order) != 1 or np.size(row_order) == 0:
        raise ValueError(f"row_order has shape {np.shape(row_order)}; expected a non-empty vector of row indices.")
    if is_concrete(row_order):
        order = np.asarray(row_order)
        if order.min() < 0 or order.max() >= rows or len(np.unique(order)) < len(order):
            raise ValueError(f"row_order must hold distinct row indices from 0 to {rows - 1}, each at most once.")
    return native(row_order)


def check_order_word(row_order: Any) -> None:
    """Raise ValueError if an order is a word other than "randomized"."""
    if isinstance(row_order, str) and row_order != "randomized":
        raise ValueError(f"row_order = {row_order!r}; allowed: None, 'randomized' or an integer array of row indices.")


def is_randomized(row_order: Any, key: Any) -> bool:
    """Whether the order is "randomized"; raise where the key is missing, no key, or given without need."""
    check_order_word(row_order)
    randomized = isinstance(row_order, str)
    if randomized and key is None:
        raise ValueError("row_order = 'randomized' draws rows and needs a key; pass key=jax.random.key(seed).")
    if key is not None and not randomized:
        raise ValueError("key is given, but only row_order = 'randomized' draws rows; leave one out or give both.")
    if randomized:
        check_key(key)
    return randomized


def check_key(key: Any) -> None:
    """Raise TypeError unless a value is one random key, of the new kind or the old one."""
    if isinstance(key, jax.Array | np.ndarray):
        typed = jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)
        if key.shape == () if typed else key.dtype == np.uint32 and key.shape in ((2,), (4,)):
            return
    raise TypeError(f"key = {key!r}; expected one random key, e.g. key=jax.random.key(0).")


def check_init(init: Any, data_shape: tuple[int, ...], voxels: int, constraint: str | None) -> Any:
    """The prior image; raise unless it is None, one image, or one per frame, and real where a constraint is."""
    if init is None:
        return None
    allowed = {(voxels,), (*data_shape[:-1], voxels)}
    if np.shape(init) not in allowed:
        raise ValueError(
            f"init has shape {np.shape(init)}; allowed: {' or '.join(map(str, sorted(allowed, key=len)))}."
        )
    if constraint is not None and np.iscomplexobj(init):
        raise TypeError(f"init is complex, but constraint = {constraint!r} makes real images; give init.real.")
    check_number("init", init.real if np.iscomplexobj(init) else init, "")
    check_finite("init", init)
    return native(init)


def check_iteration(sweeps: Any, constraint: Any, tolerance: Any = None) -> None:
    """Raise ValueError unless sweeps is a positive integer, the constraint a known one and the tolerance >= 0."""
    check_count("sweeps", sweeps, static=True)
    check_choice("constraint", constraint, CONSTRAINTS)
    if tolerance is not None:
        check_shape("tolerance", tolerance, ())
        check_range("tolerance", tolerance, 0, np.inf, "")
