"""A 2-D system matrix against NumPy: Langevin and anisotropic particles.

``python -m benchmarks.bench_simulate``: 29 x 29 positions, 1,632 samples, three channels, 817 frequencies. The peers of the
Langevin matrix are a loop over positions (float64) as it is usually written, the same in blocks that fit the cache, and
mpijax's plain engine, which leaves nothing out by symmetry; also its cost per voxel up to 128 x 128, and of 3-D rows; those of
the anisotropic one (immobilized, K = 3500 J/m^3) are vectorized Gauss-Legendre quadrature and the literal published series of
120 terms, both NumPy/SciPy ports in float64, on some of the positions: their times are per position.
"""

from collections.abc import Callable
from unittest import mock

import jax
import numpy as np

import mpijax as mj
from benchmarks.bench_anisotropy import numpy_legendre
from benchmarks.common import Ratio, Timing, interleave, options, ratio, report
from mpijax.datasets import RestorationPrior
from mpijax.datasets.reservoir import candidate_bins
from mpijax.system import Setup, simulate_rows
from tests.reference.anisotropy import published_series

GRADIENT, AMPLITUDE, DIAMETER = (-1.0, -1.0, 2.0), (12e-3, 12e-3, 0.0), 20e-9
LINEAR = 0.8
"""Time per voxel of a small grid over that of a large one from which the cost counts as linear: at most 1.25 times as much."""


def numpy_moments(positions: np.ndarray, drive: np.ndarray, beta: float) -> np.ndarray:
    """Spectra of the moment at some positions, (3, f, n)."""
    xi = beta * ((positions * GRADIENT)[:, :, None] + drive)
    x = np.sqrt(np.sum(xi**2, axis=1, keepdims=True))
    small = x < 1e-3
    safe = np.where(small, 1.0, x)
    ratio_ = np.where(small, 1 / 3, (1 / np.tanh(safe) - 1 / safe) / safe)
    return np.fft.rfft(xi * ratio_, axis=-1).transpose(1, 2, 0)


def langevin(rounds: int) -> tuple[list[Timing], list[Ratio]]:
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

    def ours(engine: str = "auto") -> object:
        return mj.moment_spectrum(scanner, sequence, particle, grid, engine=engine)

    candidates = {
        "mpijax float32": ours,
        "mpijax float32, plain engine": lambda: ours("plain"),
        "NumPy loop over positions": lambda: loop(1),
        "NumPy blocks of 8": lambda: loop(8),
    }
    timings = interleave(candidates, rounds)
    jax_, unfolded, plain, blocks = (timings[name] for name in candidates)
    want = loop(1) / sequence.n_samples
    error = np.abs(np.asarray(ours()) - want).max() / np.abs(want).max()
    assert error < 1e-5, f"mpijax differs from the loop by {error:.1e} of the peak"
    print(f"largest difference {error:.1e} of the peak")
    ratios = [
        Ratio("against the loop over positions", ratio(plain, jax_), 20),
        Ratio("against the plain engine", ratio(unfolded, jax_), 2.2),
        Ratio("against cache-sized blocks", ratio(blocks, jax_), 1),
    ]
    return list(timings.values()), ratios


def others(rounds: int) -> tuple[list[Timing], list[Ratio]]:
    """Against the plain engine: larger planes, anisotropic particles, a volume."""
    planar, volume = (mj.LissajousSequence.create(amplitude) for amplitude in (AMPLITUDE, (12e-3, 12e-3, 12e-3)))
    langevin_ = mj.Particle.create(DIAMETER)
    fluid = mj.Particle.create(DIAMETER, anisotropy_constant=3500.0, spatial_modulation=0.5)
    planes = {n: mj.Grid.create((n, n, 1), (29e-3, 29e-3, 1e-3)) for n in (29, 64, 128)}
    cases = {f"Langevin {n} x {n}": (planar, langevin_, grid, None) for n, grid in planes.items()}
    cases["fluid, anisotropic 29 x 29"] = planar, fluid, planes[29], None
    cases["fluid, anisotropic 7 x 7 x 7, 300 bins"] = (
        volume, fluid, mj.Grid.create((7, 7, 7), (29e-3,) * 3), np.arange(3000, 3300)
    )  # fmt: skip

    def call(name: str, engine: str) -> Callable[[], object]:
        sequence, particle, grid, bins = cases[name]
        return lambda: mj.moment_spectrum(mj.Scanner.create(GRADIENT), sequence, particle, grid, bins, engine=engine)

    candidates = {f"{name}, {engine}": call(name, engine) for name in cases for engine in ("time", "plain")}
    timings = interleave(candidates, rounds)
    ratios = [
        Ratio(f"{name} against the plain engine", ratio(timings[f"{name}, plain"], timings[f"{name}, time"]), 1.0)
        for name in cases
    ]
    small, large = (timings[f"Langevin {n} x {n}, time"] for n in (29, 128))
    ratios.append(Ratio("time per voxel, 29 x 29 over 128 x 128", ratio(small, large, 128**2 / 29**2), LINEAR))
    return list(timings.values()), ratios


def stream(rounds: int) -> tuple[list[Timing], list[Ratio]]:
    """Rows as training draws them, everything traced, against the same program without its one symmetry."""
    timings, ratios = [], []
    for model in ("langevin", "fluid"):
        setup, _ = RestorationPrior(2, model, size_range=(32, 32)).draw_accepted(jax.random.key(1))
        shape = nx, ny, nz = tuple(int(n) for n in setup.extent)
        bins = candidate_bins(setup.sequence)[:128]

        def compiled(setup: Setup = setup, shape: tuple = shape, bins: np.ndarray = bins) -> Callable[[Setup], object]:
            return jax.jit(lambda setup: simulate_rows(setup, shape, bins)[0]).lower(setup).compile()

        ours = compiled()
        with mock.patch("mpijax.system.simulate.even_in_time", return_value=False):
            plain = compiled()
        candidates = {
            f"rows for training, {model}": lambda ours=ours, setup=setup: ours(setup),
            f"rows for training, {model}, plain": lambda plain=plain, setup=setup: plain(setup),
        }
        timed = interleave(candidates, rounds)
        fast, slow = timed.values()
        timings += [fast, slow]
        name = f"rows for training, {model}, {nx} x {ny} x {nz}, against the plain engine"
        ratios.append(Ratio(name, ratio(slow, fast), 1.0))
    return timings, ratios


def anisotropic(rounds: int) -> tuple[list[Timing], list[Ratio]]:
    grid = mj.Grid.create((29, 29, 1), (29e-3, 29e-3, 1e-3))
    scanner, sequence = mj.Scanner.create(GRADIENT), mj.LissajousSequence.create(AMPLITUDE)
    axis = np.array([1.0, -2.0, 2.0]) / 3
    particle = mj.Particle.create(DIAMETER, anisotropy_constant=3500.0, easy_axis=axis)
    beta, alpha = float(particle.beta), float(particle.alpha)
    with jax.enable_x64(True):
        drive = np.asarray(sequence.drive_field())

    def spectra(count: int, moment: Callable) -> np.ndarray:
        """The first positions, from the moment's two components as a peer computes them."""
        xi = beta * ((np.asarray(grid.positions)[:count] * GRADIENT)[:, :, None] + drive)
        u = np.einsum("i,nit->nt", axis, xi)
        across = xi - u[:, None] * axis[:, None]
        w = np.maximum(np.sum(across**2, axis=1), 1e-300)
        parallel, per_field = (m.reshape(u.shape) for m in moment(u.ravel(), w.ravel(), np.full(u.size, alpha)))
        m = parallel[:, None] * axis[:, None] + per_field[:, None] * across
        return np.fft.rfft(m, axis=-1).transpose(1, 2, 0) / sequence.n_samples

    def series(u: np.ndarray, w: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        v = np.sqrt(w)
        parallel, perpendicular = published_series(u, v, alpha)
        return parallel, perpendicular / v

    def ours(x64: bool) -> jax.Array:
        with jax.enable_x64(x64):
            return mj.moment_spectrum(scanner, sequence, particle, grid)

    legendre_count, series_count = 20, 4
    candidates = {
        "mpijax float32": lambda: ours(False),
        "mpijax float64": lambda: ours(True),
        f"NumPy Gauss-Legendre, 32 nodes, {legendre_count} of 841 positions": lambda: spectra(
            legendre_count, numpy_legendre
        ),
        f"literal series, 120 terms, {series_count} of 841 positions": lambda: spectra(series_count, series),
    }
    timings = interleave(candidates, rounds)
    single, double, legendre, literal = (timings[name] for name in candidates)
    want = np.asarray(ours(True))
    for name, got, bound in (
        ("float32", np.asarray(ours(False)), 1e-5),
        ("Gauss-Legendre", spectra(legendre_count, numpy_legendre), 1e-6),
        ("literal series", spectra(series_count, series), 1e-10),
    ):
        error = np.abs(got - want[..., : got.shape[-1]]).max() / np.abs(want).max()
        assert error < bound, f"{name} differs from mpijax in float64 by {error:.1e} of the peak"
        print(f"{name} differs from mpijax in float64 by {error:.1e} of the peak")
    ratios = [
        Ratio("float64 against the literal series", ratio(literal, double, 841 / series_count), 50),
        Ratio("float32 against the literal series", ratio(literal, single, 841 / series_count), 50),
        Ratio("float64 against NumPy Gauss-Legendre", ratio(legendre, double, 841 / legendre_count), 10),
        Ratio("float32 against NumPy Gauss-Legendre", ratio(legendre, single, 841 / legendre_count), 40),
    ]
    return list(timings.values()), ratios


def main() -> None:
    arguments = options(__doc__).parse_args()
    report("2-D Langevin system matrix, 841 x 1632 x 3", *langevin(arguments.rounds), arguments.json)
    report("Symmetries against the plain engine", *others(arguments.rounds), arguments.json)
    report("Rows for training against the plain engine", *stream(arguments.rounds), arguments.json)
    report("2-D anisotropic system matrix, 841 x 1632 x 3", *anisotropic(arguments.rounds), arguments.json)


if __name__ == "__main__":
    main()
