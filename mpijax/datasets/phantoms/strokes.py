"""Characters drawn by strokes of a round pen."""

from typing import Any

import numpy as np

from mpijax.core.checks import check_range
from mpijax.core.typing import Float
from mpijax.datasets.phantoms.volumes import capsules, prism_shares
from mpijax.system import Grid

GLYPHS = {
    "0": "10 30 41 45 36 16 05 01 10",
    "1": "15 26 20",
    "2": "05 16 36 45 44 00 40",
    "3": "05 16 36 45 44 33 42 41 30 10 01|13 33",
    "4": "30 36 02 42",
    "5": "46 06 03 33 42 41 30 00",
    "6": "36 16 05 01 10 30 41 42 33 03",
    "7": "06 46 10",
    "8": "13 04 05 16 36 45 44 33 13 02 01 10 30 41 42 33",
    "9": "10 30 41 45 36 16 05 04 13 43",
    "A": "00 26 40|12 32",
    "B": "33 42 41 30 00 06 36 45 44 33 03",
    "C": "45 36 16 05 01 10 30 41",
    "D": "00 20 42 44 26 06 00",
    "E": "40 00 06 46|03 33",
    "F": "00 06 46|03 33",
    "G": "45 36 16 05 01 10 30 41 43 23",
    "H": "00 06|40 46|03 43",
    "I": "20 26",
    "J": "02 01 10 30 41 46",
    "K": "00 06|46 02|13 40",
    "L": "06 00 40",
    "M": "00 06 23 46 40",
    "N": "00 06 40 46",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "00 06 36 45 44 33 03",
    "Q": "10 30 41 45 36 16 05 01 10|22 40",
    "R": "00 06 36 45 44 33 03|23 40",
    "S": "45 36 16 05 04 13 33 42 41 30 10 01",
    "T": "20 26|06 46",
    "U": "06 01 10 30 41 46",
    "V": "06 20 46",
    "W": "06 10 23 30 46",
    "X": "00 46|06 40",
    "Y": "06 23 46|23 20",
    "Z": "06 46 00 40",
}
"""Strokes of each character on a lattice of 5 x 7 points: "xy xy xy" is a polyline, "|" lifts the pen, y points up."""

_ADVANCE = 6  # lattice steps from one character to the next


def text_phantom(
    grid: Grid,
    text: str = "MPI",
    *,
    center: Any = (0.0, 0.0, 0.0),
    height: float = 8e-3,
    stroke_width: float = 1e-3,
    thickness: float = 1.5e-3,
    concentration: float = 50.0,
    oversample: int = 16,
) -> Float[np.ndarray, " n"]:
    """Characters in xy, written along x with round strokes.

    Args:
        grid: Voxel grid [m].
        text: Digits, capital letters and blanks.
        center: Position of the text's center in the scanner [m].
        height: Of the strokes' center lines [m].
        stroke_width: Width of a stroke [m].
        thickness: Extent along z [m], from -thickness/2 to +thickness/2.
        concentration: Inside the strokes [mmol(Fe)/L].
        oversample: Sample points per voxel and axis of the plane, at the boundary.

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Raises:
        ValueError: Text without a character to draw, or with one that has no strokes.
    """
    if set(text) - set(GLYPHS) - {" "} or not text.strip():
        raise ValueError(f"text = {text!r}; expected digits, capital letters and blanks, at least one to draw.")
    check_range("height", height, 1e-9, 10.0, "m")
    check_range("stroke_width", stroke_width, 1e-9, 10.0, "m")
    segments = np.array(
        [
            [(int(point[0]) + _ADVANCE * i, int(point[1])) for point in pair]
            for i, character in enumerate(text)
            for line in GLYPHS.get(character, "").split("|")
            for pair in zip(line.split(), line.split()[1:], strict=False)
        ],
        np.float64,
    )
    middle = np.array([(_ADVANCE * len(text) - 2) / 2, 3.0])
    starts, ends = np.moveaxis((segments - middle) * (height / 6), 1, 0)
    radii = np.full(len(starts), stroke_width / 2)
    return concentration * prism_shares(
        grid, lambda points: capsules(points, starts, ends, radii), thickness, center, oversample
    )
