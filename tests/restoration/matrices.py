"""Small calibrations with smooth rows, some of noise alone, in the unit of receive voltages."""

import numpy as np

import mpijax as mj

UNIT = 1e-9


def smooth_matrix(shape=(12, 10, 1), rows=24, empty=6, seed=0):
    """Rows that are products of low-order cosines (2, rows/2, n); the first ``empty`` ones are zero."""
    rng = np.random.default_rng(seed)
    values = np.zeros((rows, *shape[::-1]), complex)
    for row in values[empty:]:
        weight = rng.normal() + 1j * rng.normal()
        factors = [
            np.cos(rng.uniform(0.3, 1) * 4 * np.linspace(-1, 1, n) + rng.uniform(0, 6)) if n > 1 else [1.0]
            for n in shape[::-1]
        ]
        row[...] = weight * np.einsum("i,j,k->ijk", *factors)
    grid = mj.Grid.create(shape, np.asarray(shape) * 1e-3, (1e-3, 0, 0))
    values = (UNIT * values.reshape(2, rows // 2, grid.size)).astype(np.complex64)
    return mj.SystemMatrix.create(values, np.arange(rows // 2) * 1e3, grid, n_samples=64, bandwidth=32e3)


def noisy(matrix, sigma, frames=0, seed=1):
    """The matrix with noise of complex standard deviation sigma UNIT, and background frames of the same."""
    import jax

    return mj.add_noise(matrix, sigma * UNIT, key=jax.random.key(seed), background_frames=frames)
