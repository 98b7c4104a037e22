"""Tables of the slow manifold: cubic splines over the field, the anisotropy and the damping.

Dimensionless: one table serves every particle of its damping. Along (u) and across (v) the easy axis the quantities of
:func:`mpijax.physics.dynamics.manifold.slow_manifold` stand at points u, v >= 0 that are denser where they bend; those of the other
quadrants follow from their parities. Anisotropy and damping are interpolated before fields are looked up: what is left is the table
of one anisotropy, or of one position where a fluid particle differs between positions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.dynamics.manifold import QUANTITIES, slow_manifold

RATES = 7
"""The first quantities, of which the equation of the slow mode is made; the others make the moment."""

EVEN_U = ("rate", "s_u", "s_b", "s1_v", "e_x", "phi_y", "g0_uy", "g0_vx", "g0_by", "g1_ux", "g1_vy", "g1_bx")
EVEN_V = ("rate", "s_u", "s1_u", "e_z", "g0_vx", "g0_vy", "g0_bx", "g0_by", "g1_vx", "g1_vy", "g1_bx", "g1_by")
PARITY = np.array([[1 if name in even else -1 for name in QUANTITIES] for even in (EVEN_U, EVEN_V)])
"""Sign of every quantity where the field along, and across, the axis changes its sign, (2, q)."""

BATCH = 32
"""Fields whose systems are solved at a time: what the cache of a core holds."""

SLACK = 1e-5
"""Share of an axis' length that rounding may leave it by."""


@dataclass(frozen=True)
class Axis:
    """Points low + width sinh(i step), i = 0 .. count - 1, from ``low`` to ``high``; one point where these are equal."""

    low: float
    high: float
    width: float
    count: int

    @property
    def step(self) -> float:
        """Distance of the points before the sinh."""
        return float(np.arcsinh((self.high - self.low) / self.width)) / max(self.count - 1, 1)

    def points(self) -> np.ndarray:
        """(count,)."""
        return self.low + self.width * np.sinh(self.step * np.arange(self.count))

    def weights(self, x: Float[Array, "*b"]) -> tuple[jax.Array, list[jax.Array], list[jax.Array]]:
        """First of the spline coefficients of each x, their weights, and the derivatives of these by x; NaN beyond the axis."""
        slack = SLACK * max(self.high - self.low, abs(self.low))
        good = jnp.where((x >= self.low - slack) & (x <= self.high + slack), 0, jnp.nan).astype(x.dtype)
        if self.count == 1:
            return jnp.zeros(x.shape, int), [1 + good], [good]
        offset = x - self.low
        s = jnp.arcsinh(offset / self.width) / self.step
        row = jnp.clip(s.astype(int), 0, self.count - 2)
        f = s - row + good
        g = 1 - f
        weights = [g * g * g / 6, (4 - 3 * f * f * (2 - f)) / 6, (4 - 3 * g * g * (2 - g)) / 6, f * f * f / 6]
        rate = 1 / (self.step * jnp.sqrt(offset * offset + self.width**2))
        slopes = [-g * g / 2, f * (3 * f - 4) / 2, g * (4 - 3 * g) / 2, f * f / 2]
        return row, weights, [rate * slope for slope in slopes]


def field_axes(reach: float) -> tuple[Axis, Axis]:
    """u and v of a table, up to a reduced field of ``reach``, as dense as 56 and 40 points up to 40."""
    share = [np.arcsinh(reach / width) / np.arcsinh(40 / width) for width in (6.0, 8.0)]
    counts = [max(round(n * s), 8) for n, s in zip((55, 39), share, strict=True)]
    return Axis(0.0, reach, 6.0, counts[0] + 1), Axis(0.0, reach, 8.0, counts[1] + 1)


def alpha_axis(low: float, high: float) -> Axis:
    """Reduced anisotropies of a table."""
    count = round(27 * np.arcsinh((high - low) / 4) / np.arcsinh(3)) + 1  # 28 of 0 to 12
    return Axis(low, high, 4.0, 1 if low == high else max(count, 8))


def damping_axis(low: float, high: float) -> Axis:
    """Logarithms of the dampings of a table."""
    ends = float(np.log(low)), float(np.log(high))
    return Axis(*ends, 1e3, 1 if low == high else 9)


@pytree
class Table:
    """Spline coefficients of the slow manifold. Make it with :func:`build_table`.

    Attributes:
        coefficients: (d, a, i, j, q), two more than points along every axis of more than one; the rate as its logarithm.
        axes: ln(damping), alpha, u and v, static.
    """

    coefficients: Float[Array, "d a i j q"]
    axes: tuple[Axis, Axis, Axis, Axis] = static()


@pytree
class Slice:
    """A table at some anisotropies and one damping.

    Attributes:
        value: spline coefficients (a, i, j, q); by_alpha, by_damping: their derivatives by alpha and ln(damping), None where
            the table holds one.
        axes: u and v, static.
    """

    value: Float[Array, "a i j q"]
    by_alpha: Float[Array, "a i j q"] | None
    by_damping: Float[Array, "a i j q"] | None
    axes: tuple[Axis, Axis] = static()

    def first(self, count: int) -> "Slice":
        """The same with the first ``count`` quantities."""
        return jax.tree.map(lambda leaf: leaf[..., :count], self)


def build_table(
    dampings: Axis,
    alphas: Axis,
    fields: tuple[Axis, Axis],
    *,
    margin: int = 2,
    progress: Callable[[float], None] | None = None,
) -> Table:
    """Compute a table, in NumPy and double precision: 3 to 7 s for each anisotropy on one core.

    Args:
        dampings: see :func:`damping_axis`.
        alphas: see :func:`alpha_axis`.
        fields: see :func:`field_axes`.
        margin: degrees and orders beyond the rule of :func:`degree_and_order`.
        progress: called with the share that is done.

    Raises:
        ArithmeticError: a rate that is not positive, the sign of too few degrees.
    """
    u, v = (part.ravel() for part in np.meshgrid(*(axis.points() for axis in fields), indexing="ij"))
    pairs = [(a, alpha) for a in np.exp(dampings.points()) for alpha in alphas.points()]
    found = []
    for i, (a, alpha) in enumerate(pairs):
        found.append(_at_fields(u, v, float(alpha), float(a), margin))
        if progress:
            progress((i + 1) / len(pairs))
    axes = dampings, alphas, *fields
    values = np.stack(found).reshape(*(axis.count for axis in axes), len(QUANTITIES))
    if not values[..., 0].min() > 0:
        raise ArithmeticError(
            f"the slowest rate of the table is {values[..., 0].min():.2g}; raise margin from {margin}."
        )
    values[..., 0] = np.log(values[..., 0])
    neither = np.zeros(len(QUANTITIES), int)
    for i, (axis, parity) in enumerate(zip(axes, (neither, neither, *PARITY), strict=True)):
        if axis.count > 1:
            values = _spline_coefficients(values, i, parity)
    return Table(values.astype(np.float32), axes)


def at_anisotropy(table: Table, alpha: Float[Array, " a"], damping: Scalar) -> Slice:
    """The table at each alpha (a,) and one damping; NaN beyond its axes, which it never extrapolates."""
    coefficients = jnp.asarray(table.coefficients, alpha.dtype)
    row, over, over_slopes = table.axes[0].weights(jnp.log(jnp.asarray(damping, alpha.dtype)))
    column, along, along_slopes = table.axes[1].weights(alpha)

    def summed(over: list[jax.Array], along: list[jax.Array]) -> jax.Array:
        parts = [
            (x * y)[:, None, None, None] * coefficients[row + i, column + j]
            for i, x in enumerate(over)
            for j, y in enumerate(along)
        ]
        return jax.lax.stop_gradient(sum(parts[1:], parts[0]))

    by_damping = summed(over_slopes, along) if table.axes[0].count > 1 else None
    by_alpha = summed(over, along_slopes) if table.axes[1].count > 1 else None
    return Slice(summed(over, along), by_alpha, by_damping, axes=table.axes[2:])


@jax.custom_jvp
def look_up(
    part: Slice, alpha: Float[Array, " a"], damping: Scalar, u: Float[Array, "n t"], v: Float[Array, "n t"]
) -> Float[Array, "q n t"]:
    """Quantities of fields (u, v), v >= 0, by the slice made at the same alpha and damping (a = n or 1); NaN beyond its axes.

    Derivatives by alpha and damping come from the slice's own tables of them: reverse mode scatters nothing into the table.
    """
    return _splines(part.value, part.axes, u, v)[0]


@look_up.defjvp
def _look_up_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    part, _, damping, u, v = primals
    _, d_alpha, d_damping, d_u, d_v = tangents
    value, by_u, by_v = _splines(part.value, part.axes, u, v, slopes=True)
    change = by_u * d_u + by_v * d_v
    for table, tangent in ((part.by_alpha, d_alpha[:, None]), (part.by_damping, d_damping / damping)):
        if table is not None:
            change = change + _splines(table, part.axes, u, v)[0] * tangent
    return value, change


def degree_and_order(u: np.ndarray, v: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Degrees L and orders M for an error of about 1e-4: the moment's at strong fields, the rate's at strong anisotropy."""
    floor = 1.75 * alpha + 2 if alpha >= 5 else 8.0
    degrees = np.ceil(np.maximum(3 * np.sqrt(np.hypot(u, v)), floor)).astype(int) + 2
    return degrees, np.minimum(np.ceil(0.45 * np.abs(v)).astype(int) + 2, degrees)


def _at_fields(u: np.ndarray, v: np.ndarray, alpha: float, damping: float, margin: int) -> np.ndarray:
    """Quantities (p, q) of fields (p,), those that need alike degrees and orders together."""
    degrees, orders = degree_and_order(u, v, alpha)
    degrees, orders = 3 * -(-degrees // 3) + margin, 2 * -(-orders // 2) + margin
    orders = np.minimum(orders, degrees)
    found = np.zeros((len(u), len(QUANTITIES)))
    for degree, order in sorted(set(zip(degrees.tolist(), orders.tolist(), strict=True))):
        alike = np.flatnonzero((degrees == degree) & (orders == order))
        for some in np.array_split(alike, -(-len(alike) // BATCH)):
            found[some] = slow_manifold(u[some], v[some], alpha, degree, order, damping)
    return found


def _spline_coefficients(values: np.ndarray, axis: int, parity: np.ndarray) -> np.ndarray:
    """Coefficients of uniform cubic B-splines through values, two more than these along ``axis``.

    Args:
        values: (.., q).
        axis: of the points.
        parity: of every quantity at the first point, (q,): 1 = even, -1 = odd; 0, and at the last point: the third derivative
            does not jump next to the end ("not a knot").
    """
    values = np.moveaxis(values, axis, 0)
    count = len(values)
    matrix = np.zeros((count + 2, count + 2))
    for i in range(count):
        matrix[i + 1, i : i + 3] = np.array([1, 4, 1]) / 6
    matrix[-1, -5:] = 1, -4, 6, -4, 1
    result = np.zeros((count + 2, *values.shape[1:]))
    for sign in (-1, 0, 1):
        matrix[0] = 0
        matrix[0, :5] = (1, 0, -sign, 0, 0) if sign else (1, -4, 6, -4, 1)
        right = np.zeros((count + 2, *values[..., parity == sign].shape[1:]))
        right[1:-1] = values[..., parity == sign]
        if sign < 0:
            right[1] = 0
        result[..., parity == sign] = np.linalg.solve(matrix, right.reshape(count + 2, -1)).reshape(right.shape)
    return np.moveaxis(result, 0, axis)


def _splines(
    table: Float[Array, "a i j q"],
    axes: tuple[Axis, Axis],
    u: Float[Array, "n t"],
    v: Float[Array, "n t"],
    slopes: bool = False,
) -> list[jax.Array]:
    """Splines at |u| and v with the signs of u, and their derivatives by u and v, (q, n, t) each."""
    side = jnp.where(u < 0, -1, 1).astype(u.dtype)
    row, over, over_slopes = axes[0].weights(side * u)
    column, along, along_slopes = axes[1].weights(v)
    width, count = table.shape[2:]
    flat = table.reshape(len(table), -1, count)

    def add(totals: list[jax.Array], line: tuple[jax.Array, ...]) -> tuple[list[jax.Array], None]:
        """One of the four lines of coefficients along v."""
        i, weight, slope = line
        for j in range(4):
            corner = (row + i) * width + column + j
            entries = flat[0][corner] if len(flat) == 1 else jnp.take_along_axis(flat, corner[..., None], axis=1)
            kinds = (weight * along[j], slope * along[j], weight * along_slopes[j])
            totals = [t + kind[..., None] * entries for t, kind in zip(totals, kinds, strict=False)]
        return totals, None

    zeros = [jnp.zeros((*u.shape, count), u.dtype)] * (3 if slopes else 1)
    # a loop, for XLA would fuse the sum into each of its uses and look all up again
    totals, _ = jax.lax.scan(add, zeros, (jnp.arange(4), jnp.stack(over), jnp.stack(over_slopes)))
    value, *rates = (jnp.moveaxis(total, -1, 0) for total in totals)
    sign = jnp.where(jnp.asarray(PARITY[0][: len(value), None, None]) > 0, 1, side)
    chains = [jnp.ones_like(side), side, jnp.ones_like(side)]
    return [x * sign * chain for x, chain in zip((value, *rates), chains, strict=False)]
