"""Simulating moment spectra and system matrices.

Two engines give the same values: "time" works for every scanner and particle, "separable" for ideal ones, where it is much
faster as soon as three axes are driven. A third, "full", is the slow judge of particles with dynamics.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.batching import chunk_size
from mpijax.core.checks import check_choice, check_count, check_range, check_shape, is_concrete
from mpijax.core.constants import MAGNETITE_DENSITY, MAGNETITE_MOLAR_MASS, MU0
from mpijax.core.typing import Array, Bool, Complex, DType, Float, IntVector, Numbers, Scalar, Values, Vector
from mpijax.system.coils import Coils, coil_sensitivities
from mpijax.system.dynamics import warn_of_memory
from mpijax.system.engines import full, phase_nodes, separable, time_domain
from mpijax.system.engines.symmetry import Symmetry, even_in_time, symmetry_of
from mpijax.system.facts.header import as_metadata
from mpijax.system.grid import Grid
from mpijax.system.matrix import SystemMatrix
from mpijax.system.model import Expansion, ParticleModel, Rule, check_model
from mpijax.system.particle import Particle
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence
from mpijax.system.setup import Setup

SEPARABLE_BYTES = 2**30
"""Working memory of the separable engine beside the result."""


def moment_spectrum(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: ParticleModel,
    grid: Grid,
    frequency_indices: Numbers | None = None,
    *,
    engine: str = "auto",
    dtype: DType | None = None,
    memory_limit: int | None = None,
) -> Complex[Array, "3 f n"]:
    r"""Spectrum of the mean moment at every voxel, rfft(m)/N, in units of m0.

    .. math:: \hat{\mathbf m}_k = \frac1T \int_0^T \mathbf m(t)\, e^{-2 \pi i k t / T}\, dt

    Args:
        scanner: selection field.
        sequence: drive field and sampling.
        particle: a ``Particle`` or another :class:`mpijax.system.ParticleModel`.
        grid: voxels.
        frequency_indices: rfft bins to keep (f,); None = all. The time engine takes traced ones, of which only the length is
            static.
        engine: "time", "separable" (ideal selection field with a diagonal gradient; models that are the same everywhere and
            have an expansion, such as particles of one size; any coils), or "auto": separable where it applies and pays (single
            precision, three driven axes, at least 32 frequencies, all of order below 24, at least 64 voxels, at most 128 nodes
            per axis, everything concrete), else time. They agree within 2e-5 (float32) and 1e-9 (float64) of the largest value
            of the whole moment spectrum for concrete arguments; traced field strengths leave the separable engine at 64 nodes
            per axis. "full" takes particles with dynamics, on the host: the whole Fokker-Planck equation, seconds per voxel
            (:func:`mpijax.physics.full_moment`).
        dtype: float32 or float64; None = the default precision. The transform runs in the same precision: float32 components
            below 1e-5 of the strongest are rounding noise.
        memory_limit: bytes of working memory beside the result; None = 128 MiB (8 MiB for anisotropic particles), in chunks
            that fit the cache beyond that (time), or 1 GiB (separable).

    Returns:
        complex (3, f, n), components x, y, z.

    Raises:
        ValueError: an unknown engine or one that does not apply, a dtype that is not enabled, a bin that does not exist, a
            memory limit too small for one voxel.

    Memory: the result, 24 f n bytes in float32: above 1 GB for a whole 3-D matrix of 19^3 voxels; give frequency_indices.

    Source: J. Rahmer et al., Signal encoding in magnetic particle imaging, BMC Med. Imaging 9, 4 (2009).
    """
    call = _Call(scanner, sequence, particle, grid, frequency_indices, engine, dtype, memory_limit, 3)
    return call.run(None, None)


def simulate_system_matrix(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: ParticleModel,
    grid: Grid,
    frequency_indices: Numbers | None = None,
    *,
    concentration: Scalar = 1.0,
    sample_volume: Scalar | None = None,
    oversampling: int = 1,
    engine: str = "auto",
    dtype: DType | None = None,
    memory_limit: int | None = None,
) -> SystemMatrix:
    r"""System matrix: the spectrum of the induced voltage for a calibration sample at every voxel.

    .. math:: s_{ck}(\mathbf r) = -\mu_0\, a_{ck}\, m_0\, (2 \pi i f_k)\, \mathbf p_c(\mathbf r)
        \cdot \text{rfft}(\mathbf m)_k(\mathbf r) \cdot \text{particles}

    in volts and in the MDF scale (plain rfft of one period). particles = concentration * M/(3 rho V_core) * sample_volume for
    magnetite (M, rho: molar mass and density), so m0 * particles = concentration * M/(3 rho) * Ms * sample_volume does not
    depend on the core's size. Images reconstructed with the matrix come out in the unit of ``concentration`` times its value:
    mmol(Fe)/L by default.

    Args:
        scanner: selection field, receive coils p_c [1/m], transfer function a_ck.
        sequence: drive field and sampling.
        particle: model.
        grid: voxels.
        frequency_indices: rfft bins to keep (f,); None = all.
        concentration: iron in the calibration sample [mol/m^3 = mmol/L].
        sample_volume: [m^3]; None = one voxel.
        oversampling: samples of the moment per sample of the receiver, whose filter cuts at half its own rate: rows above that rate
            do not fold back onto those below. 1 = samples as they are.
        engine, dtype, memory_limit: see :func:`moment_spectrum`.

    Returns:
        SystemMatrix with complex values (c, f, n) [V].

    Raises:
        As :func:`moment_spectrum`; ValueError for a transfer function that does not fit channels and bins.

    Source: J. Rahmer et al., BMC Med. Imaging 9, 4 (2009); restoration paper, section 2.2.
    """
    check_range("concentration", concentration, 1e-12, 1e12, "mmol/L")
    if sample_volume is not None:
        check_range("sample_volume", sample_volume, 1e-18, 1.0, "m^3", "1 uL is 1e-9 m^3.")
    check_count("oversampling", oversampling, static=True)
    n_channels = 3 if scanner.receive_coils is None else len(scanner.receive_coils)
    fine = replace(sequence, n_samples=sequence.n_samples * oversampling)
    bins = _check_indices(frequency_indices, sequence)
    bins = np.arange(len(sequence.frequencies)) if bins is None and oversampling > 1 else bins
    call = _Call(scanner, fine, particle, grid, bins, engine, dtype, memory_limit, n_channels)
    indices = np.arange(len(sequence.frequencies)) if call.indices is None else call.indices
    xp = np if is_concrete(indices) else jnp
    frequencies = xp.asarray(sequence.frequencies)[indices]
    sample_volume = grid.voxel_volume if sample_volume is None else sample_volume
    factor = voltage_factor(particle, sequence, frequencies, concentration, sample_volume)
    transfer_function = None
    if scanner.transfer_function is not None:
        check_shape("transfer_function", scanner.transfer_function, (n_channels, len(sequence.frequencies)))
        transfer_function = jnp.asarray(scanner.transfer_function)[:, indices]
        factor = factor * transfer_function
    factor = jnp.broadcast_to(factor, (n_channels, len(indices)))
    values = call.run(scanner.receive_coils, factor)
    return SystemMatrix.create(
        values,
        frequencies,
        grid,
        frequency_indices=indices,
        n_samples=sequence.n_samples,
        bandwidth=sequence.bandwidth,
        scanner=scanner,
        sequence=sequence,
        particle=call.particle,
        sample_concentration=concentration,
        sample_volume=sample_volume,
        transfer_function=transfer_function,
        metadata=as_metadata(simulated=True, method="simulation"),
    )


def voltage_factor(
    particle: ParticleModel,
    sequence: LissajousSequence,
    frequencies: Vector,
    concentration: Scalar,
    sample_volume: Scalar,
) -> Array:
    """-mu0 m0 (2 pi i f_k) * particles * N, (f,): from p . rfft(m)/N [1/m] to volts in the MDF scale."""
    iron = concentration * MAGNETITE_MOLAR_MASS / (3 * MAGNETITE_DENSITY) * sample_volume
    return -2j * np.pi * MU0 * iron * particle.saturation_magnetization * frequencies * sequence.n_samples


def simulate_rows(
    setup: Setup,
    shape: tuple[int, int, int],
    frequency_indices: Numbers | None = None,
    *,
    nodes: int | None = None,
    dtype: DType | None = None,
    memory_limit: int | None = None,
) -> tuple[Complex[Array, "c f n"], Bool[Array, " n"]]:
    r"""Rows of one drawn calibration inside a padded box, in the normalized mode.

    .. math:: s_{ck} = -(2 \pi i f_k)\, a_{ck}\, \mathbf p_c \cdot \hat{\mathbf m}_k

    Everything in ``setup`` may be traced, its extent too, so that one compiled function serves every draw of a size bucket.
    Voxels outside the extent are not simulated. No mu0, no m0, no iron: rows for networks are scaled anyway.

    Args:
        setup: what is calibrated.
        shape: (nx, ny, nz) of the padded box, static.
        frequency_indices: bins (f,), traced or not; None = all.
        nodes: None = the time engine, exact; else phases per driven axis of :mod:`mpijax.system.phase_nodes`, which leaves out
            mixing orders of ``nodes`` and above: 24 take a quarter of the time in 3-D.
        dtype, memory_limit: see :func:`moment_spectrum`.

    Returns:
        complex (c, f, n), zero at voxels outside the extent; which voxels are inside, (n,).

    Raises:
        As :func:`moment_spectrum`.

    Source: restoration paper, sections 2.2 and 3.1.
    """
    scanner, sequence, particle = setup.scanner, setup.sequence, setup.particle
    check_model(particle)
    dtype = precision(dtype)
    n_channels = 3 if scanner.receive_coils is None else len(scanner.receive_coils)
    indices = _check_indices(frequency_indices, sequence)
    symmetry = Symmetry(even=even_in_time(sequence, particle, dtype))
    n_voxels = shape[0] * shape[1] * shape[2]
    points, valid = setup.positions(shape)
    order = jnp.argsort(~valid, stable=True)  # the voxels of the extent first; chunks of others are left out
    points = points.astype(dtype)
    if not particle.is_homogeneous:
        particle = particle.with_reference(time_domain.reference_field(scanner, points, valid))
    if particle.has_memory and nodes is not None:
        raise ValueError(
            f"nodes = {nodes} with a moment that remembers the field of before; only the time engine takes it: nodes=None."
        )
    particle = particle.prepared(None, sequence)
    arguments = scanner, sequence, particle, points[order], scanner.receive_coils
    settings: dict[str, Any] = {"rule": particle.rule(), "indices": indices, "count": jnp.sum(valid)}
    if nodes is None:
        chunk = time_domain.voxels_per_chunk(
            particle, sequence.n_samples, n_voxels, n_channels, dtype, memory_limit, traced=True
        )
        rows, _ = time_domain.spectra(*arguments, **settings, chunk=chunk, symmetry=symmetry)
    else:
        check_range("nodes", nodes, 2, 256, "phases per axis")
        samples = nodes ** sum(sequence.active)
        chunk = time_domain.voxels_per_chunk(particle, samples, n_voxels, n_channels, dtype, memory_limit, traced=True)
        rows = phase_nodes.spectra(*arguments, **settings, nodes=nodes, chunk=chunk)
    rows = rows[..., jnp.argsort(order)]
    factor = jnp.asarray(sequence.frequencies * -2j * np.pi, jnp.result_type(rows, jnp.complex64))
    if scanner.transfer_function is not None:
        factor = factor * jnp.asarray(scanner.transfer_function, factor.dtype)
    factor = factor if indices is None else factor[..., indices]
    return jnp.where(valid, rows * factor[..., None], 0), valid


class _Call:
    """The checked arguments of a simulator call and the choice of engine, chunk and precision."""

    def __init__(
        self,
        scanner: Scanner,
        sequence: LissajousSequence,
        particle: ParticleModel,
        grid: Grid,
        frequency_indices: Numbers | None,
        engine: str,
        dtype: DType | None,
        memory_limit: int | None,
        n_channels: int,
    ):
        check_choice("engine", engine, ("auto", "time", "plain", "separable", "full"))
        check_model(particle)
        self.dtype = precision(dtype)
        self.indices = _check_indices(frequency_indices, sequence)
        self.scanner, self.sequence, self.grid = scanner, sequence, grid
        obstacle = _not_separable(scanner, particle, self.indices)
        if engine == "separable" and obstacle:
            raise ValueError(f"engine 'separable' does not apply: {obstacle}. Use engine='time'.")
        self.particle = particle
        if particle.has_memory or not particle.is_homogeneous:
            # the reference is that of the whole grid, whatever is selected of it later
            reference = time_domain.reference_field(scanner, jnp.asarray(grid.positions, self.dtype))
            self.particle = particle.with_reference(reference)
        self.prepared = self.particle
        self.full = engine == "full"
        if self.full and not (isinstance(particle, Particle) and particle.has_memory):
            raise ValueError(
                "engine 'full' solves the Fokker-Planck equation of a particle with dynamics; use engine='auto'."
            )
        if self.full and not is_concrete((scanner, sequence, particle, grid, frequency_indices)):
            raise ValueError(
                "engine 'full' works on the host and cannot be traced or differentiated; use engine='time'."
            )
        if particle.has_memory and not self.full:
            self.prepared = self.particle.prepared(
                reference + jnp.linalg.norm(jnp.asarray(sequence.amplitude)), sequence
            )
        self.plan: separable.Plan | None = None
        self.symmetry = Symmetry()
        extent = None if obstacle or engine in ("time", "plain") else self._extent()
        if extent is not None and (engine == "separable" or self._pays(extent)):
            self._plan_separable(extent, memory_limit)
        else:
            traced = not is_concrete((scanner, sequence, particle, grid))
            if engine != "plain":
                self.symmetry = symmetry_of(scanner, sequence, particle, grid, self.dtype)
            self.chunk = time_domain.voxels_per_chunk(
                particle,
                sequence.n_samples,
                math.prod(self.symmetry.sizes(grid.shape)),
                n_channels,
                self.dtype,
                memory_limit,
                traced,
            )

    def run(self, coils: Coils, factor: Values | None) -> Complex[Array, "c f n"]:
        """factor (complex (c, f); None = 1) * rfft(p . m)/N, (c, f, n)."""
        if self.full:
            points = np.asarray(self.grid.positions, float)
            rows = full.spectra(self.scanner, self.sequence, cast(Particle, self.particle), points, coils, self.indices)
            rows = rows if factor is None else rows * np.asarray(factor)[..., None]
            return jnp.asarray(rows, jnp.result_type(self.dtype, jnp.complex64))
        arguments = self.scanner, self.sequence, self.prepared, self.grid, coils, factor
        static: dict[str, Any] = {"rule": self.particle.rule(), "dtype": self.dtype}
        if self.plan is None:
            rows, settled = _time(*arguments, self.indices, chunk=self.chunk, symmetry=self.symmetry, **static)
            warn_of_memory(settled)
            return rows
        return _separable(*arguments, self.plan.rows, static=self.plan.static, planes=self.chunk, **static)

    def _extent(self) -> separable.Extent:
        """How far a separable expansion would have to reach."""
        drive = box = None
        if is_concrete((self.scanner, self.sequence, self.particle, self.grid)):
            scanner, sequence, particle, grid = jax.tree.map(
                np.asarray, (self.scanner, self.sequence, self.particle, self.grid)
            )
            amplitude = np.where(sequence.active, sequence.amplitude, 0)
            beta = _expansion(particle).beta
            drive = beta * amplitude
            box = drive + beta * np.abs(np.diagonal(scanner.gradient)) * grid.fov / 2
        tolerance, pole = separable.TOLERANCE[self.dtype.name], _expansion(self.particle).pole
        return separable.extent(self.sequence, drive, box, tolerance=tolerance, pole=pole)

    def _pays(self, extent: separable.Extent) -> bool:
        """Whether the separable engine is faster and as good: three driven axes, low orders, known and moderate field strengths."""
        if self.dtype != jnp.float32 or not all(self.sequence.active) or self.grid.size < 64:
            return False
        if self.indices is None or len(self.indices) < 32 or max(extent.nodes) > 128:
            return False
        if not is_concrete((self.scanner, self.sequence, self.particle, self.grid)):
            return False
        lowest = np.abs(self.sequence.mixing_orders()[self.indices]).sum(1)
        return bool(lowest.max() < 24)

    def _plan_separable(self, extent: separable.Extent, memory_limit: int | None) -> None:
        indices = np.arange(len(self.sequence.frequencies)) if self.indices is None else self.indices
        limit = SEPARABLE_BYTES if memory_limit is None else memory_limit
        shared = extent.box_bytes(self.grid, self.dtype.itemsize)
        plane = 0
        if shared <= limit:
            self.plan = separable.plan(self.sequence, indices, extent)
            shared, plane = self.plan.memory(self.grid, self.dtype.itemsize)
        if shared + plane > limit:
            raise ValueError(
                f"memory_limit = {limit} bytes; one plane of this grid needs {shared + plane} in the separable engine "
                f"({' x '.join(map(str, extent.nodes))} nodes). Raise it, ask for fewer frequencies, or use engine='time'."
            )
        self.chunk = chunk_size(self.grid.shape[2], plane, limit - shared)


def precision(dtype: DType | None) -> jnp.dtype:
    """The checked floating-point type of a simulation; None = the default one."""
    dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    check_choice("dtype", dtype.name, ("float32", "float64"))
    if dtype == jnp.float64 and jnp.result_type(float) != jnp.float64:
        raise ValueError(
            "dtype = float64, but JAX runs in single precision; wrap the call in `with jax.enable_x64(True):`."
        )
    return dtype


def _check_indices(indices: Numbers | None, sequence: LissajousSequence) -> IntVector | None:
    if indices is None or not is_concrete(indices):
        return None if indices is None else cast(IntVector, indices)
    n_bins = sequence.n_samples // 2 + 1
    indices = np.asarray(indices)
    if indices.ndim != 1 or not indices.size or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(
            f"frequency_indices has shape {indices.shape} and dtype {indices.dtype}; expected integers (f,), one at least."
        )
    if np.any((indices < 0) | (indices >= n_bins)):
        raise ValueError(f"frequency_indices reach {indices.min()} to {indices.max()}; the bins are 0 to {n_bins - 1}.")
    return indices


def _expansion(particle: ParticleModel) -> Expansion:
    found = particle.expansion()
    assert found is not None  # as _not_separable has found
    return found


def _not_separable(scanner: Scanner, particle: ParticleModel, indices: IntVector | None) -> str | None:
    """Why the separable engine does not apply, or None."""
    if scanner.selection_field is not None:
        return "the selection field is not linear"
    if is_concrete(scanner.gradient) and np.any(np.asarray(scanner.gradient) * (1 - np.eye(3)) != 0):
        return "the gradient is not diagonal, so that the field components do not separate"
    if particle.has_memory:
        return "the moment remembers the field of before"
    if not particle.is_homogeneous:
        return "the moment differs from position to position, as that of fluid particles does"
    if particle.expansion() is None:
        return "their moment has no expansion that pays: the largest cores of a size distribution would need thousands of terms"
    if not is_concrete(indices):
        return "frequency_indices are traced"
    return None


@partial(jax.jit, static_argnames=("rule", "dtype", "chunk", "symmetry"))
def _time(
    scanner: Scanner,
    sequence: LissajousSequence,
    particle: ParticleModel,
    grid: Grid,
    coils: Coils,
    factor: Values | None,
    indices: IntVector | None,
    *,
    rule: Rule,
    dtype: DType | None,
    chunk: int,
    symmetry: Symmetry = time_domain.NO_SYMMETRY,
) -> tuple[Complex[Array, "c f n"], Float[Array, " u"] | None]:
    points = symmetry.simulated(jnp.asarray(grid.positions, dtype), grid.shape)
    folded = bool(symmetry.mirrors)  # parts of the grid are left out: coils come after them
    rows, settled = time_domain.spectra(
        scanner, sequence, particle, points, None if folded else coils,
        rule=rule, indices=indices, chunk=chunk, symmetry=symmetry,
    )  # fmt: skip
    if folded:
        rows = symmetry.whole(rows, grid.shape, jnp.arange(rows.shape[1]) if indices is None else jnp.asarray(indices))
        if coils is not None:
            sensitivity = coil_sensitivities(coils, jnp.asarray(grid.positions, dtype)).astype(dtype)
            rows = jnp.einsum("cnv,vfn->cfn", sensitivity, rows, precision="highest")
    kind = jnp.result_type(rows, jnp.complex64)
    return rows.astype(kind) if factor is None else rows * jnp.asarray(factor, kind)[..., None], settled


_separable = jax.jit(separable.synthesize, static_argnames=("rule", "static", "dtype", "planes"))
