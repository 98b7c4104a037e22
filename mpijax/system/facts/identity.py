"""Which receivers and which patches rows and data belong to: numbers that stay through selection and are matched by value."""

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


def check_numbers(name: str, given: Any, count: int) -> tuple[int, ...] | None:
    """The numbers of ``count`` channels or periods, or None where none are given: they count 0, 1, .., count - 1.

    Raises:
        ValueError: another count, a number given twice, anything but whole numbers of at least 0.
    """
    if given is None:
        return None
    numbers = _whole(name, given)
    if len(numbers) != count or len(set(numbers)) < len(numbers) or min(numbers, default=0) < 0:
        raise ValueError(f"{name} = {given}; expected {count} different whole numbers of at least 0.")
    return tuple(numbers)


def chosen_positions(name: str, given: Any, numbers: Sequence[int]) -> np.ndarray:
    """Where the chosen ones stand among ``numbers``, in the order they are chosen.

    Args:
        name: of the argument.
        given: None = all; a number or a list of them, each once, in the order to be kept; or a boolean list as long as
            ``numbers``, which says of each whether it is kept.
        numbers: what there is.

    Raises:
        ValueError: a number that is not there or named twice, a boolean list of another length, anything but whole numbers.
    """
    if given is None:
        return np.arange(len(numbers))
    listed = np.ravel(np.asarray(given, object)).tolist()
    if listed and all(isinstance(item, bool | np.bool_) for item in listed):
        if len(listed) != len(numbers):
            raise ValueError(
                f"{name} = {given}; a boolean list keeps or leaves out each of {_listed(numbers)} and needs {len(numbers)} "
                "entries. Name the ones to keep by their numbers instead."
            )
        return np.flatnonzero(np.asarray(listed, bool))
    wanted = _whole(name, listed)
    place = {number: position for position, number in enumerate(numbers)}
    if not wanted or len(set(wanted)) < len(wanted) or not set(wanted) <= set(place):
        raise ValueError(f"{name} = {given}; there are {name} {_listed(numbers)}, each to be named once.")
    return np.array([place[number] for number in wanted])


def positions_among(present: Any, wanted: Any) -> np.ndarray:
    """Where the wanted numbers stand among those present, which may be in any order; -1 where they are not."""
    present, wanted = np.asarray(present), np.asarray(wanted)
    if not len(present):
        return np.full(wanted.shape, -1)
    order = np.argsort(present)
    position = order[np.minimum(np.searchsorted(present, wanted, sorter=order), len(present) - 1)]
    return np.where(present[position] == wanted, position, -1)


def matched_positions(
    what: str,
    asked: Sequence[int],
    own: Sequence[int],
    present: Sequence[int],
    *,
    numbered: bool,
    other: str = "the measurement",
    asking: str = "the matrix",
) -> np.ndarray:
    """Where the asked ones stand among those present, matched by number.

    What is present without numbers of its own counts from 0. Where that does not reach the asked numbers it is matched by
    position, with a warning, if it is as many as the asking side has.

    Args:
        what: in words, such as "channel".
        asked: numbers of the rows that ask (a,), all among ``own``.
        own: all numbers of the asking side, in its order.
        present: numbers of the other side.
        numbered: whether the other side says so, or was counted.
        other: the other side in words; asking: the asking one.

    Returns:
        Positions among ``present`` (a,).

    Raises:
        ValueError: an asked number that is not there.
    """
    place = {number: position for position, number in enumerate(present)}
    missing = [number for number in asked if number not in place]
    if not missing:
        return np.array([place[number] for number in asked], int)
    theirs = f"{what}{'s' if len(present) > 1 else ''} {_listed(present)}"
    if not numbered and len(present) == len(own):
        warnings.warn(
            f"{asking} uses {what} {_listed(asked)}, {other} has {theirs}, and not both number them: they are matched by "
            "position.",
            stacklevel=2,
        )
        return np.array([list(own).index(number) for number in asked], int)
    raise ValueError(f"{asking} uses {what} {_listed(missing)}, but {other} has {theirs}; select what both have.")


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _whole(name: str, given: Any) -> list[int]:
    listed = np.ravel(np.asarray(given, object)).tolist()
    try:
        if any(isinstance(item, bool | np.bool_) for item in listed):
            raise TypeError
        return [operator.index(item) for item in listed]
    except TypeError:
        raise ValueError(f"{name} = {given}; whole numbers are expected.") from None
