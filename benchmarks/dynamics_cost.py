"""Time of Neel matrices over voxels and samples, and their memory: ``python -m benchmarks.dynamics_cost [--figure PATH]``.

Three minutes alone. Least processor seconds of all rounds, which other work beside it changes little. Sequences of 510 to 9,690
samples at 2.5 MS/s on 16 x 16 positions; up to 48 x 48 positions of 1,632 samples. Memory is the most that a fresh process held
resident, less what it held after its imports and the first small program.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import jax

import mpijax as mj
from benchmarks.bench_dynamics import CORE, SCANNER, SEQUENCE, spent
from benchmarks.scaling import plane
from benchmarks.scaling_figure import plot_scaling
from mpijax.physics.dynamics.stored import neel_table
from mpijax.viz import save

DIVIDERS = ((102, 85, 1), (102, 96, 1), (102, 99, 1), (102, 100, 1), (102, 95, 1))
SIDES = (8, 12, 16, 24, 32, 48)
PARTICLES = {"Neel": mj.Particle.create(**CORE, dynamics=mj.Neel()), "equilibrium": mj.Particle.create(**CORE)}

PROBE = """
import resource, sys
import jax
import jax.numpy as jnp
from benchmarks.dynamics_cost import work
held = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
jax.block_until_ready(jax.jit(jnp.sin)(jnp.ones(3)))
before = held()
work(sys.argv[1])
print(held() - before, before)
"""


def work(case: str) -> None:
    """What a probe does: "table" reads the one that ships, "one" makes one of a single anisotropy, "NAME N" a matrix of N x N."""
    name, *side = case.split()
    if name == "table":
        neel_table().coefficients.sum()
    elif name == "one":
        neel_table(alpha=6.123)
    else:
        jax.block_until_ready(mj.moment_spectrum(SCANNER, SEQUENCE, PARTICLES[name], plane(int(side[0]))))


def memory(case: str) -> tuple[float, float]:
    """MiB beyond those held before, and those."""
    done = subprocess.run([sys.executable, "-c", PROBE, case], capture_output=True, text=True, check=True)
    more, before = map(float, done.stdout.split())
    return more, before


def print_memory() -> None:
    print(f"table that ships: {neel_table().coefficients.nbytes / 2**20:.0f} MiB as an array")
    for case in ("table", "one", "Neel 15", "Neel 29", "Neel 58", "equilibrium 15", "equilibrium 29"):
        more, before = memory(case)
        print(f"memory of {case}: {more:.0f} MiB beyond {before:.0f}", flush=True)


def times(rounds: int) -> dict[str, dict[str, tuple[list[int], list[float]]]]:
    """Quantity -> particle -> sizes and processor seconds."""
    sequences = [mj.LissajousSequence.create((12e-3, 12e-3, 0.0), dividers) for dividers in DIVIDERS]
    sequences.sort(key=lambda sequence: sequence.n_samples)
    cases = {
        "voxels": [(side * side, SEQUENCE, plane(side)) for side in SIDES],
        "samples": [(sequence.n_samples, sequence, plane(16)) for sequence in sequences],
    }
    panels: dict[str, dict[str, tuple[list[int], list[float]]]] = {quantity: {} for quantity in cases}
    for quantity, sizes in cases.items():
        for name, particle in PARTICLES.items():
            seconds = [
                spent(lambda s=s, g=g, p=particle: mj.moment_spectrum(SCANNER, s, p, g), rounds, min)[2]
                for _, s, g in sizes
            ]
            panels[quantity][name] = [size for size, *_ in sizes], seconds
            print(
                quantity, name, [(size, round(t, 3)) for (size, *_), t in zip(sizes, seconds, strict=True)], flush=True
            )
    return panels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--figure", type=Path, default=Path("runs/relaxation_cost.png"))
    arguments = parser.parse_args()
    print_memory()
    save(plot_scaling(times(arguments.rounds)), arguments.figure, 130)


if __name__ == "__main__":
    main()
