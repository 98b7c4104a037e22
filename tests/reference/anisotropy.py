"""Readable float64 twins of the anisotropic equilibrium moment: plain quadrature, and the series as published."""

from functools import cache

import numpy as np
from scipy import special

legendre = cache(np.polynomial.legendre.leggauss)


def moments(u, w, alpha, nodes=240):
    """ln Z, <n.m> and m_perp/v by Gauss-Legendre in x = cos(theta) with scaled Bessel functions, one point at a time.

    Z = 2 pi int exp(u x + alpha x^2) I0(v sqrt(1 - x^2)) dx; m_perp/v = <(1 - x^2) I1(z)/(z I0(z))> with z = v sqrt(1 - x^2).
    """
    x, weight = legendre(nodes)
    rows = []
    for ui, wi, ai in np.broadcast(u, w, alpha):
        z = np.sqrt(wi * (1 - x**2))
        exponent = ui * x + ai * x**2 + z
        g = weight * np.exp(exponent - exponent.max())
        half = np.where(z > 0, special.i1e(z) / np.where(z > 0, z, 1), 0.5)
        total = np.sum(g * special.i0e(z))
        axial, ratio = np.sum(g * x * special.i0e(z)), np.sum(g * (1 - x**2) * half)
        rows.append((np.log(2 * np.pi * total) + exponent.max(), axial / total, ratio / total))
    return np.array(rows).reshape(*np.broadcast(u, w, alpha).shape, 3)


def vector_moment(xi, alpha, axis):
    """Unit moment of one particle, (3,)."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    u = xi @ axis
    across = xi - u * axis
    _, axial, ratio = moments(u, across @ across, alpha)
    return axial * axis + ratio * across


def log_partition(xi, alpha, axis):
    """ln Z of one particle."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    u = xi @ axis
    return moments(u, np.sum((xi - u * axis) ** 2), alpha)[0]


def published_series(u, v, alpha, order=120):
    """<n.m> and m_perp of arrays by the Bessel-Laguerre series, its terms in the log domain; alpha, u and v above 0.

    Z ~ sum_l 2^l i_l(v)/v^l alpha^l L_l^(-1/2)(-u^2/(4 alpha)), i_l(v) = sqrt(pi/(2 v)) I_{l+1/2}(v), up to a factor
    common to all l.
    """
    u, v, alpha = np.broadcast_arrays(u, v, alpha)
    with np.errstate(divide="ignore"):  # high orders of a small v underflow
        log_g = [np.log(special.ive(k + 0.5, v)) - (k + 0.5) * np.log(v) for k in range(order + 2)]
    y = u**2 / (4 * alpha)
    minus, plus = _laguerre(order, -0.5, y), _laguerre(order, 0.5, y)
    powers = [k * np.log(2 * alpha) for k in range(order + 1)]
    z = [log_g[k] + powers[k] + np.log(minus[k]) for k in range(order + 1)]
    peak = np.max(z, axis=0)
    total = sum(np.exp(t - peak) for t in z)
    across = sum(np.exp(log_g[k + 1] + powers[k] + np.log(minus[k]) - peak) for k in range(order + 1))
    along = sum(np.exp(log_g[k + 1] + powers[k] + np.log(plus[k]) - peak) for k in range(order + 1))
    return u * along / total, v * across / total


def _laguerre(order, a, y):
    """L_l^(a)(-y), l = 0 .. order, by the three-term recurrence."""
    values = [np.ones_like(y), 1 + a + y]
    for k in range(1, order):
        values.append(((2 * k + 1 + a + y) * values[k] - (k + a) * values[k - 1]) / (k + 1))
    return values
