"""The readable twin of x-space imaging: a Cartesian scan in the time domain, and the image made of its voltage.

Line by line, a drive field sweeps the field-free point along one axis while slow fields place it on the other two,

    x(t) = x_j - X cos(2 pi f t),   v(t) = 2 pi f X sin(2 pi f t),

and the coil along that axis hears u = -mu0 p d/dt integral c m0 L(|xi|) xi_e/|xi| dV. No point-spread function enters: the moment
is that of the Langevin model, the derivative is taken in the spectrum. Debye relaxation divides the spectrum by 1 + i omega tau.

The image is u divided by mu0 p m0 beta (G v)_e, where |v| > 0.2 max|v|, interpolated onto the voxel centers; forward and backward
sweep are averaged. It equals :func:`mpijax.system.scans.xspace.x_space_image` to the distance of the time samples.

Where the amplitude is small, a line is put together from overlapping partial fields of view. The coil's fundamental is hidden
behind the drive field and filtered out; u being I(cos phi) sin phi in the phase phi, with I = sum_n b_n U_{n-1}(cos phi), that
takes b_1 from the image: one constant per partial field of view. Overlaps give them back but for one per line, which follows
from the edge of the field of view being empty. Where the object's tail reaches the edge, its value there is lost.

Source: Goodwill & Conolly, IEEE TMI 30(9):1581 (2011) (images); Lu et al., IEEE TMI 32(9):1565 (2013) (partial fields of view);
Croft, Goodwill & Conolly, IEEE TMI 31(12):2335 (2012) (relaxation).
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice, check_count, check_finite, check_range
from mpijax.core.typing import Array, Float, Num, Scalar
from mpijax.physics.equilibrium import langevin_ratio
from mpijax.system.grid import Grid
from mpijax.system.particle import Particle
from mpijax.system.scanner import Scanner
from mpijax.system.scans.xspace import as_float, checked_gradient, volts_per_image

SLOWEST = 0.2
"""Part of the largest velocity below which samples are not used: there noise would be divided by almost nothing."""


@dataclass(frozen=True)
class CartesianScan:
    """How a grid is scanned. The sweeps are as long as they must be for their fast part to cover the field of view.

    Attributes:
        axis: of excitation, motion and reception: 0, 1 or 2 for x, y or z.
        frequency: f of the drive [Hz].
        samples: per period, even.
        partials: partial fields of view per line.
        overlap: of neighboring partial fields of view, as a part of their length; at least 1/2.
        drop_fundamental: whether the receive chain removes the drive frequency.

    Source: Goodwill & Conolly, IEEE TMI 29(11):1851 (2010); partial fields of view: Lu et al., IEEE TMI 32(9):1565 (2013).
    """

    axis: int = 0
    frequency: float = 25e3
    samples: int = 512
    partials: int = 1
    overlap: float = 0.5
    drop_fundamental: bool = False

    def __post_init__(self) -> None:
        check_choice("axis", self.axis, (0, 1, 2))
        check_range("frequency", self.frequency, 1.0, 1e7, "Hz", "Frequencies are in Hz: 25 kHz is 25e3.")
        check_count("samples", self.samples, 8)
        if self.samples % 2:
            raise ValueError(f"samples = {self.samples}; expected an even number, half for each sweep.")
        check_count("partials", self.partials)
        check_range("overlap", self.overlap, 0.5, 0.95, "", "Less than half makes the constants of a line uncertain.")

    @property
    def phase(self) -> np.ndarray:
        """2 pi f t of the samples (t,); half a sample off the turning points, so that the sweeps mirror each other."""
        return 2 * np.pi * (np.arange(self.samples) + 0.5) / self.samples

    @property
    def reach(self) -> float:
        """Half the length of a partial field of view, as a part of the field of view."""
        return 0.5 / (1 + (self.partials - 1) * (1 - self.overlap))

    @property
    def half_sweep(self) -> float:
        """X as a part of the field of view: sqrt(1 - 0.2^2) X is :attr:`reach`."""
        return self.reach / np.sqrt(1 - SLOWEST**2)

    @property
    def centers(self) -> np.ndarray:
        """Centers of the partial fields of view (p,), from the middle, as parts of the field of view."""
        return 2 * self.reach * (1 - self.overlap) * (np.arange(self.partials) - (self.partials - 1) / 2)

    def covered(self, n: int) -> np.ndarray:
        """Which of n voxels along the line each partial field of view covers (p, n), boolean."""
        return np.abs(_unit_centers(n) - self.centers[:, None]) <= self.reach * (1 + 1e-9)


def scan_voltage(
    scanner: Scanner,
    particle: Particle,
    grid: Grid,
    concentration: Num[Array, " n"],
    scan: CartesianScan,
    *,
    relaxation_time: Scalar = 0.0,
    sensitivity: Scalar = 1.0,
) -> Float[Array, "a b p t"]:
    """Voltage of every line and partial field of view over one period.

    Memory: (t, n) of one sweep at a time. Work: lines * p * t * n moments, which suits grids of some 30 x 30.

    Args:
        scanner, particle, grid, concentration: see :func:`mpijax.system.x_space_image`; the voxels' centers carry their
            content.
        scan: the sweeps.
        relaxation_time: tau [s] of Debye relaxation, 0 = the equilibrium.
        sensitivity: p [1/m] of a homogeneous receive coil along the scan's axis.

    Returns:
        u [V], (a, b, p, t): lines at the voxels of the two other axes, slower one first.

    Raises:
        ValueError: as :func:`mpijax.system.scans.xspace.x_space_image`, or a negative relaxation time.

    Source: Goodwill & Conolly, IEEE TMI 29(11):1851 (2010), and 30(9):1581 (2011).
    """
    gradient = checked_gradient(scanner, particle, grid, (scan.axis,))
    check_finite("concentration", concentration)
    check_range("relaxation_time", relaxation_time, 0.0, 1.0, "s", "Times are in seconds: 2 us is 2e-6.")
    concentration = as_float(concentration)
    dtype = concentration.dtype
    scale = jnp.asarray(particle.beta * gradient, dtype)
    points = jnp.asarray(grid.positions, dtype)
    lines = jnp.moveaxis(grid.to_image(points.T), 0, -1)  # (z, y, x, 3)
    lines = jnp.take(jnp.moveaxis(lines, 2 - scan.axis, 2), 0, axis=2)  # one point on each line, (a, b, 3)
    along = jnp.zeros(3, dtype).at[scan.axis].set(1)
    middle, fov = grid.center[scan.axis], grid.fov[scan.axis]
    unit = scan.centers[:, None] - scan.half_sweep * np.cos(scan.phase)
    sweep = jnp.asarray(middle + fov * unit, dtype)  # (p, t)

    def moment(line: jax.Array) -> jax.Array:
        """sum_j c_j m_e(beta G (r_j - x(t))) of the sweeps on one line, (p, t)."""

        def at(x: jax.Array) -> jax.Array:
            xi = scale * (points - (line + (x - line[scan.axis]) * along))
            return jnp.sum(concentration * xi[:, scan.axis] * langevin_ratio(jnp.sum(xi * xi, axis=1)))

        return jax.lax.map(jax.vmap(at), sweep)

    moments = jax.lax.map(moment, lines.reshape(-1, 3)).reshape(*lines.shape[:2], *sweep.shape)
    order = np.arange(scan.samples // 2 + 1)
    omega = 2 * np.pi * scan.frequency * order
    # -mu0 p m0 times the particles of a voxel; volts_per_image holds beta G_e too
    factor = -volts_per_image(scanner, particle, scan.axis, sensitivity) / (particle.beta * gradient[scan.axis])
    spectrum = jnp.fft.rfft(moments)
    derivative = jnp.asarray(np.where((order == 1) & scan.drop_fundamental, 0, 1j * omega), spectrum.dtype)
    spectrum = spectrum * derivative / (1 + derivative * relaxation_time)
    return jnp.fft.irfft(spectrum, scan.samples) * jnp.asarray(factor * grid.voxel_volume, dtype)


def image_of_voltage(
    voltage: Float[Array, "a b p t"],
    scanner: Scanner,
    particle: Particle,
    grid: Grid,
    scan: CartesianScan,
    *,
    sensitivity: Scalar = 1.0,
) -> Float[Array, "z y x"]:
    """Image of a scan: divide by the velocity, grid, join the partial fields of view.

    Without the fundamental, each line's constant is such that the mean of its two end voxels is zero.

    Args:
        voltage: u [V], (a, b, p, t) as :func:`scan_voltage` gives it.
        scanner, particle, grid, scan, sensitivity: of the scan.

    Returns:
        (nz, ny, nx) [mmol(Fe)/L m^3], as :func:`mpijax.system.scans.xspace.x_space_image`.

    Raises:
        ValueError: a voltage of another shape, or partial fields of view whose overlaps hold no voxel center.

    Source: Goodwill & Conolly, IEEE TMI 29(11):1851 (2010); partial fields of view: Lu et al., IEEE TMI 32(9):1565 (2013).
    """
    n, others = grid.shape[scan.axis], [grid.shape[i] for i in (2, 1, 0) if i != scan.axis]
    expected = (*others, scan.partials, scan.samples)
    if voltage.shape != expected:
        raise ValueError(f"voltage has shape {voltage.shape}; this grid and scan need {expected}.")
    voltage = jnp.asarray(voltage)
    velocity = 2 * np.pi * scan.frequency * scan.half_sweep * np.sin(scan.phase)  # in fields of view per second
    weight = _gridding(scan, n) / np.where(_fast(scan), velocity, 1)
    factor = volts_per_image(scanner, particle, scan.axis, sensitivity) * grid.fov[scan.axis]
    pieces = jnp.einsum(
        "...pt,pnt->...pn",
        voltage / jnp.asarray(factor, voltage.dtype),
        weight.astype(voltage.dtype),
        precision="highest",
    )
    return jnp.moveaxis(_joined(pieces, scan), 2, 2 - scan.axis)


def _joined(pieces: Float[Array, "a b p n"], scan: CartesianScan) -> Float[Array, "a b n"]:
    """One line of its pieces (zero outside): constants from the overlaps, then the mean where several cover a voxel."""
    covered = scan.covered(pieces.shape[-1])
    if scan.drop_fundamental:
        shared = covered[1:] & covered[:-1]
        if not np.all(shared.any(axis=1)):
            raise ValueError(
                f"{scan.partials} partial fields of view on {pieces.shape[-1]} voxels overlap by less than one voxel; use fewer "
                "partials, more overlap or smaller voxels."
            )
        step = pieces[..., :-1, :] - pieces[..., 1:, :]
        constants = jnp.cumsum(jnp.sum(jnp.where(shared, step, 0), axis=-1) / shared.sum(axis=1), axis=-1)
        constants = jnp.concatenate([jnp.zeros_like(pieces[..., :1, 0]), constants], axis=-1)
        pieces = jnp.where(covered, pieces + constants[..., None], 0)
    line = jnp.sum(pieces, axis=-2) / covered.sum(axis=0)
    return line - (line[..., :1] + line[..., -1:]) / 2 if scan.drop_fundamental else line


def _gridding(scan: CartesianScan, n: int) -> np.ndarray:
    """Linear interpolation from the fast samples to the covered voxel centers, mean of both sweeps: (p, n, t), rows sum to 1."""
    unit, fast, identity = _unit_centers(n), _fast(scan), np.eye(scan.samples)
    forward = np.flatnonzero(fast[: scan.samples // 2])
    backward = scan.samples - 1 - forward  # at the same places
    weight = np.zeros((scan.partials, n, scan.samples))
    for j, (center, covered) in enumerate(zip(scan.centers, scan.covered(n), strict=True)):
        places = center - scan.half_sweep * np.cos(scan.phase[forward])
        for sweep in (forward, backward):
            weight[j][:, sweep] = np.stack(
                [np.interp(unit, places, row) for row in identity[: len(forward), : len(forward)]], -1
            )
        weight[j] *= covered[:, None] / 2
    return weight


def _fast(scan: CartesianScan) -> np.ndarray:
    return np.abs(np.sin(scan.phase)) > SLOWEST


def _unit_centers(n: int) -> np.ndarray:
    return (np.arange(n) + 0.5) / n - 0.5
