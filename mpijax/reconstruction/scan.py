"""A matrix brought to the scan of a measurement, or refused."""

import itertools
import warnings
from dataclasses import replace
from typing import Any, cast

import numpy as np

from mpijax.core.typing import Vector3
from mpijax.system import Grid, Measurement, SystemMatrix
from mpijax.system.facts.acquisition import Acquisition, acquisition
from mpijax.system.facts.compare import Comparison, compare

SAME_PLACE = 1e-3
"""How far field-free points may lie apart, in voxels."""


def match_scan(
    matrix: SystemMatrix, data: Measurement, *, period: int = 0, check: bool = True, placed: bool = False
) -> tuple[SystemMatrix, Comparison]:
    """The matrix as it serves for a measurement, and what was compared.

    At r' = r_f' + (r - r_f)/c, about the field-free points r_f = -G^-1 H_0, a gradient of c G makes the field that G makes at r.
    So a matrix serves where only the gradient differs, by one factor c > 0: positions and voxel edges are divided by it, with
    a warning. The sample's volume stays: a column keeps its amount of iron. A measurement of several periods says by the
    offset field of each where its field-free point lies, and a matrix that is of no patch of its own is moved there.

    Args:
        matrix, data: both sides.
        period: which period of the measurement.
        check: whether differences are refused; False records them and changes nothing.
        placed: the caller knows where the field-free point lies, so that offset fields are not compared.

    Raises:
        ValueError: facts that differ, with both values.
    """
    own, theirs = acquisition(matrix), acquisition(data, period)
    follows = not placed and matrix.patch is None and _has_patches(data)
    found, ratio = compare(own, theirs, offsets=not (placed or follows))
    if not check:
        return matrix, found
    linear = matrix.scanner is None or matrix.scanner.selection_field is None
    if found.differing and (ratio is None or not linear):
        raise ValueError(
            f"the matrix and the measurement are of different scans: {'; '.join(found.differing)} (matrix of shape "
            f"{np.shape(matrix.values)}, data {np.shape(data.values)}). Use a matrix of the measurement's scan, or check=False "
            "(--force) if the file is wrong."
        )
    follows = follows and theirs.offset_field is not None and own.offset_field is not None
    if ratio is None and not follows:
        return matrix, found
    factor = 1.0 if ratio is None else ratio
    free = _free_point(own)
    target, offset = free if placed else free / factor, own.offset_field
    if follows:
        offset = theirs.offset_field
        target = _free_point(theirs if theirs.gradient is not None else replace(theirs, gradient=own.gradient))
    grid = matrix.grid
    fov, center = np.asarray(grid.fov, float), np.asarray(grid.center, float)
    moved = Grid.create(grid.shape, fov / factor, target + (center - free) / factor)
    if ratio is not None:
        warnings.warn(
            f"the measurement's gradient is {ratio:.4g} times the matrix's ({found.differing[0]}): positions and voxel edges "
            f"are divided by it about the field-free point, the field of view is {_mm(moved.fov, ' x ')} mm and not "
            f"{_mm(fov, ' x ')} mm.",
            stacklevel=2,
        )
    elif np.abs(target - free).max() > SAME_PLACE * np.min(fov / grid.shape):
        warnings.warn(
            f"the offset field of period {period} puts the field-free point at {_mm(target)} mm, that of the matrix lies at "
            f"{_mm(free)} mm: the grid is moved there.",
            stacklevel=2,
        )
    else:
        return matrix, found
    scanner = matrix.scanner
    if scanner is not None:
        scanner = replace(scanner, gradient=factor * np.asarray(scanner.gradient), offset_field=cast(Vector3, offset))
    return replace(matrix, grid=moved, scanner=scanner), replace(found, differing=(), gradient_ratio=factor)


def _has_patches(data: Measurement) -> bool:
    """Whether the periods of the scan lie at different places, or one of several was chosen."""
    if data.period_numbers is not None:
        return True
    offsets = [facts.offset_field for facts in data.acquisitions()]
    return any(a is not None and b is not None and not np.array_equal(a, b) for a, b in itertools.pairwise(offsets))


def _free_point(facts: Acquisition) -> np.ndarray:
    """-G^-1 H_0 [m], (3,); of a line its point nearest to the origin, the origin where nothing is known."""
    if facts.gradient is None or facts.offset_field is None:
        return np.zeros(3)
    return -np.linalg.pinv(facts.gradient, rcond=1e-6) @ facts.offset_field


def _mm(lengths: Any, between: str = ", ") -> str:
    return between.join(f"{1e3 * float(length) + 0.0:.4g}" for length in lengths)
