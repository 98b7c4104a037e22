"""What a network is trained on: one protocol, and simulated sources by name."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from mpijax.core.checks import check_choice
from mpijax.core.sharding import share_rows
from mpijax.core.typing import Complex, Float
from mpijax.datasets.pairs import Pairs, Rows, RowSource
from mpijax.datasets.priors import LissajousPrior
from mpijax.datasets.samplers import FieldFreeLineSet, InHouseItem, InHouseSet, SuperResolutionPrior
from mpijax.datasets.samplers.in_house import NOISE
from mpijax.datasets.stream import RowPool, SimulatedRows
from mpijax.system import SystemMatrix

SIMULATED = ("ffl", "in-house", "lissajous", "vrfnet-1", "vrfnet-2")
"""Names that :func:`simulated_source` knows."""

SPLIT = 0
"""Seed of the field-free-line set's split, the same for all runs."""

SNR_DB = 30.0
"""Of the coarse matrices of the TranSMS paper."""


MIN_SNR = 5.0
"""Of the rows that the TranSMS paper keeps of measured matrices."""


@runtime_checkable
class Source(Protocol):
    """Rows to train on: :class:`TrainingRows` of one grid, or :class:`mpijax.datasets.Calibrations` drawn from a prior."""

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values that define the data; kept with the weights."""
        ...

    @property
    def dimensions(self) -> int:
        """Axes of a row, 2 or 3."""
        ...

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of a fine row, image axes; None where it varies."""
        ...

    def batches(self, pairs: Pairs, batch_size: int, key: jax.Array, *, sharding: NamedSharding | None = None) -> Any:
        """Training batches, as :func:`mpijax.training.fit` takes them, with their rows over devices if ``sharding`` says so."""
        ...

    def held_out(self) -> Rows | None:
        """Rows that are never trained on, to choose weights by."""
        ...


@dataclass(frozen=True)
class TrainingRows:
    """Rows of one planar grid to train on.

    Attributes:
        rows: training rows from a key, such as :class:`RowPool` and :class:`SimulatedRows`.
        validation: rows of other matrices, or None.
        name: for reports.
        description: a sentence or two for reports.
        facts: plain values that define the data; kept with the weights.
        sample: "large" or "retrospective", see :class:`CoarseMeasurement`.
        target: "clean" or "noisy".
    """

    rows: RowSource
    validation: Rows | None = None
    name: str = "rows"
    description: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    sample: str = "retrospective"
    target: str = "clean"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a row (y, x)."""
        return jax.eval_shape(self.rows, jax.random.key(0)).images.shape[1:]

    @property
    def dimensions(self) -> int:
        """Two."""
        return len(self.shape)

    def batches(
        self, pairs: Pairs, batch_size: int, key: jax.Array, *, sharding: NamedSharding | None = None
    ) -> jax.tree_util.Partial:
        """The function from a key to a batch that the training step traces; arrays of the rows are its leaves.

        Rows from a function of a user's own come as many as it gives.
        """
        rows: Any = self.rows
        batches = jax.tree_util.Partial(_Draw(pairs), rows.sized(batch_size) if hasattr(rows, "sized") else rows)
        return batches if sharding is None else share_rows(batches, sharding)

    def held_out(self) -> Rows | None:
        """``validation``."""
        return self.validation


@dataclass(frozen=True)
class _Draw:
    """(rows, key) -> batch; compared by value, so that equal draws share a compiled step."""

    pairs: Pairs

    def __call__(self, rows: RowSource, key: jax.Array) -> dict[str, Float[jax.Array, "..."]]:
        draw, pair = jax.random.split(key)
        return self.pairs.batch(pair, rows(draw))


def simulated_source(name: str, scale: int, *, batch_size: int = 64, seed: int = 0, **options: Any) -> TrainingRows:
    """A simulated source by name.

    Args:
        name: "ffl" and "in-house" (:func:`field_free_line_source`, :func:`in_house_source`, the sets of the TranSMS paper),
            "lissajous" (a planar field-free point, matrices drawn from ranges) or "vrfnet-1", "vrfnet-2" (slices of the VRF-Net
            paper's two simulated scans).
        scale: upsampling factor.
        batch_size: rows per batch; "lissajous" and "vrfnet" draw them from two new matrices.
        seed: of noise and of validation rows; the split of "ffl" is always the same.
        options: of "ffl": ``snr_db``, ``snr_of``, ``matrices``.

    Raises:
        ValueError: another name.
    """
    check_choice("source", name, SIMULATED)
    if batch_size < 2 or batch_size % 2:
        raise ValueError(f"batch_size = {batch_size}; simulated sources draw an even number of rows.")
    if name == "ffl":
        return field_free_line_source(scale, batch_size=batch_size, seed=seed, **options)
    if name == "in-house":
        return in_house_source(batch_size=batch_size, seed=seed, **options)
    prior: Any = LissajousPrior() if name == "lissajous" else SuperResolutionPrior(scan=int(name[-1]))
    rows = SimulatedRows(prior=prior, matrices=2, rows_per_matrix=batch_size // 2, **options)
    held_out = SimulatedRows(prior=prior, matrices=8, **options)(jax.random.key(seed + 2000))
    return TrainingRows(
        name=f"simulated matrices, {name}",
        description="Matrices drawn while training; one noise level per matrix, the strongest row at SNR 1000, on the fine grid.",
        facts={"source": name, **options},
        rows=rows,
        validation=held_out,
    )


def whitened_images(matrices: Iterable[SystemMatrix]) -> Complex[np.ndarray, "m r y x"]:
    """Rows of planar matrices as images, every matrix divided by its root mean square: equal noise is equal SNR."""
    images = []
    for matrix in matrices:
        rows = np.asarray(matrix.grid.to_image(matrix.rows()))[:, 0]
        images.append(rows / np.sqrt(np.mean(np.abs(rows) ** 2)))
    return np.stack(images)


def fine_sigma(scale: int, snr_db: float = SNR_DB, snr_of: str = "coarse") -> float:
    """Complex noise standard deviation of one fine voxel of a matrix of root mean square 1.

    SNR = 10 log10(mean |s|^2 / sigma^2) with the mean over the fine matrix. With "coarse" it is that of the sample of S x S
    voxels, whose signal is up to S^2 times as large (less where rows are sharp):
    sigma = S^2 10^(-SNR/20). The paper's tables ask for this reading: there the noise adds the same 1.9 % to bicubic's error at
    every scale, and to that of strided (small) samples 7.3 and 26.5 % at 2x and 4x (at 8x 48 %, less than S^2 times). Here 30 dB
    add 2.6 %, so the paper's noise is lower by a factor 1.35 or its SNR differently defined.

    Args:
        scale: the factor S.
        snr_db: SNR [dB].
        snr_of: "coarse" or "fine", the measurement that has this SNR.

    Raises:
        ValueError: another measurement.

    Source: TranSMS paper, sections IV-D1 and VI, Table III.
    """
    check_choice("snr_of", snr_of, ("coarse", "fine"))
    return float(10 ** (-snr_db / 20) * (scale**2 if snr_of == "coarse" else 1))


def field_free_line_source(
    scale: int,
    *,
    snr_db: float | None = SNR_DB,
    snr_of: str = "coarse",
    matrices: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> TrainingRows:
    """The TranSMS paper's simulated set: 66 matrices to train on, 30 to validate on; measured with a large sample.

    Args:
        scale: upsampling factor.
        snr_db: of the measurement ``snr_of`` [dB]; None = no noise.
        snr_of: see :func:`fine_sigma`.
        matrices: how many of the 66, drawn at random; None = all.
        batch_size: rows per batch.
        seed: of the choice of fewer matrices.
    """
    parts = FieldFreeLineSet.create(jax.random.key(SPLIT))
    chosen = parts.train
    if matrices is not None:
        if not 1 <= matrices <= len(chosen):
            raise ValueError(f"matrices = {matrices}; the set has 1 to {len(chosen)} matrices to train on.")
        order = np.random.default_rng(seed).permutation(len(chosen))[:matrices]
        chosen = tuple(chosen[i] for i in np.sort(order))
    sigma = 0.0 if snr_db is None else fine_sigma(scale, snr_db, snr_of)
    train = whitened_images(item.simulate() for item in chosen).reshape(-1, 32, 32)
    # every 59th row: all harmonics, angles spread
    held_out = whitened_images(item.simulate() for item in parts.validation)[:, 3::59].reshape(-1, 32, 32)
    noise = "without noise" if snr_db is None else f"at {snr_db:g} dB SNR of the {snr_of} matrix"
    return TrainingRows(
        name="field-free line",
        description=f"TranSMS paper, Table I: {len(chosen)} matrices of 480 rows to train on, 30 others to validate on, {noise}.",
        facts={"source": "ffl", "snr_db": snr_db, "snr_of": snr_of, "matrices": len(chosen), "split": SPLIT},
        rows=_clean_pool(train, sigma, batch_size),
        validation=Rows(jnp.asarray(held_out), jnp.full(len(held_out), sigma, jnp.float32)),
        sample="large",
    )


def in_house_source(*, noise: float = NOISE, batch_size: int = 64, seed: int = 0) -> TrainingRows:
    """Matrices like those of the TranSMS paper's own scanner, measured once: gradients 0.3, 0.4 and 0.6 T/m, noisy rows as target.

    Args:
        noise: complex standard deviation over the root mean square of a matrix.
        batch_size: rows per batch.
        seed: of the noise.
    """
    rows, sigma = in_house_measured(InHouseSet().train, noise, seed)
    return TrainingRows(
        name="field-free line like the authors' scanner",
        description=f"TranSMS paper, section IV-A3, simulated: {len(rows)} rows, 32 x 16 voxels, noise {noise:.2%} rms.",
        facts={"source": "in-house", "noise": noise, "seed": seed},
        rows=RowPool(jnp.asarray(rows), jnp.asarray(sigma), measured=True, batch_size=batch_size),
        validation=None,
        target="noisy",
    )


def in_house_measured(
    items: Iterable[InHouseItem], noise: float = NOISE, seed: int = 0
) -> tuple[Complex[np.ndarray, "p y x"], Float[np.ndarray, " p"]]:
    """Noisy rows of matrices of root mean square 1 with SNR > 5 (rms over noise), and their noise."""
    clean = whitened_images(item.simulate() for item in items)
    random = np.random.default_rng([seed, 4104]).standard_normal((*clean.shape, 2))
    noisy = clean + (noise / np.sqrt(2) * (random[..., 0] + 1j * random[..., 1])).astype(np.complex64)
    rows = noisy.reshape(-1, *clean.shape[2:])
    rows = rows[np.sqrt(np.mean(np.abs(rows) ** 2, axis=(1, 2))) > MIN_SNR * noise]
    return rows, np.full(len(rows), noise, np.float32)


def _clean_pool(images: np.ndarray, sigma: float, batch_size: int) -> RowPool:
    level = jnp.full(len(images), sigma, jnp.float32)
    return RowPool(jnp.asarray(images), level, measured=False, batch_size=batch_size)
