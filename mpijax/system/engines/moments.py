"""Mean moments of equilibrium particles, component by component (structure of arrays)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.anisotropy import Method, axial_moment
from mpijax.physics.equilibrium import langevin_ratio

Anisotropy = tuple[Float[Array, " a"], Float[Array, "a 3"]]
"""Reduced anisotropy and easy axis of every position, or one for all (a = n or 1)."""


AnisotropyRule = tuple[Method, float]
"""How the anisotropic moment is evaluated, static: the method, and the bound of alpha that sizes it."""


def equilibrium_moment(
    beta: Scalar,
    sizes: tuple[Array, Array],
    field: Sequence[Float[Array, "n t"]],
    anisotropy: Anisotropy | None,
    rule: AnisotropyRule,
) -> list[jax.Array]:
    """Mean moment in units of m0, three components (n, t).

    m = xi L(|xi|)/|xi| with xi = beta H, or with an easy axis n and xi = u n + xi_perp: m = m_par(u, |xi_perp|) n + (m_perp/
    |xi_perp|) xi_perp. Sizes are averaged by volume.

    Args:
        beta: m0/(kB T) [1/T] of the median size.
        sizes: diameters over the median and their weights in the mean moment, (s,) each.
        field: H [T], three components (n, t).
        anisotropy: alpha (a,) and axis (a, 3) of the median size; None for the Langevin model.
        rule: of the anisotropic moment.
    """
    dtype = field[0].dtype
    ratios, weights = sizes
    beta = jnp.asarray(beta, dtype)
    if len(weights) == 1:
        return _one_size(beta, 1.0, field, anisotropy, rule)

    @jax.checkpoint
    def add(total: list[jax.Array], node: tuple[jax.Array, jax.Array]) -> tuple[list[jax.Array], None]:
        volume, weight = node
        one = _one_size(beta * volume, volume, field, anisotropy, rule)
        return [a + weight * b for a, b in zip(total, one, strict=True)], None

    nodes = jnp.asarray(ratios, dtype) ** 3, jnp.asarray(weights, dtype)
    return jax.lax.scan(add, [jnp.zeros_like(h) for h in field], nodes)[0]


def _one_size(
    beta: jax.Array, volume: Scalar, field: Sequence[Array], anisotropy: Anisotropy | None, rule: AnisotropyRule
) -> list[jax.Array]:
    xi: list[Any] = [beta * h for h in field]
    if anisotropy is None:
        ratio = langevin_ratio(xi[0] * xi[0] + xi[1] * xi[1] + xi[2] * xi[2])
        return [component * ratio for component in xi]
    alpha, axis = anisotropy
    n = [jnp.asarray(axis)[:, i, None] for i in range(3)]
    along = xi[0] * n[0] + xi[1] * n[1] + xi[2] * n[2]
    across = [component - along * direction for component, direction in zip(xi, n, strict=True)]
    square = across[0] * across[0] + across[1] * across[1] + across[2] * across[2]
    method, alpha_max = rule
    alpha = jnp.clip(volume * alpha, -alpha_max, alpha_max)[:, None]
    parallel, ratio = axial_moment(along, square, alpha, method=method, alpha_max=alpha_max)
    return [parallel * direction + ratio * part for direction, part in zip(n, across, strict=True)]
