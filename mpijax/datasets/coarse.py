"""Training pairs for upsampling, as a scanner makes them: fine rows measured coarsely, scaled, augmented."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_choice
from mpijax.core.typing import Array, Complex, Float
from mpijax.datasets.pairs import Rows, Validate
from mpijax.metrics import nrmse
from mpijax.physics.noise import complex_normal
from mpijax.rows.degradation import METHODS, degrade, degraded_noise_std
from mpijax.rows.scaling import SCALINGS, RowScaling, channels_to_complex, complex_to_channels
from mpijax.rows.tasks import Trained, Upsample


@dataclass(frozen=True)
class CoarseMeasurement:
    """How a calibration with fewer or larger samples sees fine rows, at the noise that the scanner has.

    Attributes:
        scale: upsampling factor S: 2, 4 or 8.
        method: degradation, see :func:`mpijax.rows.degradation.degrade`.
        sample: how coarse rows of clean ones are measured: "retrospective" (noise of a row's sigma on the fine grid, then
            degraded: sigma/S behind a box mean) or "large" (degraded, then noise: a sample of S x S voxels has S^2 times the
            signal over the same noise, sigma/S^2 in the mean).
        target: what the network is to return, "clean" or "noisy" rows (noise of the row's sigma, as a measured row has it).
        augment: "symmetry" (flips, turns by 90 degrees, a random phase), "flips" or "none".
        normalization: see :meth:`mpijax.rows.scaling.RowScaling.of`.
        units: of the loss: "whitened" (rows in units of their noise, so that strong rows count more, as in a Frobenius norm of
            the matrix; absolute units where no noise is known) or "row" (every row alike).

    Source: TranSMS paper, sections II and IV-C1.
    """

    scale: int = 2
    method: str = "box"
    sample: str = "retrospective"
    target: str = "clean"
    augment: str = "symmetry"
    normalization: str = "modulus"
    units: str = "row"

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, (2, 4, 8))
        check_choice("method", self.method, METHODS)
        check_choice("sample", self.sample, ("retrospective", "large"))
        check_choice("target", self.target, ("clean", "noisy"))
        check_choice("augment", self.augment, ("symmetry", "flips", "none"))
        check_choice("normalization", self.normalization, SCALINGS)
        check_choice("units", self.units, ("row", "whitened"))
        if self.sample == "large" and self.method not in ("box", "stride"):
            raise ValueError(f"method = {self.method!r} with sample = 'large'; a large sample measures the 'box' mean.")

    @property
    def monitor(self) -> str:
        """Error of the rows."""
        return "nrmse"

    @property
    def factor(self) -> int:
        """The scale."""
        return self.scale

    @property
    def task(self) -> Upsample:
        """What a network learns from these pairs; a maximum over blocks is taken for their mean."""
        return Upsample(self.scale, "stride" if self.method == "stride" else "box")

    def trained(self, dimensions: int = 2) -> Trained:
        """Upsampling in the scaling of the coarse rows."""
        return Trained((self.task,), dimensions, self.normalization)

    def facts(self) -> dict[str, Any]:
        """The attributes."""
        return asdict(self)

    def batch(self, key: jax.Array, rows: Rows) -> dict[str, Float[jax.Array, "..."]]:
        """Training pair {"input": (b, h, w, 2), "target": (b, h S, w S, 2), "noise_level": (b,)} in the scaling of the input.

        ``noise_level`` is the complex standard deviation of the input's noise; it is left out where the degradation takes a
        maximum. With whitened units there is a "weight" (b, 1, 1, 1), with which an absolute error is one in these units.
        """
        noise_key, augment_key = jax.random.split(key)
        rows = Rows(self._augmented(augment_key, rows.images), rows.sigma, rows.measured)
        coarse, fine, sigma = self.measure(noise_key, rows)
        scaling = RowScaling.of(coarse, self.normalization)
        pair = {name: scaling.apply(complex_to_channels(x)) for name, x in (("input", coarse), ("target", fine))}
        if sigma is not None:
            pair["noise_level"] = sigma * scaling.gain
        if self.units == "whitened":
            noise = jnp.where(jnp.asarray(rows.sigma) > 0, rows.sigma, 1)
            pair["weight"] = (1 / (scaling.gain * noise))[:, None, None, None]
        return pair

    def measure(
        self, key: jax.Array, rows: Rows
    ) -> tuple[Complex[jax.Array, "b h w"], Complex[jax.Array, "b y x"], Float[jax.Array, " b"] | None]:
        """Coarse rows, the fine rows to recover, and the coarse rows' complex noise standard deviation (None = unknown)."""
        images, sigma = jnp.asarray(rows.images), jnp.asarray(rows.sigma)
        sample = "retrospective" if rows.measured else self.sample
        level = None
        if self.method in ("box", "stride"):
            level = jnp.asarray(degraded_noise_std(sigma, self.scale, self.method, sample))
        if rows.measured:
            return degrade(images, self.scale, self.method), images, level
        fine_key, coarse_key = jax.random.split(key)
        noisy = _with_noise(fine_key, images, sigma)
        if sample == "large" and level is not None:
            coarse = _with_noise(coarse_key, degrade(images, self.scale, self.method), level)
        else:
            coarse = degrade(noisy, self.scale, self.method)
        return coarse, noisy if self.target == "noisy" else images, level

    @property
    def legend(self) -> str:
        """What :meth:`validation` says, in words."""
        return "nrmse: size of the error over that of the rows, less is better"

    def validation(self, rows: Rows, seed: int) -> Validate:
        """nRMSE over held-out rows, each in the scaling of its coarse image."""
        coarse, target, sigma = self.measure(jax.random.key(seed), rows)
        scaling = RowScaling.of(coarse, self.normalization)
        inputs = {} if sigma is None else {"noise_level": sigma * scaling.gain}
        x = scaling.apply(complex_to_channels(coarse))
        gain = scaling.gain[:, None, None]

        def validate(apply: Callable[..., jax.Array]) -> dict[str, float]:
            fine = channels_to_complex(scaling.undo(apply(x, **inputs)))
            return {"nrmse": float(nrmse(fine * gain, target * gain))}

        return validate

    def _augmented(self, key: jax.Array, images: Complex[Array, "b y x"]) -> Complex[Array, "b y x"]:
        """Random flips; with "symmetry" any element of the square's symmetry group and a random phase for each row."""
        if self.augment == "none":
            return images
        b = images.shape[0]
        bits = jax.random.bernoulli(key, 0.5, (3, b, 1, 1))
        images = jnp.where(bits[0], images[:, ::-1], images)
        images = jnp.where(bits[1], images[:, :, ::-1], images)
        if self.augment == "flips":
            return images
        if images.shape[1] == images.shape[2]:
            images = jnp.where(bits[2], images.swapaxes(1, 2), images)
        phase = jax.random.uniform(jax.random.fold_in(key, 1), (b, 1, 1), maxval=2 * jnp.pi)
        return images * jnp.exp(1j * phase).astype(images.dtype)


def _with_noise(key: jax.Array, images: jax.Array, sigma: jax.Array) -> jax.Array:
    return images + complex_normal(images.shape, sigma[:, None, None], key=key, dtype=images.dtype)
