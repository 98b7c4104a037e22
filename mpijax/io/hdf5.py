"""Reading HDF5 fields with plain errors: each accessor checks that the field is there, of its kind, and finite."""

import reprlib
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5_open import open_hdf5 as open_hdf5
from mpijax.io.hdf5_open import reading
from mpijax.io.hdf5_storage import PLUGINS, absence, heap_damage, missing_filters

SLAB_BYTES = 32 * 2**20
"""How much of a large dataset is read at once."""
LARGEST = 4096
"""Texts and user fields with more entries than this stay behind."""
MOST = 2**26
"""Largest count that a header may state on its own, without stored data of that length."""
BLANKS = " \t\r\n\0"


def find(file: h5py.File, *paths: str, partly: bool = False) -> tuple[h5py.Dataset | None, str]:
    """The dataset at the first of the paths that holds values; without one, why a field that is named there holds none.

    With ``partly`` some of its chunks may be missing: :func:`unwritten` then tells which selection is not there.

    Raises:
        MDFError: a group in place of a field, or damage.
    """
    why = ""
    for path in paths:
        with reading(file.filename, path):
            item = file.get(path)
            if item is None:
                if path not in file:
                    continue
                link = file.get(path, getlink=True)
                if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
                    target = f"{link.path} of {link.filename}" if isinstance(link, h5py.ExternalLink) else link.path
                    why = why or f"{path} links to {target}, which is not there"
                    continue
                item = file[path]  # there, but not to be opened
            if not isinstance(item, h5py.Dataset):
                raise MDFError(f"{file.filename}: {path} is a group; a field is expected.")
            reason = absence(item, partly=partly)
        if not reason:
            return item, ""
        why = why or f"{path} holds no values: {reason}"
    return None, why


def dataset(file: h5py.File, *paths: str) -> h5py.Dataset | None:
    """The dataset at the first of the paths that holds values, or None: missing, empty and never written are the same."""
    return find(file, *paths)[0]


def require(file: h5py.File, path: str, *, partly: bool = False) -> h5py.Dataset:
    """The dataset, whose values must be there, or with ``partly`` some of them.

    Raises:
        MDFError: they are not; the message says why.
    """
    found, why = find(file, path, partly=partly)
    if found is None:
        raise MDFError(f"{file.filename}: {why}." if why else f"{file.filename} holds no {path}.")
    return found


def is_group(file: h5py.File, path: str) -> bool:
    """Whether there is a group of this name."""
    with reading(file.filename, path):
        return path in file and isinstance(file.get(path), h5py.Group)


def children(file: h5py.File, group: str) -> tuple[str, ...]:
    """Names of the fields directly in a group; none where it is missing."""
    if not is_group(file, group):
        return ()
    with reading(file.filename, group):
        names = tuple(file[group])
    return tuple(name for name in names if not is_group(file, f"{group}/{name}"))


def walk(file: h5py.File) -> list[str]:
    """Paths of all fields of the file."""
    paths: list[str] = []
    with reading(file.filename):
        file.visititems(lambda name, item: paths.append(f"/{name}") if isinstance(item, h5py.Dataset) else None)
    return paths


def read(found: h5py.Dataset, selection: Any = ()) -> Any:
    """Values of a dataset, in the machine's byte order."""
    with reading(found.file.filename, found.name):
        if damaged := heap_damage(found):
            raise MDFError(f"{found.file.filename}: {found.name}: {damaged} is damaged; fetch the file again.")
        missing = missing_filters(found)
        try:
            raw = found[selection]
        except (OSError, RuntimeError, KeyError):
            if not missing:
                raise
            raise MDFError(
                f"{found.file.filename}: {found.name} is compressed by {missing}, which this HDF5 lacks; pip install {PLUGINS} "
                "adds the usual filters."
            ) from None
    if isinstance(raw, np.ndarray) and not raw.dtype.isnative:
        return raw.astype(raw.dtype.newbyteorder("="))
    return raw


def value(file: h5py.File, *paths: str) -> Any:
    """A dataset as str, number or array (length-one arrays stay arrays, bytes are decoded), or None."""
    found = dataset(file, *paths)
    return None if found is None else _decode(read(found))


def small_value(file: h5py.File, path: str, largest: int = LARGEST) -> Any:
    """As :func:`value`, and None for more entries than ``largest``, or neither texts nor numbers (records, references)."""
    found = dataset(file, path)
    if found is None or found.size > largest:
        return None
    with reading(file.filename, path):
        plain = found.dtype.kind in "biufcS" or h5py.check_string_dtype(found.dtype) is not None
    return None if not plain else _decode(read(found))


def number(file: h5py.File, *paths: str, low: float = -np.inf, high: float = np.inf, unknown: bool = False) -> Any:
    """A single finite number in a range, also from an array of one element, or None; with ``unknown`` NaN is None too.

    Raises:
        MDFError: several values, a text, a complex number, NaN, infinity, or a number outside the range.
    """
    found = dataset(file, *paths)
    if found is None:
        return None
    where = f"{file.filename}: {found.name}"
    if found.size != 1:
        raise MDFError(f"{where} holds {found.size} values; one number is expected.")
    raw = np.asarray(read(found))
    if raw.dtype.kind not in "biuf" or raw.size != 1:
        raise MDFError(f"{where} = {_short(_decode(raw))}; a number is expected.")
    item = raw.reshape(()).item()
    if unknown and item != item:
        return None
    if not low <= item <= high or not np.isfinite(item):
        limits = "a finite number" if np.isinf([low, high]).all() else f"a number from {low:g} to {high:g}"
        raise MDFError(f"{where} = {_short(item)}; {limits} is expected.")
    return item


def count(file: h5py.File, *paths: str, low: int = 0, high: int = 2**62) -> int | None:
    """A whole number in a range, or None.

    Raises:
        MDFError: anything else.
    """
    item = number(file, *paths, low=low, high=high)
    if item is not None and item != int(item):
        raise MDFError(f"{file.filename}: {paths[0]} = {item}; a whole number is expected.")
    return None if item is None else int(item)


def flag(file: h5py.File, *paths: str) -> bool:
    """Whether a flag is set: 1 or 0 of any type, or the texts true, false, 1, 0; a missing one is not.

    Raises:
        MDFError: anything else.
    """
    item = value(file, *paths)
    item = item.reshape(()).item() if isinstance(item, np.ndarray) and item.size == 1 else item
    key = item.strip(BLANKS).lower() if isinstance(item, str) else item
    known = {None: False, 0: False, 1: True, "0": False, "1": True, "false": False, "true": True}
    try:
        return known[key]
    except (KeyError, TypeError):
        raise MDFError(f"{file.filename}: {paths[0]} = {_short(item)}; a flag is 0 or 1.") from None


def text(file: h5py.File, *paths: str) -> str | None:
    """A string without blanks around it, also from an array of strings (joined by a comma), or None."""
    found = texts(file, *paths)
    return None if found is None else ", ".join(found)


def texts(file: h5py.File, *paths: str) -> tuple[str, ...] | None:
    """The strings of a scalar or array in row-major order, blanks and NULs around them stripped, or None.

    Raises:
        MDFError: more than LARGEST of them, or neither texts nor numbers.
    """
    found = dataset(file, *paths)
    if found is None:
        return None
    if found.size > LARGEST:
        raise MDFError(f"{file.filename}: {paths[0]} holds {found.size} values; a text is expected.")
    items = np.asarray(_decode(read(found)), object)
    if any(isinstance(item, np.void | tuple) for item in items.ravel()):
        raise MDFError(f"{file.filename}: {paths[0]} holds records; a text is expected.")
    return tuple(str(item).strip(BLANKS) for item in items.ravel())


def array(file: h5py.File, *paths: str, dtype: Any = np.float64, finite: bool = True) -> np.ndarray | None:
    """An array of numbers, or None.

    Args:
        file: the open file.
        *paths: where the array may stand.
        dtype: float64, int64 (whole numbers of any type) or bool (0 and 1 of any type).
        finite: whether NaN and infinity are refused.

    Raises:
        MDFError: other values; the message names the field.
    """
    found = dataset(file, *paths)
    if found is None:
        return None
    raw, where = np.asarray(read(found)), f"{file.filename}: {found.name}"
    if raw.dtype.kind not in "biuf":
        raise MDFError(f"{where} holds {raw.dtype} data; real numbers are expected.")
    if np.dtype(dtype).kind != "f":
        return whole(raw, where, dtype)
    if finite and (bad := raw.size - np.count_nonzero(np.isfinite(raw))):
        raise MDFError(f"{where} has {bad} of {raw.size} entries that are NaN or infinite.")
    return raw.astype(dtype)


def whole(raw: np.ndarray, where: str, dtype: Any = np.int64) -> np.ndarray:
    """Numbers of any type as integers or as truth values, none of them changed by it.

    Raises:
        MDFError: a value that is not such a number.
    """
    with np.errstate(invalid="ignore"):
        found = raw.astype(dtype)
    if not np.array_equal(found, raw) or (raw.dtype.kind == "u" and np.any(found < 0)):
        expected = "0 and 1" if np.dtype(dtype).kind == "b" else "whole numbers"
        raise MDFError(f"{where} holds other values than {expected}.")
    return found


def _short(item: Any) -> str:
    return reprlib.repr(item)


def _decode(raw: Any) -> Any:
    if isinstance(raw, bytes):
        raw = raw.rstrip(b"\0")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")
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
