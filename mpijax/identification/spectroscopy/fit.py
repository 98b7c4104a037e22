"""Particles fitted to the spectrum of a sample: in equilibrium, with Neel's and with Brown's rotation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count
from mpijax.core.pytree import pytree, static
from mpijax.core.record import Record
from mpijax.core.typing import Array, Complex, Float, HostArray, HostScalar, IntVector, Matrix, Vector
from mpijax.identification.least_squares import Search
from mpijax.identification.parameters import Box, apply, own_numbers, search_box
from mpijax.identification.search import prepared, searches_from
from mpijax.identification.spectroscopy.harmonics import Spectrum
from mpijax.identification.spectroscopy.loop import Loop, loop_of
from mpijax.system import Brown, Grid, LissajousSequence, Neel, Particle, Scanner, moment_spectrum
from mpijax.system.dynamics.brown import ACROSS

POINT = Grid.create((1, 1, 1), (1e-3, 1e-3, 1e-3))
"""Where a sample stands: its place is in the static field."""

SAMPLES = 256
"""Least samples of a period of the drive field that moments are simulated at."""

POLAR, AZIMUTHS = 16, 6
"""Polar angles (Gauss-Legendre, over half a sphere) and azimuths of axes at random; one azimuth where the fields are collinear."""


@dataclass(frozen=True)
class Candidate:
    """A particle that may explain a spectrum.

    Attributes:
        particle: first guess, whose fields choose the model.
        free: parameters to fit, as those of :func:`mpijax.fit` that belong to particles.
        random_axes: whether its easy axes point anywhere; its moment is then the mean over them.
        bounds: (low, high) in SI units by name, for those that shall not be the default.

    Source: S. Biederer et al., J. Phys. D 42, 205007 (2009).
    """

    particle: Particle
    free: tuple[str, ...] = ("core_diameter",)
    random_axes: bool = False
    bounds: "Mapping[str, tuple[float, float]] | None" = None


@dataclass(frozen=True)
class SpectrumFit(Record):
    """A particle fitted to a spectrum. Made by :func:`fit_spectrum`.

    Attributes:
        name: of the candidate; particle: as fitted; random_axes: as those of the candidate.
        parameters, stds: values and standard deviations [SI], by name; NaN = at a bound, infinite = without influence.
        residual: |w (c - c_model)|/|w c| over the harmonics that are held, w = 1/sigma, or their orders where it is unknown.
        chi2: 2 sum |c - c_model|^2/sigma^2 over its degrees of freedom: 1 where only noise is left. None without sigma.
        orders, moment: all harmonics of the model up to the highest of the spectrum, (k,), in its unit.
        loop: of these.
    """

    name: str
    particle: Particle
    random_axes: bool
    parameters: "dict[str, float]"
    stds: "dict[str, float]"
    residual: HostScalar
    chi2: HostScalar | None
    orders: HostArray
    moment: HostArray
    loop: Loop


def particle_candidates(spectrum: Spectrum) -> dict[str, Candidate]:
    """The particles that :func:`fit_spectrum` tries where none are given, by name.

    Equilibrium: Langevin particles of one size, and of log-normal sizes. Neel rotation: axes along the drive field, and at random.
    Brownian rotation: a shell of 10 nm, which cannot be told from the viscosity.
    """
    axis = np.eye(3)[spectrum.axis]
    still = Particle.create(temperature=293.0)
    turning = Particle.create(anisotropy_constant=4e3, easy_axis=axis, dynamics=Neel())
    both = ("core_diameter", "anisotropy_constant")
    within = {"core_diameter": (8e-9, 30e-9), "anisotropy_constant": (200.0, 1e4)}
    fluid = Brown(shell_thickness=10e-9, viscosity=1e-3, collinear=_collinear(spectrum))
    return {
        "equilibrium": Candidate(still),
        "equilibrium, sizes": Candidate(replace(still, size_spread=0.1), ("core_diameter", "size_spread")),
        "Neel, axes along the field": Candidate(turning, both, bounds=within),
        "Neel, axes at random": Candidate(turning, both, True, within),
        "Brown": Candidate(
            Particle.create(dynamics=fluid), ("core_diameter", "viscosity"), bounds={"viscosity": (2e-4, 2e-2)}
        ),
    }


def fit_spectrum(
    spectrum: Spectrum,
    models: "Mapping[str, Candidate] | None" = None,
    *,
    starts: int = 6,
    iterations: int = 60,
) -> tuple[SpectrumFit, ...]:
    r"""Particles that explain the harmonics of a sample, the best first.

    .. math:: \min_{\vartheta, s}\ \sum_k w_k^2\, |c_k - s\, c_k(\vartheta)|^2

    over parameters theta and one real factor s. The sum runs
    over the harmonics that are held, moduli and lags alike; w = 1/sigma, or the order k (white noise in the voltage) where sigma is
    unknown. The factor, the moment in saturation, is solved in closed form; the parameters by Levenberg-Marquardt inside their
    bounds, as :func:`mpijax.fit` does, in double precision. Without transfer function the receiver is taken for flat.

    Args:
        spectrum: what is explained.
        models: candidates by name; None = those of :func:`particle_candidates` that have fewer numbers than the spectrum.
        starts: points that each search starts from.
        iterations: most steps of each.

    Raises:
        ValueError: further driven axes, fewer harmonics than parameters, or as :func:`mpijax.fit`.

    Source: S. Biederer et al., J. Phys. D 42, 205007 (2009); the factor in closed form after Golub and Pereyra, SIAM J. Numer.
        Anal. 10 (1973) 413.
    """
    check_count("starts", starts)
    check_count("iterations", iterations)
    if spectrum.others:
        raise ValueError(
            f"{spectrum.others} is driven as well; particles are fitted to the spectrum of one drive field."
        )
    if models is None:
        every = particle_candidates(spectrum)
        models = {name: model for name, model in every.items() if _freedom(model, spectrum) > 0} or every
    found = [_fit(name, model, spectrum, starts, iterations) for name, model in models.items()]
    return tuple(sorted(found, key=lambda one: one.residual))


@pytree
class _Problem:
    """Moments as a function of the free parameters, and their distance from the spectrum.

    Attributes:
        axes: easy axes at random (a, 3), with their shares (a,); None = the particle's own.
        measured: complex (k,), of norm one after ``weights`` (k,), which are 0 where a harmonic is not held.
        orders: (k,).
        dynamics: numbers of the particle's dynamics by name, known while a program is traced.
    """

    box: Box
    particle: Particle
    scanner: Scanner
    sequence: LissajousSequence
    axes: Matrix | None
    shares: Vector | None
    measured: Vector
    weights: Vector
    orders: IntVector
    axis: int = static()
    dynamics: tuple[tuple[str, float], ...] = static(default=())

    def built(self, unit: Float[Array, " p"]) -> Particle:
        values = dict(zip(self.box.names, self.box.to_values(unit), strict=True))
        particle = self.particle
        if self.dynamics:
            particle = replace(particle, dynamics=replace(cast(Any, particle.dynamics), **dict(self.dynamics)))
        return apply(values, self.scanner, particle, None)[1]

    def model(self, unit: Float[Array, " p"]) -> Complex[Array, " k"]:
        """a_k exp(-i phi_k), times the moment in saturation that explains the measured ones best."""
        particle = self.built(unit)

        def harmonics(one: Particle) -> jax.Array:
            found = moment_spectrum(
                self.scanner, self.sequence, one, POINT, self.orders, engine="time", dtype=unit.dtype
            )
            return jnp.asarray(2j * found[self.axis, :, 0])

        if self.axes is None:
            shape = harmonics(particle)
        else:
            each = jax.vmap(lambda axis: harmonics(replace(particle, easy_axis=axis)))(jnp.asarray(self.axes))
            shape = jnp.tensordot(jnp.asarray(self.shares), each, 1)
        square = jnp.asarray(self.weights) ** 2
        scale = jnp.sum(square * jnp.real(jnp.conj(shape) * self.measured)) / jnp.sum(square * jnp.abs(shape) ** 2)
        return scale * shape

    def residual(self, unit: Float[Array, " p"]) -> Float[Array, " r"]:
        """Real and imaginary parts, r = 2 k."""
        distance = self.weights * (self.measured - self.model(unit))
        return jnp.concatenate([jnp.real(distance), jnp.imag(distance)])


@jax.jit
def _model(problem: _Problem, unit: Vector) -> Complex[Array, " k"]:
    return problem.model(unit)


def _freedom(model: Candidate, spectrum: Spectrum) -> int:
    """Real and imaginary parts of the harmonics that are held, less the parameters and the factor."""
    return 2 * int(spectrum.held.sum()) - len(model.free) - 1


def _problem(model: Candidate, spectrum: Spectrum, weights: Float[Array, " k"]) -> _Problem:
    """Weights are those of the harmonics up to the highest that is held, (k,)."""
    scanner = Scanner.spectrometer(spectrum.static_field)
    sequence = LissajousSequence.create(
        spectrum.amplitude * np.eye(3)[spectrum.axis],
        (1, 1, 1),
        spectrum.frequency,
        "sine",
        n_samples=max(SAMPLES, 8 * len(weights)),
    )
    box = search_box(model.free, model.bounds, scanner, model.particle, POINT)
    axes, shares = _axes(spectrum) if model.random_axes else (None, None)
    measured = np.zeros(len(weights), complex)
    measured[spectrum.orders[spectrum.held] - 1] = spectrum.moment[spectrum.held]
    return _Problem(
        box=box,
        particle=prepared(model.particle, box, scanner, sequence, POINT),
        scanner=scanner,
        sequence=sequence,
        axes=axes,
        shares=shares,
        measured=measured,
        weights=weights,
        orders=np.arange(1, len(weights) + 1),
        axis=spectrum.axis,
        dynamics=tuple((key, float(number)) for key, number in own_numbers(model.particle.dynamics).items()),
    )


def _fit(name: str, model: Candidate, spectrum: Spectrum, starts: int, iterations: int) -> SpectrumFit:
    orders, measured = spectrum.orders[spectrum.held], spectrum.moment[spectrum.held]
    freedom = _freedom(model, spectrum)
    if freedom < 1:
        raise ValueError(
            f"{len(orders)} harmonics stand above the noise; {name} has {len(model.free) + 1} numbers to fit, which takes more."
        )
    weights = np.zeros(int(orders.max()))
    weights[orders - 1] = orders if spectrum.sigma is None else 1 / spectrum.sigma[spectrum.held]
    norm = float(np.linalg.norm(weights[orders - 1] * np.abs(measured)))
    problem = _problem(model, spectrum, weights / norm)
    box = problem.box
    with jax.enable_x64(True):
        best = min(searches_from(problem, box, starts, iterations), key=lambda search: float(search.cost))
        if not np.isfinite(best.cost):
            raise ValueError(
                f"{name}: no starting point can be simulated in a field of {1e3 * spectrum.amplitude:g} mT; give another candidate."
            )
        moment = np.asarray(_model(problem, best.unit))
        particle = jax.tree.map(np.asarray, problem.built(jnp.asarray(best.unit)))
        values = np.asarray(box.to_values(jnp.asarray(best.unit)))
    cost = float(best.cost)
    chi2 = None if spectrum.sigma is None else 2 * cost * norm**2 / freedom
    # of a real or imaginary part of a residual
    variance = cost / freedom if chi2 is None else max(chi2, 1.0) / (2 * norm**2)
    return SpectrumFit(
        name=name,
        particle=particle,
        random_axes=model.random_axes,
        parameters=dict(zip(box.names, values.tolist(), strict=True)),
        stds=dict(zip(box.names, (_stds(best, variance) * box.slope(values)).tolist(), strict=True)),
        residual=float(np.sqrt(cost)),
        chi2=chi2,
        orders=np.asarray(problem.orders),
        moment=moment,
        loop=loop_of(
            np.asarray(problem.orders), moment, spectrum.amplitude, float(spectrum.static_field[spectrum.axis])
        ),
    )


def _stds(best: Search, variance: float) -> np.ndarray:
    """Standard deviations in coordinates of the box; NaN at a bound, infinite without influence."""
    unit, jacobian = np.asarray(best.unit), np.asarray(best.jacobian)
    norms = np.linalg.norm(jacobian, axis=0)
    bound = (unit <= 0) | (unit >= 1)
    sure = ~bound & (norms > 0)
    stds = np.where(bound, np.nan, np.inf)
    inverse = np.linalg.pinv(jacobian[:, sure] / norms[sure])
    stds[sure] = np.linalg.norm(inverse, axis=1) / norms[sure] * np.sqrt(variance)
    return stds


def _axes(spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Directions over half a sphere around the drive field, (a, 3), and their shares (a,)."""
    nodes, weights = np.polynomial.legendre.leggauss(POLAR)
    cosine, count = (nodes + 1) / 2, 1 if _collinear(spectrum) else AZIMUTHS
    turn = 2 * np.pi * (np.arange(count) + 0.5) / count
    along, right, up = np.roll(np.eye(3), -spectrum.axis, axis=0)
    sine = np.sqrt(1 - cosine**2)[:, None, None]
    around = np.cos(turn)[:, None] * right + np.sin(turn)[:, None] * up
    axes = cosine[:, None, None] * along + sine * around
    return axes.reshape(-1, 3), np.repeat(weights / 2 / count, count)


def _collinear(spectrum: Spectrum) -> bool:
    across = np.delete(np.abs(spectrum.static_field), spectrum.axis)
    return bool(across.max() <= ACROSS * spectrum.amplitude)
