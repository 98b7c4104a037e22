"""Where training matrices come from: random scanners, sequences and particles."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.system import Grid, LissajousSequence, Particle, Scanner, SystemMatrix, simulate_system_matrix


@dataclass(frozen=True)
class LissajousPrior:
    """Uniform distribution over 2-D Lissajous scanners with a field-free point.

    Gradient diag(-G, -G, 2G), one drive amplitude for x and y, one receive channel per drive direction with a random
    relative sensitivity, Langevin particles. Every range is (low, high) in SI units.

    Attributes:
        core_diameter: d [m].
        gradient: G [T/m].
        amplitude: A [T].
        sensitivity: of each receive channel, relative.
        shape: voxels (nx, ny, 1).
        fov: field of view [m], (3,).
    """

    core_diameter: tuple[float, float] = (18e-9, 25e-9)
    gradient: tuple[float, float] = (0.8, 1.2)
    amplitude: tuple[float, float] = (10e-3, 14e-3)
    sensitivity: tuple[float, float] = (0.5, 1.0)
    shape: tuple[int, int, int] = (32, 32, 1)
    fov: tuple[float, float, float] = (30e-3, 30e-3, 1e-3)

    @property
    def grid(self) -> Grid:
        """The grid of every matrix."""
        return Grid.create(self.shape, self.fov)

    def draw(self, key: jax.Array) -> tuple[Scanner, LissajousSequence, Particle]:
        """One scanner with its sequence and particles; a pure function of the key."""
        keys = jax.random.split(key, 4)

        def uniform(key: jax.Array, bounds: tuple[float, float], shape: tuple[int, ...] = ()) -> jax.Array:
            return jax.random.uniform(key, shape, minval=bounds[0], maxval=bounds[1])

        # the diameter is drawn in nm: 1e-9 is near the spacing of random bits in single precision
        diameter = uniform(keys[0], (self.core_diameter[0] * 1e9, self.core_diameter[1] * 1e9)) * 1e-9
        gradient = uniform(keys[1], self.gradient) * jnp.array([-1.0, -1.0, 2.0])
        amplitude = uniform(keys[2], self.amplitude) * jnp.array([1.0, 1.0, 0.0])
        sensitivity = uniform(keys[3], self.sensitivity, (2,))
        coils = jnp.eye(2, 3) * sensitivity[:, None]
        return (
            Scanner.create(gradient=gradient, receive_coils=coils),
            LissajousSequence.create(amplitude=amplitude, active=(True, True, False)),
            Particle.create(core_diameter=diameter),
        )

    def system_matrix(self, key: jax.Array, frequency_indices: Any = None) -> SystemMatrix:
        """A noise-free matrix, (2, f, n)."""
        return simulate_system_matrix(*self.draw(key), self.grid, frequency_indices)
