"""One linear inverse problem: equations, grid and unit, made from a system matrix and a measurement."""

from dataclasses import replace
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.byte_order import native
from mpijax.core.checks import check_count
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Complex, Float, Inexact, Matrix, Scalar, Shaped, Vector
from mpijax.reconstruction.compatible import check_compatible
from mpijax.reconstruction.drift import drift_components as find_components
from mpijax.reconstruction.drift import drift_free, orthonormal
from mpijax.reconstruction.equations import Equations
from mpijax.reconstruction.measured_rows import Rows
from mpijax.system import Grid, Measurement, SystemMatrix
from mpijax.system.facts.compare import Comparison, unlike


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
        scan: Measurement | None = None,
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
            scan: whose zeros say which channels of the measurement are left out, where that is a part of a longer scan: all of it,
                background subtracted alike. Then every part has the same rows, and may be zero. None = the measurement itself.

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
        rows = Rows.take(matrix, measurement, empty=empty, period=period, drift=drift, check=check, scan=scan)
        return Problem.of(rows, matrix.grid, (matrix.sample_unit,), row_weights, drift_components, (comparison,))

    @staticmethod
    def of(
        rows: Rows,
        grid: Grid,
        scale: tuple[Scalar, ...],
        row_weights: str | Vector | None,
        drift_components: int,
        comparison: tuple[Comparison, ...],
    ) -> "Problem":
        """The problem of rows that belong together, with its weights and drift."""
        weights = rows.weights(row_weights)
        drift, noise = None, rows.noise_std
        if drift_components:
            assert rows.background is not None
            drift = find_components(rows.background, drift_components)
            noise = _noise_beside(rows.background, drift, noise)
        scales = jnp.stack([jnp.asarray(s, rows.matrix.real.dtype) for s in scale])
        return Problem(rows.matrix, rows.data, grid, scales, weights, noise, drift, comparison)

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


def _noise_beside(background: np.ndarray, drift: np.ndarray, noise: np.ndarray | None) -> np.ndarray | None:
    """What is left of the noise where the background frames' variation along the drift is not counted as such."""
    freedom = len(background) - 1 - drift.shape[1]
    if noise is None or freedom < 1:
        return None
    varying = background - background.mean(0)
    left = varying - (varying @ drift.conj()) @ drift.T
    ratio = np.linalg.norm(left, axis=0) / np.maximum(np.linalg.norm(varying, axis=0), np.finfo(float).tiny)
    return noise * ratio * np.sqrt((len(background) - 1) / freedom)
