"""Reading HDF5 with plain errors: scalars, strings, arrays, and slabs of a large axis."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError

SLAB_BYTES = 32 * 2**20
"""How much of a large dataset is read at once."""


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: it is not HDF5, or it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    if not h5py.is_hdf5(path):
        raise MDFError(f"{path} is not an HDF5 file, so it is no MDF file.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise MDFError(
            f"{path} cannot be read to the end: {error}. The file seems to be damaged; fetch it again."
        ) from None


def dataset(file: h5py.File, *paths: str) -> h5py.Dataset | None:
    """The dataset at the first of the paths that exists, or None."""
    for path in paths:
        if isinstance(found := file.get(path), h5py.Dataset):
            return found
    return None


def value(file: h5py.File, *paths: str) -> Any:
    """A dataset as str, number or array (length-one arrays stay arrays, bytes are decoded), or None."""
    found = dataset(file, *paths)
    return None if found is None or found.shape is None else _decode(found[()])


def number(file: h5py.File, *paths: str) -> Any:
    """A single number, also from an array of one element, or None."""
    found = value(file, *paths)
    if found is None or isinstance(found, str):
        return None
    array = np.asarray(found)
    if array.size != 1:
        raise MDFError(f"{paths[0]} holds {array.size} values; one number is expected.")
    return array.reshape(()).item()


def text(file: h5py.File, *paths: str) -> str | None:
    """A string, also from an array of strings (joined by a comma), or None."""
    found = texts(file, *paths)
    return None if found is None else ", ".join(found)


def texts(file: h5py.File, *paths: str) -> tuple[str, ...] | None:
    """The strings of a scalar or array in row-major order, or None."""
    found = value(file, *paths)
    return None if found is None else tuple(str(item) for item in np.asarray(found, object).ravel())


def array(file: h5py.File, *paths: str, dtype: Any = np.float64) -> np.ndarray | None:
    """An array of numbers, or None."""
    found = value(file, *paths)
    if found is None:
        return None
    try:
        return np.asarray(found, dtype)
    except (TypeError, ValueError):
        raise MDFError(f"{paths[0]} holds {np.asarray(found).dtype} data; numbers are expected.") from None


def _decode(raw: Any) -> Any:
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "replace").rstrip("\0")
    if isinstance(raw, np.ndarray) and raw.dtype.kind in "SO":
        return np.asarray([_decode(item) for item in raw.ravel()], object).reshape(raw.shape)
    return raw.item() if isinstance(raw, np.generic) else raw


def spans(positions: np.ndarray, gap: int, limit: int) -> Iterator[tuple[int, int, slice]]:
    """Cover sorted positions by few ranges: neighbors closer than ``gap`` share one, and none is longer than ``limit``.

    Args:
        positions: ascending indices (f,).
        gap: positions up to this far apart are read together (1 = only adjacent ones).
        limit: longest range.

    Yields:
        Start and stop of a range, and which of ``positions`` lie in it.
    """
    first = 0
    for i in range(1, len(positions) + 1):
        full = i < len(positions) and positions[i] - positions[first] >= limit
        if i == len(positions) or full or positions[i] - positions[i - 1] > gap:
            yield int(positions[first]), int(positions[i - 1]) + 1, slice(first, i)
            first = i


def as_slice(index: np.ndarray) -> Any:
    """A slice where the indices are consecutive (a view instead of a copy), else the indices."""
    if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return slice(int(index[0]), int(index[0]) + len(index))
    return index
