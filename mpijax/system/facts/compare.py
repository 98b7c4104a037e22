"""Facts that two scans both state, compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpijax.system.facts.acquisition import Acquisition

FIELDS = 1e-3
"""How far strengths, gradients and offsets may differ, relative to the largest entry; phases in radians."""

RATES = 1e-6
"""How far frequencies and bandwidths may differ, relative."""


@dataclass(frozen=True)
class Comparison:
    """What was compared of a matrix and a measurement.

    Attributes:
        compared: names of the facts that both sides state.
        absent: names of those that a side lacks: they are not compared.
        differing: those that differ, in words, with both values; not empty only where the caller took them as they are.
        gradient_ratio: the measurement's gradient over the matrix's, by which the grid was divided; 1 = it was not.
    """

    compared: tuple[str, ...]
    absent: tuple[str, ...]
    differing: tuple[str, ...] = ()
    gradient_ratio: float = 1.0


def compare(first: Acquisition, second: Acquisition, *, offsets: bool = True) -> tuple[Comparison, float | None]:
    """Compare the facts of two scans.

    Args:
        first, second: their facts.
        offsets: compare offset fields too; not where patches say where the field-free point is.

    Returns:
        Comparison, and c where the gradients differ by one common positive factor and nothing else differs, else None.
    """
    compared, absent, differing = [], [], {}
    rates = all(facts.frequency is not None for facts in (first, second))
    dividers = not rates and all(facts.divider is not None for facts in (first, second))  # all there is to compare
    left_out = {"drive frequencies" if dividers else "drive dividers", *([] if offsets else ["offset field"])}
    for name, same, words, of in _FACTS:
        if name in left_out:
            continue
        a, b = of(first), of(second)
        if a is None or b is None:
            absent.append(name)
            continue
        compared.append(name)
        if np.shape(a) != np.shape(b) or not same(a, b):
            differing[name] = f"{name} {words(a)} and {words(b)}"
    if "offset field" in differing and first.strength is not None and first.offset_field is not None:
        largest = np.abs(first.strength).max()
        if np.abs(first.offset_field - second.offset_field).max() <= FIELDS * largest:
            del differing["offset field"]
    ratio = _ratio(first.gradient, second.gradient) if list(differing) == ["gradient"] else None
    return Comparison(tuple(compared), tuple(absent), tuple(differing.values())), ratio


def unlike(scan: Sequence[Acquisition], other: Sequence[Acquisition]) -> tuple[str, ...]:
    """How another scan, such as an empty one, differs from a measurement in what both state, in words, the measurement first.

    Args:
        scan: the measurement's facts, period by period.
        other: the other scan's, likewise, or one for all periods.
    """
    found = (compare(facts, other[i if len(other) > 1 else 0])[0] for i, facts in enumerate(scan))
    return tuple(dict.fromkeys(text for comparison in found for text in comparison.differing))


def check_alike(scan: Sequence[Acquisition], other: Sequence[Acquisition], name: str) -> None:
    """Raise ValueError where another scan of the given name differs from a measurement: see :func:`unlike`."""
    if differing := unlike(scan, other):
        raise ValueError(
            f"{name} was measured otherwise than the measurement: {'; '.join(differing)} (the measurement's first). Use one of the "
            "same scan, or check=False (--force) if a file is wrong."
        )


def _ratio(first: np.ndarray | None, second: np.ndarray | None) -> float | None:
    if first is None or second is None or not first.any():
        return None
    ratio = float(np.sum(first * second) / np.sum(first * first))
    close = np.abs(second - ratio * first).max() <= FIELDS * np.abs(second).max()
    return ratio if ratio > 0 and close else None


def _close(a: Any, b: Any) -> bool:
    largest = max(np.abs(a).max(), np.abs(b).max())
    return bool(np.abs(np.asarray(a) - np.asarray(b)).max() <= FIELDS * largest)


def _same_rate(a: Any, b: Any) -> bool:
    return bool(np.all(np.abs(np.subtract(a, b)) <= RATES * np.maximum(np.abs(a), np.abs(b))))


def _same_phase(a: Any, b: Any) -> bool:
    return bool(np.abs(np.exp(1j * np.asarray(a)) - np.exp(1j * np.asarray(b))).max() <= FIELDS)


def _list(values: Any, factor: float = 1.0) -> str:
    return ", ".join(f"{factor * float(v) + 0.0:.6g}" for v in np.ravel(values))


def _gradient_words(gradient: np.ndarray) -> str:
    diagonal = np.diagonal(gradient)
    return f"{_list(diagonal if np.array_equal(gradient, np.diag(diagonal)) else gradient)} T/m"


Fact = tuple[str, Callable[[Any, Any], bool], Callable[[Any], str], Callable[[Acquisition], Any]]

_FACTS: tuple[Fact, ...] = (
    ("samples per period", lambda a, b: a == b, str, lambda f: f.n_samples),
    ("bandwidth", _same_rate, lambda v: f"{v:.8g} Hz", lambda f: f.bandwidth),
    ("receiver unit", lambda a, b: a.lower() == b.lower(), repr, lambda f: f.unit),
    ("drive frequencies", _same_rate, lambda v: f"{_list(v)} Hz", lambda f: f.frequency),
    ("drive dividers", np.array_equal, _list, lambda f: f.divider),
    ("drive strength", _close, lambda v: f"{_list(v, 1e3)} mT", lambda f: f.strength),
    ("drive phase", _same_phase, lambda v: f"{_list(v)} rad", lambda f: f.phase),
    ("drive waveform", np.array_equal, lambda v: ", ".join(filter(None, v.ravel())), lambda f: f.waveform),
    ("gradient", _close, _gradient_words, lambda f: f.gradient),
    ("offset field", _close, lambda v: f"{_list(v, 1e3)} mT", lambda f: f.offset_field),
)

COMPARED = tuple(name for name, *_ in _FACTS)
"""Names of the facts."""
