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
"""Standard deviation of a coefficient that the search starts from."""

LEAST, TINY = 1e-12, 1e-30
"""Least variance, and least modulus."""

WEAKEST = 0.01
"""Least power of a row's signal over that of its noise that guides are scaled to."""

NOTHING = 1e-10
"""Power of a guide, over that of the strongest, that is nothing but rounding."""

TEACHERS = 200
"""Most rows that the variances are found from, the strongest over their noise."""


@dataclass(frozen=True, eq=False)
class Estimator:
    """Linear estimates c = (A^H A/sigma^2 + 1/v)^-1 A^H y/sigma^2 of the rows of one matrix, with real coefficients c.

    Attributes:
        seen: guides where rows are measured; fine: where the answer is wanted. Both are in the phase of the fitted row, and every
            guide has the root mean square of the row's signal.
        gram: of the guides of every row over the positions ``known``, (m, g, g).
        variances: v (2 g,), of s, d_k, i s, i d_k.
    """

    seen: Complex[np.ndarray, "m g n"]
    fine: Complex[np.ndarray, "m g k"]
    known: Bool[np.ndarray, " n"]
    gram: Complex[np.ndarray, "m g g"]
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
        signal = np.mean(np.abs(values[:, known]) ** 2, axis=1) - sigma**2
        scale = _scale(seen, values, known) * np.sqrt(np.maximum(signal, WEAKEST * sigma**2))[:, None]
        bases = [_basis(guides, scale) for guides in ((seen,) if fine is seen else (seen, fine))]
        one = Estimator(bases[0], bases[-1], known, _gram(bases[0], known), np.ones(2 * bases[0].shape[1]))
        power = np.sum(np.abs(values * known) ** 2, axis=1) / sigma**2
        teachers = np.argsort(-power, kind="stable")[:TEACHERS]
        equations = one._equations(teachers, values[teachers], known, sigma[teachers])
        return replace(one, variances=_variances(*equations))

    def estimate(
        self,
        numbers: Int[np.ndarray, " b"],
        values: Complex[np.ndarray, "b n"],
        known: Bool[np.ndarray, " n"],
        sigma: Float[np.ndarray, " b"],
    ) -> tuple[Complex[np.ndarray, "b k"], Complex[np.ndarray, "b n"]]:
        """Rows ``numbers`` of the matrix, where the answer is wanted, and where they are measured."""
        normal, right = self._equations(numbers, values, known, sigma)
        found = np.linalg.solve(normal + np.diag(1 / self.variances), right[..., None])[..., 0]
        size = found.shape[1] // 2
        weights = (found[:, :size] + 1j * found[:, size:]).astype(np.complex64)[:, None]
        fine = (weights @ self.fine[numbers])[:, 0]
        return fine, fine if self.fine is self.seen else (weights @ self.seen[numbers])[:, 0]

    def told(
        self,
        numbers: Int[np.ndarray, " b"],
        values: Complex[np.ndarray, "b n"],
        known: Bool[np.ndarray, " n"],
        sigma: Float[np.ndarray, " b"],
    ) -> Float[np.ndarray, "b n t"]:
        """What a network is told of rows ``numbers``, on the grid that they are measured on, in their unit.

        Real and imaginary parts of the estimate L and of the fitted row with one factor, the standard deviation that is expected of
        L, and root mean squares of what L leaves beyond the noise, of the row and of all that are given (over their noise, times
        this one's).

        Source: this project; what :class:`mpijax.models.guided_unet.GuidedUNet` takes.
        """
        estimate = self.estimate(numbers, values, known, sigma)[1]
        covariance = self._covariance(self._equations(numbers, values, known, sigma)[0])
        size = covariance.shape[1] // 2
        mixed = covariance[:, size:, :size]
        moments = covariance[:, :size, :size] + covariance[:, size:, size:] + 1j * (mixed - mixed.swapaxes(1, 2))
        basis = self.seen[numbers]
        spread = np.einsum("bkn,bkl,bln->bn", basis, moments, np.conj(basis), optimize=True).real
        row = basis[:, 0]
        power = np.sum(np.abs(row * known) ** 2, axis=1)
        fitted = (np.sum(np.conj(row) * values * known, axis=1) / np.maximum(power, TINY))[:, None] * row
        residual = np.sum(np.abs((values - estimate) * known) ** 2, axis=1, dtype=np.float64)
        kept = self._kept(covariance)
        left = (residual / np.asarray(sigma, float) ** 2 + kept) / np.count_nonzero(known) - 1
        beyond = np.sqrt(np.maximum([left, np.full(len(left), left.mean())], 0)) * sigma
        told = [estimate.real, estimate.imag, fitted.real, fitted.imag, np.sqrt(np.maximum(spread, 0))]
        told += [np.broadcast_to(each[:, None], spread.shape) for each in beyond]
        return np.stack(told, -1).astype(np.float32)

    def divergence(
        self, numbers: Int[np.ndarray, " b"], values: Complex[np.ndarray, "b n"], sigma: Float[np.ndarray, " b"]
    ) -> Float[np.ndarray, " b"]:
        """Trace of what estimates rows at their measured positions, sum_k (1 - C_kk/v_k), C the covariance of c."""
        return self._kept(self._covariance(self._equations(numbers, values, self.known, sigma)[0]))

    def _covariance(self, normal: Float[np.ndarray, "b a a"]) -> Float[np.ndarray, "b a a"]:
        return np.linalg.inv(normal + np.diag(1 / self.variances))

    def _kept(self, covariance: Float[np.ndarray, "b a a"]) -> Float[np.ndarray, " b"]:
        """Sum_k (1 - C_kk/v_k)."""
        return np.asarray(np.sum(1 - np.einsum("bkk->bk", covariance) / self.variances, axis=1))

    def _equations(
        self, numbers: np.ndarray, values: np.ndarray, known: np.ndarray, sigma: np.ndarray
    ) -> tuple[Float[np.ndarray, "b a a"], Float[np.ndarray, "b a"]]:
        """Normal equations of the real coefficients of rows: with basis b, i b they are made of Re and Im of b^H b."""
        same = np.array_equal(known, self.known)
        gram = (self.gram[numbers] if same else _gram(self.seen[numbers], known)).astype(np.complex128)
        power = np.asarray(sigma, float)[:, None] ** 2
        onto = (np.conj(self.seen[numbers]) @ (values * known)[..., None])[..., 0].astype(np.complex128) / power
        real, imaginary = gram.real, gram.imag
        upper, lower = np.concatenate([real, -imaginary], 2), np.concatenate([imaginary, real], 2)
        normal = 2 * np.concatenate([upper, lower], 1) / power[..., None]
        return normal, 2 * np.concatenate([onto.real, onto.imag], 1)


def _scale(
    guides: Guides, values: Complex[np.ndarray, "m n"], known: Bool[np.ndarray, " n"]
) -> Complex[np.ndarray, "m g"]:
    """What gives every guide a root mean square of one, and the phase of the fitted row's factor."""
    product = np.sum(np.conj(guides.rows) * values * known, axis=1)
    phase = np.where(np.abs(product) > 0, product / np.maximum(np.abs(product), TINY), 1)
    power = [np.mean(np.abs(each[:, known]) ** 2, axis=1) for each in (guides.rows, *guides.changes)]
    largest = max(float(each.max()) for each in power)
    return (phase / np.sqrt(np.stack(power) + NOTHING * largest)).T


def _basis(guides: Guides, scale: Complex[np.ndarray, "m g"]) -> Complex[np.ndarray, "m g n"]:
    """The guides of every row in its unit and phase."""
    whole = np.concatenate([guides.rows[None], guides.changes]).swapaxes(0, 1)
    return (whole * scale[..., None]).astype(np.complex64)


def _gram(basis: Complex[np.ndarray, "m g n"], known: Bool[np.ndarray, " n"]) -> Complex[np.ndarray, "m g g"]:
    seen = basis if known.all() else basis * known
    return np.conj(seen) @ seen.swapaxes(1, 2)


def _variances(normal: Float[np.ndarray, "m a a"], right: Float[np.ndarray, "m a"]) -> Float[np.ndarray, " a"]:
    """Variances that maximize the evidence of all rows.

    v_k = sum_r c_rk^2 / (sum_r (1 - C_rkk/v_k) + 1/2), the half from a prior that prefers small ones: without a need they vanish.
    Those of the fitted row itself, of any factor, stay one.

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
        moved = np.sum(mean**2, axis=0) / (np.maximum(kept, 0) + 0.5)
        # half a step: whole ones go back and forth between coefficients that stand for each other
        new = np.maximum(np.sqrt(variances * moved), LEAST)
        new[factors] = 1.0
        done = np.max(np.abs(np.log(new / variances))) < 0.02
        variances = new
        if done:
            break
    return variances
