"""Real regular solid harmonics: the harmonic polynomials that expand a source-free magnetic field.

Z_lm is Schmidt semi-normalized, Z_l0 = r^l P_l(cos theta) and, for m > 0, sqrt(2 (l-m)!/(l+m)!) r^l P_l^m(cos theta) times
cos(m phi) (order m) or sin(m phi) (order -m), without the Condon-Shortley sign: Z_10 = z, Z_11 = x, Z_1-1 = y. Harmonic
(l, m) stands at index l^2 + l + m, so degree L has (L + 1)^2 of them.
"""

import math
from functools import cache

import jax.numpy as jnp
import numpy as np

from mpijax.core.typing import Array, Float


def solid_harmonics(points: Float[Array, "n 3"], degree: int) -> Float[Array, "n k"]:
    r"""All real regular solid harmonics up to a degree.

    With :math:`R_{lm} = r^l P_l^m e^{i m \varphi} / (l + m)!`,

    .. math:: R_{mm} = \frac{x + i y}{2 m} R_{m-1,m-1}

    .. math:: (l - m)(l + m) R_{lm} = (2 l - 1)\, z R_{l-1,m} - r^2 R_{l-2,m}

    Polynomials, so regular everywhere, the origin included.

    Args:
        points: positions in units of a length that makes them about 1, (n, 3).
        degree: L >= 0.

    Returns:
        (n, (L + 1)^2), NumPy for NumPy points.

    Source: Helgaker, Jorgensen, Olsen, Molecular Electronic-Structure Theory (2000), section 6.4; R_lm after Hobson.
    """
    xp = np if isinstance(points, np.ndarray) else jnp
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    r2 = x * x + y * y + z * z
    columns: list = [None] * (degree + 1) ** 2
    cosine, sine = xp.ones_like(x), xp.zeros_like(x)
    for m in range(degree + 1):
        if m:
            cosine, sine = (x * cosine - y * sine) / (2 * m), (x * sine + y * cosine) / (2 * m)
        for sign, diagonal in ((1, cosine), (-1, sine))[: 2 if m else 1]:
            before, here = xp.zeros_like(x), diagonal
            for degree_ in range(m, degree + 1):
                if degree_ > m:
                    step = (2 * degree_ - 1) * z * here - r2 * before
                    before, here = here, step / ((degree_ - m) * (degree_ + m))
                columns[_index(degree_, sign * m)] = _norm(degree_, m) * here
    return xp.stack(columns, -1)


@cache
def harmonic_gradients(degree: int) -> Float[np.ndarray, "3 k j"]:
    r"""The gradients of the harmonics of degree 1..L as combinations of the harmonics of degree 0..L-1.

    .. math:: \nabla Z_j = \sum_{ik} D_{ikj}\, Z_k\, \mathbf e_i

    from dR_lm/dz = R_{l-1,m} and (d/dx -+ i d/dy) R_lm = +-R_{l-1,m-+1}.

    Args:
        degree: L >= 1.

    Returns:
        D float64 (3, L^2, (L + 1)^2 - 1); column j belongs to harmonic j + 1. Do not write to it.

    Source: Helgaker, Jorgensen, Olsen, Molecular Electronic-Structure Theory (2000), section 6.4.
    """
    matrix = np.zeros((3, degree**2, (degree + 1) ** 2 - 1))

    def add(axis: int, target: tuple[int, int, int], source: tuple[int, int], factor: float) -> None:
        """d/d axis of the source contains factor times Re (part 1) or Im (part -1) of R_lm, the target."""
        degree_, m, part = target
        if m < 0:  # R_{l,-1} = -conj R_{l,1}
            m, factor = -m, -part * factor
        if m <= degree_ and (m or part == 1):
            scale = _norm(source[0], abs(source[1])) / _norm(degree_, m)
            matrix[axis, _index(degree_, part * m), _index(*source) - 1] += scale * factor

    for degree_ in range(1, degree + 1):
        for m in range(degree_ + 1):
            for part in (1, -1)[: 2 if m else 1]:
                source, below = (degree_, part * m), degree_ - 1
                add(2, (below, m, part), source, 1.0)
                add(0, (below, m - 1, part), source, 0.5)
                add(0, (below, m + 1, part), source, -0.5)
                add(1, (below, m - 1, -part), source, -0.5 * part)
                add(1, (below, m + 1, -part), source, -0.5 * part)
    return matrix


def _index(degree: int, m: int) -> int:
    return degree * degree + degree + m


def _norm(degree: int, m: int) -> float:
    """Schmidt's factor over that of R_lm."""
    return math.sqrt((2 if m else 1) * math.factorial(degree + m) * math.factorial(degree - m))
