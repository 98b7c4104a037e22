"""Plain HDF5 files of public data sets that are no MDF: arrays by name, complex ones in two parts, and what the root says."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.mapping import FrozenMapping
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import BLANKS, as_slice, open_hdf5, read, require
from mpijax.io.hdf5_open import reading
from mpijax.system.facts.header import nested


def read_array(path: str | Path, name: str, rows: Any = None) -> np.ndarray:
    """A dataset of an HDF5 file, or some of its rows.

    Args:
        path: the file.
        name: path of the dataset in it.
        rows: which entries of the first axis (an index, a slice, a sequence in any order, or a boolean mask); None = all.

    Returns:
        As stored; an index leaves an axis of one entry.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: no HDF5, or no such dataset.
        ValueError: rows that it does not have.
    """
    with open_hdf5(path) as file:
        found = require(file, name)
        if rows is None:
            return np.asarray(read(found))
        try:
            wanted = np.atleast_1d(np.arange(found.shape[0])[rows])
        except IndexError as error:
            raise ValueError(
                f"{path}: {name} has {found.shape[0]} rows; {rows!r} are none of them ({error})."
            ) from None
        stored, order = np.unique(wanted, return_inverse=True)
        return np.asarray(read(found, as_slice(stored)))[order]


def read_complex_arrays(path: str | Path, names: tuple[str, ...]) -> tuple[list[np.ndarray], FrozenMapping]:
    """Complex arrays that a file holds as ``name/real`` and ``name/imag``, and the attributes of its root.

    Args:
        path: the file.
        names: groups with the two parts.

    Returns:
        Arrays in the order of the names, and attributes: name -> text, number or nested tuples.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: no HDF5, a part that is missing, or parts of two shapes.
    """
    with open_hdf5(path) as file:
        arrays = []
        for name in names:
            real, imag = (np.asarray(read(require(file, f"{name}/{part}"))) for part in ("real", "imag"))
            if real.shape != imag.shape:
                raise MDFError(
                    f"{path}: {name}/real has shape {real.shape} and {name}/imag {imag.shape}; one shape is expected."
                )
            arrays.append(real + 1j * imag)
        return arrays, _attributes(file)


def _attributes(file: h5py.File) -> FrozenMapping:
    """Attributes of the root: texts without blanks around them, numbers, nested tuples of either."""
    with reading(file.filename, "its attributes"):
        found = {name: file.attrs[name] for name in file.attrs}
    return FrozenMapping({name: _plain(nested(np.asarray(item))) for name, item in found.items()})


def _plain(item: Any) -> Any:
    if isinstance(item, tuple):
        return tuple(map(_plain, item)) if len(item) != 1 else _plain(item[0])
    item = item.decode(errors="replace") if isinstance(item, bytes) else item
    return item.strip(BLANKS) if isinstance(item, str) else item
