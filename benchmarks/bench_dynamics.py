"""Magnetization dynamics: the engines against SciPy's BDF on the same equation, and against the equilibrium matrix.

``python -m benchmarks.bench_dynamics``: particles of 22.5 nm and 5 kJ/m^3, an oblique axis, precession at damping 0.1, 15 x 15
positions, a Lissajous period of 1,632 samples. Processor seconds, for the peer runs on one core; the peer solves a quarter of the
period at one position and counts four times. Errors of the moment are against the full engine.
"""

import statistics
import time

import jax
import numpy as np

import mpijax as mj
from benchmarks.bdf_peer import bdf_moment
from benchmarks.common import Ratio, options, report
from mpijax.physics.dynamics.stored import SHIPPED_DAMPING
from mpijax.physics.dynamics.table import alpha_axis, build_table, damping_axis, field_axes

SCANNER, SEQUENCE = mj.Scanner.create((-1.0, -1.0, 2.0)), mj.LissajousSequence.create((12e-3, 12e-3, 0.0))
CORE = {"core_diameter": 22.5e-9, "anisotropy_constant": 5e3, "easy_axis": (1.0, 0.3, 0.2)}


def spent(call, rounds: int, typical=statistics.median) -> tuple[float, float, float]:
    """Wall seconds of the first call, then wall and processor seconds of the following ones."""
    began = time.perf_counter()
    jax.block_until_ready(call())
    first, wall, processor = time.perf_counter() - began, [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        jax.block_until_ready(call())
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return first, typical(wall), typical(processor)


def moments(spectrum: np.ndarray) -> np.ndarray:
    """(3, t, n)."""
    return np.fft.irfft(np.asarray(spectrum) * SEQUENCE.n_samples, SEQUENCE.n_samples, axis=1)


def main() -> None:
    arguments = options(__doc__).parse_args()
    rounds = arguments.rounds
    particle, rest = mj.Particle.create(**CORE, dynamics=mj.Neel()), mj.Particle.create(**CORE)
    one = mj.Grid.create((1, 1, 1), (2e-3,) * 3, (3e-3, 2e-3, 0.0))
    truth = moments(mj.moment_spectrum(SCANNER, SEQUENCE, particle, one, engine="full"))

    quarter = SEQUENCE.n_samples // 4
    times = np.arange(quarter + 1) * SEQUENCE.period / SEQUENCE.n_samples
    static = np.asarray(SCANNER.field(one.positions), float)
    speed = 2 * np.pi * np.array(SEQUENCE.cycles) / SEQUENCE.period

    def xi(t: float) -> np.ndarray:
        return float(particle.beta) * (static + SEQUENCE.amplitude * np.cos(speed * t))

    tau = float(particle.dynamics.time(particle))
    axis = np.asarray(particle.easy_axis)
    peer, seconds = bdf_moment(xi, times, float(particle.alpha), axis, tau, SHIPPED_DAMPING, degree=18)
    late = slice(20, quarter)  # the peer starts in equilibrium
    print(f"SciPy BDF (1e-3, 1e-6): {4 * seconds:.1f} s, error {np.abs(peer.T[:, late] - truth[:, late, 0]).max():.1e}")

    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            found = moments(mj.moment_spectrum(SCANNER, SEQUENCE, particle, one, dtype=dtype))
            print(f"mpijax {dtype}: error {np.abs(found - truth).max():.1e}")

    grid = mj.Grid.create((15, 15, 1), (30e-3, 30e-3, 2e-3))
    first, wall, processor = spent(lambda: mj.moment_spectrum(SCANNER, SEQUENCE, particle, grid), rounds)
    per_voxel = processor / grid.size
    print(
        f"15 x 15: first {first:.1f} s, then {wall:.2f} s; {per_voxel * 1e3:.2f} ms of a processor per voxel and period"
    )
    _, still, _ = spent(lambda: mj.moment_spectrum(SCANNER, SEQUENCE, rest, grid), rounds)
    began = time.process_time()
    alpha = float(particle.alpha)
    build_table(damping_axis(0.1, 0.1), alpha_axis(alpha, alpha), field_axes(40.0))
    table = time.process_time() - began
    print(f"table of one anisotropy: {table:.1f} s")
    with_table = per_voxel + table / grid.size
    ratios = [
        Ratio("against SciPy's BDF, processor seconds", 4 * seconds / per_voxel, 1000),
        Ratio("the same with a new table", 4 * seconds / with_table, 40),
        Ratio("over the equilibrium matrix, 15 x 15", wall / still, most=10),
    ]

    wide = mj.Grid.create((29, 29, 1), (29e-3, 29e-3, 1e-3))
    print(f"29 x 29: {spent(lambda: mj.moment_spectrum(SCANNER, SEQUENCE, particle, wide), rounds)[1]:.2f} s")
    deep = mj.LissajousSequence.create((12e-3, 12e-3, 12e-3))
    cube, bins = mj.Grid.create((5, 5, 5), (20e-3,) * 3), np.arange(1, 2000)
    seconds = spent(lambda: mj.moment_spectrum(SCANNER, deep, particle, cube, bins), 1)[1]
    print(f"3-D, 5 x 5 x 5 positions, {deep.n_samples} samples: {seconds:.2f} s")
    for shell in (7.5e-9, 27.5e-9):
        whole = mj.Particle.create(25e-9, dynamics=mj.Brown(shell_thickness=shell))
        seconds = spent(lambda whole=whole: mj.moment_spectrum(SCANNER, SEQUENCE, whole, grid), 1)[1]
        print(f"Brown, 15 x 15, hydrodynamic diameter {25 + 2e9 * shell:.0f} nm: {seconds:.1f} s")
    report("Magnetization dynamics", [], ratios, arguments.json)


if __name__ == "__main__":
    main()
