"""Datasets of numbers, real or complex, in whatever way a program stored them."""

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import find, read, require
from mpijax.io.hdf5_open import reading
from mpijax.io.hdf5_storage import absence, unwritten

REAL = ("r", "re", "real")
AXES = {2: "two", 3: "three", 4: "four"}
IMAGINARY = ("i", "im", "imag", "imaginary")


@dataclass(frozen=True, eq=False)
class Numbers:
    """A dataset that is indexed like an array of floats or complex floats.

    Complex numbers are HDF5's own, records of a real and an imaginary part (by name, in any order), arrays of two numbers, or
    two numbers along one axis more than the field has.

    Attributes:
        dataset: what is stored.
        shape: without the axis of real and imaginary part.
        base: type of the parts as stored; dtype: of the values given.
        is_complex: whether there is an imaginary part.
        complete: whether all chunks are there; else call :meth:`check` before reading.
    """

    dataset: h5py.Dataset
    shape: tuple[int, ...]
    base: np.dtype
    dtype: np.dtype
    is_complex: bool
    complete: bool

    @property
    def precision(self) -> np.dtype:
        """The type of the values where floats are stored, of the stored parts where integers are."""
        return self.dtype if self.is_complex and self.base.kind in "cf" else self.base

    def check(self, *index: Any) -> None:
        """Refuse a selection of which chunks were never written."""
        if not self.complete and (why := unwritten(self.dataset, index)):
            raise MDFError(f"{self.dataset.file.filename}: {self.dataset.name}: {why}.")

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        return self._values(np.asarray(read(self.dataset, index)))

    def _values(self, raw: np.ndarray) -> np.ndarray:
        if raw.dtype.names is not None:
            real, imaginary = (_part(raw.dtype.names, allowed) for allowed in (REAL, IMAGINARY))
            raw = raw[real] + 1j * raw[imaginary].astype(self.dtype.type(0).real.dtype)
        elif self.is_complex and raw.dtype.kind != "c":
            raw = raw[..., 0] + 1j * raw[..., 1].astype(self.dtype.type(0).real.dtype)
        return raw.astype(self.dtype, copy=False)


def numbers(file: h5py.File, path: str, ndim: int, *, partly: bool = False) -> Numbers | None:
    """The numbers of a field with so many axes, or None where they are missing; with ``partly`` some chunks may be missing.

    Raises:
        MDFError: no numbers, or records that are not a real and an imaginary part.
    """
    found = find(file, path, partly=partly)[0]
    if found is None:
        return None
    with reading(file.filename, path):
        complete = not absence(found)
        kind, shape, own = found.dtype, found.shape, found.id.get_type().get_class()
    where = f"{file.filename}: {path}"
    paired = kind.subdtype is not None and kind.subdtype[1] == (2,)
    base = kind.subdtype[0] if paired and kind.subdtype else kind
    is_complex = paired or base.kind == "c"
    if base.names is not None:
        parts = [_part(base.names, allowed) for allowed in (REAL, IMAGINARY)]
        if len(base.names) != 2 or None in parts:
            raise MDFError(
                f"{where} holds records of {', '.join(map(str, base.names[:8]))}; a complex number has the fields r and i "
                "(or re and im, real and imag)."
            )
        base, is_complex = np.result_type(*(base[name] for name in parts)), True
    elif base.kind in "biuf" and not is_complex and len(shape) == ndim + 1 and shape[-1] == 2:
        shape, is_complex = shape[:-1], True
    if base.kind not in "biufc" or own == h5py.h5t.ENUM and base.kind != "b":
        raise MDFError(f"{where} holds {kind} data; numbers are expected.")
    if len(shape) != ndim:
        raise MDFError(f"{where} has shape {found.shape}; {AXES.get(ndim, ndim)} axes are expected.")
    single = np.result_type(base, np.float32).itemsize <= np.dtype(np.complex64 if base.kind == "c" else "f4").itemsize
    dtype = np.dtype(("c8" if single else "c16") if is_complex else ("f4" if single else "f8"))
    return Numbers(found, tuple(shape), base.newbyteorder("="), dtype, is_complex, complete)


def data_numbers(file: h5py.File) -> Numbers:
    """The numbers of /measurement/data.

    Raises:
        MDFError: they are not there.
    """
    require(file, "/measurement/data", partly=True)
    found = numbers(file, "/measurement/data", 4, partly=True)
    assert found is not None
    return found


def _part(names: tuple[str, ...], allowed: tuple[str, ...]) -> str | None:
    return next((name for name in names if name.strip().lower() in allowed), None)
