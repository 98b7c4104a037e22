"""A whole 3-D system matrix of low mixing orders against NumPy, and the simulator's gradient against its value.

``python -m benchmarks.bench_separable``: 19 x 19 x 19 positions, 53,856 samples, three channels, the 2,496 frequencies of mixing
order below 16, 412 MB of rows written. The peer is the time-domain signal of 8 positions at a time (what fits the cache) and its
FFT in single precision; it takes 10 s and more per call.
"""

import jax
import jax.numpy as jnp
import numpy as np

import mpijax as mj
from benchmarks.bench_simulate import numpy_moments
from benchmarks.common import Ratio, interleave, options, ratio, report

GRADIENT, AMPLITUDE, DIAMETER = (-1.0, -1.0, 2.0), (12e-3, 12e-3, 12e-3), 20e-9
BLOCK = 8


def whole_matrix(rounds: int) -> tuple[list, list]:
    grid = mj.Grid.create((19, 19, 19), (38e-3, 38e-3, 19e-3))
    scanner = mj.Scanner.create(GRADIENT)
    sequence = mj.LissajousSequence.create(AMPLITUDE)
    particle = mj.Particle.create(DIAMETER)
    bins = np.flatnonzero(np.abs(sequence.mixing_orders(16)).sum(1) < 16)
    positions = np.asarray(grid.positions, np.float32)
    drive = np.asarray(sequence.drive_field(np.float32))
    beta = np.float32(particle.beta)

    def blocks() -> np.ndarray:
        out = np.empty((3, len(bins), grid.size), np.complex64)
        for i in range(0, grid.size, BLOCK):
            out[..., i : i + BLOCK] = numpy_moments(positions[i : i + BLOCK], drive, beta)[:, bins]
        return out / np.float32(sequence.n_samples)

    def ours(engine: str) -> jax.Array:
        return mj.moment_spectrum(scanner, sequence, particle, grid, bins, engine=engine)

    candidates = {
        "separable": lambda: ours("separable"),
        f"NumPy, blocks of {BLOCK}": blocks,
        "time domain": lambda: ours("time"),
    }
    timings = interleave(candidates, rounds)
    separable, numpy_, time = (timings[name] for name in candidates)
    want = blocks()
    error = np.abs(np.asarray(ours("separable")) - want).max() / np.abs(want).max()
    assert error < 2e-5, f"the engines differ from NumPy by {error:.1e} of the peak"
    print(f"largest difference to NumPy {error:.1e} of the peak; {len(bins)} frequencies, {want.nbytes / 1e6:.0f} MB")
    ratios = [
        Ratio("separable against NumPy blocks", ratio(numpy_, separable), 15),
        Ratio("time domain against NumPy blocks", ratio(numpy_, time), 1.5),
    ]
    return list(timings.values()), ratios


def gradients(rounds: int) -> tuple[list, list]:
    """Value and gradient of a matrix' energy by diameter, gradient and amplitude, over the value alone."""
    grid = mj.Grid.create((29, 29, 1), (29e-3, 29e-3, 1e-3))
    axis = (1.0, -2.0, 0.5)

    def energy(model: str, diameter: jax.Array, strength: jax.Array, amplitude: jax.Array) -> jax.Array:
        options_ = {"anisotropy_constant": 3500.0, "easy_axis": axis} if model == "anisotropic" else {}
        spectrum = mj.moment_spectrum(
            mj.Scanner.create(strength * jnp.array([-1.0, -1.0, 2.0])),
            mj.LissajousSequence.create(amplitude * jnp.array([1.0, 1.0, 0.0]), active=(True, True, False)),
            mj.Particle.create(diameter, **options_),
            grid,
        )
        return jnp.sum(jnp.abs(spectrum) ** 2)

    point = jnp.float32(20e-9), jnp.float32(1.0), jnp.float32(12e-3)
    timings, ratios = [], []
    for model in ("Langevin", "anisotropic"):
        value = jax.jit(energy, static_argnums=0)
        both = jax.jit(jax.value_and_grad(energy, argnums=(1, 2, 3)), static_argnums=0)
        candidates = {
            f"{model}: value and gradient": lambda both=both, model=model: both(model, *point),
            f"{model}: value": lambda value=value, model=model: value(model, *point),
        }
        timed = interleave(candidates, rounds)
        slow, fast = timed.values()
        timings += [slow, fast]
        ratios.append(Ratio(f"{model}, value and gradient over value", ratio(slow, fast), most=6))
    return timings, ratios


def main() -> None:
    parser = options(__doc__)
    parser.set_defaults(rounds=3)
    arguments = parser.parse_args()
    report("3-D matrix, 6859 x 3 x 2496", *whole_matrix(arguments.rounds), arguments.json)
    report("value and gradient, 2-D matrix, 841 x 1632 x 3", *gradients(3 * arguments.rounds), arguments.json)


if __name__ == "__main__":
    main()
