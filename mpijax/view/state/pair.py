"""Whether a row of two matrices may be compared: what their files say, where both say it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpijax.system import Grid
from mpijax.system.facts.acquisition import Acquisition
from mpijax.system.facts.compare import RATES, compare

if TYPE_CHECKING:
    from mpijax.view.state.matrix import MatrixView

SAME_PLACE = 1e-3
"""How far voxels of one grid may lie apart, in edges."""


@dataclass(frozen=True)
class Differences:
    """How two rows differ beside their values, in words, the first one's facts first.

    Attributes:
        kind: what makes their values something else: frequency, sampling, unit, transfer function, concentration.
        fields: drive and selection field, which a simulation may have by another description.
        grid: shape, field of view and center.
    """

    kind: tuple[str, ...]
    fields: tuple[str, ...]
    grid: tuple[str, ...]


def differences(
    first: "MatrixView", second: "MatrixView", positions: tuple[int, int], periods: tuple[int, int]
) -> Differences:
    """The differences of two rows.

    Args:
        first, second: where they are from.
        positions: of their frequencies; periods: of their patches.
    """
    facts = first.acquisition(periods[0]), second.acquisition(periods[1])
    receiver = compare(*(Acquisition(f.n_samples, f.bandwidth, f.unit, None, None) for f in facts))[0].differing
    every = compare(*facts)[0].differing
    kind = [*_frequency(first.frequencies[positions[0]], second.frequencies[positions[1]]), *receiver]
    states = [m.info.flags["isTransferFunctionCorrected"] for m in (first, second)]
    if states[0] != states[1]:
        kind.append("transfer function " + " and ".join("corrected" if s else "not corrected" for s in states))
    kind += _concentration(first.info.tracer_concentration, second.info.tracer_concentration)
    return Differences(
        tuple(kind), tuple(text for text in every if text not in receiver), _grid(first.grid, second.grid)
    )


def _frequency(a: Any, b: Any) -> list[str]:
    if abs(a - b) > RATES * max(abs(a), abs(b)):  # not where one is NaN
        return [f"frequency {a:.8g} Hz and {b:.8g} Hz"]
    return []


def _concentration(a: float | None, b: float | None) -> list[str]:
    if a is None or b is None or np.isclose(a, b, rtol=RATES, atol=0):
        return []
    return [f"sample concentration {a:.6g} mmol/L and {b:.6g} mmol/L"]


def _grid(first: Grid, second: Grid) -> tuple[str, ...]:
    if first.shape != second.shape:
        sizes = " and ".join(" x ".join(map(str, grid.shape)) for grid in (first, second))
        return (f"the grids are {sizes} voxels",)
    apart = [
        np.abs(a - b).max() > SAME_PLACE * float(edge) / n
        for a, b, edge, n in zip(first.axes, second.axes, first.fov, first.shape, strict=True)
    ]
    if not any(apart):
        return ()
    found = []
    for name, a, b in (("field of view", first.fov, second.fov), ("center", first.center, second.center)):
        if not np.allclose(a, b, rtol=SAME_PLACE, atol=SAME_PLACE * float(np.min(np.asarray(first.fov) / first.shape))):
            found.append(f"{name} {_mm(a)} mm and {_mm(b)} mm")
    return tuple(found)


def _mm(lengths: Any) -> str:
    return " x ".join(f"{1e3 * float(length) + 0.0:.4g}" for length in lengths)
