"""Checks of concrete values at the boundary. Tracers pass: their values are not known while a function is traced."""

import functools
import operator
import sys
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from mpijax.core.nearest import meant

MOST_PRINTED = 8
"""Entries of an array that a message prints; it summarizes more."""


def is_concrete(value: Any) -> bool:
    """Whether a value (or every leaf of a tree) is known now, i.e. is not a tracer."""
    jax = _loaded_jax()
    return jax is None or not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value))


def check_finite(name: str, value: Any) -> None:
    """Raise ValueError if a concrete array holds NaN or infinity."""
    if is_concrete(value) and not all_finite(value):
        bad = int(not_finite(value).sum())
        raise ValueError(f"{name} has {bad} of {np.size(value)} entries that are NaN or infinite; all must be finite.")


def all_finite(value: Any) -> bool:
    """Whether a concrete array holds no NaN or infinity; an array on other devices or in other processes stays there."""
    return bool(np.isfinite(value).all() if _in_memory(value) else _finite_on_device()(value))


def not_finite(value: Any) -> Any:
    """Where an array is NaN or infinite, as an array that lies where this one does."""
    return ~(np if _in_memory(value) else _loaded_jax().numpy).isfinite(value)


def check_range(name: str, value: Any, low: float, high: float, unit: str, hint: str = "") -> None:
    """Raise ValueError if a concrete value lies outside [low, high]; the message says what was given and allowed."""
    if is_concrete(value):
        check_number(name, value, unit, hint)
        array = np.asarray(value)
        outside = ~((array >= low) & (array <= high))
        if np.any(outside):
            unit = f" {unit}" if unit else ""
            given = f"{name} = {value}{unit}"
            if array.size > MOST_PRINTED:
                count, ends = np.count_nonzero(outside), (np.min(array), np.max(array))
                given = f"{name} has {count} of {array.size} entries outside ({ends[0]:g} to {ends[1]:g}{unit})"
            allowed = f"{low:g} to {high:g}{unit}" if np.isfinite(high) else f"at least {low:g}{unit}"
            raise ValueError(f"{given}; allowed is {allowed}.{' ' + hint if hint else ''}")


def check_number(name: str, value: Any, unit: str, hint: str = "") -> None:
    """Raise ValueError if a concrete value is not made of real numbers: a text with its unit, None, complex."""
    if is_concrete(value):
        array: Any = np.asarray(value) if _in_memory(value) else value
        kind = array.dtype.kind
        if kind in "SUMmc" or kind == "O" and not all(isinstance(entry, Real) for entry in array.flat):
            unit = f" in {unit}" if unit else ""
            raise ValueError(f"{name} = {value!r}; expected a number{unit}.{' ' + hint if hint else ''}")


def check_scalar(name: str, value: Any) -> None:
    """Raise ValueError if a concrete value is not a single number."""
    if is_concrete(value) and np.ndim(value):
        raise ValueError(f"{name} has shape {np.shape(value)}; expected one number. Use jax.vmap for several.")


def check_seed(value: Any) -> None:
    """Raise ValueError if a value is no seed of a random key: a whole number from 0, below 2^32."""
    check_count("seed", value, 0)
    if value >= 2**32:
        raise ValueError(f"seed = {value}; expected a whole number from 0 to {2**32 - 1}.")


def check_count(name: str, value: Any, low: int = 1, *, static: bool = False) -> None:
    """Raise ValueError if a value is not a whole number of at least ``low``; truth values and floats are none.

    A static count is part of a compiled program: neither a tracer nor an array can be one.
    """
    jax = _loaded_jax()
    if jax is not None and isinstance(value, jax.core.Tracer) and not static:
        return
    arrays = (np.ndarray,) if jax is None else (np.ndarray, jax.Array)
    refused = (bool, np.bool_, *arrays) if static else (bool, np.bool_)
    try:
        whole = not isinstance(value, refused) and operator.index(value) >= low
    except TypeError:
        whole = False
    if not whole:
        known = ", known before tracing" if static else ""
        raise ValueError(f"{name} = {value!r}; expected a whole number of at least {low}{known}.")


def check_interval(name: str, value: Any) -> None:
    """Raise ValueError if a value is not a pair (low, high)."""
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
        raise ValueError(f"{name} = {value!r}; expected (low, high).")


def check_shape(name: str, value: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError if an array does not have the given shape."""
    if np.shape(value) != shape:
        raise ValueError(f"{name} has shape {np.shape(value)}; expected {shape}.")


def check_choice(name: str, value: Any, allowed: tuple) -> None:
    """Raise ValueError if a value is not one of the allowed ones."""
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}; allowed: {', '.join(repr(a) for a in allowed)}.{meant(value, allowed)}")


def _loaded_jax() -> Any:
    """The module jax; None where nothing has loaded it, so that no value can be of its kinds."""
    return sys.modules.get("jax")


def _in_memory(value: Any) -> bool:
    """Whether NumPy reads an array where it lies: what is compiled instead costs a tenth of a second for every shape."""
    jax = _loaded_jax()
    if jax is None or not isinstance(value, jax.Array):
        return True
    return value.is_fully_addressable and all(device.platform == "cpu" for device in value.devices())


@functools.cache
def _finite_on_device() -> Callable[[Any], Any]:
    jax = _loaded_jax()
    check: Callable[[Any], Any] = jax.jit(lambda value: jax.numpy.isfinite(value).all())
    return check
