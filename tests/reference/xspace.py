"""Readable float64 twins of x-space theory: closed forms with their divisions, and sums over voxels."""

import numpy as np

from tests.reference.physics import langevin


def parallel(x):
    """L'(x) = 1/x^2 - 1/sinh^2 x, from its series below 0.1."""
    x = np.abs(np.asarray(x, np.float64))
    small = x < 0.1
    safe = np.where(small, 1.0, np.minimum(x, 300))
    series = 1 / 3 - x**2 / 15 + 2 * x**4 / 189 - x**6 / 675
    return np.where(small, series, 1 / np.where(small, 1.0, x) ** 2 - 1 / np.sinh(safe) ** 2)


def perpendicular(x):
    """L(x)/x."""
    x = np.abs(np.asarray(x, np.float64))
    return np.where(x == 0, 1 / 3, langevin(x) / np.where(x == 0, 1, x))


def jacobian(xi):
    """J = L' n n^T + (L/|xi|) (I - n n^T) at one xi (d,)."""
    size = np.linalg.norm(xi)
    if size == 0:
        return np.eye(len(xi)) / 3
    n = xi / size
    along = np.outer(n, n)
    return parallel(size) * along + perpendicular(size) * (np.eye(len(xi)) - along)


def image(concentration, positions, volume, scale, axis, places):
    """sum_j c_j e^T J(scale (r_j - x)) e dV at every place x of the field-free point, one after the other."""
    value = np.zeros(len(places))
    for i, x in enumerate(places):
        xi = scale * (positions - x)
        size = np.linalg.norm(xi, axis=1)
        cosine = np.where(size == 0, 1, xi[:, axis] / np.where(size == 0, 1, size))
        kernel = parallel(size) * cosine**2 + perpendicular(size) * (1 - cosine**2)
        value[i] = np.sum(concentration * kernel) * volume
    return value


def full_width(places, values):
    """Full width at half maximum of a sampled peak, by a parabola at its top and linear interpolation at its flanks."""
    top = int(np.argmax(values))
    a, b, c = values[top - 1 : top + 2]
    half = (b - (c - a) ** 2 / (8 * (a - 2 * b + c))) / 2
    above = np.flatnonzero(values > half)
    first, last = above[0], above[-1]
    left = np.interp(half, values[first - 1 : first + 1], places[first - 1 : first + 1])
    right = np.interp(-half, -values[last : last + 2], places[last : last + 2])
    return right - left
