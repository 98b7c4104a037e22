"""The simulator as a function of the free parameters, and its distance from the measured rows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Complex, Float, Int, IntVector, Matrix, Scalar, Vector, Vector3
from mpijax.identification.gains import solve_gains
from mpijax.identification.parameters import Box, apply
from mpijax.system import Grid, LissajousSequence, Particle, Scanner, SystemMatrix, simulate_system_matrix
from mpijax.system.engines import time_domain
from mpijax.system.facts.identity import matched_positions

MEMORY = 2**27
"""Working memory of one evaluation with all its tangents, in bytes."""

FITTED_TEXT = "with rows of one particle fitted to the whole matrix"
"""How the header of a restored matrix says that a fit made its rows."""


def check_measured(matrix: SystemMatrix) -> None:
    """Raise ValueError where a fit made the rows."""
    if FITTED_TEXT in (matrix.header.restoration or ""):
        raise ValueError(
            f"this matrix was restored {FITTED_TEXT}; a fit would find that particle again, and call it certain. Fit the matrix "
            "as it was measured."
        )


@pytree
class Found:
    """Parameters by name, what they make, rows before the gains (m, n), gains (m,); ln(beta G) and its slope (p,).

    G is the largest entry of the gradient before its rotation.
    """

    values: dict[str, Scalar]
    scanner: Scanner
    particle: Particle
    model: Matrix
    gains: Vector
    log_beta_gradient: Scalar
    log_beta_gradient_slope: Vector


def coils_of(matrix: SystemMatrix, scanner: Scanner) -> Int[np.ndarray, " c"]:
    """Which of the scanner's receive coils each channel of a matrix is: that of its receiver's number.

    Raises:
        ValueError: channels without numbers that are not as many as the coils, or a number that no coil has.
    """
    count = 3 if scanner.receive_coils is None else len(scanner.receive_coils)
    if matrix.channel_numbers is None and matrix.n_channels != count:
        raise ValueError(
            f"the matrix has {matrix.n_channels} channels, the scanner {count}; give the scanner one receive coil per "
            "channel of the matrix (receive_coils=((1, 0, 0),) for a single one along x)."
        )
    return matched_positions(
        "channel", matrix.channels, matrix.channels, range(count), numbered=False, other="the scanner"
    )


@pytree
class Problem:
    """Everything that the residual depends on beside the free parameters. Arrays are leaves: new data, no new compilation.

    Attributes:
        scanner, particle: the first guess; sequence; grid of the simulation.
        ffp: field-free point of the first guess (3,) [m], or None where the selection field is not fitted.
        box: the free parameters and their bounds.
        indices: bins (f,) of the sequence.
        channel, position: places of every row (m,) in the matrix; coil: of the scanner that its channel is.
        measured: complex (m, n); weights (m, n), scaled so that |weights * measured| = 1.
        gains: complex (m,), or None: solved in closed form.
        concentration [mol/m^3], volume [m^3]: of the calibration sample.
        subvoxels: points of the grid along x, y, z over which each of the n entries is a mean; static.
        dynamics: numbers of the particle's dynamics by name that are not free; static, for they choose what is computed once.
    """

    scanner: Scanner
    sequence: LissajousSequence
    particle: Particle
    grid: Grid
    ffp: Vector3 | None
    box: Box
    indices: IntVector
    channel: IntVector
    coil: IntVector
    position: IntVector
    measured: Matrix
    weights: Matrix
    gains: Vector | None
    concentration: Scalar
    volume: Scalar
    subvoxels: tuple[int, int, int] = static(default=(1, 1, 1))
    dynamics: tuple[tuple[str, float], ...] = static(default=())

    def values(self, unit: Float[Array, " p"]) -> dict[str, Scalar]:
        """Parameters [SI] by name at coordinates in the box."""
        return dict(zip(self.box.names, self.box.to_values(unit), strict=True))

    def built(self, values: Mapping[str, Scalar]) -> tuple[Scanner, Particle]:
        """Scanner and particle with these parameters."""
        particle = self.particle
        if particle.dynamics is not None:
            particle = replace(particle, dynamics=replace(cast(Any, particle.dynamics), **dict(self.dynamics)))
        return apply(values, self.scanner, particle, self.ffp)

    def model(self, unit: Float[Array, " p"]) -> Complex[Array, "m n"]:
        """Simulated rows [V] before the gains."""
        scanner, particle = self.built(self.values(unit))
        n_channels = 3 if scanner.receive_coils is None else len(scanner.receive_coils)
        voxel = time_domain.bytes_per_voxel(particle, self.sequence.n_samples, n_channels, unit.dtype.itemsize)
        matrix = simulate_system_matrix(
            scanner, self.sequence, particle, self.grid, self.indices,
            concentration=self.concentration, sample_volume=self.volume,
            engine="time", dtype=unit.dtype, memory_limit=max(MEMORY // (unit.size + 1), voxel),
        )  # fmt: skip
        rows = jnp.asarray(matrix.values)[self.coil, self.position]
        if self.subvoxels == (1, 1, 1):
            return rows
        (nx, ny, nz), (sx, sy, sz) = self.grid.coarsen(self.subvoxels).shape, self.subvoxels
        return rows.reshape(-1, nz, sz, ny, sy, nx, sx).mean((2, 4, 6)).reshape(len(rows), -1)

    def solved(self, unit: Float[Array, " p"]) -> tuple[Complex[Array, "m n"], Complex[Array, " m"]]:
        """Simulated rows and their gains."""
        model = self.model(unit)
        return model, solve_gains(model, self.measured, self.weights) if self.gains is None else self.gains

    def residual(self, unit: Float[Array, " p"]) -> Float[Array, " k"]:
        """w (s - g s_model), real and imaginary parts of all rows: k = 2 m n. The gains follow the parameters."""
        model, gains = self.solved(unit)
        distance = self.weights * (self.measured - gains[:, None] * model)
        return jnp.stack([jnp.real(distance), jnp.imag(distance)]).reshape(-1)

    def found(self, unit: Float[Array, " p"]) -> Found:
        """Everything at one point that a report needs."""
        model, gains = self.solved(unit)
        values = self.values(unit)
        scanner, particle = self.built(values)
        log_beta_gradient, slope = jax.value_and_grad(self._log_beta_gradient)(unit)
        return Found(values, scanner, particle, model, gains, log_beta_gradient, slope)

    def _log_beta_gradient(self, unit: Float[Array, " p"]) -> jax.Array:
        values = {name: value for name, value in self.values(unit).items() if name != "angle"}
        scanner, particle = self.built(values)
        return jnp.log(particle.beta * jnp.max(jnp.abs(jnp.asarray(scanner.gradient))))
