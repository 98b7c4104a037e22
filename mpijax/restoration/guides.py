"""Rows estimated from the simulated rows of one fitted particle: linear least squares whose prior the matrix itself teaches.

A row is y = g (s + sum_k c_k d_k) + noise, s the fitted row, d_k what it changes by with every number of the fit and with other
sizes, g its factor. The coefficients of all rows have the same variances, real and imaginary part (in the phase of g) apart; they
are those under which the measured rows are most probable. Where the fit explains the rows they vanish, and every row is left with
one complex number.
"""

from dataclasses import dataclass, replace

import numpy as np

from mpijax.core.typing import Bool, Complex, Float, Int
from mpijax.identification.per_matrix import Guides

ROUNDS = 40
"""Of the search for the variances."""

FIRST = 0.1
"""Standard deviation of a coefficient that the search starts from: a tenth of the prior of the fit."""

LEAST, TINY = 1e-12, 1e-30
"""Least variance, and what keeps the factor of a row that is not simulated finite."""

TEACHERS = 200
"""Most rows that the variances are found from, the strongest over their noise."""


@dataclass(frozen=True, eq=False)
class Estimator:
    """Linear estimates c = (A^H A/sigma^2 + 1/v)^-1 A^H y/sigma^2 of the rows of one matrix, with real coefficients c.

    Attributes:
        seen: guides where rows are measured; fine: where the answer is wanted.
        factor: complex, fitted row to measured one (m,).
        variances: v (a,), of s, d_k, i s, i d_k.
    """

    seen: Guides
    fine: Guides
    factor: Complex[np.ndarray, " m"]
    variances: Float[np.ndarray, " a"]

    @staticmethod
    def learned(
        seen: Guides,
        fine: Guides,
        values: Complex[np.ndarray, "m n"],
        known: Bool[np.ndarray, " n"],
        sigma: Float[np.ndarray, " m"],
    ) -> "Estimator":
        """The estimator whose variances explain the rows best.

        Args:
            seen, fine: guides.
            values: measured rows; known: which of their positions were measured.
            sigma: complex standard deviation of the noise of every row (m,).
        """
        rows = seen.rows * known
        factor = np.sum(np.conj(rows) * values, axis=1) / (np.sum(np.abs(rows) ** 2, axis=1) + TINY)
        one = Estimator(seen, fine, factor, np.ones(2 + 2 * len(seen.changes)))
        power = np.sum(np.abs(values * known) ** 2, axis=1) / sigma**2
        teachers = np.argsort(-power, kind="stable")[:TEACHERS]
        equations = [one._equations(int(row), values[row], known, sigma[row]) for row in teachers]
        normal, right = (np.stack(each) for each in zip(*equations, strict=True))
        return replace(one, variances=_variances(normal, right))

    def estimate(
        self,
        numbers: Int[np.ndarray, " b"],
        values: Complex[np.ndarray, "b n"],
        known: Bool[np.ndarray, " n"],
        sigma: Float[np.ndarray, " b"],
    ) -> tuple[Complex[np.ndarray, "b k"], Complex[np.ndarray, "b n"]]:
        """Rows ``numbers`` of the matrix, where the answer is wanted, and where they are measured."""
        fine, seen = [], []
        for row, measured, noise in zip(numbers.tolist(), values, sigma, strict=True):
            normal, right = self._equations(row, measured, known, noise)
            found = np.linalg.solve(normal + np.diag(1 / self.variances), right)
            fine.append(found @ self._basis(self.fine, row))
            seen.append(fine[-1] if self.fine is self.seen else found @ self._basis(self.seen, row))
        return np.stack(fine).astype(np.complex64), np.stack(seen).astype(np.complex64)

    def _basis(self, guides: Guides, row: int) -> Complex[np.ndarray, "a n"]:
        whole = np.concatenate([guides.rows[row][None], guides.changes[:, row]]) * self.factor[row]
        return np.concatenate([whole, 1j * whole])

    def _equations(
        self, row: int, values: np.ndarray, known: np.ndarray, sigma: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Normal equations of the real coefficients of a row."""
        basis = (self._basis(self.seen, row) * known).astype(np.complex128) / sigma
        return 2 * np.real(basis.conj() @ basis.T), 2 * np.real(basis.conj() @ values) / sigma


def _variances(normal: Float[np.ndarray, "m a a"], right: Float[np.ndarray, "m a"]) -> Float[np.ndarray, " a"]:
    """Variances that maximize the evidence of all rows.

    v_k = sum_r c_rk^2 / (sum_r (1 - C_rkk/v_k) + 2), the 2 from a prior that prefers small ones, uniform in 1/v: without a need
    they vanish. Those of the fitted row itself, of any factor, stay one.

    Source: D. MacKay, Neural Comput. 4 (1992) 415.
    """
    size = normal.shape[-1]
    factors = [0, size // 2]
    variances = np.full(size, FIRST**2)
    variances[factors] = 1.0
    for _ in range(ROUNDS):
        covariance = np.linalg.inv(normal + np.diag(1 / variances))
        mean = np.einsum("mab,mb->ma", covariance, right)
        kept = np.sum(1 - np.einsum("maa->ma", covariance) / variances, axis=0)
        moved = np.sum(mean**2, axis=0) / (np.maximum(kept, 0) + 2)
        # half a step: whole ones go back and forth between coefficients that stand for each other
        new = np.maximum(np.sqrt(variances * moved), LEAST)
        new[factors] = 1.0
        done = np.max(np.abs(np.log(new / variances))) < 0.02
        variances = new
        if done:
            break
    return variances
