"""Matrices and measurements in MATLAB files of version 5 and 7.3, which do not say what their variables are: the caller does."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat, whosmat

from mpijax.core.checks import check_count, check_range
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import open_hdf5
from mpijax.io.hdf5_open import reading
from mpijax.io.numbers import numbers
from mpijax.system.grid import Grid
from mpijax.system.matrix import SystemMatrix
from mpijax.system.measurement import Measurement

AXES = ("voxel", "x", "y", "z", "channel", "frequency", "frame")


def variables(path: str | Path) -> str:
    """The variables of a MATLAB file with their sizes, as MATLAB shows them, in words."""
    path = Path(path)
    with reading(path):
        if h5py.is_hdf5(path):
            with open_hdf5(path) as file:
                found = [(name, item.shape[::-1]) for name, item in file.items() if isinstance(item, h5py.Dataset)]
        else:
            found = [(name, shape) for name, shape, _ in whosmat(path)]
    return ", ".join(f"{name} ({' x '.join(map(str, shape))})" for name, shape in found) or "none"


def read_matlab(
    path: str | Path,
    variable: str | Sequence[str],
    axes: str,
    *,
    shape: Any = None,
    fov: Any = None,
    center: Any = (0.0, 0.0, 0.0),
    frequencies: Any = None,
    base_frequency: float | None = None,
    n_samples: int | None = None,
) -> SystemMatrix | Measurement:
    """Read a system matrix, or a measurement, from a variable of a MATLAB file.

    Args:
        path: a file of version 5 (6, 7) or 7.3.
        variable: its name, or those of real and imaginary part; complex numbers, or real ones whose last axis holds real and
            imaginary part (``axes`` then names one axis less).
        axes: what its axes are, in MATLAB's order, each a word of "voxel" (x fastest) or "x", "y", "z", "channel", "frequency" and
            "frame": with voxels it is a system matrix, with frames or without both a measurement. Axes that are not named must
            have the length one; "channel" may be missing.
        shape: voxels (nx, ny, nz) of the grid; needed for "voxel".
        fov: field of view [m], (3,); needed for a system matrix.
        center: of the grid [m].
        frequencies: (f,) [Hz], the name of the variable that holds them, or None = not known.
        base_frequency: [Hz], of which they are multiples, the numbers of the rows' bins; None = their smallest difference.
        n_samples: samples per period; None = as many as the largest bin needs.

    Returns:
        SystemMatrix with any of the axes voxel, x, y, z, else Measurement.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: a file that cannot be read, or no such variable.
        ValueError: axes, a grid or frequencies that do not fit the variable; real numbers, infinity, or NaN in a measurement. NaN
            in a matrix is a position that failed, and warned of.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    names = axes.lower().split()
    _check_axes(axes, names)
    parts = (variable,) if isinstance(variable, str) else tuple(variable)
    values = _named(path, parts, names)
    order = ["frame", "channel", "frequency", "voxel", "z", "y", "x"]
    present = [name for name in order if name in names]
    values = values.transpose([names.index(name) for name in present])
    size = dict(zip(present, values.shape, strict=True))
    bins = size["frequency"]
    if isinstance(frequencies, str):
        frequencies = read_variable(path, frequencies).ravel()
    spectrum = _spectrum(frequencies, bins, base_frequency, n_samples)
    if not {"voxel", "x", "y", "z"} & set(names):
        if np.isnan(values).any():
            raise ValueError(f"{path}: {', '.join(parts)} holds NaN; a measurement holds finite numbers.")
        shaped = values.reshape(size.get("frame", 1), 1, size.get("channel", 1), bins)
        return Measurement.create(shaped, **spectrum)
    grid = _grid(path, size, shape, fov, center)
    rows = values.reshape(size.get("channel", 1), bins, grid.size)
    if failed := np.count_nonzero(np.isnan(rows).any((0, 1))):
        warnings.warn(
            f"{path}: {', '.join(parts)} holds NaN at {failed} of {grid.size} positions, which are kept as failed ones; "
            "mpijax restore --task inpaint fills them.",
            stacklevel=2,
        )
    return SystemMatrix.create(rows, grid=grid, **spectrum)


def _check_axes(axes: str, names: list[str]) -> None:
    unknown = [name for name in names if name not in AXES]
    if unknown or len(set(names)) < len(names) or "frequency" not in names:
        raise ValueError(f"axes = {axes!r}; expected words of {', '.join(AXES)}, each once, frequency among them.")
    space = {"x", "y", "z"} & set(names)
    if ("voxel" in names and space) or ("frame" in names and (space or "voxel" in names)):
        raise ValueError(f"axes = {axes!r}; give voxel, or x, y and z as there are, or frame of a measurement.")


def _named(path: Path, parts: tuple[str, ...], names: list[str]) -> np.ndarray:
    """The complex values with one axis for each name."""
    if len(parts) not in (1, 2):
        raise ValueError(f"variable = {', '.join(parts)}; one, or two with real and imaginary part, are expected.")
    found = [read_variable(path, part) for part in parts]
    if len(parts) == 2:
        if found[0].shape != found[1].shape:
            raise ValueError(
                f"{path}: {parts[0]} is {_by(found[0])} and {parts[1]} {_by(found[1])}; parts have one size."
            )
        values = found[0] + 1j * found[1]
    else:
        values = found[0]
    if values.dtype.kind != "c" and values.ndim == len(names) + 1 and values.shape[-1] == 2:
        values = values[..., 0] + 1j * values[..., 1]
    short = values.squeeze() if values.ndim != len(names) else values
    if short.ndim != len(names):
        raise ValueError(
            f"{path}: {', '.join(parts)} is {_by(values)}, {values.ndim} axes, but {len(names)} are named: {' '.join(names)}."
        )
    if short.dtype.kind != "c":
        raise ValueError(
            f"{path}: {', '.join(parts)} is real; a spectrum is complex: a complex variable, two with real and imaginary part, "
            "or a last axis of two with both."
        )
    if np.isinf(short).any():
        raise ValueError(
            f"{path}: {', '.join(parts)} holds infinity; numbers are expected, NaN at positions that failed."
        )
    return short.astype(np.result_type(short, np.complex64))


def read_variable(path: Path, name: str) -> np.ndarray:
    """A numeric variable with MATLAB's axes.

    Raises:
        MDFError: there is none of this name, or it holds no numbers.
    """
    if h5py.is_hdf5(path):  # which holds the axes in reverse order
        with open_hdf5(path) as file:
            item = file.get(name)
            if not isinstance(item, h5py.Dataset):
                raise _missing(path, name)
            found = numbers(file, name, item.ndim)
            if found is None:
                raise MDFError(f"{path}: {name} is empty.")
            return np.asarray(found[()]).T
    with reading(path):
        content = loadmat(path, variable_names=[name])
    if name not in content:
        raise _missing(path, name)
    values = np.asarray(content[name])
    if values.dtype.kind not in "biufc":
        raise MDFError(f"{path}: {name} holds {values.dtype} data; numbers are expected.")
    return values


def _missing(path: Path, name: str) -> MDFError:
    return MDFError(f"{path} has no variable {name}; it has {variables(path)}.")


def _spectrum(frequencies: Any, bins: int, base_frequency: float | None, n_samples: int | None) -> dict[str, Any]:
    """Frequencies, bins, samples per period and bandwidth of the rows, as arguments of a container."""
    if n_samples is not None:
        check_count("n_samples", n_samples, 2)
    if frequencies is None:  # rows that are only numbered
        return {"frequencies": np.full(bins, np.nan), "n_samples": n_samples or 2 * max(bins - 1, 1)}
    frequencies = np.asarray(frequencies, float)
    if frequencies.shape != (bins,) or not np.isfinite(frequencies).all() or frequencies.min() < 0:
        raise ValueError(
            f"{frequencies.size} frequencies are given; {bins} numbers that are not negative are expected."
        )
    base = base_frequency
    if base is None:
        known = np.unique(np.append(frequencies, 0.0))
        base = float(np.diff(known).min(initial=np.inf))
    check_range("base_frequency", base, 1e-6, 1e12, "Hz")
    place = frequencies / base
    index = np.rint(place).astype(np.int64)
    if np.abs(place - index).max() > 1e-3:
        raise ValueError(
            f"the frequencies are no multiples of {base:g} Hz; give base_frequency, the inverse of the period."
        )
    samples = n_samples or 2 * (int(index.max()) + 1)
    return {
        "frequencies": frequencies,
        "frequency_indices": index,
        "n_samples": samples,
        "bandwidth": base * samples / 2,
    }


def _grid(path: Path, size: dict[str, int], shape: Any, fov: Any, center: Any) -> Grid:
    found = tuple(size.get(axis, 1) for axis in "xyz")
    if "voxel" in size:
        if shape is None or math.prod(shape) != size["voxel"]:
            raise ValueError(
                f"{path} has {size['voxel']} voxels; shape = {shape}, but a grid nx ny nz of so many is expected."
            )
        found = tuple(int(n) for n in shape)
    elif shape is not None and tuple(shape) != found:
        raise ValueError(f"shape = {tuple(shape)}, but the axes have {found} voxels; leave it out.")
    if fov is None:
        raise ValueError(
            f"{path} is a system matrix of {' x '.join(map(str, found))} voxels; give its field of view, fov."
        )
    return Grid.create(found, fov, center)


def _by(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape))
