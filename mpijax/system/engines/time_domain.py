"""The time-domain engine: moments at the samples of one period and their transform, for every scanner and particle."""

import jax
import jax.numpy as jnp

from mpijax.core.batching import capped_map, chunk_size
from mpijax.core.typing import Array, Bool, Float, Inexact, IntVector, Scalar
from mpijax.system.coils import Coils, coil_sensitivities
from mpijax.system.engines.symmetry import Symmetry, even_samples, even_spectrum
from mpijax.system.model import ParticleModel, Rule
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence

NO_SYMMETRY = Symmetry()

WHOLE_BYTES = 2**27
"""Working set up to which a grid is simulated in one piece: without a loop over chunks the work is spread over all cores."""

CACHE_BYTES = 2**25
"""Working set of one chunk of a larger grid: what the last-level cache of a small machine holds."""

SMALL_BYTES = 2**23
"""Working set of one chunk where it is passed through many times: by models that keep arrays of their own (the sums over
quadrature nodes of anisotropic particles), and under reverse mode, which traced parameters may be meant for. ``memory_limit``
overrides it; benchmarks.bench_simulate and benchmarks.bench_separable time both cases."""


def bytes_per_voxel(particle: ParticleModel, n_samples: int, n_channels: int, itemsize: int) -> int:
    """Working memory of one voxel: fields, moments and signals as reals, and as many complex numbers for the spectra.

    Beside them it holds the arrays of the model's own.
    """
    arrays = (3 + n_channels) * 2 + particle.arrays_per_sample
    return arrays * n_samples * itemsize


def reference_field(scanner: Scanner, points: Float[Array, "n 3"], valid: Bool[Array, " n"] | None = None) -> jax.Array:
    """The largest |H_S| [T] over the (valid) positions, the field at which fluid particles have their full anisotropy."""
    field = scanner.field(points)
    square = jnp.sum(field * field, axis=1)
    return jnp.sqrt(jnp.max(square if valid is None else jnp.where(valid, square, 0)))


def spectra(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: ParticleModel,
    points: Float[Array, "n 3"],
    coils: Coils,
    *,
    rule: Rule,
    indices: IntVector | None,
    chunk: int,
    count: Scalar | None = None,
    symmetry: Symmetry = NO_SYMMETRY,
) -> tuple[Inexact[Array, "c f n"], Float[Array, " n"] | None]:
    """rfft(p . m)/N over one period, positions in chunks; of models with memory also how settled they are, see ``periodic_moment``.

    Args:
        scanner, sequence, particle: what is simulated.
        points: [m], (n, 3); their dtype is the precision.
        coils: sensitivities, see :func:`coil_sensitivities`; None = the moment's components.
        rule: of the moment.
        indices: bins (f,) to keep; None = all.
        chunk: positions simulated at a time.
        count: how many of the first positions matter; whole chunks of others are zero. None = all.
        symmetry: of it the time reversal, by which spectra are real and come as reals, and the silent components; the positions are
            taken as they are.
    """
    drive = sequence.drive_field(points.dtype)
    if symmetry.even:
        drive = drive[:, : even_samples(sequence.n_samples)]

    def transformed(signal: Float[Array, "n t"]) -> Inexact[Array, "f n"]:
        if symmetry.even:
            return even_spectrum(signal, sequence.n_samples, indices)
        spectrum = jnp.fft.rfft(signal * (1 / sequence.n_samples))
        return (spectrum if indices is None else spectrum[:, indices]).T  # transposed while in the cache

    def chunk_spectra(points: Float[Array, "n 3"]) -> tuple[Inexact[Array, "c f n"], Float[Array, " n"] | None]:
        static = scanner.field(points).astype(points.dtype)
        settled = None
        if particle.has_memory:
            moment, settled = particle.periodic_moment(static, sequence, rule)
        else:
            field = [static[:, axis, None] + drive[axis] for axis in range(3)]
            moment = particle.unit_moment(field, static, rule)
        sounding = [axis for axis in range(3) if not symmetry.silent[axis]]
        if coils is None:
            spectrum = {axis: transformed(moment[axis]) for axis in sounding}
            nothing = jnp.zeros_like(next(iter(spectrum.values())))
            return jnp.stack([spectrum.get(axis, nothing) for axis in range(3)]), settled
        sensitivity = coil_sensitivities(coils, points).astype(points.dtype)
        signals = [sum(p[:, axis, None] * moment[axis] for axis in sounding) for p in sensitivity]
        return jnp.stack([transformed(signal) for signal in signals]), settled

    return capped_map(chunk_spectra, points, chunk, out_axis=-1, count=count)


def voxels_per_chunk(
    particle: ParticleModel,
    n_samples: int,
    n_voxels: int,
    n_channels: int,
    dtype: jnp.dtype,
    memory_limit: int | None,
    traced: bool,
) -> int:
    """Voxels per chunk of the time engine under a memory limit [bytes], None = by the sizes above."""
    needed = bytes_per_voxel(particle, n_samples, n_channels, dtype.itemsize)
    limit = memory_limit
    if limit is None:
        if particle.arrays_per_sample:
            limit = SMALL_BYTES
        elif needed * n_voxels > WHOLE_BYTES:
            limit = CACHE_BYTES
        else:
            limit = SMALL_BYTES if traced else WHOLE_BYTES
        limit = max(limit, needed)
    if limit < needed:
        raise ValueError(f"memory_limit = {limit} bytes; one voxel of this sequence needs {needed}.")
    return chunk_size(n_voxels, needed, limit)
