"""One scanner, and the particles that may be in it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from mpijax.datasets.presets import Preset
from mpijax.datasets.samplers.restoration import RestorationPrior
from mpijax.system import Scanner, Setup


@dataclass(frozen=True)
class ScannerPrior:
    """Calibrations of one scanner on one grid with random particles: what a network for this scanner is trained on.

    Attributes:
        preset: scanner, sequence and grid, a field-free point; its own particle is not used.
        particles: from whose ranges of core diameter, anisotropy and axes the particles are drawn.

    Raises:
        ValueError: a preset without field-free point, or without image axes.
    """

    preset: Preset
    particles: RestorationPrior = RestorationPrior()

    def __post_init__(self) -> None:
        if self.preset.kind != "point" or sum(n > 1 for n in self.preset.shape) < 2:
            raise ValueError(
                f"the preset ({self.preset.summary}; {self.preset.shape} voxels) is no field-free point on a plane or volume; "
                "calibrations are drawn of such."
            )

    def draw(self, key: jax.Array) -> Setup:
        """One calibration; a pure function of the key that can be traced."""
        return Setup(
            scanner=Scanner.create(self.preset.gradient),
            sequence=self.preset.sequence,
            particle=self.particles.particle(self.particles.units(key)),
            extent=jnp.asarray(self.preset.shape, jnp.int32),
            fov=jnp.asarray(self.preset.fov),
            center=jnp.zeros(3),
        )
