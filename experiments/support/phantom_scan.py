"""A simulated scanner in which random phantoms are measured: a noisy calibration, and data from a finer grid.

A planar Lissajous scanner with two channels, gradient (-1, -1, 2) T/m, 12 mT and 20 nm Langevin cores. Every channel and
frequency has its own noise: sqrt(1 + (150 kHz/f)^2) times a log-normal factor exp(N(0, 0.5)), a choice that stands for
amplifier noise and interference.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mpijax as mj
from experiments.support.random_phantoms import random_phantoms
from mpijax.physics import complex_normal
from mpijax.reconstruction import row_norm_weights, whitening_weights

FOV = (27.5e-3, 27.5e-3, 1.5e-3)
REFINEMENT = 3
"""The phantoms are measured on a grid this many times finer per axis than the matrix's."""

BAND = (80e3, 0.9)
"""Lowest frequency [Hz] and highest as a share of the bandwidth."""

MIN_SNR = 2.0
SAMPLE = 100.0
"""Concentration of the calibration sample [mmol(Fe)/L]."""

EMPTY_FRAMES = 100


@dataclass(frozen=True)
class Scan:
    """A noisy calibration, the true rows on the finer grid, and what is known about the rows."""

    matrix: np.ndarray
    fine_rows: np.ndarray
    noise: np.ndarray
    weights: dict[str, np.ndarray]
    frequencies: np.ndarray
    orders: np.ndarray
    snr: np.ndarray
    grid: mj.Grid
    fine: mj.Grid


@dataclass(frozen=True)
class Phantoms:
    """True images (k, n), data without noise (k, m) and with it."""

    images: np.ndarray
    clean: np.ndarray
    data: np.ndarray


def simulate_scan(voxels: int, peak_snr: float, averages: int, key: jax.Array) -> Scan:
    """The scanner, its calibration with noise, and the rows that are kept.

    Args:
        voxels: along x and y of the matrix.
        peak_snr: largest entry of the calibration within the band over the noise of one frame.
        averages: of calibration and phantom frames.
        key: random key.
    """
    grid = mj.Grid.create((voxels, voxels, 1), FOV)
    fine = grid.refine((REFINEMENT, REFINEMENT, 1))
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0.0))
    setup = mj.Scanner.create((-1.0, -1.0, 2.0)), sequence, mj.Particle.create(20e-9)
    true, fine_rows = (np.asarray(mj.simulate_system_matrix(*setup, g).values)[:2] for g in (grid, fine))
    f = np.asarray(sequence.frequencies)
    band = (f >= BAND[0]) & (f <= BAND[1] * f[-1])
    keys = jax.random.split(key, 3)
    color = np.sqrt(1 + (150e3 / np.maximum(f, 1)) ** 2) * np.exp(
        0.5 * np.asarray(jax.random.normal(keys[0], (2, len(f))))
    )
    noise = color * np.abs(true[:, band]).max() * SAMPLE / peak_snr / np.sqrt(averages)
    noisy = true + np.asarray(complex_normal(true.shape, noise[..., None] / SAMPLE, key=keys[1]))
    snr = np.sqrt(np.mean(np.abs(noisy) ** 2, axis=-1)) * SAMPLE / noise
    keep = (snr >= MIN_SNR) & band
    channel, position = np.nonzero(keep)
    matrix = np.asarray(noisy[keep], np.complex64)
    empty = np.asarray(complex_normal((EMPTY_FRAMES, len(matrix)), noise[keep], key=keys[2]))
    return Scan(
        matrix=matrix,
        fine_rows=fine_rows[keep],
        noise=np.asarray(noise[keep], np.float32),
        weights={
            "none": np.ones(len(matrix), np.float32),
            "row norm": np.asarray(row_norm_weights(matrix)),
            "whitening": np.asarray(whitening_weights(np.std(empty, axis=0))),
        },
        frequencies=f[position],
        orders=np.abs(sequence.mixing_orders()[position]).sum(axis=1),
        snr=snr[keep],
        grid=grid,
        fine=fine,
    )


def phantom_set(scan: Scan, kinds: tuple[str, ...], count: int, key: jax.Array) -> Phantoms:
    """Random phantoms, measured on the finer grid; the true image is their mean over the voxels of the coarse one."""
    draw, noise = jax.random.split(key)
    fine = random_phantoms(kinds, count, scan.fine, draw)
    n = scan.grid.shape[0]
    images = fine.reshape(count, n, REFINEMENT, n, REFINEMENT).mean(axis=(2, 4)).reshape(count, -1)
    clean = fine @ scan.fine_rows.T
    noisy = clean + np.asarray(complex_normal(clean.shape, scan.noise, key=noise))
    return Phantoms(images, np.asarray(clean, np.complex64), np.asarray(noisy, np.complex64))


@jax.jit
def image_of(layer: Any, matrix: Any, data: Any) -> jax.Array:
    """Non-negative images (k, n) of a layer."""
    return jnp.maximum(layer(matrix, data), 0)
