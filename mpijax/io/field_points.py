"""Measured magnetic fields: HDF5 files with the field at points, usually a spherical t-design."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mpijax.core.typing import Array, Float
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import array, count, is_group, number, open_hdf5, require, text

LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
FIELDS = {"T": 1.0, "mT": 1e-3}


@dataclass(frozen=True, eq=False)
class FieldPoints:
    """A field measured at points.

    Attributes:
        points: [m], (n, 3).
        fields: [T], (s, n, 3): one field per setting of the currents.
        errors: standard deviation of the fields [T], (s, n, 3), or None.
        center, radius: of the measured sphere [m], (3,) and a number, or None.

    Source: Boberg, Knopp, Moeddel, European J. Appl. Math. 36 (2025) 1012, for fields on spherical t-designs.
    """

    points: np.ndarray
    fields: np.ndarray
    errors: np.ndarray | None
    center: np.ndarray | None
    radius: float | None


def read_field_points(path: str | Path, *, directions: Float[Array, "n 3"] | None = None) -> FieldPoints:
    """Read a measured field as the MPI groups in Hamburg store it.

    Two layouts exist: ``/positions`` (n, 3) with ``/positionsCenter`` and ``/positionsTDesignRadius``, and the group
    ``/positions/tDesign`` (N, t, center, radius) that only names its spherical design.

    Args:
        path: HDF5 file with ``/fields`` (n, 3) or (s, n, 3), in tesla unless ``/unitFields`` says otherwise.
        directions: the N unit vectors of the design that the file names, (N, 3), in their published order (Hardin and Sloane's
            tables); refused where the file holds positions.

    Returns:
        FieldPoints in meters and tesla, for :func:`mpijax.fit_solid_harmonics`.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: not HDF5, or something missing, of another shape, not finite, or in a unit that is not known.
        ValueError: directions that are not asked for, or are not N unit vectors.

    Source: Boberg, Knopp, Moeddel, European J. Appl. Math. 36 (2025) 1012, for fields on spherical t-designs.
    """
    with open_hdf5(path) as file:
        require(file, "/fields")
        fields = array(file, "/fields")
        assert fields is not None
        shift = array(file, "/sensor/correctionTranslation", "/sensorOffset")
        if shift is not None and np.any(shift):
            raise MDFError(f"{path}: the probe's three sensors sit at different places; shift and resample them first.")
        length = _unit(path, text(file, "/unitCoords"), LENGTHS)
        strength = _unit(path, text(file, "/unitFields"), FIELDS)
        points, center, radius = _positions(file, path, length, directions)
        errors = array(file, "/fieldsError", finite=False)
    fields = strength * (fields[None] if fields.ndim == 2 else fields)
    if fields.shape[1:] != points.shape:
        raise MDFError(
            f"{path}: /fields has shape {fields.shape} and the positions {points.shape}; expected (.., n, 3)."
        )
    if errors is not None:
        if errors.size != fields.size:
            raise MDFError(
                f"{path}: /fieldsError has shape {errors.shape} and /fields {fields.shape}; they must agree."
            )
        errors = strength * errors.reshape(fields.shape)
    if not (np.isfinite(fields).all() and np.isfinite(points).all()):
        raise MDFError(f"{path}: positions or fields hold NaN or infinity.")
    return FieldPoints(points, fields, errors, center, radius)


def _positions(
    file: h5py.File, path: str | Path, length: float, directions: Float[Array, "n 3"] | None
) -> tuple[np.ndarray, np.ndarray | None, float | None]:
    stored = None if is_group(file, "/positions") else array(file, "/positions")
    center = array(file, "/positionsCenter", "/positions/tDesign/center")
    radius = number(file, "/positionsTDesignRadius", "/positions/tDesign/radius", low=0)
    if center is not None and center.size != 3:
        raise MDFError(f"{path}: the center has {center.size} coordinates; expected 3.")
    center = None if center is None else length * center.ravel()
    radius = None if radius is None else length * float(radius)
    if stored is not None:
        if directions is not None:
            raise ValueError(f"{path} holds its positions; leave out directions.")
        if stored.ndim != 2 or stored.shape[1] != 3:
            raise MDFError(f"{path}: /positions has shape {stored.shape}; expected (points, 3).")
        return length * stored, center, radius
    n_points, strength = count(file, "/positions/tDesign/N"), count(file, "/positions/tDesign/t")
    if n_points is None or center is None or radius is None:
        raise MDFError(f"{path} holds neither /positions (points, 3) nor a complete group /positions/tDesign.")
    if directions is None:
        raise MDFError(
            f"{path} names its points only as a spherical {strength}-design of {n_points} points; give their unit vectors as "
            "directions=, in the order of Hardin and Sloane's tables."
        )
    directions = np.asarray(directions, np.float64)
    if directions.shape != (n_points, 3) or not np.allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-6):
        raise ValueError(f"directions has shape {directions.shape}; expected {n_points} unit vectors, ({n_points}, 3).")
    return center + radius * directions, center, radius


def _unit(path: str | Path, name: str | None, known: dict[str, float]) -> float:
    if name is None:
        return 1.0
    if name not in known:
        raise MDFError(f"{path} is in units of {name[:20]!r}; known are {', '.join(known)}.")
    return known[name]
