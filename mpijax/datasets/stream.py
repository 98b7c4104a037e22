"""Training pairs made on the fly: draw rows, degrade them, normalize, augment. Everything is a pure function of the key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_choice
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.datasets.degrade import degrade
from mpijax.datasets.normalize import complex_to_channels, normalize
from mpijax.datasets.priors import LissajousPrior
from mpijax.physics.noise import complex_normal
from mpijax.system import SystemMatrix

MIN_FREQUENCY = 80e3
"""Lowest usable frequency [Hz]: scanners filter the drive frequencies and what lies near them."""

MAX_FREQUENCY_FRACTION = 0.9
"""Highest usable frequency as a fraction of the bandwidth; above it a sampled spectrum aliases."""

PEAK_SNR = 1000.0
"""SNR of the strongest row of a simulated matrix."""


@pytree
class Rows:
    """A batch of rows: clean images (b, y, x), complex, and the complex noise standard deviation of each (b,)."""

    images: Any
    sigma: Any


RowSource = Callable[[jax.Array], Rows]
"""Draws rows from a key; pure, traced inside the training step."""


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

    Each call simulates ``matrices`` matrices and draws ``rows_per_matrix`` usable rows from each, with replacement.
    """

    prior: LissajousPrior = static(default=LissajousPrior())
    matrices: int = static(default=2)
    rows_per_matrix: int = static(default=32)
    snr_threshold: float = static(default=10.0)

    def __call__(self, key: jax.Array) -> Rows:
        """Draw matrices * rows_per_matrix rows."""
        rows = jax.lax.map(self._from_one_matrix, jax.random.split(key, self.matrices))
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)

    def _from_one_matrix(self, key: jax.Array) -> Rows:
        matrix_key, row_key = jax.random.split(key)
        matrix = self.prior.system_matrix(matrix_key)
        sigma = noise_for_peak_snr(matrix)
        usable = usable_rows(matrix, sigma, self.snr_threshold).reshape(-1)
        chosen = jax.random.categorical(row_key, jnp.where(usable, 0.0, -jnp.inf), shape=(self.rows_per_matrix,))
        rows = matrix.values.reshape(usable.shape[0], -1)[chosen]
        return Rows(matrix.grid.to_image(rows)[:, 0], jnp.broadcast_to(sigma, (self.rows_per_matrix,)))


@pytree
class MeasuredRows:
    """Rows of measured matrices kept on the device: a fixed pool of images (p, y, x) from which batches are drawn.

    The rows carry their own noise, so none is added: sigma = 0.
    """

    images: Any
    batch_size: int = static(default=64)

    def __call__(self, key: jax.Array) -> Rows:
        """Draw ``batch_size`` rows with replacement."""
        chosen = jax.random.randint(key, (self.batch_size,), 0, self.images.shape[0])
        return Rows(jnp.asarray(self.images)[chosen], jnp.zeros(self.batch_size))


@dataclass(frozen=True)
class RecoveryTask:
    """How a clean row becomes a training pair.

    Noise of the row's sigma is added on the fine grid, the row is degraded, both are divided by the degraded row's largest
    modulus, and the pair is flipped, turned by multiples of 90 degrees and multiplied by a random phase together.

    Attributes:
        scale: upsampling factor.
        method: degradation, see :func:`mpijax.datasets.degrade.degrade`.
        augment: whether to flip, turn and rotate the phase.
    """

    scale: int = 2
    method: str = "box"
    augment: bool = True

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, (2, 4, 8))

    def batch(self, key: jax.Array, rows: Rows) -> dict[str, Float[Array, "b h w 2"]]:
        """Training pair {"input": (b, h, w, 2), "target": (b, h scale, w scale, 2)}."""
        noise_key, augment_key = jax.random.split(key)
        clean = self._augmented(augment_key, rows.images) if self.augment else rows.images
        coarse, scale = self.degraded(noise_key, clean, rows.sigma)
        return {"input": coarse, "target": complex_to_channels(normalize(clean, scale)[0])}

    def degraded(
        self, key: jax.Array, images: Complex[Array, "b y x"], sigma: Float[Array, " b"]
    ) -> tuple[Float[Array, "b h w 2"], Float[Array, " b"]]:
        """Noisy, degraded, normalized rows as two channels, and the scale of each."""
        noise = complex_normal(images.shape, sigma[:, None, None], key=key, dtype=images.dtype)
        coarse, scale = normalize(degrade(images + noise, self.scale, self.method))
        return complex_to_channels(coarse), scale

    def _augmented(self, key: jax.Array, images: Complex[Array, "b y x"]) -> Complex[Array, "b y x"]:
        """A random element of the square's symmetry group and a random phase for each row."""
        b = images.shape[0]
        bits = jax.random.bernoulli(key, 0.5, (3, b, 1, 1))
        images = jnp.where(bits[0], images[:, ::-1], images)
        images = jnp.where(bits[1], images[:, :, ::-1], images)
        if images.shape[1] == images.shape[2]:
            images = jnp.where(bits[2], images.swapaxes(1, 2), images)
        phase = jax.random.uniform(jax.random.fold_in(key, 1), (b, 1, 1), maxval=2 * jnp.pi)
        return images * jnp.exp(1j * phase).astype(images.dtype)


def recovery_batches(task: RecoveryTask, source: RowSource) -> jax.tree_util.Partial:
    """The function from a key to a training batch that the training step traces; arrays of the source are its leaves."""

    def batch(source: RowSource, key: jax.Array) -> dict[str, Float[Array, "b h w 2"]]:
        draw, pair = jax.random.split(key)
        return task.batch(pair, source(draw))

    return jax.tree_util.Partial(batch, source)
