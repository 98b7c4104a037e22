"""Opening a file as MDF whatever its format: what is not MDF is kept as MDF while it is used."""

import functools
import tempfile
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import h5py

from mpijax.io.formats import FALLBACK, FORMATS, reader
from mpijax.io.hdf5_open import open_hdf5, reading


@contextmanager
def open_mdf(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading, as HDF5 under the paths of MDF. See :func:`open_hdf5` for what it raises.

    A file of another format is read by it and written as MDF to a temporary folder, once for all uses of it.
    """
    path = Path(path)
    form = reader(path)
    if form.name != FALLBACK and path.is_file():
        stat, kind = path.stat(), cast(Hashable, type(form))
        folder = _as_mdf(path.absolute(), kind, stat.st_mtime_ns, stat.st_size)
        with open_hdf5(Path(folder.name) / path.name) as file:
            yield file
    else:
        with open_hdf5(path) as file:
            yield file


@functools.lru_cache(maxsize=4)
def _as_mdf(path: Path, kind: Any, _time: int, _size: int) -> "tempfile.TemporaryDirectory[str]":
    folder = tempfile.TemporaryDirectory(prefix="mpijax")
    with reading(path, f"as {kind.name}"):
        data = kind().read(path)
    if type(data) not in FORMATS[FALLBACK].writes:
        raise TypeError(
            f"format {kind.name!r} read {path} as {type(data).__name__}; a SystemMatrix, Measurement or Reconstruction is expected."
        )
    FORMATS[FALLBACK]().write(Path(folder.name) / path.name, data)
    return folder
