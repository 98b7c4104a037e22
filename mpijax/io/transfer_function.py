"""Measured transfer functions: HDF5 files of MPIFiles and Touchstone files of a network analyzer."""

import warnings
from pathlib import Path

import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import array, open_hdf5, require
from mpijax.io.numbers import numbers
from mpijax.system.transfer import TransferFunction

HERTZ = {"HZ": 1.0, "KHZ": 1e3, "MHZ": 1e6, "GHZ": 1e9}
FORMATS = ("RI", "MA", "DB")


def read_transfer_function(path: str | Path) -> TransferFunction:
    """Read a measured receive chain; a sample at 0 Hz that is NaN is left out.

    HDF5 (``.h5``, ``.hdf5``): ``/frequencies`` (k,) [Hz], ``/transferFunction`` (c, k) complex or (c, k, 2) real and imaginary
    part, and ``/inductionFactor`` (c,), which multiplies it as in MDF files. Touchstone (``.s1p``): one port, any unit and
    format, values taken as they stand.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: something that is missing, of another shape, or not understood; the message says what.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    if path.suffix.lower() not in (".h5", ".hdf5", ".s1p"):
        raise MDFError(
            f"{path}: a transfer function is read from .h5, .hdf5 (MPIFiles) or .s1p (Touchstone, one port)."
        )
    frequencies, values = _touchstone(path) if path.suffix.lower() == ".s1p" else _hdf5(path)
    frequencies, values = _without_unknown_constant(path, frequencies, values)
    try:
        return TransferFunction.create(frequencies, values)
    except ValueError as error:
        raise MDFError(f"{path}: {error}") from None


def _without_unknown_constant(path: Path, frequencies: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without the sample at 0 Hz where it is NaN: a network analyzer and an AC-coupled chain have none."""
    if frequencies.shape != values.shape[-1:]:
        return frequencies, values
    unknown = (frequencies == 0) & ~np.isfinite(values).reshape(-1, values.shape[-1]).all(0)
    if unknown.any():
        warnings.warn(f"{path}: the transfer function is not known at 0 Hz; this sample is left out.", stacklevel=3)
    return frequencies[~unknown], values[..., ~unknown]


def _hdf5(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with open_hdf5(path) as file:
        require(file, "/frequencies")
        ndim = require(file, "/transferFunction").ndim
        frequencies, induction = array(file, "/frequencies"), array(file, "/inductionFactor")
        assert frequencies is not None
        stored = numbers(file, "/transferFunction", ndim)
        if stored is not None and not stored.is_complex:  # real and imaginary part along the last axis
            stored = numbers(file, "/transferFunction", ndim - 1) if ndim > 1 and stored.shape[-1] == 2 else None
        if stored is None:
            raise MDFError(f"{path}: /transferFunction holds real numbers; expected (channels, k, 2) or complex ones.")
        values = np.atleast_2d(stored[()])
    if induction is not None:
        if induction.size not in (1, len(values)):
            raise MDFError(f"{path}: /inductionFactor has {induction.size} entries for {len(values)} channels.")
        values = values * induction.reshape(-1, 1)
    return frequencies, values


def _touchstone(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Version 1, one port: ``!`` starts a comment, ``# <unit> <parameter> <format> R <ohm>`` says what the columns mean."""
    unit, layout, rows, options_seen = "GHZ", "MA", [], False  # what the format prescribes without an option line
    for number, raw in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        line = raw.split("!")[0].strip()
        if not line:
            continue
        if line.startswith("#"):
            if options_seen:  # by the format's rules further option lines are ignored
                continue
            options_seen = True
            words = line[1:].upper().split()
            unit = next((word for word in words if word in HERTZ), unit)
            layout = next((word for word in words if word in FORMATS), layout)
            continue
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            raise MDFError(f"{path}, line {number}: {line[:80]!r} is not a row of numbers.") from None
        if len(row) != 3:
            raise MDFError(
                f"{path}, line {number}: {len(row)} numbers; one port has 3 (frequency and one complex value)."
            )
        rows.append(row)
    if not rows:
        raise MDFError(f"{path} holds no data.")
    frequency, first, second = np.array(rows).T
    if layout == "RI":
        return frequency * HERTZ[unit], first + 1j * second
    magnitude = 10 ** (first / 20) if layout == "DB" else first
    return frequency * HERTZ[unit], magnitude * np.exp(1j * np.deg2rad(second))
