"""Which restoration of a matrix is believed: the one that does best on all rows, unless a row speaks against it.

Stein's estimate of a single row is as noisy as the difference of two good methods. Summed over the rows of a matrix it is not:
where one particle explains a matrix, its rows are explained together.
"""

import numpy as np

from mpijax.core.typing import Complex, Float

POOLED = 128
"""About how many rows the first choice is made on."""

DOUBT = 3.5
"""Standard deviations of the difference of two estimates by which a row must speak for another method."""


def doubt(
    difference: Complex[np.ndarray, " b *t"], sigma: Float[np.ndarray, " b"], hidden: float | None
) -> Float[np.ndarray, " b"]:
    """By how much the estimate of another method must be lower than that of the first choice, in units of sigma^2.

    Estimates f - g apart differ by 2 Re<n, f - g>/sigma^2 from what they estimate, n the noise: standard deviation sqrt(2) |f -
    g|/sigma over the voxels that count.

    Args:
        difference: of the two restorations, on the grid of the answer.
        sigma: complex standard deviation of the noise.
        hidden: share of the voxels that the estimates are from, where it is not all of them.
    """
    power = np.sum(np.abs(difference.reshape(len(difference), -1)) ** 2, axis=1)
    return np.asarray(DOUBT * np.sqrt(2 * power * (1.0 if hidden is None else hidden)) / sigma)
