"""Opening a file as MDF whatever its format: what is not MDF 2 is kept as such while it is used."""

import functools
import tempfile
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import h5py

from mpijax.io.errors import MDFError
from mpijax.io.formats import FALLBACK, reader
from mpijax.io.hdf5_open import open_hdf5


@contextmanager
def open_mdf(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading, as HDF5 under the paths of MDF 2. See :func:`open_hdf5` for what it raises.

    A file or folder of another format is written as MDF to a temporary folder, once for all uses of it.
    """
    path = Path(path)
    form = reader(path)
    if form.name == FALLBACK:
        with open_hdf5(path) as file:
            yield file
        return
    folder = _as_mdf(path.absolute(), cast(Hashable, type(form)), _state(path))
    copy = Path(folder.name) / path.name
    try:
        with open_hdf5(copy) as file:
            yield file
    except MDFError as error:
        raise MDFError(str(error).replace(str(copy), str(path))) from None


def _state(path: Path) -> tuple[Hashable, ...]:
    """What changes where a file, or one in a folder, does."""
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    return tuple((item.name, item.stat().st_mtime_ns, item.stat().st_size) for item in files)


@functools.lru_cache(maxsize=4)
def _as_mdf(path: Path, kind: Any, _state: Hashable) -> "tempfile.TemporaryDirectory[str]":
    folder = tempfile.TemporaryDirectory(prefix="mpijax")
    kind().as_mdf(path, Path(folder.name) / path.name)
    return folder
