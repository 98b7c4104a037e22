"""Where training rows come from: matrices simulated on the fly, or a pool. Everything is a pure function of the key."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.datasets.pairs import Rows
from mpijax.datasets.priors import LissajousPrior
from mpijax.system import SystemMatrix

MIN_FREQUENCY = 80e3
"""Lowest usable frequency [Hz]: scanners filter the drive frequencies and what lies near them."""

MAX_FREQUENCY_FRACTION = 0.9
"""Highest usable frequency as a fraction of the bandwidth; above it a sampled spectrum aliases."""

PEAK_SNR = 1000.0
"""SNR of the strongest row of a simulated matrix."""


def row_rms(values: Complex[Array, "*batch n"]) -> Float[Array, "*batch"]:
    """Root mean square modulus of each row over the voxels."""
    return jnp.sqrt(jnp.mean(jnp.abs(values) ** 2, axis=-1))


def noise_for_peak_snr(system_matrix: SystemMatrix, peak_snr: float = PEAK_SNR) -> Float[Array, ""]:
    """The white noise level at which the strongest row of a clean matrix has the given SNR (clean row rms / sigma)."""
    return jnp.max(row_rms(system_matrix.values)) / peak_snr


def usable_rows(
    system_matrix: SystemMatrix, sigma: Float[Array, ""], snr_threshold: float, in_band: bool = True
) -> Bool[Array, "c f"]:
    """Rows with SNR >= threshold (clean row rms / sigma), in the band that scanners keep.

    Args:
        system_matrix: clean matrix.
        sigma: complex noise standard deviation per voxel.
        snr_threshold: lowest SNR.
        in_band: keep 80 kHz <= f <= 0.9 bandwidth; False keeps only the rows below 80 kHz instead.
    """
    frequencies = jnp.asarray(system_matrix.frequencies)
    low = frequencies < MIN_FREQUENCY
    band = ~low & (frequencies <= MAX_FREQUENCY_FRACTION * system_matrix.bandwidth) if in_band else low
    return (row_rms(system_matrix.values) >= snr_threshold * sigma) & band


@pytree
class SimulatedRows:
    """Rows of freshly simulated matrices.

    ``prior`` is hashable and has ``system_matrix(key)``, which gives a planar matrix that can be traced. Each call simulates
    ``matrices`` of them and draws ``rows_per_matrix`` usable rows from each, with replacement.
    """

    prior: Any = static(default=LissajousPrior())
    matrices: int = static(default=2)
    rows_per_matrix: int = static(default=32)
    snr_threshold: float = static(default=10.0)

    def __call__(self, key: jax.Array) -> Rows:
        """Draw matrices * rows_per_matrix rows."""
        rows = jax.lax.map(self._from_one_matrix, jax.random.split(key, self.matrices))
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)

    def sized(self, batch_size: int) -> "SimulatedRows":
        """The same in batches of this size, from equally many matrices."""
        if batch_size % self.matrices:
            raise ValueError(
                f"batch_size = {batch_size} is not a multiple of the {self.matrices} matrices drawn per batch."
            )
        return replace(self, rows_per_matrix=batch_size // self.matrices)

    def _from_one_matrix(self, key: jax.Array) -> Rows:
        matrix_key, row_key = jax.random.split(key)
        matrix = self.prior.system_matrix(matrix_key)
        sigma = noise_for_peak_snr(matrix)
        usable = usable_rows(matrix, sigma, self.snr_threshold).reshape(-1)
        chosen = jax.random.categorical(row_key, jnp.where(usable, 0.0, -jnp.inf), shape=(self.rows_per_matrix,))
        rows = matrix.values.reshape(usable.shape[0], -1)[chosen]
        return Rows(matrix.grid.to_image(rows)[:, 0], jnp.broadcast_to(sigma, (self.rows_per_matrix,)))


@pytree
class RowPool:
    """A fixed pool of rows on the device, from which batches are drawn.

    Attributes:
        images: (p, y, x), complex.
        sigma: complex noise standard deviation of one fine voxel of each row (p,), in the unit of the images.
        measured: whether the images carry that noise already; else it is added to every batch anew.
        batch_size: rows per batch.
    """

    images: Any
    sigma: Any
    measured: bool = static(default=True)
    batch_size: int = static(default=64)

    def __call__(self, key: jax.Array) -> Rows:
        """Draw ``batch_size`` rows with replacement."""
        chosen = jax.random.randint(key, (self.batch_size,), 0, self.images.shape[0])
        return Rows(jnp.asarray(self.images)[chosen], jnp.asarray(self.sigma)[chosen], measured=self.measured)

    def sized(self, batch_size: int) -> "RowPool":
        """The same in batches of this size."""
        return replace(self, batch_size=batch_size)
