"""X-space theory: the point-spread kernels of a field-free point or line that is moved across the object.

A particle at r feels the field G (r - x) of a field-free point at x, and in units of the particle's own field scale
xi = beta G (r - x). Its mean moment is m0 m(xi), m = L(|xi|) xi/|xi|, and what a receive coil along e hears of a point that
moves with velocity v is the change of e.m:

    d/dt e.m = -e^T J(xi) beta G v,   J = dm/dxi = L'(|xi|) xi xi^T/|xi|^2 + (L(|xi|)/|xi|) (I - xi xi^T/|xi|^2).

With f(s) = L(sqrt s)/sqrt s, s = |xi|^2, the moment is m = f(s) xi, and the Jacobian is a polynomial in xi without a division:

    J = f(s) I + 2 f'(s) xi xi^T,   J(0) = I/3.

Kernels are written in field space: under an anisotropic gradient the squared cosine between e and xi is that of the field,
xi_e^2/|xi|^2, not that of the position. Everything is even in xi, so the gradient's sign does not matter here (it does in the
voltage, :func:`mpijax.system.scans.xspace.x_space_voltage`).
"""

import jax
import jax.numpy as jnp

from mpijax.core.typing import Array, Float
from mpijax.physics.equilibrium import langevin_ratio

COLLINEAR_WIDTH = 4.161048048380302
"""Full width at half maximum of L'(xi), dimensionless: that of a point along the excitation."""

TRANSVERSE_WIDTH = 9.466638799550365
"""Full width at half maximum of L(xi)/xi, dimensionless: that of a point across the excitation."""

ISOTROPIC_WIDTH = 5.828377241640101
"""Full width at half maximum of (L' + L/xi)/2, dimensionless: that of a point in the mean of two scans at right angles."""


def ratio_and_slope(s: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """f(s) = L(sqrt s)/sqrt s and its derivative f'(s), of which all kernels are made; s = |xi|^2 >= 0."""
    s = jnp.asarray(s)
    return jax.jvp(langevin_ratio, (s,), (jnp.ones_like(s),))


def langevin_jacobian(xi: Float[Array, "*batch d"]) -> Float[Array, "*batch d d"]:
    r"""Jacobian of the mean moment.

    .. math:: \mathbf J = f(s)\, \mathbf I + 2 f'(s)\, \boldsymbol\xi \boldsymbol\xi^T, \qquad s = |\boldsymbol\xi|^2

    with f of :func:`langevin_ratio`.

    Args:
        xi: dimensionless field beta*H, (..., d), d = 1, 2 or 3 components (those left out are zero).

    Returns:
        J, (..., d, d), symmetric and positive definite: L' along xi and L/|xi| across; I/3 at xi = 0.

    Source: Goodwill & Conolly, IEEE TMI 30(9):1581 (2011).
    """
    xi = jnp.asarray(xi)
    value, slope = ratio_and_slope(jnp.sum(xi * xi, axis=-1))
    outer = xi[..., :, None] * xi[..., None, :]
    return value[..., None, None] * jnp.eye(xi.shape[-1], dtype=xi.dtype) + 2 * slope[..., None, None] * outer


def collinear_kernel(xi: Float[Array, "*batch d"], excitation: Float[Array, " d"]) -> Float[Array, "*batch"]:
    r"""Kernel of a scan that excites and receives along e.

    .. math:: h_e = \mathbf e^T \mathbf J\, \mathbf e = L' \cos^2\vartheta + \frac{L}{|\boldsymbol\xi|} \sin^2\vartheta,
        \qquad \cos\vartheta = \mathbf e \cdot \boldsymbol\xi / |\boldsymbol\xi|

    J is that of :func:`langevin_jacobian`.

    Args:
        xi: dimensionless field beta G (r - x), (..., d).
        excitation: e, unit vector (d,) of the drive field; with a diagonal gradient also the direction of motion.

    Returns:
        h_e, (...), 1/3 at xi = 0 and smooth there. In float32 the error is some 1e-7 of an absolute scale, not of the tail.

    Source: Goodwill & Conolly, IEEE TMI 30(9):1581 (2011), eq. 12 to 15.
    """
    xi = jnp.asarray(xi)
    value, slope = ratio_and_slope(jnp.sum(xi * xi, axis=-1))
    return value + 2 * slope * jnp.sum(xi * jnp.asarray(excitation, xi.dtype), axis=-1) ** 2


def isotropic_kernel(xi: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    r"""Kernel of the mean of two scans at right angles.

    .. math:: h = \frac12 \left( L'(|\boldsymbol\xi|) + \frac{L(|\boldsymbol\xi|)}{|\boldsymbol\xi|} \right)

    It is (h_a + h_b)/2 where the axes a and b span the plane in which xi lies. Round in field space always; round in the image
    only where the gradient's strength is the same along a and b.

    Args:
        xi: dimensionless field within the plane of the two axes, (..., d).

    Returns:
        h, (...), 1/3 at xi = 0.

    Source: Goodwill & Conolly, IEEE TMI 30(9):1581 (2011).
    """
    xi = jnp.asarray(xi)
    s = jnp.sum(xi * xi, axis=-1)
    value, slope = ratio_and_slope(s)
    return value + s * slope


def full_widths(
    gradient: Float[Array, " d"], beta: float | Float[Array, ""], excitation: int | None = None
) -> Float[Array, " d"]:
    r"""Full widths at half maximum of a point's image along the gradient's axes.

    :math:`4.161/(\beta |G_i|)` along the excitation axis i, :math:`9.467/(\beta |G_i|)` along any other; without an
    excitation axis :math:`5.828/(\beta |G_i|)`, the width of :func:`isotropic_kernel`.

    Args:
        gradient: diagonal of G [T/m], (d,), of any sign.
        beta: m0/(kB T) [1/T].
        excitation: axis that is excited and received, or None.

    Returns:
        (d,) [m]; infinite along an axis without gradient (a field-free line).

    Source: Goodwill & Conolly, IEEE TMI 30(9):1581 (2011).
    """
    gradient = jnp.asarray(gradient)
    if excitation is None:
        widths = jnp.full(gradient.shape, ISOTROPIC_WIDTH, gradient.dtype)
    else:
        along = jnp.arange(gradient.shape[0]) == excitation
        widths = jnp.where(along, COLLINEAR_WIDTH, TRANSVERSE_WIDTH).astype(gradient.dtype)
    flat = gradient == 0
    return jnp.where(flat, jnp.inf, widths / (beta * jnp.abs(jnp.where(flat, 1, gradient))))
