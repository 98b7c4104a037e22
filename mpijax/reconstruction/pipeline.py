"""From a system matrix and a measurement to images in mmol(Fe)/L: background, rows, weights, solver, units."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice
from mpijax.core.solution import Solution
from mpijax.reconstruction.kaczmarz import kaczmarz
from mpijax.reconstruction.tikhonov import tikhonov
from mpijax.reconstruction.weights import relative_lambda, row_norm_weights, whitening_weights
from mpijax.system import Measurement, SystemMatrix

SOLVERS = ("kaczmarz", "tikhonov")
WEIGHTS = ("row_norm", "whitening")


def reconstruct(
    system_matrix: SystemMatrix,
    measurement: Measurement,
    *,
    solver: str = "kaczmarz",
    regularization: float = 1e-3,
    sweeps: int = 3,
    constraint: str | None = "nonnegative",
    row_weights: Any = None,
    empty: Measurement | None = None,
    period: int = 0,
) -> Solution:
    """Reconstruct every frame of a measurement.

    Solves min_c |W (S c - u)|^2 + lambda |c|^2 with lambda = regularization * |W S|_F^2/n and scales the result to a
    concentration.

    Args:
        system_matrix: matrix with the rows to use selected (:meth:`SystemMatrix.select`).
        measurement: frames; it must hold the matrix's frequencies.
        solver: "kaczmarz" (``sweeps``, ``constraint``) or "tikhonov" (the minimiser itself, real part taken).
        regularization: lambda relative to |W S|_F^2/n.
        sweeps: of Kaczmarz; few sweeps regularise by stopping early.
        constraint: "nonnegative", "real" or None (Kaczmarz).
        row_weights: None, "row_norm" (1/|s_k|), "whitening" (min sigma/sigma_k from the matrix's background frames, or the
            measurement's), or an array (m,).
        empty: an empty scan; the mean of its frames is subtracted.
        period: which period of the frames.

    Returns:
        Solution: images (frames, nz, ny, nx) in mmol(Fe)/L; the solver's stats and "lambda".

    Raises:
        ValueError: matrix and data of different sampling or transfer-function state, a background subtracted twice, weights
            that cannot be computed, NaN in the data.
    """
    check_choice("solver", solver, SOLVERS)
    check_compatible(system_matrix, measurement)
    if empty is not None:
        measurement = _subtract(measurement, empty)
    index = system_matrix.row_index()
    matrix, data = jnp.asarray(system_matrix.rows()), jnp.asarray(measurement.rows(index, period))
    weights = _row_weights(row_weights, system_matrix, measurement, period)
    absolute = relative_lambda(matrix, regularization, weights)
    if solver == "kaczmarz":
        solution = kaczmarz(matrix, data, absolute, sweeps=sweeps, constraint=constraint, row_weights=weights)
    else:
        w = jnp.ones(len(matrix)) if weights is None else jnp.asarray(weights)
        solution = tikhonov(w[:, None].astype(matrix.dtype) * matrix, w.astype(data.dtype) * data, absolute)
    image = system_matrix.to_concentration(jnp.real(solution.value))
    return Solution(system_matrix.grid.to_image(image), {**solution.stats, "lambda": absolute})


def check_compatible(matrix: SystemMatrix, data: Measurement) -> None:
    """Raise ValueError where a matrix and data differ in sampling or in the state of their transfer function."""
    if matrix.n_samples != data.n_samples:
        raise ValueError(
            f"the matrix has {matrix.n_samples} samples per period and the measurement {data.n_samples}; their spectra have "
            "different scales. Use a matrix of the measurement's sequence."
        )
    if matrix.transfer_function_corrected != data.transfer_function_corrected:
        states = {True: "corrected for", False: "not corrected for"}
        raise ValueError(
            f"the matrix is {states[matrix.transfer_function_corrected]} the transfer function and the measurement is "
            f"{states[data.transfer_function_corrected]} it; read both with the same apply_transfer_function."
        )


def _subtract(data: Measurement, empty: Measurement) -> Measurement:
    if data.background_corrected:
        raise ValueError(
            "the measurement's background is already subtracted; give no empty scan, or read it with background='none'."
        )
    if empty.transfer_function_corrected != data.transfer_function_corrected or empty.n_samples != data.n_samples:
        raise ValueError(
            "the empty scan differs from the measurement in sampling or transfer-function state; read both alike."
        )
    if np.shape(empty.values)[1:] != np.shape(data.values)[1:]:
        raise ValueError(
            f"the empty scan has shape {empty.values.shape}, the measurement {data.values.shape}; only frames may differ."
        )
    return replace(data, values=data.values - empty.values.mean(0), background_corrected=True)


def _row_weights(choice: Any, matrix: SystemMatrix, data: Measurement, period: int) -> Any:
    if choice is None or not isinstance(choice, str):
        return choice
    check_choice("row_weights", choice, WEIGHTS)
    if choice == "row_norm":
        return row_norm_weights(matrix.rows())
    sigma = matrix.noise_std
    if sigma is not None:
        rows = matrix.row_values(sigma)
    elif data.background is not None and len(data.background) > 1:
        rows = np.std(replace(data, values=data.background).rows(matrix.row_index(), period), axis=0, ddof=1)
    else:
        raise ValueError(
            "row_weights = 'whitening' needs background frames in the matrix or in the measurement; there are none."
        )
    return whitening_weights(rows)
