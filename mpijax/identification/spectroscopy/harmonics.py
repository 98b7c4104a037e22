"""The spectrum of a sample in a sinusoidal field: harmonics of its moment, and what follows from them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mpijax.core.checks import check_count, check_finite, check_range, check_shape, is_concrete
from mpijax.core.constants import MU0
from mpijax.core.record import Record
from mpijax.core.typing import Complex, Float, HostArray, HostScalar, Numbers
from mpijax.identification.spectroscopy.loop import CENTERED, Loop, loop_of
from mpijax.identification.spectroscopy.sample import channel_row, drive_of, harmonics_of, sample_of
from mpijax.system import Measurement, SystemMatrix

THRESHOLD = 3.0
"""Modulus over standard deviation from which on a harmonic counts: white noise reaches it with a probability of exp(-9)."""

FLOOR = 1e-5
"""Share of the strongest harmonic that rounding of single precision reaches."""

NUMBERS = ("coercive_field", "remanence", "peak_field", "width")
"""Numbers of a loop whose uncertainties are given."""


@dataclass(frozen=True)
class Spectrum(Record):
    """Harmonics of the moment along a field static + A sin(theta): m = sum of a_k sin(k theta - phi_k). Made by :func:`spectrum`.

    Attributes:
        axis: of the drive field, 0 to 2; others: names of further driven axes, over whose phases moments are averaged.
        channel: number of the receiver.
        frequency: of the drive field [Hz]; amplitude: A [T]; static_field: (3,) [T]; gradient: along the axis [T/m], or None.
        orders: k of each harmonic, (k,); signal: 2 u_k/N, (k,), unit of the data.
        moment: a_k exp(-i phi_k), (k,), see ``absolute``; sigma: complex standard deviations, or None where nothing tells them.
        held: which harmonics stand above the noise, (k,).
        absolute: whether the receive chain is divided out: the moment is in A m^2 for a coil of 1 1/m. Else it has no unit: the
            largest moment of the loop (or the largest harmonic, where there is no loop) is 1.
        loop: over the field, of the harmonics that are held; None without the fundamental.
        a5_to_a3: fifth over third harmonic of the moment (5/3 of it for the voltage); NaN where one is not held.
        even_to_odd: root of the power of the even over that of the odd harmonics that are held: 0 without a static field.
        stds: standard deviations of ``a5_to_a3``, ``even_to_odd`` and of the numbers of the loop, by name; empty without sigma.
        notes: what to know before using the numbers, in sentences.

    Source: S. Biederer et al., J. Phys. D 42, 205007 (2009).
    """

    axis: int
    others: str
    channel: int
    frequency: HostScalar
    amplitude: HostScalar
    static_field: HostArray
    gradient: HostScalar | None
    orders: HostArray
    signal: HostArray
    moment: HostArray
    sigma: HostArray | None
    held: HostArray
    absolute: bool
    loop: Loop | None
    a5_to_a3: HostScalar
    even_to_odd: HostScalar
    stds: "dict[str, float]"
    notes: tuple[str, ...]

    @property
    def lags(self) -> Float[np.ndarray, " k"]:
        """phi_k [rad] in [-pi, pi), (k,): 0 for odd harmonics of a moment in equilibrium, without static field."""
        return -np.angle(self.moment)

    @property
    def lag_stds(self) -> Float[np.ndarray, " k"] | None:
        """Standard deviations of ``lags`` [rad], (k,)."""
        return None if self.sigma is None else self.sigma / np.sqrt(2) / np.abs(self.moment)

    def resolution(self, gradient: float | None = None) -> float:
        """Full width at half maximum of the point-spread function in meters, width/|G|; NaN where it has none.

        Args:
            gradient: along the drive field [T/m]; None = that of the scan.

        Raises:
            ValueError: no gradient, or zero.
        """
        gradient = self.gradient if gradient is None else gradient
        if not gradient:
            raise ValueError("there is no gradient along the drive field; give gradient= in T/m.")
        return np.nan if self.loop is None else self.loop.width / abs(gradient)


def spectrum(
    source: Measurement | SystemMatrix,
    *,
    axis: int | None = None,
    channel: int | None = None,
    position: Numbers | None = None,
    first: int = 1,
    threshold: float = THRESHOLD,
) -> Spectrum:
    """The harmonics of a point sample in its drive field, its loop and its point-spread function.

    The moment follows from the induced voltage u = -mu0 p dm/dt with p = 1 1/m, after the receive chain is divided out:
    a_k exp(-i phi_k) = -(2/N) u_k exp(-i k phase)/(2 pi f_k mu0). Which way the coil is wound is not known: the sign is that by
    which the lowest odd harmonic follows the field.

    Args:
        source: a measurement, whose frames and periods are averaged, or a system matrix, of which one voxel is taken. Subtract the
            background of a measurement first. A transfer function that a matrix carries is divided out.
        axis: of the drive field, 0 to 2; None = the only one.
        channel: number of the receiver; None = the only one, or that of the axis.
        position: of the sample [m], (3,): needed with a gradient, and to choose a voxel, the nearest, where there are several.
        first: lowest harmonic that counts: 2 or 3 where the fundamental is filtered out, or holds the drive field's own voltage.
        threshold: standard deviations that a harmonic stands above the noise. It is estimated from several frames, else from
            background frames; where there are neither, all above 1e-5 of the strongest count.

    Raises:
        TypeError: neither a measurement nor a matrix, or under a transformation.
        ValueError: no or several driven axes and none chosen, a channel that is not there, a sample in a gradient whose position
            is not given, a drive field that is not one sine, harmonics that are no bins, or none above the noise.

    Source: S. Biederer et al., J. Phys. D 42, 205007 (2009), for spectroscopy of a sample without gradient.
    """
    if not isinstance(source, Measurement | SystemMatrix):
        raise TypeError(f"source is a {type(source).__name__}; a spectrum is that of a Measurement or SystemMatrix.")
    if not is_concrete(source):
        raise TypeError("spectrum() chooses harmonics by their values; call it outside jit, grad and vmap.")
    check_count("first", first)
    check_range("threshold", threshold, 0, float("inf"), "standard deviations")
    if position is not None:
        check_shape("position", position, (3,))
        check_finite("position", np.asarray(position, float))
    if source.angles is not None:
        raise ValueError("the data belong to a rotating field-free line; a spectrum is that of one field.")
    drive = drive_of(source, axis)
    sample = sample_of(source, position)
    row = channel_row(source.channels, channel, drive.axis)
    orders, bins = harmonics_of(source, row, drive.frequency, first)
    values = sample.values[row, bins]
    check_finite("the harmonics", values)
    signal = 2 * values / source.n_samples
    scale = -np.exp(-1j * orders * drive.phase) / (2 * np.pi * drive.frequency * orders * MU0)
    moment = signal * scale
    sigma = None if sample.sigma is None else 2 / source.n_samples * sample.sigma[row, bins] * np.abs(scale)
    held = np.abs(signal) > FLOOR * np.abs(signal).max()
    if sigma is not None and not np.any(sigma > 0):
        sigma = None  # frames that are all the same tell nothing
    if sigma is not None:
        held &= (sigma > 0) & (np.abs(moment) > threshold * sigma)
    if not held.any():
        raise ValueError(
            f"no harmonic of {drive.frequency / 1e3:g} kHz from order {first} on stands {threshold:g} standard deviations above "
            f"the noise in channel {source.channels[row]}: is there a sample, and is this its channel?"
        )
    odd = np.flatnonzero(held & (orders % 2 == 1))
    against = len(odd) > 0 and bool(moment[odd[0]].real < 0)
    size = -1.0 if against else 1.0
    along = float(sample.static_field[drive.axis])
    loop = _loop(orders, held, size * moment, drive.amplitude, along)
    if not sample.corrected:
        size /= float(np.abs(moment[held]).max() if loop is None else np.abs(loop.moment).max())
        loop = _loop(orders, held, size * moment, drive.amplitude, along)
    found = Spectrum(
        axis=drive.axis,
        others=drive.others,
        channel=source.channels[row],
        frequency=drive.frequency,
        amplitude=drive.amplitude,
        static_field=sample.static_field,
        gradient=drive.gradient,
        orders=orders,
        signal=signal,
        moment=size * moment,
        sigma=None if sigma is None else abs(size) * sigma,
        held=held,
        absolute=sample.corrected,
        loop=loop,
        **_ratios(orders, held, moment),
        stds={},
        notes=(),
    )
    return replace(found, stds=_uncertainties(found), notes=tuple(_notes(found, against)))


def _loop(
    orders: HostArray, held: HostArray, moment: Complex[np.ndarray, " k"], amplitude: float, static: float
) -> Loop | None:
    return loop_of(orders[held], moment[held], amplitude, static) if held[orders == 1].any() else None


def _ratios(orders: HostArray, held: HostArray, moment: Complex[np.ndarray, " k"]) -> dict[str, float]:
    """Ratios of harmonics by the names of their fields."""
    sizes = dict(zip(orders[held].tolist(), np.abs(moment[held]).tolist(), strict=True))
    even, odd = (np.sqrt(sum(a**2 for k, a in sizes.items() if k % 2 == rest)) for rest in (0, 1))
    return {
        "a5_to_a3": sizes.get(5, np.nan) / sizes.get(3, np.nan),
        "even_to_odd": float(even / odd) if odd else np.inf,
    }


def _uncertainties(found: Spectrum) -> dict[str, float]:
    """Standard deviations of numbers by the change that every harmonic's standard deviation makes in them."""
    if found.sigma is None:
        return {}

    def numbers(moment: Complex[np.ndarray, " k"]) -> dict[str, float]:
        named = _ratios(found.orders, found.held, moment)
        loop = _loop(found.orders, found.held, moment, found.amplitude, float(found.static_field[found.axis]))
        return named if loop is None else named | {name: loop[name] for name in NUMBERS}

    start, total = numbers(found.moment), dict.fromkeys(numbers(found.moment), 0.0)
    for i in np.flatnonzero(found.held):
        for part in (1, 1j):
            moved = found.moment.copy()
            moved[i] += part * found.sigma[i] / np.sqrt(2)
            for name, value in numbers(moved).items():
                total[name] += (value - start[name]) ** 2
    return {name: float(np.sqrt(square)) for name, square in total.items()}


def _notes(found: Spectrum, against: bool) -> Iterator[str]:
    if not found.absolute:
        yield (
            "no transfer function is divided out: amplitudes have no unit, and the receiver's phases are part of the lags."
        )
    if found.sigma is None:
        yield f"neither frames nor background frames tell the noise: all harmonics above {FLOOR:g} of the strongest count."
    if found.loop is None:
        yield "the fundamental is missing, and with it the loop and the point-spread function."
    elif np.isnan(found.loop.width):
        yield "the sweep does not reach half of the largest dM/dH on both sides of it: the point-spread function has no width."
    if against:
        yield "the sign is turned, so that the lowest odd harmonic follows the field: the coil is wound the other way."
    if found.others:
        yield f"{found.others} is driven as well: these are moments averaged over its phase."
    if np.abs(found.static_field[found.axis]) > CENTERED * found.amplitude:
        yield "a static field lies along the drive field: the loop's mean is not known, and it has no coercive field."
