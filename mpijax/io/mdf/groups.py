"""The groups of an MDF header: calibration, reconstruction, tracer, and those that are only quoted."""

import reprlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.mapping import FrozenMapping
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import LARGEST, MOST, array, children, dataset, flag, small_value, text
from mpijax.io.mdf.fields import PARAMETERS
from mpijax.io.mdf.info import CalibrationInfo, ReconstructionInfo
from mpijax.system.facts.header import nested


def read_calibration(file: h5py.File, path: Path) -> CalibrationInfo | None:
    """The group /calibration, or None."""
    method, size = text(file, "/calibration/method"), _size(file, path, "/calibration")
    if method is None and size is None:  # a measurement file may hold /calibration/deltaSampleSize alone
        return None
    positions = array(file, "/calibration/positions")
    if positions is not None and (positions.ndim != 2 or positions.shape[1] != 3):
        raise MDFError(f"{path}: /calibration/positions has shape {positions.shape}; expected (voxels, 3).")
    return CalibrationInfo(
        method=method or "unknown",
        size=size,
        fov=_vector(file, path, "/calibration/fieldOfView", low=0),
        center=_vector(file, path, "/calibration/fieldOfViewCenter"),
        order=_order(file, path, "/calibration"),
        delta_sample_size=_vector(file, path, "/calibration/deltaSampleSize", low=0),
        positions=positions,
        meandering=flag(file, "/calibration/isMeanderingGrid"),
    )


def read_reconstruction_info(file: h5py.File, path: Path) -> ReconstructionInfo | None:
    """The group /reconstruction, or None."""
    group = "/reconstruction"
    data = dataset(file, f"{group}/data")
    if data is None:
        return None
    return ReconstructionInfo(
        path=path,
        shape=data.shape,
        size=_size(file, path, group),
        fov=_vector(file, path, f"{group}/fieldOfView"),
        center=_vector(file, path, f"{group}/fieldOfViewCenter"),
        order=_order(file, path, group),
        parameters=read_group(file, PARAMETERS, MOST),
    )


def _size(file: h5py.File, path: Path, group: str) -> tuple[int, int, int] | None:
    size = array(file, f"{group}/size", dtype=np.int64)
    if size is None:
        return None
    if size.size > 3 or np.any(size < 1):
        raise MDFError(
            f"{path}: {group}/size is {reprlib.repr(size.tolist())}; three positive voxel counts are expected."
        )
    return tuple(np.pad(size.ravel(), (0, 3 - size.size), constant_values=1).tolist())


def _order(file: h5py.File, path: Path, group: str) -> str:
    order = (text(file, f"{group}/order") or "xyz").lower()
    if sorted(order) != ["x", "y", "z"]:
        raise MDFError(f"{path}: {group}/order is {reprlib.repr(order)}; a permutation of xyz is expected.")
    return order


def _vector(file: h5py.File, path: Path, name: str, low: float = -np.inf) -> np.ndarray | None:
    found = array(file, name)
    if found is not None and (found.size != 3 or np.any(found < low)):
        raise MDFError(
            f"{path}: {name} is {reprlib.repr(found.tolist())}; three numbers"
            + ("" if np.isinf(low) else f" of at least {low:g}")
            + " are expected."
        )
    return None if found is None else found.ravel()


def read_group(file: h5py.File, group: str, largest: int = LARGEST) -> FrozenMapping:
    """The texts and numbers of a group of at most so many entries."""
    found = {name: small_value(file, f"{group}/{name}", largest) for name in children(file, group)}
    return FrozenMapping({name: nested(item) for name, item in found.items() if item is not None})


def read_tracer(file: h5py.File, path: Path) -> FrozenMapping:
    """Every field as a tuple with one entry per tracer (MDF 2.0 files hold scalars)."""
    found: dict[str, Any] = {}
    for name, item in read_group(file, "/tracer").items():
        found[name] = item if isinstance(item, tuple) else (item,)
    for name in ("concentration", "volume"):
        amount = array(file, f"/tracer/{name}", finite=False)
        if amount is None:
            continue
        if np.any(amount < 0) or np.any(amount == np.inf):
            raise MDFError(f"{path}: /tracer/{name} = {reprlib.repr(amount.tolist())}; an amount is not negative.")
        found[name] = tuple(np.nan_to_num(amount).ravel().tolist())  # unknown, as 0 is
    return FrozenMapping(found)
