"""Seconds of a restoration with an identification, and what it gains: ``python -m benchmarks.restore_identified [--volume]``.

29 x 29 positions and the 1,000 strongest rows, noise of 2 % of their root mean square from 40 background frames, in equilibrium and
with Neel rotation; with ``--volume`` 12 x 12 x 8 positions and 60 bins, noise of 10 % of a row's maximum, told. The truth is of the
fit's model (an inverse crime). Every restoration runs twice: the first time holds the compilation. Five minutes.
"""

import argparse
import time
from dataclasses import replace
from typing import Any

import jax
import numpy as np

import mpijax as mj

PLANE_ROWS, PLANE_NOISE, VOLUME_NOISE = 1000, 0.02, 0.1


def plane(dynamics: Any) -> tuple[mj.SystemMatrix, np.ndarray, Any]:
    """A noisy plane, its clean rows, and its noise, None = from background frames."""
    particle = mj.Particle.create(
        18e-9, anisotropy_constant=4e3 if dynamics is None else 8e3, spatial_modulation=0.8, dynamics=dynamics
    )
    clean = mj.simulate_system_matrix(
        mj.Scanner.create(gradient=(-1.0, -1.0, 2.0)),
        mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0)),
        particle,
        mj.Grid.create((29, 29, 1), (30e-3, 30e-3, 1e-3)),
        np.arange(10, 510),
    )
    values = np.asarray(clean.values)
    mask = np.zeros(values.shape[0] * values.shape[1], bool)
    mask[np.argsort(-np.abs(values).max(axis=2).reshape(-1))[:PLANE_ROWS]] = True
    sigma = PLANE_NOISE * float(np.sqrt(np.mean(np.abs(values) ** 2)))
    noisy = mj.add_noise(clean, sigma=sigma, key=jax.random.key(0), background_frames=40)
    mask = mask.reshape(values.shape[:2])
    return replace(noisy, row_mask=mask), values[mask], None


def volume() -> tuple[mj.SystemMatrix, np.ndarray, Any]:
    """The same of a volume in equilibrium."""
    sequence = mj.LissajousSequence.create(amplitude=(10e-3, 10e-3, 10e-3), active=(True, True, True))
    orders = np.abs(np.asarray(sequence.mixing_orders(3), int)).sum(axis=1)
    clean = mj.simulate_system_matrix(
        mj.Scanner.create(gradient=(-1.0, -1.0, 2.0)),
        sequence,
        mj.Particle.create(20e-9, anisotropy_constant=3e3, easy_axis=(0.3, 1, 0.4)),
        mj.Grid.create((12, 12, 8), (22e-3, 22e-3, 11e-3)),
        np.flatnonzero((orders > 1) & (orders <= 3))[:60],
    )
    values = np.asarray(clean.values)
    peak = np.abs(values).max(axis=2)
    mask = peak > 1e-2 * peak.max()
    rows, sigma = values[mask], VOLUME_NOISE * peak[mask]
    drawn = np.random.default_rng(0).standard_normal((2, *rows.shape)) / np.sqrt(2)
    noisy = replace(clean, row_mask=mask).with_rows(
        (rows + sigma[:, None] * (drawn[0] + 1j * drawn[1])).astype(np.complex64), clean.grid
    )
    return noisy, rows, sigma


def main() -> None:
    """Print a line per restoration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volume", action="store_true")
    cases: dict[str, Any] = {"plane, equilibrium": lambda: plane(None), "plane, Neel": lambda: plane(mj.Neel())}
    if parser.parse_args().volume:
        cases = {"volume, equilibrium": volume}
    for name, make in cases.items():
        noisy, rows, sigma = make()
        peak = np.abs(rows).max(axis=1)
        for identify in (False, True, True):
            began = time.perf_counter()
            solution = mj.restore(noisy, "denoise", noise_std=sigma, identify=identify)
            seconds, stats = time.perf_counter() - began, solution.stats
            error = np.mean(np.abs(np.asarray(solution.value.rows()) - rows) ** 2, axis=1) / peak**2
            psnr = -10 * np.log10(error[stats.trusted]).mean()
            part = "" if stats.identified is None else f", {stats.identified.seconds:.0f} of them identifying"
            print(
                f"{name}, identify={identify}: {seconds:.0f} s{part}; {stats.trusted.sum()} of {len(rows)} rows restored, "
                f"{psnr:.1f} dB in the mean of these",
                flush=True,
            )


if __name__ == "__main__":
    main()
