"""Methods that restore the rows of a matrix together: they are told the whole matrix and what it records of its scan."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mpijax.core.typing import Complex, Float
from mpijax.identification import fitted_rows
from mpijax.restoration.guided import identified_rows, observed
from mpijax.restoration.guides import Estimator
from mpijax.restoration.method import Method, Together
from mpijax.rows.tasks import Task
from mpijax.system import SystemMatrix


def fitted(
    matrix: SystemMatrix,
    task: Task,
    sigma: Float[np.ndarray, " m"],
    *,
    dynamics: str = "auto",
    progress: Callable[[str], Any] = lambda text: None,
) -> Together:
    """Fine rows of a field-free line, or of a field-free point, that is fitted to all kept rows.

    Args:
        matrix: coarse; task: upsampling.
        sigma: complex standard deviation of the kept rows' noise [unit of the values].
        dynamics: of the particles of a field-free point, see :func:`mpijax.identification.identify_rows`.
        progress: told what is being done.

    Raises:
        ValueError: what the fit needs is not recorded, or a volume.
    """
    if matrix.angles is not None:
        return _line(matrix, task, sigma)
    return _point(matrix, task, sigma, dynamics, progress)


def _point(
    matrix: SystemMatrix, task: Task, sigma: Float[np.ndarray, " m"], dynamics: str, progress: Callable[[str], Any]
) -> Together:
    """Rows of one particle, corrected by what they change by with its numbers (:mod:`mpijax.restoration.guides`)."""
    nx, ny, nz = matrix.grid.shape
    if nz > 1:
        raise ValueError(
            f"method = fitted upsamples planes and field-free lines; this grid has {nx} x {ny} x {nz} voxels. Take spline or "
            "bicubic."
        )
    values = np.asarray(matrix.rows())
    known, shape = np.ones(values.shape[1], bool), task.fine_shape((ny, nx))
    found, fine = identified_rows(matrix, task, values, known, sigma, dynamics=dynamics, progress=progress)
    estimator = Estimator.learned(observed(fine, task, shape), fine, values, known, sigma)
    everything = np.arange(len(values))
    rows, seen = estimator.estimate(everything, values, known, sigma)
    residual = np.sum(np.abs(values - seen) ** 2, axis=1, dtype=np.float64)
    return Together(rows, np.asarray(residual), estimator.divergence(everything, values, sigma), found.describe())


def _line(matrix: SystemMatrix, task: Task, sigma: Float[np.ndarray, " m"]) -> Together:
    """Fine rows of a field-free line that is fitted to all kept rows, see :func:`mpijax.identification.fitted_rows`.

    Args:
        matrix: coarse, of a rotated field-free line.
        task: upsampling.
        sigma: complex standard deviation of the kept rows' noise [unit of the values]; rows that are zero do not count.
    """
    kept = np.ones(matrix.values.shape[:2], bool) if matrix.row_mask is None else np.asarray(matrix.row_mask)
    level = np.zeros(kept.shape)
    level[kept] = sigma
    counted = kept & np.any(np.asarray(matrix.values) != 0, axis=-1)
    options: Any = task
    found = fitted_rows(
        replace(matrix, row_mask=counted, background=None, snr=None),
        options.scale,
        sampling=options.sampling or "box",
        sigma=level,
    )
    residual = found.misfit[kept] * matrix.grid.size * sigma**2
    rows = np.asarray(found.system_matrix.values)[kept]
    return Together(rows, residual, 2 * found.freedom[kept], found.describe())


def _alone(*_: Any) -> Complex[np.ndarray, " b *t"]:
    raise ValueError("method = fitted restores the rows of a matrix together; give mpijax.restore a SystemMatrix.")


WHOLE: Mapping[tuple[str, str], Method] = {("upsample", "fitted"): Method("fitted", _alone, whole=fitted)}
"""Task and name -> method."""
