"""The spiral scan: a calibration and a measurement of one scanner on a fine grid, and measures of sharpness along the windings."""

import functools
from dataclasses import dataclass

import jax
import numpy as np
import scipy.ndimage

import mpijax as mj
from mpijax.core.typing import Complex, Float
from mpijax.datasets.phantoms import spiral_phantom
from mpijax.io.snr import system_matrix_snr
from mpijax.physics import complex_normal

FOV = 29e-3
"""Field of view [m], square."""

BAND = (20e3, 380e3)
SNR_THRESHOLD = 1.5

SLICE = 1.5e-3
"""Thickness of the slice [m], that of the phantom."""

INNER_RADIUS, PITCH, TUBE_WIDTH, WINDINGS = 3e-3, 3.5e-3, 1.5e-3, 2
"""Geometry of the phantom's center line and tube [m]: r = INNER_RADIUS + PITCH theta/(2 pi)."""

MARGIN = np.deg2rad(20.0)
"""Angle left out at both ends of the spiral, where the tube ends."""

TRUE_INNER_DIAMETER = 2 * (INNER_RADIUS + PITCH / 2) - TUBE_WIDTH
"""Mean diameter of the hole inside the inner winding [m], the ends left out."""


@dataclass(frozen=True)
class Scan:
    """What a scanner delivers: selected rows of the matrix (m, n) and of the data (m,), background subtracted.

    ``rows_in_band`` and ``data_snr`` (median of |signal| / sigma over the kept rows) are for the report.
    """

    matrix: Complex[np.ndarray, "m n"]
    data: Complex[np.ndarray, " m"]
    grid: mj.Grid
    rows_in_band: int
    data_snr: float


def plane(n: int) -> mj.Grid:
    """A grid of n x n voxels over the field of view."""
    return mj.Grid.create((n, n, 1), (FOV, FOV, SLICE))


@functools.cache
def truth(n: int) -> Float[np.ndarray, "y x"]:
    """The phantom on n x n voxels [mmol(Fe)/L], with partial volumes."""
    image = spiral_phantom(
        plane(n),
        windings=WINDINGS,
        inner_diameter=2 * INNER_RADIUS,
        outer_diameter=2 * (INNER_RADIUS + WINDINGS * PITCH),
        tube_width=TUBE_WIDTH,
        oversample=max(4, 464 // n),
    )
    return np.asarray(plane(n).to_image(image))[0]


def simulate_scan(n: int, refinement: int, noise: float, background_frames: int, *, key: jax.Array) -> Scan:
    """Calibrate on n x n voxels and measure the spiral.

    Both come from one simulation on a grid ``refinement`` times finer. A calibration sample fills a voxel: its signal is the
    mean over the fine voxels in it; the phantom's signal is the sum over the fine grid. Both carry a constant background of
    20 sigma and random phase per row, and white noise of the same sigma, ``noise`` times the largest entry of the matrix. Mean
    background frames are subtracted, each from frames of its own; rows are chosen by band and SNR.

    Particles are fluid with anisotropy (20 nm, 3.5 kJ/m^3, q = 0.8): the model that describes measured matrices of
    suspensions, such as that of the paper, better than Langevin's. The anisotropy is referred to the drive field, so that the
    physics depends on no grid.
    """
    scanner = mj.Scanner.create((-1.0, -1.0, 2.0))
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0.0))
    particle = mj.Particle.create(
        20e-9, anisotropy_constant=3500.0, spatial_modulation=0.8, reference_field=float(np.hypot(12e-3, 12e-3))
    )
    frequencies = np.asarray(sequence.frequencies)
    bins = np.flatnonzero((frequencies >= BAND[0]) & (frequencies <= BAND[1]))
    fine = mj.simulate_system_matrix(scanner, sequence, particle, plane(n * refinement), bins, concentration=100.0)
    values = np.asarray(fine.values)[:2].astype(np.complex128)  # the z channel of a scan in the plane is empty
    sample = values.reshape(*values.shape[:2], n, refinement, n, refinement).mean((3, 5)) * refinement**2
    sample = sample.reshape(*values.shape[:2], n * n)
    signal = values @ (truth(n * refinement).ravel() / 100.0)

    sigma = noise * np.abs(sample).max()
    keys = iter(jax.random.split(key, 5))

    def white(shape: tuple[int, ...], scale: float = sigma) -> np.ndarray:
        return np.asarray(complex_normal(shape, scale, key=next(keys)))

    rows = sample.shape[:2]
    offset = white(rows, 20 * sigma)
    measured, empty = sample + (offset[..., None] + white(sample.shape)), offset + white((background_frames, *rows))
    data = signal + offset + white(rows) - (offset + white((background_frames, *rows))).mean(0)
    keep = system_matrix_snr(measured, empty) >= SNR_THRESHOLD
    return Scan(
        (measured - empty.mean(0)[..., None])[keep].astype(np.complex64),
        data[keep].astype(np.complex64),
        plane(n),
        int(np.prod(rows)),
        float(np.median(np.abs(signal[keep])) / sigma),
    )


def across(
    image: Float[np.ndarray, "y x"], radius: float, angles: Float[np.ndarray, " k"], offsets: Float[np.ndarray, " t"]
) -> Float[np.ndarray, " t"]:
    """The mean profile across a winding: image at r(theta) + t, averaged over theta, linearly interpolated.

    Args:
        image: (y, x) over the field of view.
        radius: r at theta = 0 [m]; r grows by PITCH per turn.
        angles: theta [rad].
        offsets: t [m], outwards positive.
    """
    r = radius + PITCH * angles / (2 * np.pi) + offsets[:, None]
    scale = np.asarray(image.shape)[:, None, None] / FOV
    where = (
        np.stack([r * np.sin(angles), r * np.cos(angles)]) * scale + (np.asarray(image.shape)[:, None, None] - 1) / 2
    )
    return scipy.ndimage.map_coordinates(np.asarray(image, np.float64), where, order=1, mode="nearest").mean(-1)


def mean_profile(image: Float[np.ndarray, "y x"], step: float = 0.05e-3) -> tuple[np.ndarray, np.ndarray]:
    """Offsets t from -PITCH/2 to PITCH/2 [m] and the mean profile across both windings."""
    count = 2 * round(PITCH / 2 / step) + 1
    offsets = np.linspace(-PITCH / 2, PITCH / 2, count)
    return offsets, across(image, INNER_RADIUS, np.linspace(MARGIN, 2 * np.pi * WINDINGS - MARGIN, 720), offsets)


def sharpness(image: Float[np.ndarray, "y x"]) -> dict[str, float]:
    """How sharply an image shows the windings; noise averages out along them, only what repeats at every angle counts.

    "steepness" [1/mm]: largest |dp/dt| / max p of the mean profile p(t) across the windings.
    "gap contrast": 1 - (mean halfway between the windings) / (mean on their center lines); 1 = an empty gap.
    "width" [mm]: full width of p at half its maximum; NaN where p does not fall that low.
    "inner diameter" [mm]: see `inner_diameter`.
    """
    offsets, profile = mean_profile(image)
    peak = float(profile.max())
    middle = len(profile) // 2
    gap = across(image, INNER_RADIUS, np.linspace(0, 2 * np.pi, 360), np.array([0.0, PITCH / 2, PITCH]))
    outward = _crossing(offsets[middle:], profile[middle:], peak / 2)
    inward = _crossing(-offsets[middle::-1], profile[middle::-1], peak / 2)
    return {
        "steepness": float(np.abs(np.gradient(profile, offsets * 1e3)).max() / peak),
        "gap contrast": float(1 - gap[1] / ((gap[0] + gap[2]) / 2)),
        "width": (outward + inward) * 1e3,
        "inner diameter": inner_diameter(image) * 1e3,
    }


def inner_diameter(image: Float[np.ndarray, "y x"]) -> float:
    """Diameter of the hole inside the inner winding [m]: twice the mean radius at which the profile across this winding,
    averaged over all angles, has fallen to half its maximum on the inside; NaN where it does not."""
    angles = np.linspace(MARGIN, 2 * np.pi - MARGIN, 360)
    offsets = np.linspace(0, -(INNER_RADIUS - 0.3e-3), 109)  # up to the center
    profile = across(image, INNER_RADIUS, angles, np.concatenate([np.linspace(PITCH / 4, 0, 36), offsets]))
    fallen = _crossing(-offsets, profile[36:], profile.max() / 2)
    return 2 * (INNER_RADIUS + PITCH / 2 - fallen)


def _crossing(position: np.ndarray, value: np.ndarray, level: float) -> float:
    """Where values first fall below a level, linearly interpolated; NaN if they never do."""
    below = np.flatnonzero(value < level)
    if not len(below):
        return float("nan")
    i = int(below[0])
    if i == 0:
        return float(position[0])
    share = (value[i - 1] - level) / (value[i - 1] - value[i])
    return float(position[i - 1] + share * (position[i] - position[i - 1]))
