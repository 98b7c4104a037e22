"""Brown's Fokker-Planck equation of a uniaxial moment in spherical harmonics: the matrices, NumPy, float64.

The direction of the moment m follows, with h = xi + 2 alpha x n, x = m.n, the easy axis n along z and the damping a,

    2 tau dm/dt = (m x h) x m + (1/a) h x m + noise,

so that the mean of any function Y on the sphere obeys

    2 tau d<Y>/dt = <Lap Y + grad(xi.m + alpha x^2).grad Y + (1/a) h.J Y>,    J = m x grad.

In real orthonormal harmonics, a_lm = <sqrt(4 pi) Y_lm>, with X_i the matrices of multiplication by m_i, this is

    2 tau da/dt = [R + sum_i xi_i F_i] a,
    F_i = 1/2 (l_j (l_j + 1) - l_k (l_k + 1) + 2) X_i + G_i/a,    R = -l(l + 1) + alpha (2 F_z^0 X_z + (2/a) G_z X_z),

G_i the generators that turn the density about axis i, F^0 without them. The field couples l to l +- 1, the anisotropy to l +- 2,
the transverse field m to m +- 1: ordered by m, the operator is block tridiagonal. a_00 = 1; m_z = a_10/sqrt(3),
m_x = a_11/sqrt(3), m_y = a_1-1/sqrt(3). Brown's rotation of a whole particle is the same without alpha and precession.

Source: W. F. Brown, Phys. Rev. 130, 1677 (1963); W. T. Coffey and Y. P. Kalmykov, The Langevin Equation (2012), chapter 9.
"""

import functools
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

DIPOLE = 1 / np.sqrt(3.0)
"""m_z = DIPOLE a_10."""


@dataclass(frozen=True, eq=False)
class Harmonics:
    """Real harmonics up to degree L and order M <= L, sorted by |m|, cosines before sines, then by degree.

    Attributes:
        degree: L.
        order: M.
        degrees: l of each harmonic, (n,).
        orders: m of each harmonic, (n,); negative ones are the sines.
    """

    degree: int
    order: int
    degrees: np.ndarray
    orders: np.ndarray

    @staticmethod
    @functools.cache
    def create(degree: int, order: int) -> "Harmonics":
        """All harmonics of degree <= L and |m| <= M."""
        pairs = [(k, s * m) for m in range(order + 1) for s in ((1, -1) if m else (1,)) for k in range(m, degree + 1)]
        return Harmonics(degree, order, *np.array(pairs).T)

    def places(self) -> dict[tuple[int, int], int]:
        """Index of each (l, m)."""
        return {pair: i for i, pair in enumerate(zip(self.degrees.tolist(), self.orders.tolist(), strict=True))}


@functools.cache
def matrices(degree: int, order: int) -> tuple[sparse.csr_array, ...]:
    """X_x, X_y, X_z, G_x, G_y, G_z in the real basis, sparse (n, n) each.

    X_i a are the means <m_i Y_j> of a density with the means a; G_i a is the rate at which these change when it turns about axis i.
    """
    basis = Harmonics.create(degree, order)
    place = {pair: i for i, pair in enumerate((k, m) for k in range(degree + 1) for m in range(-k, k + 1))}
    entries: list[tuple[int, int, complex]] = []  # real harmonics in complex ones
    for i, (k, m) in enumerate(zip(basis.degrees.tolist(), basis.orders.tolist(), strict=True)):
        sign = (-1.0) ** m / np.sqrt(2)
        if m == 0:
            entries += [(i, place[k, 0], 1)]
        elif m > 0:
            entries += [(i, place[k, m], sign), (i, place[k, -m], 1 / np.sqrt(2))]
        else:
            entries += [(i, place[k, -m], -1j * sign), (i, place[k, m], 1j / np.sqrt(2))]
    real = _sparse(entries, (len(basis.degrees), len(place)))
    *multiply, turn_x, turn_y, turn_z = _complex_matrices(place)
    # the angular momentum acts on functions; a density that turns has the transpose on its means
    return (
        *((real.conj() @ part @ real.T).real.tocsr() for part in multiply),
        *((real.conj() @ (1j * part) @ real.T).real.T.tocsr() for part in (turn_x, turn_y, turn_z)),
    )


def operators(degree: int, order: int, damping: float = np.inf) -> dict[str, np.ndarray]:
    """The parts of the operator A = rest + alpha * alpha + sum_i xi_i * i, (n, n) each, cut to degree L and order M.

    Args:
        degree: L.
        order: M.
        damping: a; infinite = no precession.

    Returns:
        "rest", "alpha" and "x", "y", "z" of the sum; "turn", the generator G_z of turns about the easy axis.
    """
    wide = Harmonics.create(degree + 2, min(order + 2, degree + 2))  # products are formed before the cut
    places, basis = wide.places(), Harmonics.create(degree, order)
    keep = np.array([places[pair] for pair in zip(basis.degrees.tolist(), basis.orders.tolist(), strict=True)])
    *multiply, turn_x, turn_y, turn_z = matrices(wide.degree, wide.order)
    eigen = (wide.degrees * (wide.degrees + 1)).astype(float)

    def cut(part: sparse.csr_array) -> np.ndarray:
        return part[keep][:, keep].toarray()

    drift = [part + (sparse.diags_array(eigen) @ part - part @ sparse.diags_array(eigen)) / 2 for part in multiply]
    fields = [part + turn / damping for part, turn in zip(drift, (turn_x, turn_y, turn_z), strict=True)]
    return {
        "rest": -np.diag(eigen[keep]),
        "alpha": cut(2 * fields[2] @ multiply[2]),
        **{name: cut(part) for name, part in zip("xyz", fields, strict=True)},
        "turn": cut(turn_z),
    }


def _complex_matrices(place: dict[tuple[int, int], int]) -> tuple[sparse.csr_array, ...]:
    """Multiplication by m_x, m_y, m_z and the angular momentum L_x, L_y, L_z between complex harmonics."""
    entries: dict[str, list[tuple[int, int, complex]]] = {"z": [], "plus": [], "up": [], "lz": []}
    for (k, m), column in place.items():
        rise = (2 * k + 1) * (2 * k + 3)
        fall = max((2 * k - 1) * (2 * k + 1), 1)
        for name, other, value in (
            ("z", (k + 1, m), np.sqrt(((k + 1) ** 2 - m * m) / rise)),
            ("z", (k - 1, m), np.sqrt((k * k - m * m) / fall)),
            ("plus", (k - 1, m + 1), np.sqrt(max((k - m) * (k - m - 1), 0) / fall)),
            ("plus", (k + 1, m + 1), -np.sqrt((k + m + 1) * (k + m + 2) / rise)),
            ("up", (k, m + 1), np.sqrt((k - m) * (k + m + 1))),
            ("lz", (k, m), m),
        ):
            if other in place:
                entries[name].append((place[other], column, value))
    z, plus, up, lz = (_sparse(entries[name], (len(place), len(place))) for name in ("z", "plus", "up", "lz"))
    return (plus + plus.T) / 2, (plus - plus.T) / 2j, z, (up + up.T) / 2, (up - up.T) / 2j, lz


def _sparse(entries: list[tuple[int, int, complex]], shape: tuple[int, int]) -> sparse.csr_array:
    rows, columns, values = zip(*entries, strict=True)
    return sparse.csr_array((values, (rows, columns)), shape=shape)
