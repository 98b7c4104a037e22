"""Rows of a simulator that is fitted to a whole coarse matrix, beside networks that see one row at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import mpijax as mj
from experiments.support.upsampling import Case, evaluate

FITTED_ROWS = "fitted rows"
"""How reports call :func:`fitted_rows`."""

NOISELESS = 1e-5
"""Noise over the largest entry that the fit is told where there is none."""

TOLD = (
    "What each is told: networks, filters and interpolation one coarse row, some networks its noise level; fitted rows the "
    "geometry of the scan, the noise level and all coarse rows of the matrix."
)
INVERSE_CRIME = (
    "The simulated truth is of the family that the fit searches, an inverse crime: fitted rows are a bound here, not to be "
    "ranked with networks."
)


def fitted_rows(case: Case) -> np.ndarray:
    """Fine rows of one particle and geometry fitted to all coarse rows of a large sample, ``mpijax.restore(method="fitted")``.

    The particle of a plane is in equilibrium; trying Neel rotation as well would take minutes more.

    Raises:
        ValueError: a volume, or a matrix that does not say enough of its scan.
    """
    coarse, sigma = case.sampled("box")
    scale, truth, count = case.task.scale, case.truth, len(case.sigma)
    matrix = truth.with_rows(coarse.reshape(count, -1), truth.grid.coarsen((scale, scale, 1)))
    level = NOISELESS * float(np.abs(coarse).max()) if sigma is None else sigma.reshape(count, -1)[:, 0]
    found = mj.restore(
        matrix,
        "upsample",
        scale=scale,
        sampling="box",
        method="fitted",
        noise_std=level,
        trust=False,
        identify="equilibrium",
    )
    return np.asarray(truth.grid.to_image(found.value.rows())).reshape(case.images.shape)


def evaluate_fitted(
    cases: Sequence[Case], *, keep: int | None = None
) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]], str]:
    """Records and recovered images of :func:`fitted_rows`, as of `evaluate`, and what reports say of them.

    Where the matrices do not allow a fit there are none, and the text says why; without cases it is empty.
    """
    if not cases:
        return [], {}, ""
    try:
        records, recovered = evaluate(list(cases), {FITTED_ROWS: fitted_rows}, keep=keep)
    except ValueError as error:
        return [], {}, f"not possible: {error}"
    crime = [] if cases[0].measured else [INVERSE_CRIME]
    return records, recovered, " ".join([TOLD, *crime, f"Matrices fitted: the first {len(cases)}."])


def with_refusal(table: list[dict[str, Any]], said: str) -> list[dict[str, Any]]:
    """A table of methods, with a line that says why there are no fitted rows where they were asked for."""
    if not said or any(row["method"] == FITTED_ROWS for row in table):
        return table
    return [*table, dict.fromkeys(table[0], "-") | {"method": f"{FITTED_ROWS}, {said}"}]
