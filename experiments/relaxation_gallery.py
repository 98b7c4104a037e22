"""Relaxation in a spectrometer: loops, and harmonics over frequency, amplitude, viscosity and temperature.

Command:  python -m experiments.relaxation_gallery [--preset quick] [--run-dir DIR]

A homogeneous sinusoidal field, one position. Neel: cores of 22.5 nm with their easy axis along the field, damping 0.1 and
K = 5 kJ/m^3 (alpha = 7.4) where nothing else is said. Brown: cores of 25 nm, 40 nm with their shell. Ms and K do not change
with the temperature; the viscosity is one that is given, or water's. Expected time: 80 seconds on two cores, quick 20 seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import mpijax as mj
from experiments.figures.relaxation import plot_harmonics, plot_loops
from experiments.support.run import csv_table, markdown_table, parse, run_main, write_record
from mpijax.core.files import write_text
from mpijax.core.typing import Array, Complex, Float
from mpijax.viz import save

NEEL_CORE, AXIS = 22.5e-9, (1.0, 0.0, 0.0)
BROWN_CORE, SHELL = 25e-9, 7.5e-9
CONSTANT, VISCOSITY, TEMPERATURE = 5e3, 1e-3, 293.15
ORDERS = (1, 3, 5, 7)
FLOOR = 1e-6
"""Harmonics below this share of m0 are rounding errors of single precision."""

DPI = 125


@dataclass(frozen=True)
class Config:
    """What is computed.

    Attributes:
        frequency: of the drive field [kHz], where it is not what changes.
        amplitude: of the drive field [mT], likewise.
        constants: anisotropies of the loops of Neel rotation [J/m^3].
        fluids: viscosities of the loops of Brownian rotation [mPa s].
        frequencies, amplitudes, viscosities, temperatures: what the harmonics are drawn over [kHz], [mT], [mPa s], [K].
        samples: per period.
        run_dir: where results go.
    """

    frequency: float = 25.0
    amplitude: float = 20.0
    constants: tuple[float, ...] = (2500.0, 5000.0, 7500.0)
    fluids: tuple[float, ...] = (0.5, 1.0, 4.0)
    frequencies: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
    amplitudes: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0)
    viscosities: tuple[float, ...] = (0.5, 0.7, 1.0, 1.5, 2.0, 4.0, 7.0, 10.0, 20.0)
    temperatures: tuple[float, ...] = (280.0, 290.0, 300.0, 310.0, 320.0, 330.0)
    samples: int = 1024
    run_dir: Path = Path("runs/relaxation_gallery")


PRESETS = {
    "full": Config(),
    "quick": Config(
        constants=(2500.0, 5000.0),
        fluids=(1.0,),
        frequencies=(10.0, 25.0),
        amplitudes=(5.0, 20.0),
        viscosities=(1.0, 4.0),
        temperatures=(280.0, 330.0),
        samples=256,
    ),
}


@dataclass(frozen=True)
class Point:
    """A particle in a sinusoidal field; :meth:`moment` is what a spectrometer sees of it.

    Attributes:
        model: name of the curve it belongs to.
        particle: what turns.
        frequency: [Hz].
        amplitude: [T].
    """

    model: str
    particle: mj.Particle = field(repr=False)
    frequency: float
    amplitude: float

    def moment(self, samples: int) -> Float[Array, " t"]:
        """Moment along the field A sin(2 pi f t) over one period, in units of m0."""
        sequence = mj.LissajousSequence.create(
            (self.amplitude, 0.0, 0.0), (1, 1, 1), self.frequency, "sine", n_samples=samples
        )
        one = mj.Grid.create((1, 1, 1), (1e-3,) * 3)
        spectrum = mj.moment_spectrum(mj.Scanner.spectrometer(), sequence, self.particle, one)
        return np.fft.irfft(np.asarray(spectrum)[0, :, 0] * samples, samples)

    def heat(self, moment: Float[Array, " t"]) -> float:
        """Energy taken from the field in a period, the loop's area of B dm = - area of m dB, in units of kB T.

        m = sum of a_k sin(k w t - phi_k) takes pi xi a_1 sin(phi_1): zero at equilibrium, positive for a moment that lags.
        """
        return float(-np.pi * self.particle.beta * self.amplitude * harmonics(moment)[0].imag)


def neel(constant: float = CONSTANT, temperature: float = TEMPERATURE, *, follows: bool = False) -> mj.Particle:
    """Cores with Neel rotation, or the same that follow the field at once; K [J/m^3], T [K]."""
    dynamics = None if follows else mj.Neel()
    return mj.Particle.create(
        NEEL_CORE, anisotropy_constant=constant, easy_axis=AXIS, temperature=temperature, dynamics=dynamics
    )


def brown(viscosity: float = VISCOSITY, temperature: float = TEMPERATURE, *, follows: bool = False) -> mj.Particle:
    """Particles with Brownian rotation, or the same that follow the field at once; eta [Pa s], T [K]."""
    dynamics = None if follows else mj.Brown(shell_thickness=SHELL, viscosity=viscosity)
    return mj.Particle.create(BROWN_CORE, temperature=temperature, dynamics=dynamics)


def harmonics(moment: Float[Array, " t"]) -> Complex[Array, " k"]:
    """a_k exp(-i phi_k) of m = sum of a_k sin(k w t - phi_k), for the orders ``ORDERS``; phi_k is 0 at equilibrium."""
    return 2j * np.fft.rfft(np.asarray(moment))[list(ORDERS)] / len(moment)


def water_viscosity(temperature: float) -> float:
    """Viscosity of water at 0.1 MPa, eta = sum of a_i (T/300 K)^b_i; 1.0016 mPa s at 20 degrees C.

    Args:
        temperature: T [K], 253 to 383.

    Returns:
        eta [Pa s], good to 1 %.

    Source: J. Patek et al., J. Phys. Chem. Ref. Data 38, 21 (2009), as in IAPWS SR6-08.
    """
    terms = ((280.68, -1.9), (511.45, -7.7), (61.131, -19.6), (0.45903, -40.0))
    return 1e-6 * sum(a * (temperature / 300) ** b for a, b in terms)


def loops(config: Config) -> dict[str, list[Point]]:
    """Points whose whole period is drawn, by model."""
    at = config.frequency * 1e3, config.amplitude * 1e-3
    middle = config.constants[len(config.constants) // 2]
    inside = [(rf"Néel, $\alpha$ = {float(neel(k).alpha):.1f}", neel(k)) for k in config.constants]
    inside.append((rf"equilibrium, $\alpha$ = {float(neel(middle).alpha):.1f}", neel(middle, follows=True)))
    whole = [(rf"Brown, $\eta$ = {eta:g} mPa s", brown(eta * 1e-3)) for eta in config.fluids]
    whole.append(("equilibrium (Langevin)", brown(follows=True)))
    return {
        "Néel, 22.5 nm, axis along the field": [Point(name, particle, *at) for name, particle in inside],
        "Brown, 25 nm, hydrodynamic 40 nm": [Point(name, particle, *at) for name, particle in whole],
    }


def scans(config: Config) -> dict[str, dict[float, list[Point]]]:
    """What changes -> its values -> the models at each."""
    f, a = config.frequency * 1e3, config.amplitude * 1e-3
    both = {"Neel": neel(), "Brown": brown()}
    warm = {
        t: {"Neel": neel(temperature=t), "Brown": brown(temperature=t), "Brown, water": brown(water_viscosity(t), t)}
        for t in config.temperatures
    }
    return {
        "frequency / kHz": {x: [Point(m, p, x * 1e3, a) for m, p in both.items()] for x in config.frequencies},
        "amplitude / mT": {x: [Point(m, p, f, x * 1e-3) for m, p in both.items()] for x in config.amplitudes},
        "viscosity / (mPa s)": {x: [Point("Brown", brown(x * 1e-3), f, a)] for x in config.viscosities},
        "temperature / K": {t: [Point(m, p, f, a) for m, p in models.items()] for t, models in warm.items()},
    }


def scan_rows(over: str, points: Mapping[float, list[Point]], samples: int) -> list[dict[str, Any]]:
    """Harmonics of every point, None where they are rounding; the lag of the third runs on beyond a turn."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for value, models in points.items():
        for point in models:
            moment = point.moment(samples)
            found = harmonics(moment)
            sizes = {f"a{k}": float(abs(x)) if abs(x) > FLOOR else None for k, x in zip(ORDERS, found, strict=True)}
            lag = None if sizes["a3"] is None else float(-np.degrees(np.angle(found[1]))) % 360
            row = {"over": over, "model": point.model, "value": value, **sizes}
            rows.setdefault(point.model, []).append({**row, "lag 3 [deg]": lag, "heat [kB T]": point.heat(moment)})
    for curve in rows.values():
        known = [row for row in curve if row["lag 3 [deg]"] is not None]
        unwrapped = np.unwrap([row["lag 3 [deg]"] for row in known], period=360)
        for row, lag in zip(known, unwrapped.tolist(), strict=True):
            row["lag 3 [deg]"] = lag
    return [row for curve in rows.values() for row in curve]


def main(config: Config) -> dict[str, Any]:
    """Compute loops and harmonics; write tables, figures and the report; returns what results.json holds."""
    drawn: dict[str, dict[str, np.ndarray]] = {}
    areas = []
    for title, points in loops(config).items():
        drawn[title] = {point.model: np.asarray(point.moment(config.samples)) for point in points}
        areas += [{"curve": p.model, "heat [kB T]": p.heat(drawn[title][p.model])} for p in points]
    rows = [row for over, points in scans(config).items() for row in scan_rows(over, points, config.samples)]
    results = {"loops": areas, "harmonics": rows}
    write_record(config.run_dir, "relaxation_gallery", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_text(config.run_dir / "harmonics.csv", csv_table(rows))
    write_text(config.run_dir / "report.md", _report(config, results))
    drive = f"{config.frequency:g} kHz, {config.amplitude:g} mT"
    fixed = f"{drive}, {VISCOSITY * 1e3:g} mPa s, {TEMPERATURE:g} K where they do not change"
    save(plot_loops(drawn, config.amplitude, drive), config.run_dir / "relaxation_loops.png", DPI)
    save(plot_harmonics(rows, fixed), config.run_dir / "relaxation_harmonics.png", DPI)
    return results


def _report(config: Config, results: dict[str, Any]) -> str:
    lines = [
        "# Relaxation in a spectrometer",
        "",
        f"{config.amplitude:g} mT, {config.frequency:g} kHz where they do not change. Heat: energy taken from the field a period.",
        "",
        markdown_table(results["loops"]),
        "",
        "![loops](relaxation_loops.png)",
        "",
        "Moment a_k sin(k w t - phi_k) in units of m0; lag 3 is phi_3.",
        "",
        markdown_table(results["harmonics"]),
        "",
        "![harmonics](relaxation_harmonics.png)",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
