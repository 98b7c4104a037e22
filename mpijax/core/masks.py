"""Masks in the forms that people give them: booleans, zeros and ones of any type, or numbers of entries."""

import math
from typing import Any

import numpy as np

from mpijax.core.typing import Bool


def as_mask(name: str, value: Any, shape: int | tuple[int, ...], *, indices: bool = True) -> Bool[np.ndarray, " n"]:
    """Which of n entries are marked, from a mask or from the numbers of the marked ones. Host side.

    A mask holds one value per entry, True and False or 1 and 0 of any type; whatever has n values that are only 0 and 1 is one.
    Anything else is a list of whole numbers from 0 to n - 1 (44.0 counts as 44), none twice. A list is taken for a mask by that
    rule only where it names both entries of two, or the one of one.

    Args:
        name: of the argument, for messages.
        value: mask (n,) or of ``shape``, axes of length one given or left out; or numbers of entries, in any order.
        shape: n, or the shape that n entries have as an array, last axis fastest.
        indices: whether numbers are accepted.

    Returns:
        bool (n,).

    Raises:
        ValueError: another shape, other values, a number twice or of no entry, NaN, texts.
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    n = math.prod(shape)
    forms = f"({n},)" + (f" or {shape}" if len(shape) > 1 else "")
    allowed = f"expected a mask of shape {forms}, True or 1 = marked"
    if indices:
        allowed += f", or a list of whole numbers from 0 to {n - 1}, none twice"
    try:
        given = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} = {value!r} is no array; {allowed}.") from None
    if given.dtype.kind not in "biuf":
        raise ValueError(f"{name} has type {given.dtype}; {allowed}.")
    fits = given.size == n and _squeezed(given.shape) in (_squeezed((n,)), _squeezed(shape))
    if fits and np.all((given == 0) | (given == 1)):
        return given.reshape(-1) == 1
    if not indices or given.dtype.kind == "b" or given.ndim != 1:
        odd = f" with values other than 0 and 1, {_some(given[(given != 0) & (given != 1)])}" if fits else ""
        raise ValueError(f"{name} has shape {given.shape}{odd}; {allowed}.")
    wrong = given[~((given >= 0) & (given < n) & (given == np.floor(given)))]
    if wrong.size:
        raise ValueError(f"{name} holds {_some(wrong)}; {allowed}.")
    numbers, counts = np.unique(given, return_counts=True)
    if np.any(counts > 1):
        raise ValueError(f"{name} names {_some(numbers[counts > 1])} more than once; {allowed}.")
    mask = np.zeros(n, bool)
    mask[numbers.astype(np.int64)] = True
    return mask


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _some(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values.ravel()[:3]) + (", .." if values.size > 3 else "")
