"""A drifting background as a few extra unknowns of the reconstruction."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count, check_finite
from mpijax.core.typing import Array, Complex, Inexact


def drift_components(background: Inexact[Array, "..."], count: int) -> Complex[np.ndarray, "m q"]:
    """The directions in which the background changes most: principal components of its frames.

    The leading right singular vectors of the frames minus their mean, as columns. The mean itself is not among them:
    subtract it, or it stays in the image.

    Args:
        background: background frames restricted to the matrix's rows, complex (e, m).
        count: number of components q, at most e - 1 and below m.

    Returns:
        Orthonormal columns D (m, q), strongest first.

    Raises:
        ValueError: NaN, too few frames for so many components, or frames that vary in fewer directions.

    Source: T. Knopp et al., Efficient joint estimation of tracer distribution and background signals in MPI, arXiv:2006.05741
        (2021).
    """
    check_count("drift_components", count)
    if np.ndim(background) != 2:
        raise ValueError(f"background has shape {np.shape(background)}; expected (frames, rows).")
    frames, rows = np.shape(background)
    if count > frames - 1 or count >= rows:
        raise ValueError(
            f"drift_components = {count} with {frames} background frames of {rows} rows; at most "
            f"{max(0, min(frames, rows) - 1)} can be found."
        )
    check_finite("the background", background)
    exact = np.asarray(background, np.complex128)
    _, sizes, directions = np.linalg.svd(exact - exact.mean(0), full_matrices=False)
    if sizes[count - 1] <= np.finfo(np.asarray(background).dtype).eps * np.linalg.norm(exact):
        raise ValueError(
            f"drift_components = {count}, but the background frames vary in fewer directions; ask for fewer."
        )
    return directions[:count].T


def drift_free(
    matrix: Complex[Array, "m n"], data: Complex[Array, "frames m"], basis: Complex[Array, "m q"]
) -> tuple[Complex[jax.Array, "m n"], Complex[jax.Array, "frames m"]]:
    """Equations without the drift: P A and P b with P = I - Q Q^H, where Q spans the columns of ``basis``.

    min over c of |A x + D c - b| = |P (A x - b)| for every x, since the best D c is the projection of b - A x onto the
    columns of D. Solving with P A and P b therefore gives the image of the extended problem [A D] (x; c) = b with
    coefficients c that are not regularized, whatever the solver and its constraints on x. With row weights, weigh
    matrix, data and basis first.

    Args:
        matrix: A (m, n), weighted.
        data: b (frames, m), weighted.
        basis: orthonormal columns Q (m, q), see ``orthonormal``.
    """
    matrix, data = jnp.asarray(matrix), jnp.asarray(data)
    basis = jnp.asarray(basis, matrix.dtype)

    def project(columns: Any) -> Any:
        return columns - _matmul(basis, _matmul(basis.conj().T, columns))

    return project(matrix), project(data.T).T


def orthonormal(columns: Inexact[Array, "m q"]) -> Complex[np.ndarray, "m r"]:
    """Orthonormal columns that span the same space; columns that depend on the others are left out."""
    vectors, sizes, _ = np.linalg.svd(np.asarray(columns, np.complex128), full_matrices=False)
    return vectors[:, sizes > 1e-12 * sizes.max(initial=0)]


def _matmul(left: Any, right: Any) -> Any:
    return jnp.matmul(left, right, precision="highest")
