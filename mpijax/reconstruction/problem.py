"""One linear inverse problem: equations, grid and unit, made from a system matrix and a measurement."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.byte_order import native
from mpijax.core.checks import check_choice, check_count, check_finite, is_concrete
from mpijax.core.frames import frame_std
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Complex, Float, Inexact, Matrix, Scalar, Shaped, Vector
from mpijax.reconstruction.drift import drift_components as find_components
from mpijax.reconstruction.drift import drift_free, orthonormal
from mpijax.reconstruction.equations import Equations
from mpijax.reconstruction.inputs import check_data, check_row_weights
from mpijax.reconstruction.scan import match_scan
from mpijax.reconstruction.weights import row_norm_weights, whitening_weights
from mpijax.system import Grid, Measurement, SystemMatrix
from mpijax.system.facts.compare import Comparison, unlike
from mpijax.system.leaves import as_array

WEIGHTS = ("row_norm", "whitening")


@pytree
class Problem:
    """Find x with A x = b, where x times ``scale`` is a concentration. Make it with :meth:`create`.

    Attributes:
        matrix: A (m, n), complex; with several contrasts (m, contrasts n).
        data: b (frames, m), complex.
        grid: the n voxels.
        scale: mmol(Fe)/L per unit of x, one per contrast (contrasts,).
        row_weights: (m,) or None.
        noise_std: complex standard deviation of each row of ``data`` (m,), or None where not known.
        drift: columns D (m, q) whose coefficients are further unknowns, or None.
        comparison: which facts of matrix and measurement were compared, one per matrix; static.
    """

    matrix: Matrix
    data: Matrix
    grid: Grid
    scale: Vector
    row_weights: Vector | None
    noise_std: Vector | None
    drift: Matrix | None
    comparison: tuple[Comparison, ...] = static(default=())

    @staticmethod
    def create(
        system_matrix: SystemMatrix,
        measurement: Measurement,
        *,
        row_weights: str | Vector | None = None,
        empty: Measurement | None = None,
        period: int | None = None,
        drift_components: int = 0,
        check: bool = True,
    ) -> "Problem":
        """Check that a matrix and a measurement belong together and take the matrix's rows from both.

        Rows and data are matched by channel, bin and patch. What both say of fields and receiver is compared; where only the
        gradient differs, by one factor, the grid is divided by it (:func:`mpijax.reconstruction.scan.match_scan`). Channels
        that are zero in every row of either side are left out, with a warning.

        Args:
            system_matrix: matrix with the rows to use selected (:meth:`SystemMatrix.select`).
            measurement: frames; it must hold the matrix's frequencies.
            row_weights: None, "row_norm" (1/|s_k|), "whitening" (min sigma/sigma_k from the matrix's background frames, or
                else the measurement's), or an array (m,).
            empty: an empty scan; the mean of its frames is subtracted.
            period: which period of the frames, counted from 0; None = that of the matrix's patch, or the first.
            drift_components: fit so many principal components of the background frames (the empty scan's, or else the
                measurement's) beside the image. Their mean is subtracted where it has not been.
            check: refuse fields and receivers that differ; False takes both as they are, and records it.

        Raises:
            ValueError: matrix and data of different fields, sampling, frequencies, channels, angles, patches or
                transfer-function state, a background subtracted twice, weights or components that cannot be computed, NaN,
                nothing but zeros.
            TypeError: no system matrix or measurement.
        """
        check_count("drift_components", drift_components, 0)
        matrix, comparison = check_compatible(system_matrix, measurement, period=period, check=check)
        if empty is not None and not check:
            found = unlike(measurement.acquisitions(), empty.acquisitions())
            comparison = replace(
                comparison, differing=(*comparison.differing, *(f"empty scan: {text}" for text in found))
            )
        drift = drift_components > 0
        rows = Rows.take(matrix, measurement, empty=empty, period=period, drift=drift, check=check)
        return rows.problem(matrix.grid, (unit(matrix),), row_weights, drift_components, (comparison,))

    @property
    def contrasts(self) -> int:
        """Number of contrasts: images per frame."""
        return len(self.scale)

    def images(self, x: Inexact[Array, "frames n"]) -> Float[jax.Array, "..."]:
        """Solutions (frames, n) as images in mmol(Fe)/L: (frames, nz, ny, nx), or (frames, contrasts, nz, ny, nx)."""
        x = jnp.real(x).reshape(len(x), self.contrasts, self.grid.size)
        image = jnp.asarray(self.grid.to_image(x * jnp.asarray(self.scale, x.dtype)[:, None]))
        return image if self.contrasts > 1 else image[:, 0]

    def unknowns(self, images: Shaped[Array, "..."]) -> Float[jax.Array, "..."]:
        """The inverse of :meth:`images`, for one frame or several.

        Raises:
            ValueError: images of another grid.
        """
        shape = self.grid.shape[::-1] if self.contrasts == 1 else (self.contrasts, *self.grid.shape[::-1])
        if np.shape(images)[-len(shape) :] != shape or np.ndim(images) > len(shape) + 1:
            raise ValueError(f"init has shape {np.shape(images)}; expected {shape} in mmol(Fe)/L, or one per frame.")
        lead = np.shape(images)[: np.ndim(images) - len(shape)]
        x = jnp.asarray(native(images)).reshape(*lead, self.contrasts, self.grid.size)
        return (x / jnp.asarray(self.scale, x.dtype)[:, None]).reshape(*lead, -1)

    def equations(self) -> Equations:
        """What a solver gets: matrix, data and row weights; with drift, weighted and projected, and no weights."""
        if self.drift is None:
            return Equations(self.matrix, self.data, self.row_weights, self)
        matrix, data = jnp.asarray(self.matrix), jnp.asarray(self.data)
        if self.row_weights is not None:
            weights = jnp.asarray(self.row_weights, matrix.real.dtype)
            matrix, data = weights[:, None] * matrix, weights * data
        return Equations(*drift_free(matrix, data, orthonormal(self._weigh(self.drift))), None, self)

    def drift_coefficients(self, x: Inexact[Array, "frames n"]) -> Complex[jax.Array, "frames q"]:
        """Coefficients c of the drift that best explain what an image leaves: min over c of |W (A x + D c - b)|."""
        matrix = jnp.asarray(self.matrix)
        model = jnp.matmul(jnp.asarray(x, matrix.dtype), matrix.T, precision="highest")
        solve = np.linalg.pinv(self._weigh(self.drift)) * self._weights()
        return jnp.matmul(jnp.asarray(self.data) - model, jnp.asarray(solve.T, matrix.dtype), precision="highest")

    def noise_norm(self) -> float:
        """The norm that the noise of one frame is expected to have in the weighted equations.

        epsilon = sqrt(sum_k w_k^2 sigma_k^2 (1 - |Q_k|^2)), Q an orthonormal basis of the drift (none: 0).

        Raises:
            ValueError: the noise is not known.
        """
        if self.noise_std is None:
            raise ValueError(
                "epsilon = 'noise' needs at least two background frames of the measurement, of an empty scan or of the "
                "matrix; there are none. Give epsilon as a number."
            )
        kept = 1.0
        if self.drift is not None:
            kept = 1 - np.sum(np.abs(orthonormal(self._weigh(self.drift))) ** 2, axis=1)
        return float(np.sqrt(np.sum(kept * (self._weights() * np.asarray(self.noise_std, float)) ** 2)))

    def _weights(self) -> np.ndarray:
        return np.ones(len(self.matrix)) if self.row_weights is None else np.asarray(self.row_weights, float)

    def _weigh(self, columns: Matrix | None) -> np.ndarray:
        return self._weights()[:, None] * cast(Matrix, columns)


@dataclass(frozen=True)
class Rows:
    """The rows of one matrix in matrix and data, and what is known of their noise.

    Attributes:
        matrix: (m, n); data: (frames, m).
        noise_std: of the data's rows (m,) or None.
        relative_std: from which whitening takes the noise of the rows relative to each other (m,), or None.
        background: frames (e, m), or None where no drift is asked for.
        labels: one number for channel and bin of each row (m,).
        place: position of each row among those that weights given as an array speak of (m,); asked: how many those are.
    """

    matrix: Matrix
    data: Matrix
    noise_std: np.ndarray | None
    relative_std: np.ndarray | None
    background: np.ndarray | None
    labels: np.ndarray
    place: np.ndarray
    asked: int

    @staticmethod
    def take(
        matrix: SystemMatrix,
        measurement: Measurement,
        *,
        empty: Measurement | None,
        period: int | None,
        drift: bool,
        check: bool,
    ) -> "Rows":
        """Subtract the background and take the rows of matching sides; see :meth:`Problem.create`."""
        if empty is not None:
            if not isinstance(empty, Measurement):
                raise TypeError(f"empty is {_name(empty)}; expected a Measurement, the empty scan.")
            measurement = measurement.subtract_background(empty, check=check)
        elif drift and not measurement.background_corrected:
            _check_drift_frames(measurement)
            measurement = measurement.subtract_background()
        index = matrix.row_index()
        if not len(index.channel):
            raise ValueError("the matrix keeps no rows; select fewer restrictions.")
        rows, data = jnp.asarray(native(matrix.rows())), jnp.asarray(native(measurement.rows(index, period)))
        check_finite("the system matrix", rows)
        check_data(data, len(rows))
        held = measurement.holds(index)
        if not held.any():
            raise ValueError("the measurement holds no data of the matrix's rows: its row_mask leaves all of them out.")
        if not held.all():
            warnings.warn(
                f"{np.count_nonzero(~held)} of {len(held)} rows are left out: the measurement holds no data of them, for instance "
                "because its transfer function is zero there.",
                stacklevel=2,
            )
        background = None
        if measurement.background is not None and len(measurement.background):
            frames = replace(measurement, values=measurement.background)
            background = np.asarray(frames.rows(index, period), np.complex128)
        if drift:
            _check_drift_frames(measurement)
        of_matrix = None if matrix.noise_std is None else np.asarray(matrix.row_values(matrix.noise_std), float)
        of_data = _noise(measurement, background)
        if of_data is None and of_matrix is not None:
            of_data = of_matrix * np.sqrt(_averages(matrix) / _averages(measurement))
        taken = Rows(
            rows,
            data,
            of_data,
            of_data if of_matrix is None else of_matrix,
            background if drift else None,
            row_labels(matrix),
            np.arange(len(rows)),
            len(rows),
        )
        taken = taken.keep(np.flatnonzero(held))
        return taken.keep(_rows_of_silent_channels_left_out(taken.matrix, taken.data, index.channel[held]))

    def keep(self, rows: np.ndarray) -> "Rows":
        """Some of the rows, by their positions."""
        if np.array_equal(rows, np.arange(len(self.matrix))):
            return self
        names = ("data", "noise_std", "relative_std", "background", "labels", "place")
        parts = {name: getattr(self, name) for name in names}
        kept: dict[str, Any] = {name: None if part is None else part[..., rows] for name, part in parts.items()}
        return replace(self, matrix=self.matrix[rows], **kept)

    def problem(
        self,
        grid: Grid,
        scale: tuple[Scalar, ...],
        row_weights: str | Vector | None,
        drift_components: int,
        comparison: tuple[Comparison, ...],
    ) -> Problem:
        """The problem with its weights and drift."""
        weights = self._weights(row_weights)
        drift, noise = None, self.noise_std
        if drift_components:
            assert self.background is not None
            drift = find_components(self.background, drift_components)
            noise = _noise_beside(self.background, drift, noise)
        scales = jnp.stack([jnp.asarray(s, self.matrix.real.dtype) for s in scale])
        return Problem(self.matrix, self.data, grid, scales, weights, noise, drift, comparison)

    def _weights(self, choice: str | Vector | None) -> Vector | None:
        if choice is None or not isinstance(choice, str):
            check_row_weights(choice, self.asked)
            return choice if choice is None or self.asked == len(self.place) else as_array(choice)[self.place]
        check_choice("row_weights", choice, WEIGHTS)
        if choice == "row_norm":
            return row_norm_weights(self.matrix)
        if self.relative_std is None:
            raise ValueError(
                "row_weights = 'whitening' needs background frames in the matrix or in the measurement; there are none."
            )
        return whitening_weights(self.relative_std)


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
    matrix, found = match_scan(matrix, data, period=data.period_of(matrix.patch, period), check=check, placed=placed)
    spacings = [_bin_width(matrix), _bin_width(data)]
    if check and abs(spacings[0] - spacings[1]) > 1e-3 * abs(spacings[0]):
        raise ValueError(
            f"the matrix's frequencies are {spacings[0]:.6g} Hz apart and the measurement's {spacings[1]:.6g} Hz; they belong "
            "to different sequences."
        )
    return matrix, replace(found, differing=(*found.differing, state)) if state else found


def row_labels(matrix: SystemMatrix) -> np.ndarray:
    """One number for channel and bin of each row (m,)."""
    index = matrix.row_index()
    return np.asarray(index.channel, np.int64) * matrix.n_samples + np.asarray(index.frequency_index)


def unit(matrix: SystemMatrix) -> Scalar:
    """mmol(Fe)/L that one calibration sample per voxel amounts to."""
    return matrix.sample_unit


def _name(value: object) -> str:
    return f"a {type(value).__name__}"


def _rows_of_silent_channels_left_out(matrix: Matrix, data: Matrix, channel: np.ndarray) -> np.ndarray:
    """Positions of the rows to use: those of channels that are not zero in every row, of the matrix or of all frames.

    Raises:
        ValueError: the matrix or the data are zero as a whole.
    """
    everything = np.arange(len(channel))
    if not is_concrete((matrix, data)):
        return everything
    silent: dict[int, str] = {}
    for name, used in (("measurement", np.any(data, axis=0)), ("system matrix", np.any(matrix, axis=1))):
        if not used.any():
            raise ValueError(f"all {used.size} rows of the {name} are zero; nothing can be reconstructed from them.")
        silent |= {int(c): name for c in np.unique(channel) if not used[channel == c].any()}
    for number, name in silent.items():
        warnings.warn(f"channel {number} of the {name} is zero in every row and is left out.", stacklevel=2)
    kept = everything[~np.isin(channel, list(silent))]
    if not len(kept):
        raise ValueError(
            f"no channel has both a matrix and data that are not zero: {', '.join(f'{c} ({n})' for c, n in silent.items())}."
        )
    return kept


def _bin_width(source: SystemMatrix | Measurement) -> float:
    """Frequency per rfft bin [Hz]; NaN where no frequency is known."""
    if not is_concrete((source.frequency_indices, source.frequencies)):
        return np.nan
    bins, frequencies = np.asarray(source.frequency_indices, float), np.asarray(source.frequencies, float)
    known = (bins > 0) & np.isfinite(frequencies)
    return float(np.median(frequencies[known] / bins[known])) if known.any() else np.nan


def _noise(measurement: Measurement, background: np.ndarray | None) -> np.ndarray | None:
    """Standard deviation of the rows of one frame, that of the subtracted mean included."""
    if background is None or len(background) < 2:
        return None
    share = 1 / measurement.averages + (1 / len(background) if measurement.background_corrected else 0)
    return frame_std(background) * np.sqrt(share)


def _noise_beside(background: np.ndarray, drift: np.ndarray, noise: np.ndarray | None) -> np.ndarray | None:
    """What is left of the noise where the background frames' variation along the drift is not counted as such."""
    freedom = len(background) - 1 - drift.shape[1]
    if noise is None or freedom < 1:
        return None
    varying = background - background.mean(0)
    left = varying - (varying @ drift.conj()) @ drift.T
    ratio = np.linalg.norm(left, axis=0) / np.maximum(np.linalg.norm(varying, axis=0), np.finfo(float).tiny)
    return noise * ratio * np.sqrt((len(background) - 1) / freedom)


def _averages(source: SystemMatrix | Measurement) -> float:
    """Averages that the source says each frame is made of; 1 where it says nothing."""
    averages = source.header.averages
    return float(1 if averages is None else averages)


def _check_drift_frames(measurement: Measurement) -> None:
    if measurement.background is None or not len(measurement.background):
        raise ValueError(
            "drift_components needs background frames; give an empty scan, or a measurement that has background frames."
        )
