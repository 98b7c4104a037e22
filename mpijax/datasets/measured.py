"""Rows of measured matrices as images for two-dimensional networks."""

from collections.abc import Iterable

import numpy as np

from mpijax.core.checks import check_finite
from mpijax.core.typing import Complex, Int, Num
from mpijax.system import SystemMatrix


def measured_images(
    matrices: Iterable[SystemMatrix], multiple: int, *, slices: int = 1, minimum: int = 8
) -> Complex[np.ndarray, "p y x"]:
    """Central slices of the kept rows of matrices, cropped so that a factor divides them.

    Args:
        matrices: with their rows selected; all are cropped to the same number of voxels per axis.
        multiple: crop x and y to a multiple of this (33 and 37 become 32 for 2, 4 and 8).
        slices: how many central z slices of each row to take.
        minimum: least voxels per axis that are left.

    Returns:
        Images (p, y, x), slices of a row beside one another, rows in the order of the matrices.

    Raises:
        ValueError: no matrix, a grid too small, or rows with NaN.
    """
    matrices = list(matrices)
    if not matrices:
        raise ValueError("no system matrix is given; at least one is needed.")
    nx, ny = (min(m.grid.shape[axis] for m in matrices) // multiple * multiple for axis in (0, 1))
    if min(nx, ny) < minimum:
        raise ValueError(
            f"the grids {[m.grid.shape for m in matrices]} leave {nx} x {ny} voxels as multiples of {multiple}; at least "
            f"{minimum} per axis are needed. Choose a smaller scale."
        )
    images = []
    for matrix in matrices:
        nz = min(slices, matrix.grid.shape[2])
        cropped = matrix.crop((nx, ny, nz))
        rows = np.asarray(cropped.rows())
        check_finite("the rows of a matrix", rows)
        images.append(np.asarray(cropped.grid.to_image(rows)).reshape(-1, ny, nx))
    return np.concatenate(images)


def frequency_ranks(matrix: SystemMatrix) -> Int[np.ndarray, " m"]:
    """Which one by channel and frequency each kept row is, in whatever order the matrix holds them."""
    index = matrix.row_index()
    return np.argsort(np.lexsort((np.asarray(index.frequency_index), np.asarray(index.channel))))


def split_rows(
    images: Num[np.ndarray, "p ..."], block: int = 16, every: int = 10, limit: int = 512, row: np.ndarray | None = None
) -> tuple[Num[np.ndarray, "a ..."], Num[np.ndarray, "b ..."]]:
    """Split a pool of images, or what belongs to them, into training and validation rows by whole blocks of neighbors.

    Neighboring frequencies look alike, so that single rows drawn at random would leak; every ``every``-th block of
    ``block`` rows is held out, with all images of these rows. Fewer than ``every`` blocks hold out their last tenth of rows.

    Args:
        images: (p, ..), the images of a row beside one another.
        block: rows per block.
        every: blocks per held-out one.
        limit: most images held out.
        row: number of the row that each image belongs to, by frequency from 0 (:func:`frequency_ranks`), in any order; None =
            every image is a row of its own.

    Returns:
        Training rows and at most ``limit`` validation rows.

    Raises:
        ValueError: fewer than 2 rows.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} row(s) are left; training needs at least 2. Lower the SNR threshold.")
    row = np.arange(len(images)) if row is None else row
    last = row.max()
    if len(row) != len(images) or last == row.min():
        raise ValueError(f"{len(images)} images of {len(np.unique(row))} row(s); at least two rows are needed.")
    held_out = row // block % every == every - 1
    if not held_out.any():
        held_out = row > last - max(1, (last + 1) // every)
    return images[~held_out], images[held_out][:limit]
