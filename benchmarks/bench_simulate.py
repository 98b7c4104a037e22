"""A 2-D Langevin system matrix against NumPy.

``python -m benchmarks.bench_simulate``: 29 x 29 positions, 1,632 samples, three channels, 817 frequencies. The peers are a
loop over positions (float64) as it is usually written, and the same in blocks that fit the cache.
"""

import numpy as np

import mpijax as mj
from benchmarks.common import Target, interleave, options, ratio, report

GRADIENT, AMPLITUDE, DIAMETER = (-1.0, -1.0, 2.0), (12e-3, 12e-3, 0.0), 20e-9


def numpy_moments(positions: np.ndarray, drive: np.ndarray, beta: float) -> np.ndarray:
    """Spectra of the moment at some positions, (3, f, n)."""
    xi = beta * ((positions * GRADIENT)[:, :, None] + drive)
    x = np.sqrt(np.sum(xi**2, axis=1, keepdims=True))
    small = x < 1e-3
    safe = np.where(small, 1.0, x)
    ratio_ = np.where(small, 1 / 3, (1 / np.tanh(safe) - 1 / safe) / safe)
    return np.fft.rfft(xi * ratio_, axis=-1).transpose(1, 2, 0)


def main() -> None:
    arguments = options(__doc__).parse_args()
    grid = mj.Grid.create((29, 29, 1), (29e-3, 29e-3, 1e-3))
    scanner = mj.Scanner.create(GRADIENT)
    sequence = mj.LissajousSequence.create(AMPLITUDE)
    particle = mj.Particle.create(DIAMETER)
    positions, beta = np.asarray(grid.positions), float(particle.beta)
    t = np.arange(sequence.n_samples) / sequence.n_samples
    drive = np.array([a * np.cos(2 * np.pi * m * t) for a, m in zip(AMPLITUDE, sequence.cycles, strict=True)])

    def loop(block: int) -> np.ndarray:
        out = np.empty((3, sequence.n_samples // 2 + 1, grid.size), np.complex128)
        for i in range(0, grid.size, block):
            out[..., i : i + block] = numpy_moments(positions[i : i + block], drive, beta)
        return out

    def ours() -> object:
        return mj.moment_spectrum(scanner, sequence, particle, grid)

    candidates = {
        "mpijax float32": ours,
        "NumPy loop over positions": lambda: loop(1),
        "NumPy blocks of 8": lambda: loop(8),
    }
    timings = interleave(candidates, arguments.rounds)
    jax_, plain, blocks = (timings[name] for name in candidates)
    want = loop(1) / sequence.n_samples
    error = np.abs(np.asarray(ours()) - want).max() / np.abs(want).max()
    assert error < 1e-5, f"mpijax differs from the loop by {error:.1e} of the peak"
    print(f"largest difference {error:.1e} of the peak")
    targets = [
        Target("against the loop over positions", ratio(plain, jax_), 4),
        Target("against cache-sized blocks", ratio(blocks, jax_), 1),
    ]
    report("2-D Langevin system matrix, 841 x 1632 x 3", list(timings.values()), targets, arguments.json)


if __name__ == "__main__":
    main()
