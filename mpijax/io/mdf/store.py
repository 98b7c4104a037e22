"""Writing fields under their MDF paths; no container, and so no jax, is needed for it."""

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError


def write_fields(file: h5py.File, fields: Mapping[str, Any]) -> None:
    """Write a flat dict of MDF paths; texts, numbers and arrays of them."""
    for path, item in fields.items():
        try:
            array = np.asarray(item)
            kind = np.asarray(array.tolist()).dtype.kind  # texts may come as an array of objects
        except ValueError:
            kind = "O"
        if kind == "U":
            file.create_dataset(path, data=array.astype(object), dtype=h5py.string_dtype())
        elif kind in "biufc":
            flag = kind == "b" or path.startswith(("/measurement/is", "/experiment/is"))
            file.create_dataset(path, data=array.astype(np.int8) if flag else array)
        else:
            raise MDFError(f"{path} = {item!r} cannot be written; MDF holds texts, numbers and arrays of them.")
