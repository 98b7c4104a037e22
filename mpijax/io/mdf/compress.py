"""Compression of rows by what is left out of their cosine transform, as MDF 2.1 has it."""

import math

import numpy as np

from mpijax.core.checks import check_scalar
from mpijax.io.errors import MDFError

TRANSFORM = "DCT-II"
KIND = "/measurement/sparsityTransformation"
INDICES = "/measurement/subsamplingIndices"


def kept_coefficients(fraction: float, voxels: int) -> int:
    """How many coefficients of a row are kept: this fraction of its voxels, at least one.

    Raises:
        ValueError: no number above 0 and up to 1.
    """
    check_scalar("compress", fraction)
    if not 0 < fraction <= 1:
        raise ValueError(f"compress = {fraction:g}; the fraction of coefficients that is kept lies above 0, up to 1.")
    return max(1, round(fraction * voxels))


def compressed(rows: np.ndarray, shape: tuple[int, int, int], kept: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest coefficients of the orthonormal DCT-II of each row.

    Args:
        rows: complex (f, n), voxels x fastest.
        shape: (nz, ny, nx).
        kept: coefficients of each row, B.

    Returns:
        Coefficients (f, B) in the rows' precision, their places (f, B) counted from 1, and the error of each row that is read
        back, |row - row'| / |row| (f,), 0 where the row is.

    Raises:
        MDFError: NaN or infinity, which every coefficient would become.
    """
    if not np.isfinite(rows).all():
        raise MDFError("rows with NaN or infinity cannot be compressed; fill or leave them out first.")
    from scipy.fft import dctn  # noqa: PLC0415  (half a second, and few files are compressed)

    axes = [1 + axis for axis, n in enumerate(shape) if n > 1]
    images = rows.reshape(-1, *shape)
    found = (dctn(images, type=2, axes=axes, norm="ortho") if axes else images).reshape(len(rows), math.prod(shape))
    energy = found.real.astype(np.float64) ** 2 + found.imag.astype(np.float64) ** 2
    places = np.sort(np.argpartition(-energy, kept - 1, axis=1)[:, :kept], axis=1)
    total = energy.sum(1)
    np.put_along_axis(energy, places, 0.0, axis=1)
    errors = np.sqrt(np.divide(energy.sum(1), total, out=np.zeros(len(rows)), where=total > 0))
    return np.take_along_axis(found, places, axis=1).astype(rows.dtype), places.astype(np.int32) + 1, errors
