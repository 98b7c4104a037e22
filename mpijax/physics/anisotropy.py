"""Equilibrium mean moment of particles with uniaxial anisotropy, in three evaluations of one function.

With xi = beta H, u = xi.n and v = |xi - u n| the components along and across the easy axis n, and alpha = K V/(kB T),

    Z(u, v; alpha) = 2 pi int_-1^1 exp(u x + alpha x^2) I_0(v sqrt(1 - x^2)) dx,   <n.m> = d ln Z/du,   m_perp = d ln Z/dv.

All is written in (u, w = v^2, alpha): Z is entire in them, so neither zero field nor alpha = 0 nor a field along the axis
is a special point, of the value or of its derivatives.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mpijax.core.checks import check_choice, is_concrete
from mpijax.core.typing import Array, Float
from mpijax.physics.special import polynomial, scaled_bessel, spherical_taylor

Method = Literal["auto", "mixture", "quadrature", "series"]
Sums = tuple[jax.Array, ...]
Pair = tuple[jax.Array, jax.Array]
Triple = tuple[jax.Array, jax.Array, jax.Array]

FIELD_MAX = 1000.0
"""Largest |xi| the quadrature is sized for."""


def anisotropic_moment(
    xi: Float[Array, "... 3"],
    alpha: Float[Array, "..."] | float,
    easy_axis: Float[Array, "... 3"],
    method: Method = "auto",
    *,
    alpha_max: float = 50.0,
    order: int = 120,
) -> Float[Array, "... 3"]:
    r"""Mean moment of a particle with uniaxial anisotropy in units of m0.

    .. math:: \bar{\mathbf m} = \nabla_{\boldsymbol\xi} \ln Z, \qquad
        Z(\boldsymbol\xi) = \int_{S^2} e^{\boldsymbol\xi \cdot \mathbf m + \alpha (\mathbf m \cdot \mathbf n)^2}\, d\mathbf m

    alpha > 0 is an easy axis, alpha < 0 an easy plane, alpha = 0 Langevin. See ``axial_moment`` for the evaluations, their
    accuracy and their derivatives.

    Args:
        xi: dimensionless field beta*H, (..., 3).
        alpha: reduced anisotropy K V/(kB T), dimensionless, (...), broadcast against xi.
        easy_axis: n, any length but zero, (..., 3), broadcast against xi; n and -n are the same axis.
        method: "mixture", "quadrature", "series", or "auto": the quadrature where a concrete alpha is negative, otherwise
            the mixture (so a traced negative alpha gives NaN).
        alpha_max: bound of |alpha| that sizes the rules, static; a smaller one is faster.
        order: terms of the series, static.

    Returns:
        Unit moment, (..., 3).

    Raises:
        ValueError: an axis of zero length, or what ``axial_moment`` refuses.

    Source: Maass et al., IEEE Trans. Comput. Imaging 10 (2024) 1588; restoration paper, eqs. 3 to 5.
    """
    xi, easy_axis = jnp.asarray(xi), jnp.asarray(easy_axis)
    length = jnp.linalg.norm(easy_axis, axis=-1, keepdims=True)
    if is_concrete(length) and not np.all(np.asarray(length) > 0):
        raise ValueError("easy_axis holds an axis of zero length; give a direction, or alpha = 0 with any direction.")
    axis = easy_axis / length
    u = jnp.sum(xi * axis, axis=-1)
    across = xi - u[..., None] * axis
    axial, ratio = axial_moment(u, jnp.sum(across * across, -1), alpha, method=method, alpha_max=alpha_max, order=order)
    return axial[..., None] * axis + ratio[..., None] * across


def axial_moment(
    u: Float[Array, "..."] | float,
    w: Float[Array, "..."] | float,
    alpha: Float[Array, "..."] | float,
    *,
    method: Method = "mixture",
    alpha_max: float = 50.0,
    order: int = 120,
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Moment along the easy axis and moment across it per unit of transverse field: <n.m> and m_perp/v.

    The vector is <n.m> n + (m_perp/v)(xi - u n). All three evaluations take float32 and float64:

    - "mixture" (alpha >= 0): exp(alpha x^2) is the mean of exp(sqrt(2 alpha) s x) over s ~ N(0, 1), so Z is the mean of
      sinh(r)/r, r^2 = (u + sqrt(2 alpha) s)^2 + w, and a trapezoid rule in s needs no Bessel function. The step h costs a
      relative error of at most 2 exp(-2 pi^2/h^2) in Z, since by Poisson's formula it adds sum_k of the integral over a line
      shifted by 2 pi i k/h, where the integrand is no larger than exp(-2 pi^2 k^2/h^2) times the one on the real line. As a
      mixture of unit Gaussians centered within +-sqrt(2 alpha) the integrand loses a fraction 2 Q(T) beyond +-(sqrt(2 alpha) + T)
      (Q: Gaussian tail), so 2 (sqrt(2 alpha_max) + T)/h nodes bound the error of a moment by 4 exp(-2 pi^2/h^2) + 4 Q(T),
      wherever the field is. That is 7e-12 in float64 (h = 0.85, T = 7.2) and 2.5e-6 in float32 (h = 1.15, T = 5).
    - "quadrature" (any sign): Gauss-Legendre in x with scaled Bessel functions. exp(xi.m) has Legendre coefficients
      falling as exp(-l^2/(2 |xi|)) and the anisotropy adds 2 |alpha| to that variance, so about
      sqrt((|xi| + 2 |alpha|) ln(1/eps)/2) nodes suffice; taken for |xi| <= 1000 and |alpha| <= alpha_max.
    - "series" (alpha >= 0): the Bessel-Laguerre series cut after ``order`` terms. 120 terms reach 1e-10 for
      |xi| <= 100 and alpha <= 20, 900 cover |xi| <= 1000 and alpha <= 50. Memory: one array per term.

    Absolute error of the unit moment for |xi| <= 1000 and |alpha| <= 50: mixture and quadrature 1e-11 in float64 and 3e-6 in
    float32. A derivative has the same absolute error, not the same relative one, where it is small.

    Derivatives of first order, forward and reverse, are one more pass that sums all of them at once and keeps six arrays,
    whatever the number of nodes; they are finite everywhere, at u = w = alpha = 0 too. Derivatives of second order
    differentiate that loop: reverse mode would store every node, and they are not tested.

    Args:
        u: xi.n, dimensionless.
        w: |xi - u n|^2 >= 0, dimensionless.
        alpha: reduced anisotropy, dimensionless; u, w and alpha broadcast.
        method: as in ``anisotropic_moment``.
        alpha_max: bound of |alpha| that sizes mixture and quadrature, static. It is checked where alpha is concrete; for a
            traced alpha beyond it the error grows without a sign.
        order: terms of the series, static.

    Returns:
        <n.m> and m_perp/v, both of the broadcast shape. NaN where a traced alpha is negative and the method needs alpha >= 0.

    Raises:
        ValueError: a concrete alpha that the method or alpha_max excludes, or an order below 1.

    Source: mixture: Gaussian (Hubbard-Stratonovich) identity; series: Maass et al. (2024), by ratios of consecutive terms.
    """
    chosen = _resolve(method, alpha, float(alpha_max), order)
    dtype = jnp.result_type(u, w, alpha, float)
    u, w, alpha = (jnp.asarray(x, dtype) for x in (u, w, alpha))
    shape = jnp.broadcast_shapes(u.shape, w.shape, alpha.shape)
    if len(shape) != 1 or shape[0] <= 64:
        return _compiled(u, w, alpha, chosen, float(alpha_max), order)
    # a vector of odd length is neither vectorized nor split over threads on CPU (6 times slower): pad to whole vectors
    padded = (jnp.pad(jnp.broadcast_to(x, shape), (0, -shape[0] % 64)) for x in (u, w, alpha))
    axial, ratio = _compiled(*padded, chosen, float(alpha_max), order)
    return axial[: shape[0]], ratio[: shape[0]]


def _resolve(method: Method, alpha: Array | float, alpha_max: float, order: int) -> str:
    check_choice("method", method, ("auto", "mixture", "quadrature", "series"))
    if not 0 <= alpha_max < math.inf:
        raise ValueError(f"alpha_max = {alpha_max}; give the largest |alpha| that occurs, finite and at least 0.")
    if order < 1:
        raise ValueError(f"order = {order}; the series needs at least 1 term (120 for the range of the papers).")
    if not is_concrete(alpha):
        return "mixture" if method == "auto" else method
    values = np.asarray(alpha)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if method == "auto":
        method = "quadrature" if low < 0 else "mixture"
    if low < 0 and method != "quadrature":
        raise ValueError(f"alpha reaches {low:g} but method={method!r} needs alpha >= 0; use method='quadrature'.")
    if method != "series" and not (max(-low, high) <= alpha_max * (1 + 1e-6)):  # NaN is refused too
        raise ValueError(
            f"alpha reaches {max(low, high, key=abs):g} but the rule is sized for |alpha| <= alpha_max = {alpha_max:g}; "
            "pass a larger alpha_max (its square root sets the cost), or check the unit of the anisotropy constant (J/m^3)."
        )
    return method


@partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5))
def _moment(u: jax.Array, w: jax.Array, alpha: jax.Array, method: str, alpha_max: float, order: int) -> Pair:
    if method == "series":
        return _series(u, w, alpha, order)
    z, z_u, q = _SUMS[method](u, w, alpha, alpha_max, False)
    return z_u / z, q / z


@_moment.defjvp
def _moment_jvp(method: str, alpha_max: float, order: int, primals: Triple, tangents: Triple) -> tuple[Pair, Pair]:
    """The Jacobian in one pass; linear in the tangents, so that reverse mode is its transpose and stores six arrays."""
    if method == "series":
        value, columns = _series_jacobian(*primals, order)
    else:
        z, z_u, q, z_uu, q_u, q_w, z_uuu, q_uu = _SUMS[method](*primals, alpha_max, True)
        m, k = z_u / z, q / z
        value = m, k
        columns = [
            ((z_uu - m * z_u) / z, (q_u - k * z_u) / z),
            ((q_u - m * q) / (2 * z), (q_w - k * q) / (2 * z)),
            ((z_uuu - m * z_uu) / z, (q_uu - k * z_uu) / z),
        ]
    (m_u, k_u), (m_w, k_w), (m_a, k_a) = columns
    du, dw, da = tangents
    axial, ratio = m_u * du + m_w * dw + m_a * da, k_u * du + k_w * dw + k_a * da
    return value, (axial, ratio)


_compiled = jax.jit(_moment, static_argnums=(3, 4, 5))


# The sums of both rules, up to one common factor: Z, Z_u, Q = 2 Z_w = Z_v/v and, for the derivatives,
# Z_uu, Q_u, 2 Q_w, Z_uuu, Q_uu. Derivatives by alpha are second derivatives by u (Z_alpha = Z_uu: x^2 = d^2/du^2).


def _mixture_sums(u: jax.Array, w: jax.Array, alpha: jax.Array, alpha_max: float, derivatives: bool) -> Sums:
    """Trapezoid rule over s of g_l(r), r^2 = p^2 + w, p = u + c s, c = sqrt(2 alpha): Z = E g_0, Z_u = E p g_1, Q = E g_1, ...

    Exponents stay small: with |s| - c = d the exponent r - s^2/2 - alpha is (r - c |s|) - d^2/2 and
    r - c |s| = (|xi|^2 + 2 u c s)/(r + c |s|). The largest one is close to that at s = 0 or at |s| = c, and is taken off.
    """
    dtype = u.dtype
    step, tail, terms = (1.15, 5.0, 5) if jnp.finfo(dtype).bits <= 32 else (0.85, 7.2, 9)
    count = math.ceil(2 * (math.sqrt(2 * alpha_max) + tail) / step)
    tiny = float(jnp.finfo(dtype).tiny) * 1e4
    size2, c = u * u + w, jnp.sqrt(2 * alpha)
    along = size2 + 4 * alpha * jnp.abs(u)
    top = jnp.maximum(jnp.sqrt(size2) - alpha, along / (jnp.sqrt(along + 4 * alpha * alpha) + 2 * alpha + tiny))
    floor = jnp.exp(-top - alpha)
    u, size2, c, top, floor = jnp.broadcast_arrays(u, size2, c, top, floor)
    g1, g2, g3 = (spherical_taylor(order, terms) for order in (1, 2, 3))

    def add_node(j: jax.Array, sums: Sums) -> Sums:
        s = (j.astype(dtype) - (count - 1) / 2) * step
        cs = c * s
        p, numerator = u + cs, size2 + 2 * u * cs
        r2 = numerator + cs * cs
        near = r2 < 1
        r = jnp.sqrt(jnp.maximum(r2, 1))
        reach = c * jnp.abs(s)
        both = 1 / (r * (r + reach))  # one division for 1/r and 1/(r + reach)
        inverse = both * (r + reach)
        d = jnp.abs(s) - c
        rising = jnp.maximum(jnp.exp(numerator * (r * both) - 0.5 * d * d - top), tiny)
        middle = jnp.exp(-0.5 * s * s) * floor  # the weight without exp(+-r)
        falling = middle * middle / rising
        f0 = 0.5 * (rising - falling) * inverse
        f1 = (0.5 * (rising + falling) - f0) * inverse * inverse
        if not derivatives:
            f0 = jnp.where(near, middle * polynomial(spherical_taylor(0, terms), r2), f0)
            f1 = jnp.where(near, middle * polynomial(g1, r2), f1)
            return _add(sums, (f0, p * f1, f1))
        f2 = (f0 - 3 * f1) * inverse * inverse
        f3 = (f1 - 5 * f2) * inverse * inverse
        f2 = jnp.where(near, middle * polynomial(g2, r2), f2)
        f3 = jnp.where(near, middle * polynomial(g3, r2), f3)
        f1 = jnp.where(near, 5 * f2 + r2 * f3, f1)
        f0 = jnp.where(near, 3 * f1 + r2 * f2, f0)
        p2 = p * p
        return _add(sums, (f0, p * f1, f1, f1 + p2 * f2, p * f2, f2, p * (3 * f2 + p2 * f3), f2 + p2 * f3))

    return lax.fori_loop(0, count, add_node, (jnp.zeros_like(u),) * (8 if derivatives else 3))


def _quadrature_sums(u: jax.Array, w: jax.Array, alpha: jax.Array, alpha_max: float, derivatives: bool) -> Sums:
    """Gauss-Legendre rule over x of exp(u x + alpha x^2) I_0(v y), y^2 = 1 - x^2: Z = sum, Z_u = sum x, Q = sum y^2 I_1/(z I_0).

    The exponent is taken off |xi| + max(alpha, 0): u x + v y - |xi| = -|xi|/2 ((x - u/|xi|)^2 + (y - v/|xi|)^2).
    """
    dtype = u.dtype
    digits = 18 if jnp.finfo(dtype).bits <= 32 else 32  # ln(1/eps)
    count = math.ceil(math.sqrt((FIELD_MAX + 2 * alpha_max) * digits / 2))
    nodes, weights = np.polynomial.legendre.leggauss(count)
    table = jnp.asarray(np.stack([nodes, np.sqrt(1 - nodes**2), weights], 1), dtype)
    v, size = jnp.sqrt(w), jnp.sqrt(u * u + w)
    scale = 1 / jnp.maximum(size, float(jnp.finfo(dtype).tiny) * 1e4)
    cos, sin = u * scale, v * scale
    easy = jnp.maximum(alpha, 0)
    alpha, easy, v, size, cos, sin = jnp.broadcast_arrays(alpha, easy, v, size, cos, sin)

    def add_node(j: jax.Array, sums: Sums) -> Sums:
        x, y, weight = table[j]
        b0, b1, b2 = scaled_bessel(v * y)
        g = weight * jnp.exp(-0.5 * size * ((x - cos) ** 2 + (y - sin) ** 2) + alpha * (x * x) - easy)
        f, q = g * b0, g * b1 * (y * y)
        if not derivatives:
            return _add(sums, (f, x * f, q))
        return _add(sums, (f, x * f, q, x * x * f, x * q, g * b2 * y**4, x**3 * f, x * x * q))

    return lax.fori_loop(0, count, add_node, (jnp.zeros_like(size),) * (8 if derivatives else 3))


_SUMS: dict[str, Callable[..., Sums]] = {"mixture": _mixture_sums, "quadrature": _quadrature_sums}


def _add(sums: Sums, terms: Sums) -> Sums:
    return tuple(a + b for a, b in zip(sums, terms, strict=True))


def _series(u: jax.Array, w: jax.Array, alpha: jax.Array, order: int) -> Pair:
    """Weighted means over U_l = 2^l g_l(v) Q_l with Q_l = alpha^l L_l^(1/2)(-u^2/(4 alpha)), by ratios of neighbors.

    rho_l = g_{l+1}/g_l comes down from l = order, kappa_l = Q_{l+1}/Q_l = alpha + delta_l goes up; every quantity is >= 0 and
    nothing is divided by alpha, u or v. Z ~ <c_l>, <n.m> = u <rho_l>/<c_l>, m_perp/v = <c_l rho_l>/<c_l>, where
    c_l = delta_{l-1}/kappa_{l-1} turns the Laguerre index 1/2 into -1/2.
    """
    floor = 10 * math.sqrt(jnp.finfo(u.dtype).tiny)  # 0/0 = 0 at u = alpha = 0, with a square that does not underflow
    u, w, alpha = jnp.broadcast_arrays(u, w, jnp.where(alpha < 0, jnp.nan, alpha))
    quarter = u * u / 4

    def down(rho: jax.Array, degree: jax.Array) -> tuple[jax.Array, jax.Array]:
        rho = 1 / (2 * degree + 3 + w * rho)
        return rho, rho

    start = 1 / (order + 1 + jnp.sqrt((order + 2.0) ** 2 + w))
    degrees = jnp.arange(order, dtype=u.dtype)
    _, rhos = lax.scan(down, start, degrees, reverse=True)

    def up(carry: Sums, item: Sums) -> tuple[Sums, None]:
        degree, rho, following = item
        delta, share, c_mean, c_rho, rho_mean = carry
        kappa = alpha + delta + floor
        growth, part = (
            2 * rho * kappa * share,
            2 * rho * delta * share,
        )  # U_{l+1} and c_{l+1} U_{l+1} over U_0 + .. + U_l
        share = growth / (1 + growth)
        c_mean = (c_mean + part) / (1 + growth)
        c_rho = (c_rho + part * following) / (1 + growth)
        rho_mean = (rho_mean + growth * following) / (1 + growth)
        delta = (quarter + (degree + 1.5) * (alpha / kappa) * delta) / (degree + 2)
        return (delta, share, c_mean, c_rho, rho_mean), None

    one = jnp.ones_like(u)
    first: Sums = (alpha / 2 + quarter, one, one, rhos[0], rhos[0])
    (_, _, c_mean, c_rho, rho_mean), _ = lax.scan(up, first, (degrees[:-1], rhos[:-1], rhos[1:]))
    return u * rho_mean / c_mean, c_rho / c_mean


def _series_jacobian(u: jax.Array, w: jax.Array, alpha: jax.Array, order: int) -> tuple[Pair, list[Pair]]:
    """Value and derivatives by u, w and alpha, by three forward passes."""
    point = jnp.broadcast_arrays(u, w, alpha)
    one, zero = jnp.ones_like(point[0]), jnp.zeros_like(point[0])
    columns = []
    for i in range(3):
        direction = tuple(one if i == j else zero for j in range(3))
        value, column = jax.jvp(lambda u, w, a: _series(u, w, a, order), tuple(point), direction)
        columns.append(column)
    return value, columns
