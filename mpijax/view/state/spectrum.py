"""Tikhonov's minimizers for every lambda from one decomposition, for a slider to run along.

With M = W A, or its real and imaginary parts above one another for real images, and w, U the eigenvalues and eigenvectors of M M^H
(of M^H M where M has more rows than columns), x(lambda) = B (c / (w + lambda)) with B = M^H U, c = U^H W b (or B = U,
c = U^H M^H W b).
"""

from dataclasses import dataclass

import numpy as np

from mpijax.core.typing import Array, Float, Inexact
from mpijax.reconstruction import Problem

MOST = 2500
"""Order of the matrix that is decomposed, at most: some ten seconds on two cores."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What is kept of one matrix. Make it with :meth:`create`.

    Attributes:
        system: M (r, n).
        values: w (k,); basis: B (n, k); left: maps data W b to c, (k, r).
    """

    system: np.ndarray
    values: np.ndarray
    basis: np.ndarray
    left: np.ndarray

    @staticmethod
    def create(problem: Problem, real: bool) -> "Spectrum | None":
        """Decompose the matrix of a problem; None where that would take too long.

        Memory: the matrix twice, and its order squared.
        """
        equations = problem.equations()
        matrix = np.asarray(equations.matrix)
        if min(len(matrix) * (2 if real else 1), matrix.shape[1]) > MOST:
            return None
        if equations.row_weights is not None:
            matrix = np.asarray(equations.row_weights)[:, None] * matrix
        system = _stacked(matrix) if real else matrix
        wide = system.shape[0] < system.shape[1]
        exact = system.astype(np.result_type(system, np.float64))
        gram = exact @ exact.conj().T if wide else exact.conj().T @ exact
        values, vectors = np.linalg.eigh(gram)
        adjoint = vectors.conj().T.astype(system.dtype)
        basis = system.conj().T @ vectors.astype(system.dtype) if wide else vectors.astype(system.dtype)
        left = adjoint if wide else adjoint @ system.conj().T
        return Spectrum(system, np.maximum(values, 0), basis, left)

    def data(self, problem: Problem) -> Inexact[np.ndarray, "frames r"]:
        """W b of a problem as the decomposition takes it."""
        equations = problem.equations()
        rows = np.asarray(equations.data)
        if equations.row_weights is not None:
            rows = rows * np.asarray(equations.row_weights)
        return rows if np.iscomplexobj(self.system) else _stacked(rows.T).T

    def solve(self, data: Inexact[Array, "frames r"], lam: float) -> Inexact[np.ndarray, "frames n"]:
        """The minimizers for an absolute lambda."""
        tiny = np.finfo(self.system.real.dtype).eps * (self.values[-1] or 1.0)
        shares = (self.left @ np.asarray(data).T) / np.maximum(self.values + lam, tiny)[:, None]
        return (self.basis @ shares.astype(self.system.dtype)).T

    def residual(self, x: Inexact[Array, "frames n"], data: Inexact[Array, "frames r"]) -> Float[np.ndarray, " frames"]:
        """|W (A x - b)| / |W b| of every frame."""
        left = np.linalg.norm(np.asarray(x) @ self.system.T - data, axis=1)
        return left / np.maximum(np.linalg.norm(data, axis=1), np.finfo(float).tiny)


def _stacked(matrix: np.ndarray) -> np.ndarray:
    return np.concatenate([matrix.real, matrix.imag])
