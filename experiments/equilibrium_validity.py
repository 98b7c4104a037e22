"""How wrong equilibrium is: both equilibrium models against Neel relaxation, over core diameter and anisotropy.

Command:  python -m experiments.equilibrium_validity [--run-dir DIR]

Particles with their easy axis along a sinusoidal field of 12 mT and 24.5 kHz, with offsets of 0, 0.5 and 1 amplitude, damping 0.1.
The reference is the periodic steady state of the 1-D Fokker-Planck equation (needs ``pip install mpijax[dynamics]``). Error: the
largest over the offsets of mean|dm/dt - dm_FP/dt|/max|dm_FP/dt|, as the signal is the derivative of the moment. Where a particle
cannot follow the field, its moment hardly moves and the error exceeds 1. Expected time: about a minute on two cores.
"""

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import mpijax as mj
from experiments.figures.validity import plot_validity
from experiments.support.run import csv_table, markdown_table, run_main, write_record
from mpijax.core.files import write_text
from mpijax.core.typing import Array
from mpijax.physics import axial_moment, langevin
from mpijax.physics.fokker_planck import neel_steady_state, neel_time
from mpijax.viz import save

AMPLITUDE = 12e-3
FREQUENCY = 24.5e3
OFFSETS = (0.0, 0.5, 1.0)
MODELS = ("anisotropic equilibrium", "Langevin")
GOOD = 0.01
"""Error up to which a model is called good."""


@dataclass(frozen=True)
class Config:
    """What is computed.

    Attributes:
        diameters: core diameters [nm].
        constants: anisotropy constants [J/m^3].
        samples: per period.
        rtol: relative tolerance of the integration.
        run_dir: where results go.
    """

    diameters: tuple[float, ...] = (15.0, 17.5, 20.0, 22.5, 25.0)
    constants: tuple[float, ...] = (0.0, 1250.0, 2500.0, 5000.0, 7500.0, 10000.0)
    samples: int = 512
    rtol: float = 1e-7
    run_dir: Path = Path("runs/equilibrium_validity")


@partial(jax.jit, static_argnames=("samples", "order", "rtol"))
def moments(
    beta: Any, alpha: Any, tau: Any, offset: Any, *, samples: int, order: int, rtol: float
) -> tuple[Array, ...]:
    """Moments over one period: Fokker-Planck, anisotropic equilibrium, Langevin."""

    def xi(t: jax.Array) -> jax.Array:
        return beta * AMPLITUDE * (offset + jnp.sin(2 * jnp.pi * FREQUENCY * t))

    field = xi(jnp.arange(samples) / (samples * FREQUENCY))
    reference = neel_steady_state(1 / FREQUENCY, samples, xi, alpha, tau, order=order, rtol=rtol)
    return reference, axial_moment(field, jnp.zeros_like(field), alpha)[0], langevin(field)


def derivative(moment: np.ndarray) -> np.ndarray:
    """Derivative of a periodic signal by its Fourier series, per period."""
    spectrum = np.fft.rfft(moment)
    return np.fft.irfft(2j * np.pi * np.arange(len(spectrum)) * spectrum, len(moment))


def errors(diameter: float, constant: float, config: Config) -> dict[str, Any]:
    """One cell of the table: diameter [nm], K [J/m^3], alpha, tau [ns] and the error of every model."""
    particle = mj.Particle.create(core_diameter=diameter * 1e-9)
    beta, tau = float(particle.beta), float(neel_time(diameter * 1e-9))
    alpha = beta * constant / float(particle.saturation_magnetization)
    width = beta * AMPLITUDE * (1 + max(OFFSETS)) + 2 * alpha
    order = 16 * math.ceil((math.sqrt(2 * width * math.log(1e9)) + 8) / 16)
    worst = dict.fromkeys(MODELS, 0.0)
    for offset in OFFSETS:
        found = moments(beta, alpha, tau, offset, samples=config.samples, order=order, rtol=config.rtol)
        reference, *models = (derivative(np.asarray(m)) for m in found)
        for name, model in zip(MODELS, models, strict=True):
            error = float(np.abs(model - reference).mean() / np.abs(reference).max())
            worst[name] = max(worst[name], error) if np.isfinite(error) else math.nan
    return {"d [nm]": diameter, "K [J/m^3]": constant, "alpha": alpha, "tau [ns]": tau * 1e9, **worst}


def main(config: Config) -> dict[str, Any]:
    """Compute the table; write it, the figure and the report; returns what results.json holds."""
    with jax.enable_x64(True):
        rows = [errors(d, k, config) for d in config.diameters for k in config.constants]
    shape = len(config.diameters), len(config.constants)
    tables = {name: np.array([row[name] for row in rows]).reshape(shape) for name in (*MODELS, "alpha")}
    figure = plot_validity(
        np.array(config.diameters) * 1e-9, np.array(config.constants), {m: tables[m] for m in MODELS}, tables["alpha"]
    )
    save(figure, config.run_dir / "equilibrium.png")
    results = {"cells": rows, "summary": summary(rows)}
    write_record(config.run_dir, "equilibrium_validity", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_text(config.run_dir / "errors.csv", csv_table(rows))
    write_text(config.run_dir / "report.md", _report(results))
    return results


def summary(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Up to which alpha the anisotropic model is good in every cell, and from which on it is no better than half of Langevin."""
    anisotropic, isotropic = MODELS
    ordered = sorted(rows, key=lambda row: row["alpha"])
    bad = next((i for i, row in enumerate(ordered) if not row[anisotropic] <= GOOD), len(ordered))
    lost = [r["alpha"] for r in ordered if r["alpha"] > 0 and not r[anisotropic] <= r[isotropic] / 2]
    return {
        "good_up_to_alpha": ordered[bad - 1]["alpha"] if bad else None,
        "no_gain_from_alpha": min(lost, default=None),
    }


def _report(results: dict[str, Any]) -> str:
    found = results["summary"]
    lines = [
        "# How wrong equilibrium is",
        "",
        f"{AMPLITUDE * 1e3:g} mT, {FREQUENCY / 1e3:g} kHz, easy axis along the field, damping 0.1. Largest over offsets of "
        f"{', '.join(f'{o:g}' for o in OFFSETS)} amplitudes of mean|dm/dt - dm_FP/dt|/max|dm_FP/dt|, FP: "
        "Fokker-Planck. Above 1 the particle is blocked and the figure has lost its meaning.",
        "",
        markdown_table(results["cells"]),
        "",
        "![errors](equilibrium.png)",
        "",
        f"In every cell up to alpha = {_number(found['good_up_to_alpha'])} the anisotropic equilibrium model is "
        f"within {GOOD:g}; from alpha = {_number(found['no_gain_from_alpha'])} on there are "
        "cells where it is not twice as good as Langevin.",
        "",
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "(none)" if value is None else f"{value:.2g}"


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    run_main(main, chosen, chosen.run_dir)
