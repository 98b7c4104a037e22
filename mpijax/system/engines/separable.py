"""The separable engine: whole matrices of ideal scanners by matrix products instead of time signals.

In an ideal scanner each component of the field depends on one coordinate and one phase, H_i = G_i r_i + h_i + A_i cos(p_i),
and the mean moment is one smooth function m(H) on a box. Expanded once in Chebyshev polynomials,

    m(H) = sum_pqr C_pqr T_p(u_x) T_q(u_y) T_r(u_z),        u_i = (H_i - middle_i)/half width_i,

and each factor in the harmonics of its phase, T_p(u_x) = sum_a X_{a,x,p} cos(a p_x), the coefficient of the mixing order (a, b, c)
at the voxel (x, y, z) is the contraction sum_pqr X_{a,x,p} Y_{b,y,q} Z_{c,z,r} C_pqr. Every row of the matrix is one real
coefficient image times a fixed phase, or a sum of a few where orders share a bin. The cost is one evaluation of m per node of the
box instead of one per voxel and sample. An axis that is not driven keeps its voxel planes as nodes and is exact.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.batching import capped_map
from mpijax.core.typing import Array, Complex, DType, Float, IntVector, Values
from mpijax.physics.sequences import UNREACHED
from mpijax.system.coils import Coils, coil_sensitivities
from mpijax.system.grid import Grid
from mpijax.system.model import ParticleModel, Rule
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence

TOLERANCE = {"float32": 1e-5, "float64": 1e-11}
"""Size, relative to the largest, of the Chebyshev coefficients and of the mixing orders that are left out."""

TRACED_NODES, TRACED_ORDER = 64, 24
"""Chebyshev nodes per driven axis, and largest mixing order, where the field strengths are traced and so unknown."""


@dataclass(frozen=True)
class Plan:
    """What is static about a synthesis: how many nodes, which coefficient images, how rows are made of them.

    Attributes:
        nodes: Chebyshev nodes per axis; 0 for an axis that is not driven.
        pairs: orders (a, b) along x and y that occur.
        z_orders: orders 0, .., z_orders - 1 along z are made with every pair.
        image: (c, pair) as one number of each contribution to each row, (f, j).
        orders: its signed mixing order (f, j, 3); valid: (f, j).
    """

    nodes: tuple[int, int, int]
    pairs: tuple[tuple[int, int], ...]
    z_orders: int
    image: np.ndarray
    orders: np.ndarray
    valid: np.ndarray

    @property
    def static(self) -> tuple[tuple[int, int, int], tuple[tuple[int, int], ...], int]:
        """The hashable part."""
        return self.nodes, self.pairs, self.z_orders

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The part that may change without compiling anew."""
        return self.image, self.orders, self.valid

    def memory(self, grid: Grid, itemsize: int) -> tuple[int, int]:
        """Working memory in bytes: what all planes share (the moment on the box, the contractions along x and y), and what each
        z plane takes (its coefficient images).
        """
        nx, ny, nz = grid.shape
        p, q, r = (n or voxels for n, voxels in zip(self.nodes, grid.shape, strict=True))
        a, b = (1 + max(pair[i] for pair in self.pairs) for i in (0, 1))
        contracted = 3 * r * (q * a * nx + nx * ny * (a * b + len(self.pairs)))
        return (12 * p * q * r + contracted) * itemsize, 3 * nx * ny * len(self.pairs) * self.z_orders * itemsize


def chebyshev_count(strength: float, tolerance: float, pole: float) -> int:
    """Chebyshev coefficients of a function on [-strength, strength] until they have fallen below ``tolerance``.

    A function whose nearest pole sits at distance ``pole`` from the real axis has coefficients that fall as rho^-p with
    rho = z + sqrt(z^2 + 1), z = pole/strength.
    """
    z = pole / max(strength, 1e-9)
    return math.ceil(math.log(1 / tolerance) / math.log(z + math.sqrt(z * z + 1)))


@dataclass(frozen=True)
class Extent:
    """How far the expansion reaches: Chebyshev nodes per axis (0 where it is not driven) and largest mixing order."""

    nodes: tuple[int, int, int]
    order: int

    def box_bytes(self, grid: Grid, itemsize: int) -> int:
        """Working memory of the moment on the box: known before anything is laid out."""
        return 12 * math.prod(n or voxels for n, voxels in zip(self.nodes, grid.shape, strict=True)) * itemsize


def extent(
    sequence: LissajousSequence,
    drive_strength: Array | None,
    box_strength: Array | None,
    *,
    tolerance: float,
    pole: float,
) -> Extent:
    """The nodes and orders that a tolerance needs.

    Args:
        sequence: which axes are driven.
        drive_strength: beta A per axis; box_strength: beta times half the width of the field box per axis; None = traced.
        tolerance: of the truncations.
        pole: distance of the moment's nearest pole from the real axis, in xi.
    """
    active = [bool(m) for m in sequence.cycles]
    if drive_strength is None or box_strength is None:
        x, y, z = (TRACED_NODES if on else 0 for on in active)
        return Extent((x, y, z), TRACED_ORDER)
    counts = [max(16, chebyshev_count(s, tolerance, pole) + 1) for s in box_strength]
    x, y, z = (8 * math.ceil(n / 8) if on else 0 for n, on in zip(counts, active, strict=True))
    return Extent((x, y, z), chebyshev_count(float(np.max(drive_strength)), tolerance, pole))


def plan(sequence: LissajousSequence, indices: IntVector, extent: Extent) -> Plan:
    """Lay out the synthesis of some bins (f,) from the mixing orders that fall on them."""
    unique, inverse = np.unique(indices, return_inverse=True)
    nearest = sequence.mixing_orders()[unique]
    smallest = np.abs(nearest[nearest[:, 0] != UNREACHED]).sum(1)  # a bin that no order reaches stays zero
    orders, row = _contributions(sequence, unique, int(max(smallest.max(initial=0), extent.order)))
    table, valid = order_table(orders, row, len(unique))
    modulus = np.abs(table[valid])
    distinct, pair = np.unique(modulus[:, :2], axis=0, return_inverse=True)
    image = np.zeros(valid.shape, np.int64)
    image[valid] = modulus[:, 2] * len(distinct) + pair
    z_orders = int(modulus[:, 2].max()) + 1
    pairs = tuple((a, b) for a, b in distinct.tolist())
    return Plan(extent.nodes, pairs, z_orders, image[inverse], table[inverse], valid[inverse])


def order_table(orders: np.ndarray, row: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Mixing orders (k, 3) by the row (k,) they belong to: padded (n_rows, j, 3), and which entries hold one (n_rows, j)."""
    by_row = np.argsort(row, kind="stable")
    orders, row = orders[by_row], row[by_row]
    position = np.arange(len(row)) - np.searchsorted(row, row)
    shape = n_rows, int(position.max(initial=0)) + 1
    table, valid = np.zeros((*shape, 3), np.int64), np.zeros(shape, bool)
    table[row, position], valid[row, position] = orders, True
    return table, valid


def _contributions(sequence: LissajousSequence, indices: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Signed orders of sum at most ``limit`` that fall on one of the bins (ascending), aliases included, and the row of each."""
    orders = np.zeros((1, 0), np.int64)
    for m in sequence.cycles:
        choices = np.arange(-limit, limit + 1) if m else np.zeros(1, np.int64)
        orders = np.concatenate([np.repeat(orders, len(choices), 0), np.tile(choices, len(orders))[:, None]], axis=1)
        orders = orders[np.abs(orders).sum(1) <= limit]
    bins = orders @ np.asarray(sequence.cycles, np.int64) % sequence.n_samples
    row = np.searchsorted(indices, bins).clip(max=len(indices) - 1)
    hit = indices[row] == bins
    order = np.argsort(np.abs(orders[hit]).sum(1), kind="stable")
    return orders[hit][order], row[hit][order]


def synthesize(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: ParticleModel,
    grid: Grid,
    coils: Coils,
    factor: Values | None,
    rows: tuple[Array, ...],
    *,
    rule: Rule,
    static: tuple[tuple[int, int, int], tuple[tuple[int, int], ...], int],
    dtype: DType,
    planes: int,
) -> Complex[Array, "c f n"]:
    """factor * the spectrum of p . m (rfft/N), (c, f, n).

    Args:
        scanner, sequence, particle, grid: what is simulated; the gradient must be diagonal, else the result is NaN.
        coils: sensitivities; None = the moment's components.
        factor: complex (c, f); None = 1.
        rows: ``rows`` of the plan.
        rule: of the moment.
        static: ``static`` of the plan.
        dtype: precision.
        planes: z planes made at a time.
    """
    nodes, pairs, z_orders = static
    first, second = (np.array(part) for part in zip(*pairs, strict=True))
    tops = int(first.max()), int(second.max()), z_orders - 1
    static_field = _axis_fields(scanner, grid, dtype)
    amplitude = jnp.asarray(sequence.amplitude, dtype)
    axes = [_axis(static_field[i], amplitude[i], nodes[i], tops[i]) for i in range(3)]
    field = jnp.meshgrid(*(axis[0] for axis in reversed(axes)), indexing="ij")[::-1]  # (r, q, p): x fastest
    shape = field[0].shape
    flat = [h.reshape(shape[0] * shape[1], shape[2]) for h in field]
    moments = jnp.stack([m.reshape(shape) for m in particle.unit_moment(flat, jnp.zeros((1, 3), dtype), rule)])
    # matrices (order, voxel, node) straight from the values at the nodes
    x_matrix, y_matrix, z_matrix = (axis[1] for axis in axes)
    by_x = jnp.einsum("axp,vrqp->vrqax", x_matrix, moments, precision="highest")
    by_xy = jnp.einsum("byq,vrqax->rabvyx", y_matrix, by_x, precision="highest")[:, first, second]

    def planes_of(z_matrix: Float[Array, "z c r"]) -> Float[Array, "z i 3 p"]:
        """Coefficient images of some z planes."""
        made = jnp.einsum("zcr,rsvyx->zcsvyx", z_matrix, by_xy, precision="highest")
        return made.reshape(made.shape[0], z_orders * len(pairs), 3, -1)

    images = capped_map(planes_of, z_matrix.swapaxes(0, 1), planes)
    image, orders, valid = (jnp.asarray(a) for a in rows)
    weight = jnp.where(valid, 0.5 ** jnp.sum(orders != 0, -1), 0).astype(dtype)
    angle = jnp.sum(orders * phases(sequence, dtype), -1)
    weight = jax.lax.complex(weight * jnp.cos(angle), weight * jnp.sin(angle))
    sensitivity = None
    if coils is not None:
        sensitivity = coil_sensitivities(coils, jnp.asarray(grid.positions, dtype)).astype(dtype)
    off_axis = jnp.asarray(scanner.gradient, dtype) * (1 - np.eye(3))
    factor = jnp.where(jnp.all(off_axis == 0), jnp.asarray(1 if factor is None else factor, weight.dtype), jnp.nan)
    n_channels = 3 if sensitivity is None else len(sensitivity)
    factor = jnp.broadcast_to(factor, (n_channels, len(image)))
    values = jnp.zeros((), weight.dtype)
    for j in range(image.shape[1]):
        part = images[:, image[:, j]].transpose(2, 1, 0, 3).reshape(3, len(image), grid.size)
        if sensitivity is not None:
            part = jnp.einsum("cnv,vfn->cfn", sensitivity, part, precision="highest")
        share = (factor * weight[:, j])[..., None]
        values = values + jax.lax.complex(share.real * part, share.imag * part)
    return values


def _axis_fields(scanner: Scanner, grid: Grid, dtype: DType) -> list[jax.Array]:
    """Static field of every axis at its voxels."""
    fields = []
    for i, n in enumerate(grid.shape):
        unit = (np.arange(n) + 0.5) / n - 0.5
        position = jnp.asarray(grid.center, dtype)[i] + jnp.asarray(unit, dtype) * jnp.asarray(grid.fov, dtype)[i]
        gradient, offset = jnp.asarray(scanner.gradient, dtype)[i, i], jnp.asarray(scanner.offset_field, dtype)[i]
        fields.append(gradient * position + offset)
    return fields


def _axis(
    static: Float[Array, " v"], amplitude: jax.Array, nodes: int, top: int
) -> tuple[Float[Array, " p"], Float[Array, "o v p"]]:
    """Field at the nodes, and the matrix (order, voxel, node) from values at the nodes to harmonics of the phase."""
    dtype = static.dtype
    if not nodes:  # not driven: the voxels are the nodes
        return static, jnp.eye(len(static), dtype=dtype)[None]
    low, high = jnp.min(static) - amplitude, jnp.max(static) + amplitude
    middle, half = (low + high) / 2, (high - low) / 2
    samples = max(nodes, top + 1)
    u = (static[:, None] + amplitude * jnp.asarray(cosines(samples)[1], dtype) - middle) / half

    def next_polynomial(pair: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        last, now = pair
        return (now, 2 * u * now - last), last

    _, polynomials = jax.lax.scan(next_polynomial, (jnp.ones_like(u), u), None, length=nodes)  # (k, v, j)
    harmonics = jnp.asarray(transform(samples)[: top + 1], dtype)
    values = jnp.asarray(transform(nodes), dtype)
    matrix = jnp.einsum("aj,kvj,kp->avp", harmonics, polynomials, values, precision="highest")
    return middle + half * jnp.asarray(cosines(nodes)[1], dtype), matrix


def cosines(n: int) -> np.ndarray:
    """cos(k angle_j) at the n Chebyshev angles, (k, j)."""
    return np.cos(np.arange(n)[:, None] * (np.arange(n) + 0.5) * np.pi / n)


def transform(n: int) -> np.ndarray:
    """Cosine coefficients from samples at the n Chebyshev angles, (k, j)."""
    return np.where(np.arange(n) == 0, 1, 2)[:, None] / n * cosines(n)


def phases(sequence: LissajousSequence, dtype: DType) -> jax.Array:
    """Phase of each axis against a cosine [rad], (3,)."""
    if sequence.phase is not None:
        return jnp.asarray(sequence.phase, dtype) - math.pi / 2
    return jnp.full(3, 0.0 if sequence.waveform == "cosine" else -math.pi / 2, dtype)
