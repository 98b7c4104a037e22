"""The slow manifold of Neel rotation: a linear scalar equation for the moment along the axis, NumPy, float64.

Everything but the exchange between the two wells decays within tau, some 20 ns. With time in units of 2 tau, the field
xi = u n + v e in the frame of the easy axis n and of the transverse field's direction e, b = n x e, and A the operator of
:mod:`mpijax.physics.dynamics.operators` without a_00, the density is to first order in the field's rate xi'

    a = e + c phi + sum_i xi'_i (g0_i + c g1_i),     m_z(phi) = 1, m_z(g) = 0,     i = u, v, b,
    c' = -lambda c + sum_i (S_i + c s1_i) xi'_i,     m_z = e_z + c  exactly,

with e the equilibrium. phi is found by iterating the bordered system

    [A, -phi_k; m_z, 0] [phi_{k+1}; mu] = [0; 1],   lambda = -mu,

from the unit dipole, twice without precession and once with it: for any phi of this form the density is exact to first order
where everything follows the field, so nothing has to tell fields with a barrier from those without, and alpha = 0 works. The
rates follow from the same matrix, with the rate of e (its covariances with m_i, by quadrature: A^-1 is as bad as exp(alpha)) and
of phi on the right-hand side.

Source: equations derived here; cf. W. T. Coffey and Y. P. Kalmykov, The Langevin Equation (2012), chapter 1.15 (relaxation modes).
"""

import numpy as np

from mpijax.physics.dynamics.operators import DIPOLE, Harmonics, matrices, operators

QUANTITIES = (
    "rate", "s_u", "s_v", "s_b", "s1_u", "s1_v", "s1_b", "e_z", "e_x", "phi_x", "phi_y",
    "g0_ux", "g0_uy", "g0_vx", "g0_vy", "g0_bx", "g0_by", "g1_ux", "g1_uy", "g1_vx", "g1_vy", "g1_bx", "g1_by",
)  # fmt: skip
"""What :func:`slow_manifold` returns of each field, dimensionless."""

LEAST_V = 1e-4
"""Transverse field in place of zero, where the direction b of a turn has no meaning."""


def slow_manifold(
    u: np.ndarray, v: np.ndarray, alpha: float, degree: int, order: int, damping: float = np.inf
) -> np.ndarray:
    """:data:`QUANTITIES` of fields (p,), (p, 23).

    Args:
        u: along the axis, reduced.
        v: across it, >= 0.
        alpha: reduced anisotropy K V/(kB T).
        degree: L; order: M of the harmonics.
        damping: a; infinite = no precession.
    """
    v = np.maximum(v, LEAST_V)
    basis = Harmonics.create(degree, order)
    places = basis.places()
    mz, mx, my = (places[1, m] - 1 for m in (0, 1, -1))
    parts = {name: part[1:, 1:] for name, part in operators(degree, order, damping).items()}
    still = {name: part[1:, 1:] for name, part in operators(degree, order).items()}
    cosines = np.flatnonzero(basis.orders[1:] >= 0)
    turn = parts["turn"]

    e, e_u, e_v = _equilibrium(u, v, alpha, basis)
    e_b = (e @ turn.T) / v[:, None]

    # phi without precession: cosines alone
    slow = _Bordered(still, basis, u, v, alpha, cosines)
    phi = np.zeros((len(u), len(cosines)))
    phi[:, np.flatnonzero(cosines == mz)] = 1 / DIPOLE
    rates = np.zeros((2, *phi.shape))
    for _ in range(2):
        phi, rates, _ = slow.iterate(phi, rates)
    full = np.zeros((len(u), len(basis.degrees) - 1))
    full[:, cosines] = phi
    full_rates = np.zeros((2, *full.shape))
    full_rates[:, :, cosines] = rates

    fast = _Bordered(parts, basis, u, v, alpha, np.arange(len(basis.degrees) - 1))
    phi, (phi_u, phi_v), mu = fast.iterate(full, full_rates)
    phi_b = (phi @ turn.T) / v[:, None]
    g, s = fast.solve(full, np.stack([e_u, e_v, e_b, phi_u, phi_v, phi_b], -1))
    found = [-mu, *s.T, e[:, mz] * DIPOLE, e[:, mx] * DIPOLE, phi[:, mx] * DIPOLE, phi[:, my] * DIPOLE]
    found += [g[:, where, i] * DIPOLE for i in range(6) for where in (mx, my)]
    return np.stack(found, -1)


class _Bordered:
    """The bordered systems of many fields, block by block in m, eliminated from the largest m to zero."""

    def __init__(
        self,
        parts: dict[str, np.ndarray],
        basis: Harmonics,
        u: np.ndarray,
        v: np.ndarray,
        alpha: float,
        use: np.ndarray,
    ):
        self.along, self.across = parts["z"][np.ix_(use, use)], parts["x"][np.ix_(use, use)]
        rest = (parts["rest"] + alpha * parts["alpha"])[np.ix_(use, use)]
        m = np.abs(basis.orders[1:][use])
        self.blocks = [np.flatnonzero(m == k) for k in range(m.max() + 1)]
        self.v = v[:, None, None]
        self.inverse: list[np.ndarray] = []
        schur = None
        for k in range(len(self.blocks) - 1, -1, -1):
            here = np.ix_(self.blocks[k], self.blocks[k])
            diagonal = rest[here] + u[:, None, None] * self.along[here]
            if schur is not None:
                up, down = self._coupling(k, k + 1), self._coupling(k + 1, k)
                diagonal = diagonal - self.v**2 * (up @ (self.inverse[0] @ down))
            schur = diagonal
            if k:
                self.inverse.insert(0, np.linalg.inv(schur))
        self.core = schur
        self.dipole = int(np.flatnonzero((basis.degrees[1:][use] == 1) & (basis.orders[1:][use] == 0))[0])

    def _coupling(self, k: int, other: int) -> np.ndarray:
        return self.across[np.ix_(self.blocks[k], self.blocks[other])]

    def solve(self, border: np.ndarray, right: np.ndarray, value: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """[A, -border; m_z, 0] [x; mu] = [right; value] for border (p, n) and right-hand sides (p, n, k)."""
        columns = np.concatenate([right, border[:, :, None]], -1)
        reduced: list[np.ndarray] = [columns[:, block] for block in self.blocks]
        for k in range(len(self.blocks) - 1, 0, -1):
            reduced[k - 1] = reduced[k - 1] - self.v * (self._coupling(k - 1, k) @ (self.inverse[k - 1] @ reduced[k]))
        size, sides = len(self.blocks[0]), right.shape[-1]
        core = np.zeros((len(right), size + 1, size + 1))
        core[:, :size, :size], core[:, :size, size] = self.core, -reduced[0][..., -1]
        core[:, size, np.flatnonzero(self.blocks[0] == self.dipole)] = DIPOLE
        rhs = np.full((len(right), size + 1, sides), value)
        rhs[:, :size] = reduced[0][..., :-1]
        top = np.linalg.solve(core, rhs)
        mu = top[:, size]
        found = np.zeros_like(right)
        found[:, self.blocks[0]] = previous = top[:, :size]
        for k in range(1, len(self.blocks)):
            driven = reduced[k][..., :-1] + reduced[k][..., -1:] * mu[:, None]
            previous = self.inverse[k - 1] @ (driven - self.v * (self._coupling(k, k - 1) @ previous))
            found[:, self.blocks[k]] = previous
        return found, mu

    def iterate(self, phi: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The next phi (p, n), its rates along u and v (2, p, n), and mu (p,)."""
        found, mu = self.solve(phi, np.zeros((*phi.shape, 1)), 1.0)
        found, mu = found[..., 0], mu[:, 0]
        moved = [found @ part.T for part in (self.along, self.across)]
        right = np.stack([mu[:, None] * rate - shift for rate, shift in zip(rates, moved, strict=True)], -1)
        return found, np.moveaxis(self.solve(phi, right)[0], -1, 0), mu


def _equilibrium(u: np.ndarray, v: np.ndarray, alpha: float, basis: Harmonics) -> tuple[np.ndarray, ...]:
    """Harmonics of the density exp(u x + v m_x + alpha x^2) without a_00, and their derivatives by u and v (p, n) each."""
    wide = Harmonics.create(basis.degree + 1, min(basis.order + 1, basis.degree + 1))
    x, weights = np.polynomial.legendre.leggauss(2 * basis.degree + 24)
    angles = np.arange(41) * np.pi / 40
    trapezoid = np.where((angles == 0) | (np.arange(41) == 40), 0.5, 1.0) / 40
    s = np.sqrt(1 - x * x)
    exponent = u[:, None, None] * x[:, None] + v[:, None, None] * s[:, None] * np.cos(angles) + alpha * x[:, None] ** 2
    density = np.exp(exponent - exponent.max(axis=(1, 2), keepdims=True)) * weights[:, None] * trapezoid
    density /= density.sum(axis=(1, 2), keepdims=True)
    around = density @ np.cos(np.outer(angles, np.arange(wide.order + 1)))  # (p, x, m)
    a = np.zeros((len(u), len(wide.degrees)))
    for m in range(wide.order + 1):
        chosen = np.flatnonzero(wide.orders == m)
        a[:, chosen] = around[:, :, m] @ (_legendre(wide.degree, m, x).T * (1 if m == 0 else np.sqrt(2)))
    mult_x, _, mult_z, *_ = matrices(wide.degree, wide.order)
    by_u, by_v = (a @ part.T - a * (a @ part[0])[:, None] for part in (mult_z, mult_x))
    places = wide.places()
    keep = [places[pair] for pair in zip(basis.degrees.tolist(), basis.orders.tolist(), strict=True)][1:]
    return a[:, keep], by_u[:, keep], by_v[:, keep]


def _legendre(degree: int, m: int, x: np.ndarray) -> np.ndarray:
    """sqrt(4 pi) N_lm P_lm(x), l = m .. degree, without the sign (-1)^m; (l, x)."""
    s = np.sqrt(1 - x * x)
    first = np.ones_like(x)
    for k in range(1, m + 1):
        first = first * s * np.sqrt((2 * k + 1) / (2 * k))
    rows = [first]
    if degree > m:
        rows.append(np.sqrt(2 * m + 3) * x * first)
    for k in range(m + 2, degree + 1):
        a = np.sqrt((4 * k * k - 1) / (k * k - m * m))
        b = np.sqrt(((k - 1) ** 2 - m * m) / (4 * (k - 1) ** 2 - 1))
        rows.append(a * (x * rows[-1] - b * rows[-2]))
    return np.stack(rows)
