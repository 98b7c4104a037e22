"""The phase engine: moments at the nodes of a grid of drive phases, for training matrices in three dimensions.

The moment at a voxel depends on time through cos(p_i), the cosine of each axis' phase, alone: it is an even, 2 pi periodic
function of the phases. Sampled at K Chebyshev phases p = (j + 1/2) pi/K per driven axis, a cosine transform gives the
coefficients of all mixing orders |n_i| < K at once, and a row is the sum of those orders that share its bin. In 3-D a period
of the usual dividers has 53,856 samples, which is what 19 nodes per axis amount to (2 x 19 phases of a full turn, cubed). Unlike
the separable engine this one takes particles that differ from voxel to voxel.

Orders of K and above are left out, and coefficients near K are aliased, as those near the Nyquist frequency are in time.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.batching import capped_map
from mpijax.core.typing import Array, Complex, Float, IntVector, Scalar
from mpijax.system.coils import Coils, coil_sensitivities
from mpijax.system.engines.separable import cosines, order_table, phases, transform
from mpijax.system.model import ParticleModel, Rule
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence


def spectra(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: ParticleModel,
    points: Float[Array, "n 3"],
    coils: Coils,
    *,
    rule: Rule,
    indices: IntVector | None,
    nodes: int,
    chunk: int,
    count: Scalar | None = None,
) -> Complex[Array, "c f n"]:
    """Spectrum of p . m over one period (rfft/N), positions in chunks; arguments as those of the time engine.

    Args:
        scanner, sequence, particle, points, coils, rule, indices, chunk, count: see
            :func:`mpijax.system.engines.time_domain.spectra`.
        nodes: K, phases per driven axis.
    """
    dtype = points.dtype
    counts = [nodes if cycles else 1 for cycles in sequence.cycles]
    cosine = [cosines(k)[1] if k > 1 else np.zeros(1) for k in counts]
    drive = [
        jnp.asarray(sequence.amplitude, dtype)[i] * jnp.asarray(c.ravel(), dtype)
        for i, c in enumerate(np.meshgrid(*cosine, indexing="ij"))
    ]
    matrices = [jnp.asarray(transform(k), dtype) for k in counts]
    table, valid = (jnp.asarray(a) for a in _orders(sequence.cycles, sequence.n_samples, nodes))
    if indices is not None:
        table, valid = table[indices], valid[indices]
    strides = np.array([counts[1] * counts[2], counts[2], 1])
    place = jnp.abs(table) @ strides
    angle = jnp.sum(table * phases(sequence, dtype), -1)
    weight = jnp.where(valid, 0.5 ** jnp.sum(table != 0, -1), 0).astype(dtype)
    weight = jax.lax.complex(weight * jnp.cos(angle), weight * jnp.sin(angle))

    def chunk_spectra(points: Float[Array, "n 3"]) -> Complex[Array, "c f n"]:
        static = scanner.field(points).astype(dtype)
        field = [static[:, axis, None] + drive[axis] for axis in range(3)]
        moment = particle.unit_moment(field, static, rule)
        signals = jnp.stack(moment)
        if coils is not None:
            sensitivity = coil_sensitivities(coils, points).astype(dtype)
            signals = jnp.einsum("cnv,vnt->cnt", sensitivity, signals, precision="highest")
        values = signals.reshape(*signals.shape[:2], *counts)
        values = jnp.einsum("ap,bq,er,cnpqr->abecn", *matrices, values, precision="highest")
        images = values.reshape(-1, *signals.shape[:2])
        total = jnp.zeros((), weight.dtype)
        for j in range(weight.shape[1]):
            total = total + weight[:, j, None, None] * images[place[:, j]]
        return total.swapaxes(0, 1)

    return capped_map(chunk_spectra, points, chunk, out_axis=-1, count=count)


@functools.lru_cache(maxsize=8)
def _orders(cycles: tuple[int, int, int], n_samples: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Orders |n_i| < K on every bin, padded (f, j, 3), and which entries hold one (f, j)."""
    spans = [np.arange(1 - nodes, nodes) if m else np.zeros(1, np.int64) for m in cycles]
    orders = np.stack(np.meshgrid(*spans, indexing="ij"), -1).reshape(-1, 3)
    bins = orders @ np.asarray(cycles) % n_samples
    kept = bins <= n_samples // 2
    return order_table(orders[kept], bins[kept], n_samples // 2 + 1)
