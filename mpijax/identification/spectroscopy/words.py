"""A spectrum in words and as a table."""

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np

from mpijax.identification.parameters import UNITS
from mpijax.identification.spectroscopy.fit import SpectrumFit
from mpijax.identification.spectroscopy.harmonics import Spectrum

LAB = {"m": ("nm", 1e9), "Pa s": ("mPa s", 1e3), "J/m^3": ("kJ/m^3", 1e-3)}
"""Units of fitted parameters as a lab writes them."""

NEVER = "-"
"""What stands for a number that is not defined."""


def describe_spectrum(spectrum: Spectrum, fits: Sequence[SpectrumFit] = (), gradient: float | None = None) -> str:
    """Harmonics that stand above the noise, numbers of the loop, fits and notes as text.

    Args:
        spectrum: what is described.
        fits: of :func:`fit_spectrum`.
        gradient: along the drive field [T/m], by which the width is given in mm; None = that of the scan.
    """
    return "\n".join(
        [*_head(spectrum), *_rows(spectrum), *_numbers(spectrum, gradient), *_fits(fits), *_notes(spectrum)]
    )


def spectrum_csv(spectrum: Spectrum, fits: Sequence[SpectrumFit] = ()) -> str:
    """All harmonics as comma-separated values, SI units, one row each; empty where something is not known."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    names = ["order", "frequency_hz", "signal_re", "signal_im", "moment_re", "moment_im", "sigma", "lag_deg", "held"]
    parts = [f"{fit.name.replace(',', '').replace(' ', '_')}_{part}" for fit in fits for part in ("re", "im")]
    table.writerow([*names, *parts])
    for i, order in enumerate(spectrum.orders.tolist()):
        signal, moment = complex(spectrum.signal[i]), complex(spectrum.moment[i])
        sigma = "" if spectrum.sigma is None else float(spectrum.sigma[i])
        lag = float(np.degrees(spectrum.lags[i]))
        numbers = [signal.real, signal.imag, moment.real, moment.imag, sigma, lag, int(spectrum.held[i])]
        models = [fit.moment[order - 1] if order <= len(fit.moment) else None for fit in fits]
        shown = [part for z in models for part in (("", "") if z is None else (float(z.real), float(z.imag)))]
        table.writerow([order, order * spectrum.frequency, *numbers, *shown])
    return stream.getvalue()


def _head(spectrum: Spectrum) -> Iterator[str]:
    static = " x ".join(f"{1e3 * x:.4g}" for x in spectrum.static_field)
    yield (
        f"drive field {1e3 * spectrum.amplitude:.4g} mT at {spectrum.frequency / 1e3:.6g} kHz along {'xyz'[spectrum.axis]}, "
        f"static field {static} mT, channel {spectrum.channel}"
    )
    moment = "A m^2 for a coil of 1 1/m" if spectrum.absolute else "the largest moment is 1"
    yield f"moment = sum a_k sin(k w t - lag_k), {moment}"


def _rows(spectrum: Spectrum) -> Iterator[str]:
    yield f"  {'k':>3} {'f / kHz':>9}  {'a_k':<24} {'lag_k / deg':<18} {'SNR':>8}"
    stds = spectrum.lag_stds
    for i in np.flatnonzero(spectrum.held).tolist():
        known = spectrum.sigma is not None and stds is not None
        size = abs(complex(spectrum.moment[i]))
        spread = float(spectrum.sigma[i]) / np.sqrt(2) if spectrum.sigma is not None else np.nan
        lag = _value(float(np.degrees(spectrum.lags[i])), float(np.degrees(stds[i])) if stds is not None else np.nan)
        snr = f"{size / spread / np.sqrt(2):.4g}" if known else NEVER
        order = int(spectrum.orders[i])
        yield f"  {order:>3} {order * spectrum.frequency / 1e3:>9.2f}  {_value(size, spread):<24} {lag:<18} {snr:>8}"


def _numbers(spectrum: Spectrum, gradient: float | None) -> Iterator[str]:
    stds, loop = spectrum.stds, spectrum.loop
    ratios = [_value(spectrum[name], stds.get(name, np.nan)) for name in ("a5_to_a3", "even_to_odd")]
    yield f"a_5/a_3 {ratios[0]}, even/odd {ratios[1]}"
    if loop is None:
        return
    fields = {
        name: _value(1e3 * loop[name], 1e3 * stds.get(name, np.nan))
        for name in ("coercive_field", "peak_field", "width")
    }
    remanence = _value(loop.remanence, stds.get("remanence", np.nan))
    yield f"loop: coercive field {fields['coercive_field']} mT, remanence {remanence} of its height"
    if not np.isfinite(loop.width):
        return
    strength = abs(gradient or spectrum.gradient or 0.0)
    width = _value(1e3 * loop.width / strength, 1e3 * stds.get("width", np.nan) / strength) if strength else ""
    space = f" = {width} mm at {strength:g} T/m" if strength else ""
    yield f"dM/dH: full width at half maximum {fields['width']} mT{space}, peak {fields['peak_field']} mT behind field 0"


def _fits(fits: Sequence[SpectrumFit]) -> Iterator[str]:
    if fits:
        yield "particles, the best first:"
    for fit in fits:
        numbers = ", ".join(_parameter(name, fit.parameters[name], fit.stds[name]) for name in fit.parameters)
        chi2 = "" if fit.chi2 is None else f", chi^2 {fit.chi2:.3g}"
        yield f"  {fit.name}: {numbers}; residual {fit.residual:.2%}{chi2}"


def _parameter(name: str, value: float, std: float) -> str:
    unit, factor = UNITS[name], 1.0
    if unit in LAB:
        unit, factor = LAB[unit]
    known = _value(factor * value, factor * std) if np.isfinite(std) else f"{factor * value:.4g} (not determined)"
    return f"{name.replace('_', ' ')} {known} {unit}".rstrip()


def _notes(spectrum: Spectrum) -> Iterator[str]:
    yield from (f"note: {note}" for note in spectrum.notes)


def _value(value: float, std: float) -> str:
    """A number with its uncertainty to two digits of it; five significant digits where there is none."""
    if not np.isfinite(value):
        return NEVER
    if not np.isfinite(std) or std <= 0:
        return f"{value:z.5g}" if abs(value) >= 1e-12 or not value else f"{value:.4e}"
    if not 1e-4 < abs(value) < 1e5 and value:
        return f"{value:.5g} +- {std:.2g}"
    decimals = int(np.clip(1 - np.floor(np.log10(std)), 0, 6))
    return f"{value:z.{decimals}f} +- {std:.{decimals}f}"
