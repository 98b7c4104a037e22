"""Langevin model: the equilibrium magnetization of non-interacting, isotropic particles."""

import jax
import jax.numpy as jnp

from mpijax.core.typing import Array, Float
from mpijax.physics.special import polynomial


def _convergent(depth: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Numerator and denominator, in powers of x^2, of a convergent of L(x)/x = 1/(3 + x^2/(5 + x^2/(7 + ...))).

    All coefficients are positive, so nothing cancels.
    """
    numerator, denominator = [1], [2 * depth + 1]
    for j in range(depth - 1, 0, -1):
        shifted = [0, *numerator]
        width = max(len(denominator), len(shifted))
        padded = [a + [0] * (width - len(a)) for a in (denominator, shifted)]
        numerator, denominator = denominator, [(2 * j + 1) * a + b for a, b in zip(*padded, strict=True)]
    scale = denominator[0]
    return tuple(a / scale for a in numerator), tuple(a / scale for a in denominator)


_SINGLE, _DOUBLE = _convergent(6), _convergent(8)  # truncation error below 1e-9 and 1e-16 for |x| <= 1


def _near_zero(s: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Numerator and denominator of L(x)/x for s = x^2 <= 1, as accurate as the dtype."""
    numerator, denominator = _convergents(s)
    return polynomial(numerator, s), polynomial(denominator, s)


def _convergents(s: jax.Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return _SINGLE if jnp.finfo(s.dtype).bits <= 32 else _DOUBLE


def _derivative(coefficients: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(k * c for k, c in enumerate(coefficients))[1:]


@jax.custom_jvp
def langevin_ratio(s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Langevin function over its argument as a function of the squared argument.

    .. math:: f(s) = \frac{L(\sqrt s)}{\sqrt s}, \qquad f'(s) = \frac{1 - 3 f - s f^2}{2 s}

    The form the simulator needs: the moment is xi * langevin_ratio(|xi|^2), smooth at zero field. Its derivative is known
    and given to JAX, so that reverse mode keeps one array and not every intermediate value.

    Args:
        s: squared argument x^2 >= 0, dimensionless; any shape.

    Returns:
        L(sqrt s)/sqrt s, the shape and dtype of ``s``; 1/3 at s = 0.

    Source: Langevin, Ann. Chim. Phys. 5, 70 (1905).
    """
    s = jnp.asarray(s)
    small = s < 1
    near, far = jnp.where(small, s, 0), jnp.where(small, 1, s)
    numerator, denominator = _near_zero(near)
    x = jnp.sqrt(far)
    e = jnp.exp(-2 * x)  # coth x = (1 + e)/(1 - e), which leaves one division for both branches
    return jnp.where(small, numerator, x * (1 + e) - (1 - e)) / jnp.where(small, denominator, far * (1 - e))


@langevin_ratio.defjvp
def _langevin_ratio_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (s,), (ds,) = primals, tangents
    value = jnp.asarray(langevin_ratio(s))
    small = s < 1
    near, far = jnp.where(small, s, 0), jnp.where(small, 1, s)
    numerator, denominator = _near_zero(near)
    over, under = (polynomial(_derivative(c), near) for c in _convergents(near))
    slope = jnp.where(
        small,
        (over * denominator - numerator * under) / (denominator * denominator),
        (1 - 3 * value - far * value * value) / (2 * far),
    )
    return value, slope * ds


def langevin(x: Float[Array, "..."] | float) -> Float[Array, "..."]:
    r"""Langevin function :math:`L(x) = \coth x - 1/x`.

    Accurate to a few units in the last place for all finite x in float32 and float64; differentiable at 0.

    Args:
        x: dimensionless field, any shape.

    Returns:
        L(x), the shape of ``x``.

    Source: Langevin, Ann. Chim. Phys. 5, 70 (1905).
    """
    x = jnp.asarray(x, dtype=jnp.result_type(x, float) if not hasattr(x, "dtype") else None)
    small = jnp.abs(x) < 1
    near, far = jnp.where(small, x, 0), jnp.where(small, 1, x)
    numerator, denominator = _near_zero(near * near)
    return jnp.where(small, near * (numerator / denominator), 1 / jnp.tanh(far) - 1 / far)


def langevin_moment(xi: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
    r"""Mean moment of an isotropic particle in units of m0.

    .. math:: \mathbf m = L(|\boldsymbol\xi|)\, \boldsymbol\xi / |\boldsymbol\xi|

    Args:
        xi: dimensionless field beta*H, (..., 3).

    Returns:
        Unit moment, (..., 3).

    Source: Langevin, Ann. Chim. Phys. 5, 70 (1905).
    """
    xi = jnp.asarray(xi)
    return xi * langevin_ratio(jnp.sum(xi * xi, axis=-1, keepdims=True))
