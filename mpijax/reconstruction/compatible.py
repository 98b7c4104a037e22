"""Whether a system matrix and a measurement belong together."""

import warnings
from dataclasses import replace

import numpy as np

from mpijax.core.checks import is_concrete
from mpijax.reconstruction.scan import match_scan
from mpijax.system import Measurement, SystemMatrix
from mpijax.system.facts.compare import Comparison


def check_compatible(
    matrix: SystemMatrix, data: Measurement, *, period: int | None = None, check: bool = True, placed: bool = False
) -> tuple[SystemMatrix, Comparison]:
    """The matrix as it serves for the data, and what was compared; see :func:`mpijax.reconstruction.scan.match_scan`.

    Raises:
        ValueError: they differ in fields, sampling, frequencies or the state of their transfer function.
        TypeError: other objects, such as plain arrays.
    """
    if not (isinstance(matrix, SystemMatrix) and isinstance(data, Measurement)):
        raise TypeError(
            f"got {_name(matrix)} and {_name(data)}; expected a SystemMatrix and a Measurement, in this order. Plain arrays "
            "go to a solver itself: kaczmarz(matrix, data, regularization), tikhonov() or admm()."
        )
    if "concentration" in matrix.header.assumed:
        warnings.warn(
            "the calibration does not give the concentration of its sample, which counts as 1 mmol(Fe)/L: concentrations of the "
            "image are multiples of it.",
            stacklevel=2,
        )
    state = ""
    if matrix.transfer_function_corrected != data.transfer_function_corrected:
        states = {True: "corrected for", False: "not corrected for"}
        state = (
            f"the matrix is {states[matrix.transfer_function_corrected]} the transfer function and the measurement is "
            f"{states[data.transfer_function_corrected]} it"
        )
        if check:
            raise ValueError(f"{state}; read both with the same apply_transfer_function.")
    spacings = _bin_width(matrix), _bin_width(data)
    matrix, found = match_scan(matrix, data, period=data.period_of(matrix.patch, period), check=check, placed=placed)
    if check and abs(spacings[0] - spacings[1]) > 1e-3 * abs(spacings[0]):
        raise ValueError(
            f"the matrix's frequencies are {spacings[0]:.6g} Hz apart and the measurement's {spacings[1]:.6g} Hz; they belong "
            "to different sequences."
        )
    return matrix, replace(found, differing=(*found.differing, state)) if state else found


def _name(value: object) -> str:
    return f"a {type(value).__name__}"


def _bin_width(source: SystemMatrix | Measurement) -> float:
    """Frequency per rfft bin [Hz]; NaN where no frequency is known."""
    if not is_concrete((source.frequency_indices, source.frequencies)):
        return np.nan
    bins, frequencies = np.asarray(source.frequency_indices, float), np.asarray(source.frequencies, float)
    known = (bins > 0) & np.isfinite(frequencies)
    return float(np.median(frequencies[known] / bins[known])) if known.any() else np.nan
