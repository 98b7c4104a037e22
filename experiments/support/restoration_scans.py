"""Simulated scans of the phantoms of the restoration paper: a calibration with noise, and data from a finer grid.

Particles stand for Perimag: fluid with anisotropy, 20 nm, 3.5 kJ/m^3, q = 0.8, the anisotropy referred to the drive field. In
volumes they are immobilized with the easy axis (1, 1, 0), which the fast simulator of low mixing orders can do. A
calibration sample fills a voxel: its signal is the mean over the fine voxels in it. Noise is white, the same in all rows;
1,000 averages leave ``NOISE`` times the largest entry of the matrix, other numbers of averages in proportion.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import mpijax as mj
from mpijax.core.typing import Complex, Float
from mpijax.io.snr import system_matrix_snr
from mpijax.physics import complex_normal
from mpijax.reconstruction import kaczmarz

NOISE = 2e-4
"""Noise of 1,000 averages over the largest entry of the matrix, as in `experiments.support.spiral`."""

MEMORY = 2**32
"""Bytes that the simulator of volumes may use."""

EMPTY_FRAMES = 100
SAMPLE = 100.0
"""Concentration of the calibration sample [mmol(Fe)/L]."""

SNAKE_GRID = mj.Grid.create((17, 15, 1), (34e-3, 30e-3, 2.5e-3))
SNAKE_SCAN: dict[str, Any] = {"amplitude": (12e-3, 12e-3, 0.0), "gradient": (-1.0, -1.0, 2.0)}
"""What the restoration paper says of its scan of a snake."""


@dataclass(frozen=True)
class Scan:
    """What a scanner delivers, background subtracted, and the truth.

    Attributes:
        clean: rows of the matrix without noise (c, f, n).
        data: of the phantom (c, f).
        sigma: noise of one average.
        grid: of the matrix.
        truth: the phantom on it (n,) [mmol(Fe)/L].
        key: of the calibrations' noise.
    """

    clean: Complex[np.ndarray, "c f n"]
    data: Complex[np.ndarray, "c f"]
    sigma: float
    grid: mj.Grid
    truth: Float[np.ndarray, " n"]
    key: Any

    def calibration(self, averages: int, key: Any = None) -> tuple[np.ndarray, np.ndarray, float]:
        """Rows (c, f, n) after so many averages, their SNR (c, f) by background frames, the noise of an entry; ``key`` of other
        noise than the scan's own."""
        sigma = self.sigma / np.sqrt(averages)
        noise_key, empty_key = jax.random.split(jax.random.fold_in(self.key if key is None else key, averages))
        noisy = self.clean + np.asarray(complex_normal(self.clean.shape, sigma, key=noise_key))
        empty = np.asarray(complex_normal((EMPTY_FRAMES, *self.clean.shape[:2]), sigma, key=empty_key))
        return noisy.astype(np.complex64), np.asarray(system_matrix_snr(noisy, empty)), sigma

    def image(
        self, rows: Complex[np.ndarray, "m n"], keep: np.ndarray, norms: np.ndarray, regularization: float, sweeps: int
    ) -> np.ndarray:
        """Kaczmarz with lambda as it is: non-negative image (n,) [mmol(Fe)/L].

        Args:
            rows: of the matrix, those of ``keep``.
            keep: (c, f).
            norms: of the rows of the calibration as it was measured (m,): W = 1/norms, the same for every method. Weights from
                restored rows would raise the rows that a filter shrinks, the worse the more it took from them.
            regularization: lambda of |W(S c - u)|^2 + lambda |c|^2.
            sweeps: passes over all rows.
        """
        data = self.data[keep].astype(np.complex64)
        return SAMPLE * np.asarray(kaczmarz(rows, data, regularization, sweeps=sweeps, row_weights=1 / norms).value)


def simulate_scan(
    grid: mj.Grid,
    phantom: Callable[[mj.Grid], np.ndarray],
    *,
    amplitude: tuple[float, float, float],
    gradient: tuple[float, float, float] = (-1.0, -1.0, 2.0),
    refinement: int,
    averages: int,
    channels: int,
    bins: np.ndarray | None = None,
    immobilized: bool = False,
    anisotropy_constant: float = 3500.0,
    dynamics: Any = None,
    key: jax.Array,
) -> Scan:
    """Simulate on a grid ``refinement`` times finer, where the phantom is measured, and bin it to the matrix's.

    Args:
        grid: of the matrix.
        phantom: concentration [mmol(Fe)/L] on a grid.
        amplitude, gradient: of the drive and the selection field [T], [T/m].
        refinement: fine voxels per driven axis and voxel.
        averages: of the phantom's data.
        channels: receive channels, the first of x, y, z.
        bins: frequencies; None = all but 0 Hz.
        immobilized: whether the particles have one easy axis.
        anisotropy_constant: of the particles [J/m^3].
        dynamics: of the particles; None = equilibrium.
        key: random key.
    """
    sequence = mj.LissajousSequence.create(amplitude)
    easy_axis = (1.0, 1.0, 0.0) if immobilized else None
    particle = mj.Particle.create(
        20e-9,
        anisotropy_constant=anisotropy_constant,
        easy_axis=easy_axis,
        spatial_modulation=None if immobilized else 0.8,
        reference_field=None if immobilized else float(np.linalg.norm(amplitude)),
        dynamics=dynamics,
    )
    fx, fy, fz = (refinement if n > 1 else 1 for n in grid.shape)
    fine = grid.refine((fx, fy, fz))
    bins = np.arange(1, len(np.asarray(sequence.frequencies))) if bins is None else bins
    matrix = mj.simulate_system_matrix(
        mj.Scanner.create(gradient),
        sequence,
        particle,
        fine,
        bins,
        concentration=SAMPLE,
        memory_limit=MEMORY if immobilized else None,
    )
    values = np.asarray(matrix.values)[:channels]
    nx, ny, nz = grid.shape
    blocks = values.reshape(*values.shape[:2], nz, fz, ny, fy, nx, fx)
    clean = (blocks.mean((3, 5, 7), dtype=np.complex128) * (fx * fy * fz)).reshape(*values.shape[:2], -1)
    concentration = np.asarray(phantom(fine))
    sigma = NOISE * np.abs(clean).max() * np.sqrt(1000)
    data_key, key = jax.random.split(key)
    signal = values @ (concentration / SAMPLE).astype(np.float32)
    data = signal + np.asarray(complex_normal(signal.shape, sigma / np.sqrt(averages), key=data_key))
    truth = concentration.reshape(nz, fz, ny, fy, nx, fx).mean((1, 3, 5)).ravel()
    return Scan(clean, data, float(sigma), grid, truth, key)


def twice_as_fine(grid: mj.Grid) -> mj.Grid:
    """The grid in the plane whose every second voxel from the first has the center of one of ``grid``; it ends half of its voxels
    later than that."""
    nx, ny, _ = grid.shape
    half = np.asarray(grid.fov) / (2 * np.array(grid.shape))
    center = np.asarray(grid.center) + half / 2 * [1, 1, 0]
    return mj.Grid.create((2 * nx, 2 * ny, 1), np.asarray(grid.fov), center)


def low_orders(dimensions: int, highest: int) -> np.ndarray:
    """Bins of mixing orders from 1 to ``highest`` of a sequence that drives the first axes."""
    sequence = mj.LissajousSequence.create(tuple(12e-3 * (axis < dimensions) for axis in range(3)))
    orders = np.abs(np.asarray(sequence.mixing_orders(highest), int)).sum(axis=1)
    return np.flatnonzero((orders > 0) & (orders <= highest))


def distance(image: np.ndarray, reference: np.ndarray) -> float:
    """nRMSE of an image, in its own scale."""
    return float(mj.metrics.nrmse(image, reference))


def compare_images(images: Mapping[str, np.ndarray], reference: str, truth: np.ndarray) -> list[dict[str, Any]]:
    """nRMSE of every image to a reference image and to the phantom."""
    return [
        {
            "matrix": name,
            f"image to that of {reference}": distance(image, images[reference]),
            "image to the phantom": distance(image, truth),
        }
        for name, image in images.items()
    ]
