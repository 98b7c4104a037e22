"""Restoring with one particle that was fitted to the whole matrix: methods that know which row they are given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpijax.core.typing import Array, Bool, Complex, Float, Int
from mpijax.identification.per_matrix import Guides, Identified, MissingFactsError, facts_of, identify_rows
from mpijax.identification.per_matrix.facts import POINT_SAMPLE, box_sample
from mpijax.identification.per_matrix.identify import NoParticleError
from mpijax.identification.problem import FITTED_TEXT
from mpijax.restoration.guides import Estimator
from mpijax.restoration.method import Method
from mpijax.rows.inpainting import wiener_inpaint
from mpijax.rows.tasks import Task, Upsample
from mpijax.system import Grid, SystemMatrix

FITTED, FITTED_WIENER = "fitted", "fitted + wiener"
"""Names of the methods in reports."""

LEAST_ROWS, LEAST_POWER = 6, 1.3
"""Rows that an identification needs, and their least power over that of the noise."""


@dataclass(frozen=True, eq=False)
class Guided:
    """The identification of a matrix, and the methods that it guides.

    Attributes:
        identified: particle and geometry.
        estimator: of the rows; methods: those that restore with it.
    """

    identified: Identified
    estimator: Estimator
    methods: tuple[Method, ...]


def guided(
    matrix: SystemMatrix,
    task: Task,
    images: Complex[np.ndarray, " m *s"],
    known: Bool[np.ndarray, " *s"],
    sigma: Float[np.ndarray, " m"],
    *,
    dynamics: str,
    progress: Callable[[str], Any],
) -> tuple[Guided | None, str]:
    """Fit one particle to a matrix, and make methods of it; or None, and why not.

    Args:
        matrix: as it was measured; task: what is restored.
        images: its kept rows in any unit, each in its own; known: measured positions.
        sigma: noise of every row in the unit of its image.
        dynamics: see :func:`mpijax.identification.per_matrix.identify_rows`.
        progress: told what is being done.
    """
    values, places = images.reshape(len(images), -1), known.reshape(-1)
    try:
        found, fine = identified_rows(matrix, task, values, places, sigma, dynamics=dynamics, progress=progress)
    except NotIdentifiedError as error:
        return None, f"not identified: {error}"
    shape = task.fine_shape(images.shape[1:])
    laid, at = task.lay_out(images, known)
    laid_out = laid.shape[1:] == shape  # the method is given rows of the fine grid, with gaps or without
    seen = fine if laid_out else observed(fine, task, shape)
    flat, there = laid.reshape(len(laid), -1), np.asarray(at).reshape(-1)
    estimator = Estimator.learned(seen, fine, flat, there, sigma)
    methods = [_method(FITTED, estimator, shape, residual=False)]
    if laid_out:
        methods.append(_method(FITTED_WIENER, estimator, shape, residual=True))
    return Guided(found, estimator, tuple(methods)), found.describe()


class NotIdentifiedError(ValueError):
    """A matrix that no particle can be fitted to; says why."""


def identified_rows(
    matrix: SystemMatrix,
    task: Task,
    values: Complex[np.ndarray, "m n"],
    known: Bool[np.ndarray, " n"],
    sigma: Float[np.ndarray, " m"],
    *,
    dynamics: str,
    progress: Callable[[str], Any],
) -> tuple[Identified, Guides]:
    """Fit one particle to a matrix and simulate its rows on the grid of the answer; arguments as of :func:`guided`.

    Raises:
        NotIdentifiedError: the calibration does not say enough of itself or was restored by a fit, too few rows lie above the
            noise, or no particle can be simulated everywhere.
    """
    if FITTED_TEXT in (matrix.header.restoration or ""):
        raise NotIdentifiedError(
            f"the matrix was restored {FITTED_TEXT}, which another fit would find again; take the measured one"
        )
    try:
        told, coil, bins = facts_of(matrix, _sample(matrix.grid, task))
    except MissingFactsError as error:
        raise NotIdentifiedError(f"the calibration does not say {', '.join(error.missing)}") from None
    power = np.sum(np.abs(values * known) ** 2, axis=1) / np.count_nonzero(known) / sigma**2
    rows = np.flatnonzero(power > LEAST_POWER)
    if len(rows) < LEAST_ROWS:
        raise NotIdentifiedError(f"fewer than {LEAST_ROWS} rows lie well above the noise")
    try:
        found = identify_rows(
            told, values[rows], known, sigma[rows], coil[rows], bins[rows], dynamics=dynamics, progress=progress
        )
    except NoParticleError as error:
        raise NotIdentifiedError(str(error)) from None
    progress("simulating the fitted rows")
    fine = found.guides(coil, bins, np.asarray(task.grid(matrix.grid).positions, np.float32))
    if not np.isfinite(fine.rows).all():
        raise NotIdentifiedError("the fitted rows cannot be simulated at all positions")
    return found, fine


def _sample(grid: Grid, task: Task) -> Float[np.ndarray, "q 3"]:
    """The sample fills the voxel where a grid of block means is made finer; else it is small."""
    if not (isinstance(task, Upsample) and task.sampling != "stride"):
        return POINT_SAMPLE
    x, y, _ = (float(edge) for edge in np.asarray(grid.fov) / grid.shape)
    return box_sample((x, y), 2 if task.scale == 2 else 3)


def _method(name: str, estimator: Estimator, shape: tuple[int, ...], residual: bool) -> Method:
    def of(numbers: Int[np.ndarray, " b"]) -> Callable[..., Array]:
        def apply(rows: Array, known: Array, inside: Array, sigma: Any) -> Array:
            rows, known, sigma = np.asarray(rows), np.asarray(known), np.asarray(sigma)
            values = rows.reshape(len(rows), -1)
            fine, seen = estimator.estimate(numbers, values, known.reshape(-1), sigma)
            result = fine.reshape(-1, *shape)
            if not residual:
                return result
            rest = ((values - seen) * known.reshape(-1)).reshape(rows.shape).astype(np.complex64)
            return result + np.asarray(wiener_inpaint(rest, known, sigma))

        return apply

    return Method(name, _unbound, classical=True, of_rows=of)


def _unbound(rows: Array, known: Array, inside: Array, sigma: Any) -> Array:
    raise TypeError("a method of the rows of one matrix has to be told which rows it is given: Method.at(numbers).")


def observed(fine: Guides, task: Task, shape: tuple[int, ...]) -> Guides:
    """Guides as the measurement sees them."""

    def observe(rows: np.ndarray) -> np.ndarray:
        seen = np.asarray(task.observe(rows.reshape(-1, *shape)))
        return seen.reshape(*rows.shape[:-1], -1)

    return Guides(observe(fine.rows), observe(fine.changes))
