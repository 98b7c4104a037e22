"""Checks of concrete values at the boundary. Tracers pass: their values are not known while a function is traced."""

from typing import Any

import jax
import numpy as np


def is_concrete(value: Any) -> bool:
    """Whether a value (or every leaf of a tree) is known now, i.e. is not a tracer."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value))


def check_finite(name: str, value: Any) -> None:
    """Raise ValueError if a concrete array holds NaN or infinity."""
    if is_concrete(value):
        bad = np.size(value) - np.count_nonzero(np.isfinite(value))
        if bad:
            raise ValueError(
                f"{name} has {bad} of {np.size(value)} entries that are NaN or infinite; all must be finite."
            )


def check_range(name: str, value: Any, low: float, high: float, unit: str, hint: str = "") -> None:
    """Raise ValueError if a concrete value lies outside [low, high]; the message says what was given and allowed."""
    if is_concrete(value):
        array = np.asarray(value)
        if not np.all((array >= low) & (array <= high)):
            unit = f" {unit}" if unit else ""
            raise ValueError(
                f"{name} = {value}{unit}; allowed is {low:g} to {high:g}{unit}.{' ' + hint if hint else ''}"
            )


def check_shape(name: str, value: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError if an array does not have the given shape."""
    if np.shape(value) != shape:
        raise ValueError(f"{name} has shape {np.shape(value)}; expected {shape}.")


def check_choice(name: str, value: Any, allowed: tuple) -> None:
    """Raise ValueError if a value is not one of the allowed ones."""
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}; allowed: {', '.join(repr(a) for a in allowed)}.")
