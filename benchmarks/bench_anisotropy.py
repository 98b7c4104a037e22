"""The anisotropic equilibrium moment against the published series and against quadrature in NumPy.

``python -m benchmarks.bench_anisotropy``: |xi| <= 38, 0.44 <= alpha <= 20.2, any angle. The peers are NumPy/SciPy ports: the
Bessel-Laguerre series of 120 terms in the log domain, and a vectorized Gauss-Legendre rule of 32 nodes. Times are per
evaluation: the peers run on fewer points.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from benchmarks.common import Ratio, interleave, options, ratio, report
from mpijax.physics import axial_moment
from tests.reference.anisotropy import published_series

ALPHA_MAX = 20.2
POINTS, LEGENDRE_POINTS, SERIES_POINTS = 204_800, 20_480, 2_048


def numpy_legendre(u: np.ndarray, w: np.ndarray, alpha: np.ndarray, nodes: int = 32, block: int = 1024):
    """<n.m> and m_perp/v by Gauss-Legendre with scaled Bessel functions, vectorized over nodes and cache-sized blocks."""
    x, weight = np.polynomial.legendre.leggauss(nodes)
    y2 = 1 - x**2
    axial, across = np.empty_like(u), np.empty_like(u)
    for start in range(0, len(u), block):
        part = slice(start, start + block)
        z = np.sqrt(w[part, None] * y2)
        exponent = u[part, None] * x + alpha[part, None] * x**2 + z
        g = weight * np.exp(exponent - exponent.max(1, keepdims=True))
        f = g * special.i0e(z)
        total = f.sum(1)
        axial[part] = f @ x / total
        across[part] = np.sum(g * y2 * special.i1e(z) / z, axis=1) / total
    return axial, across


def random_points(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(u, w, alpha) of the ranges the papers draw from."""
    rng = np.random.default_rng(0)
    size, cosine = rng.uniform(0.1, 38, n), rng.uniform(-1, 1, n)
    return size * cosine, size**2 * (1 - cosine**2), rng.uniform(0.44, ALPHA_MAX, n)


def main() -> None:
    arguments = options(__doc__).parse_args()
    u, w, alpha = random_points(POINTS)

    def moment(u, w, alpha):
        return axial_moment(u, w, alpha, alpha_max=ALPHA_MAX)

    def objective(u, w, alpha):
        axial, ratio_ = moment(u, w, alpha)
        return jnp.sum(axial * axial + ratio_)

    value, gradient = jax.jit(moment), jax.jit(jax.value_and_grad(objective, argnums=(0, 1, 2)))
    with jax.enable_x64(True):
        double = [jnp.asarray(x, jnp.float64) for x in (u, w, alpha)]
    single = [jnp.asarray(x, jnp.float32) for x in (u, w, alpha)]

    def in_double(function):
        with jax.enable_x64(True):
            return function(*double)

    few, fewer = [x[:LEGENDRE_POINTS] for x in (u, w, alpha)], [x[:SERIES_POINTS] for x in (u, w, alpha)]

    def series():
        return published_series(fewer[0], np.sqrt(fewer[1]), fewer[2])

    candidates = {
        "mixture float32": lambda: value(*single),
        "mixture float64": lambda: in_double(value),
        "value and gradient float32": lambda: gradient(*single),
        "value and gradient float64": lambda: in_double(gradient),
        "NumPy Gauss-Legendre, 32 nodes": lambda: numpy_legendre(*few),
        "literal series, 120 terms": series,
    }
    timings = interleave(candidates, arguments.rounds)
    axial, per_field = (np.asarray(x) for x in in_double(value))
    for name, got, bound in (
        ("literal series", series(), 1e-11),
        ("NumPy Gauss-Legendre", (lambda m: (m[0], m[1] * np.sqrt(few[1])))(numpy_legendre(*few)), 1e-6),
        ("mixture float32", (lambda m: (m[0], m[1] * np.sqrt(w)))([np.asarray(x) for x in value(*single)]), 3e-6),
    ):
        n = len(got[0])
        error = max(np.abs(got[0] - axial[:n]).max(), np.abs(got[1] - per_field[:n] * np.sqrt(w[:n])).max())
        assert error < bound, f"{name} differs from the mixture in float64 by {error:.1e}"
        print(f"{name} differs from the mixture in float64 by {error:.1e}")
    f32, f64, grad32, grad64, legendre, literal = (timings[name] for name in candidates)
    sizes = (POINTS,) * 4 + (LEGENDRE_POINTS, SERIES_POINTS)
    for timing, n in zip((f32, f64, grad32, grad64, legendre, literal), sizes, strict=True):
        print(f"{timing.name}: {1e9 * timing.median / n:.0f} ns per evaluation, least {1e9 * timing.min / n:.0f}")
    by_series, by_legendre = POINTS / SERIES_POINTS, POINTS / LEGENDRE_POINTS
    ratios = [
        Ratio("float64 against the literal series", ratio(literal, f64, by_series), 50),
        Ratio("float32 against the literal series", ratio(literal, f32, by_series), 50),
        Ratio("float64 against NumPy Gauss-Legendre", ratio(legendre, f64, by_legendre), 10),
        Ratio("float32 against NumPy Gauss-Legendre", ratio(legendre, f32, by_legendre), 40),
        Ratio("float32, value and gradient over value", ratio(grad32, f32), most=6),
        Ratio("float64, value and gradient over value", ratio(grad64, f64), most=6),
    ]
    report("Anisotropic mean moment", list(timings.values()), ratios, arguments.json)


if __name__ == "__main__":
    main()
