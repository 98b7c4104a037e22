"""Simulating moment spectra and system matrices.

The time-domain engine works for every scanner: positions in chunks that fit the cache, structure-of-arrays layout, the
frequencies chosen inside the compiled function.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.batching import capped_map, chunk_size
from mpijax.core.checks import check_choice, check_range, check_shape, is_concrete
from mpijax.core.constants import MAGNETITE_DENSITY, MAGNETITE_MOLAR_MASS, MU0
from mpijax.core.typing import Array, Complex, Float
from mpijax.physics.fields import selection_field
from mpijax.physics.langevin import langevin_ratio
from mpijax.system.coils import coil_sensitivities
from mpijax.system.grid import Grid
from mpijax.system.matrix import SystemMatrix
from mpijax.system.particle import Particle
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence

WHOLE_BYTES = 2**27
"""Working set up to which a grid is simulated in one piece: without a loop over chunks the work is spread over all cores."""

CACHE_BYTES = 2**25
"""Working set of one chunk of a larger grid: what the last-level cache of a small machine holds."""


def moment_spectrum(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: Particle,
    grid: Grid,
    frequency_indices: Any = None,
    *,
    engine: str = "auto",
    dtype: Any = None,
    memory_limit: int | None = None,
) -> Complex[Array, "3 f n"]:
    """Spectrum of the mean moment at every voxel, rfft(m)/N = (1/T) int m exp(-2 pi i k t/T) dt, in units of m0.

    Args:
        scanner: selection field.
        sequence: drive field and sampling.
        particle: model.
        grid: voxels.
        frequency_indices: rfft bins to keep (f,); None = all. Only its length is static.
        engine: "auto" or "time" (the time-domain engine, the only one so far).
        dtype: float32 or float64; None = the default precision. The transform runs in the same precision: float32 components
            below 1e-5 of the strongest are rounding noise.
        memory_limit: bytes of working memory beside the result; None = 128 MiB, in chunks that fit the cache beyond that.

    Returns:
        complex (3, f, n), components x, y, z.

    Raises:
        ValueError: an unknown engine, a dtype that is not enabled, a bin that does not exist.
        NotImplementedError: an anisotropic particle.

    Memory: the result, 24 f n bytes in float32: above 1 GB for a whole 3-D matrix of 19^3 voxels; give frequency_indices.
    """
    arguments = _prepare(sequence, particle, grid, frequency_indices, engine, dtype, memory_limit, 3)
    return _spectrum(scanner, sequence, particle, grid, None, None, 1 / sequence.n_samples, **arguments)


def simulate_system_matrix(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: Particle,
    grid: Grid,
    frequency_indices: Any = None,
    *,
    concentration: Any = 1.0,
    sample_volume: Any = None,
    engine: str = "auto",
    dtype: Any = None,
    memory_limit: int | None = None,
) -> SystemMatrix:
    """System matrix: the spectrum of the induced voltage for a calibration sample at every voxel.

    s_ck(r) = -mu0 a_ck m0 (2 pi i f_k) p_c(r) . rfft(m)_k(r) * particles, in volts and in the MDF scale (plain rfft of one
    period). particles = concentration * M/(3 rho V_core) * sample_volume for magnetite (M, rho: molar mass and density), so
    m0 * particles = concentration * M/(3 rho) * Ms * sample_volume does not depend on the core's size. Images reconstructed
    with the matrix come out in the unit of ``concentration`` times its value: mmol(Fe)/L by default.

    Args:
        scanner: selection field, receive coils p_c [1/m], transfer function a_ck.
        sequence: drive field and sampling.
        particle: model.
        grid: voxels.
        frequency_indices: rfft bins to keep (f,); None = all.
        concentration: iron in the calibration sample [mol/m^3 = mmol/L].
        sample_volume: [m^3]; None = one voxel.
        engine, dtype, memory_limit: see :func:`moment_spectrum`.

    Returns:
        SystemMatrix with complex values (c, f, n) [V].

    Raises:
        As :func:`moment_spectrum`; ValueError for a transfer function that does not fit channels and bins.
    """
    check_range("concentration", concentration, 1e-12, 1e12, "mmol/L")
    if sample_volume is not None:
        check_range("sample_volume", sample_volume, 1e-18, 1.0, "m^3", "1 uL is 1e-9 m^3.")
    homogeneous = scanner.receive_coils is None
    n_channels = 3 if homogeneous else len(scanner.receive_coils)
    arguments = _prepare(sequence, particle, grid, frequency_indices, engine, dtype, memory_limit, n_channels)
    indices = np.arange(len(sequence.frequencies)) if frequency_indices is None else arguments["indices"]
    xp = np if is_concrete(indices) else jnp
    frequencies = xp.asarray(sequence.frequencies)[indices]
    sample_volume = grid.voxel_volume if sample_volume is None else sample_volume
    iron = concentration * MAGNETITE_MOLAR_MASS / (3 * MAGNETITE_DENSITY) * sample_volume
    factor = -2j * np.pi * MU0 * iron * particle.saturation_magnetization * frequencies
    transfer_function = None
    if scanner.transfer_function is not None:
        check_shape("transfer_function", scanner.transfer_function, (n_channels, len(sequence.frequencies)))
        transfer_function = jnp.asarray(scanner.transfer_function)[:, indices]
        factor = factor * transfer_function
    factor = jnp.broadcast_to(factor, (n_channels, len(indices)))
    values = _spectrum(scanner, sequence, particle, grid, scanner.receive_coils, factor, 1.0, **arguments)
    return SystemMatrix.create(
        values,
        frequencies,
        grid,
        frequency_indices=indices,
        n_samples=sequence.n_samples,
        bandwidth=sequence.bandwidth,
        scanner=scanner,
        sequence=sequence,
        sample_concentration=concentration,
        sample_volume=sample_volume,
        transfer_function=transfer_function,
        metadata={"/experiment/isSimulation": 1, "/calibration/method": "simulation"},
    )


def _prepare(
    sequence: LissajousSequence,
    particle: Particle,
    grid: Grid,
    frequency_indices: Any,
    engine: str,
    dtype: Any,
    memory_limit: int | None,
    n_channels: int,
) -> dict[str, Any]:
    """Check the arguments common to the simulators and choose chunk and precision."""
    check_choice("engine", engine, ("auto", "time"))
    if not particle.is_langevin:
        raise NotImplementedError(
            "this version simulates Langevin particles only; create the particle without anisotropy_constant, easy_axis and "
            "spatial_modulation."
        )
    dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    check_choice("dtype", dtype.name, ("float32", "float64"))
    if dtype == jnp.float64 and jnp.result_type(float) != jnp.float64:
        raise ValueError(
            "dtype = float64, but JAX runs in single precision; wrap the call in `with jax.enable_x64(True):`."
        )
    n_bins = sequence.n_samples // 2 + 1
    indices = frequency_indices
    if indices is not None and is_concrete(indices):
        indices = np.asarray(indices)
        if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
            raise ValueError(
                f"frequency_indices has shape {indices.shape} and dtype {indices.dtype}; expected integers (f,)."
            )
        if np.any((indices < 0) | (indices >= n_bins)):
            raise ValueError(
                f"frequency_indices reach {indices.min()} to {indices.max()}; the bins are 0 to {n_bins - 1}."
            )
    # fields, moments and signals as reals, the spectrum as as many complex numbers
    bytes_per_voxel = (3 + n_channels) * 2 * sequence.n_samples * dtype.itemsize
    limit = memory_limit
    if limit is None:
        limit = WHOLE_BYTES if bytes_per_voxel * grid.size <= WHOLE_BYTES else CACHE_BYTES
    if limit < bytes_per_voxel:
        raise ValueError(f"memory_limit = {limit} bytes; one voxel of this sequence needs {bytes_per_voxel}.")
    return {"indices": indices, "dtype": dtype, "chunk": chunk_size(grid.size, bytes_per_voxel, limit)}


@partial(jax.jit, static_argnames=("dtype", "chunk"))
def _spectrum(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: Particle,
    grid: Grid,
    coils: Any,
    factor: Any,
    scale: Any,
    *,
    indices: Any,
    dtype: Any,
    chunk: int,
) -> Complex[Array, "c f n"]:
    """scale * factor * rfft of p . m over one period, (c, f, n).

    ``coils`` None = the moment's components; ``factor`` complex (c, f) or None = 1; ``indices`` None = all bins.
    """
    gradient = jnp.asarray(scanner.gradient, dtype)
    offset = jnp.asarray(scanner.offset_field, dtype)
    beta, scale = jnp.asarray(particle.beta, dtype), jnp.asarray(scale, dtype)
    drive = sequence.drive_field(dtype)

    def chunk_spectrum(points: Float[Array, "n 3"]) -> Complex[Array, "n c f"]:
        static = selection_field(points, gradient, offset)
        xi = [beta * (static[:, axis, None] + drive[axis]) for axis in range(3)]
        ratio = scale * langevin_ratio(xi[0] * xi[0] + xi[1] * xi[1] + xi[2] * xi[2])
        moment = [component * ratio for component in xi]
        if coils is None:
            signals = moment
        else:
            sensitivity = coil_sensitivities(coils, points).astype(dtype)
            signals = [sum(p[:, axis, None] * moment[axis] for axis in range(3)) for p in sensitivity]
        spectra = [jnp.fft.rfft(signal) for signal in signals]
        return jnp.stack(spectra if indices is None else [spectrum[:, indices] for spectrum in spectra], 1)

    spectrum = capped_map(chunk_spectrum, jnp.asarray(grid.positions, dtype), chunk)
    spectrum = spectrum.transpose(1, 2, 0)
    return spectrum if factor is None else spectrum * jnp.asarray(factor, spectrum.dtype)[..., None]
