"""The rows that a system matrix and a measurement share, with their noise."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.byte_order import native
from mpijax.core.checks import check_choice, check_finite, is_concrete
from mpijax.core.frames import frame_std
from mpijax.core.typing import Matrix, Vector
from mpijax.reconstruction.inputs import check_data, check_row_weights
from mpijax.reconstruction.weights import row_norm_weights, whitening_weights
from mpijax.system import Measurement, SystemMatrix
from mpijax.system.leaves import as_array

WEIGHTS = ("row_norm", "whitening")


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
        scan: Measurement | None = None,
    ) -> "Rows":
        """Subtract the background and take the rows of matching sides; see :meth:`Problem.create`."""
        if empty is not None:
            if not isinstance(empty, Measurement):
                raise TypeError(f"empty is a {type(empty).__name__}; expected a Measurement, the empty scan.")
            measurement = measurement.subtract_background(empty, check=check)
        elif drift and not measurement.background_corrected:
            _check_drift_frames(measurement)
            measurement = measurement.subtract_background()
        index = matrix.row_index()
        if not len(index.channel):
            raise ValueError("the matrix keeps no rows; select fewer restrictions.")
        rows, data = _in_working_precision(matrix.rows()), jnp.asarray(native(measurement.rows(index, period)))
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
        heard = taken.data if scan is None else scan.rows(index, period)[:, held]
        return taken.keep(_rows_of_silent_channels_left_out(taken.matrix, heard, index.channel[held]))

    def keep(self, rows: np.ndarray) -> "Rows":
        """Some of the rows, by their positions."""
        if np.array_equal(rows, np.arange(len(self.matrix))):
            return self
        names = ("data", "noise_std", "relative_std", "background", "labels", "place")
        parts = {name: getattr(self, name) for name in names}
        kept: dict[str, Any] = {name: None if part is None else part[..., rows] for name, part in parts.items()}
        return replace(self, matrix=self.matrix[rows], **kept)

    def weights(self, choice: str | Vector | None) -> Vector | None:
        """Weights by name or given (m,); see :meth:`mpijax.reconstruction.problem.Problem.create`."""
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


def _in_working_precision(matrix: Matrix) -> Matrix:
    """In the precision that jax works in; on the host if it lies there, because it can be larger than one device."""
    if not isinstance(matrix, np.ndarray):
        return jnp.asarray(matrix)
    return native(matrix).astype(jax.dtypes.canonicalize_dtype(matrix.dtype), copy=False)


def row_labels(matrix: SystemMatrix) -> np.ndarray:
    """One number for channel and bin of each row (m,)."""
    index = matrix.row_index()
    return np.asarray(index.channel, np.int64) * matrix.n_samples + np.asarray(index.frequency_index)


def _rows_of_silent_channels_left_out(matrix: Matrix, data: Matrix, channel: np.ndarray) -> np.ndarray:
    """Positions of the rows to use: those of channels that are not zero in every row, of the matrix or of all frames.

    Raises:
        ValueError: the matrix or the data are zero as a whole.
    """
    everything = np.arange(len(channel))
    if not is_concrete((matrix, data)):
        return everything
    silent: dict[int, str] = {}
    matrix, data = np.asarray(matrix), np.asarray(data)  # on the host, where nothing is compiled
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


def _noise(measurement: Measurement, background: np.ndarray | None) -> np.ndarray | None:
    """Standard deviation of the rows of one frame, that of the subtracted mean included."""
    if background is None or len(background) < 2:
        return None
    share = 1 / measurement.averages + (1 / len(background) if measurement.background_corrected else 0)
    return frame_std(background) * np.sqrt(share)


def _averages(source: SystemMatrix | Measurement) -> float:
    """Averages that the source says each frame is made of; 1 where it says nothing."""
    averages = source.header.averages
    return float(1 if averages is None else averages)


def _check_drift_frames(measurement: Measurement) -> None:
    if measurement.background is None or not len(measurement.background):
        raise ValueError(
            "drift_components needs background frames; give an empty scan, or a measurement that has background frames."
        )
