"""Readable float64 twins of the physics: explicit loops, textbook formulas."""

import numpy as np

MU0 = 4e-7 * np.pi
BOLTZMANN = 1.380649e-23


def langevin(x):
    x = np.asarray(x, np.float64)
    big = np.abs(x) > 0.5
    safe = np.where(big, x, 1.0)
    series = sum(c * x**p for c, p in _SERIES)
    return np.where(big, 1 / np.tanh(safe) - 1 / safe, series)


# L(x) = sum_n 2^{2n} B_{2n} x^{2n-1}/(2n)!, Bernoulli numbers to order 30
def _series_terms():
    from fractions import Fraction
    from math import comb, factorial

    bernoulli = [Fraction(1)]
    for m in range(1, 31):
        bernoulli.append(-sum(comb(m + 1, k) * bernoulli[k] for k in range(m)) / (m + 1))
    return [(float(Fraction(2) ** (2 * n) * bernoulli[2 * n] / factorial(2 * n)), 2 * n - 1) for n in range(1, 15)]


_SERIES = _series_terms()


def drive_field(t, amplitude, frequencies, phase):
    """A sin(2 pi f t + phase), (3, len(t))."""
    return np.stack([a * np.sin(2 * np.pi * f * t + p) for a, f, p in zip(amplitude, frequencies, phase, strict=True)])


def moment_spectrum(
    positions, gradient, offset, amplitude, frequencies, phase, period, n_samples, diameter, ms=474e3, temperature=293.0
):
    """rfft(m)/N at each position, one position at a time: complex (3, bins, n)."""
    t = np.arange(n_samples) * period / n_samples
    beta = ms * np.pi / 6 * diameter**3 / (BOLTZMANN * temperature)
    out = []
    for r in positions:
        field = (gradient @ r + offset)[:, None] + drive_field(t, amplitude, frequencies, phase)
        strength = np.linalg.norm(field, axis=0)
        direction = field / np.where(strength > 0, strength, 1)
        out.append(np.fft.rfft(langevin(beta * strength) * direction, axis=1) / n_samples)
    return np.stack(out, -1)


def circle_field(points, radius, center, normal, n=4000):
    """Biot-Savart over a circle by the trapezoid rule, at 1 A."""
    normal = np.asarray(normal) / np.linalg.norm(normal)
    u = np.cross(normal, [1.0, 0, 0] if abs(normal[0]) < 0.9 else [0, 1.0, 0])
    u /= np.linalg.norm(u)
    v = np.cross(normal, u)
    phi = 2 * np.pi * np.arange(n) / n
    source = np.asarray(center) + radius * (np.cos(phi)[:, None] * u + np.sin(phi)[:, None] * v)
    dl = 2 * np.pi / n * radius * (-np.sin(phi)[:, None] * u + np.cos(phi)[:, None] * v)
    field = []
    for p in points:
        r = p - source
        field.append(MU0 / (4 * np.pi) * np.sum(np.cross(dl, r) / np.linalg.norm(r, axis=1)[:, None] ** 3, axis=0))
    return np.array(field)
