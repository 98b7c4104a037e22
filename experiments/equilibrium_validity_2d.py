"""How wrong equilibrium is in the plane: rows of Lissajous matrices against Neel rotation, over core diameter and anisotropy.

Command:  python -m experiments.equilibrium_validity_2d [--run-dir DIR]

12 mT on two axes, gradient -1, -1, 2 T/m, 15 x 15 positions on 30 mm, damping 0.1; an oblique easy axis in the plane, and the fluid
model. Compared are rows of both receive channels above a thousandth of the strongest, by mixing order. Error of a row: |E - N|/|N|
over the positions; what the best complex gain leaves: sqrt(1 - |<E, N>|^2/(|E| |N|)^2), as a delay gives a row little else than
a factor. Of the rows of a range of orders the median counts. Expected time: a minute and a half on two cores.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

import mpijax as mj
from experiments.figures.validity import plot_orders
from experiments.support.run import csv_table, markdown_table, run_main, write_record
from mpijax.core.files import write_text
from mpijax.core.typing import Array, Complex, Float
from mpijax.physics.dynamics.stored import LARGEST_ALPHA
from mpijax.viz import save

SCANNER, SEQUENCE = mj.Scanner.create((-1.0, -1.0, 2.0)), mj.LissajousSequence.create((12e-3, 12e-3, 0.0))
GEOMETRIES: dict[str, dict[str, Any]] = {
    "immobilized": {"easy_axis": (1.0, 0.5, 0.0)},
    "fluid": {"spatial_modulation": 0.8},
}
BANDS = ((1, 6), (7, 12), (13, 20))
"""Mixing orders, first and last."""
KEPT = 1e-3
"""Rows weaker than this share of the strongest are left out."""
GOOD = 0.1
"""Error of a row up to which a model is called good."""


@dataclass(frozen=True)
class Config:
    """What is computed; cells whose anisotropy is beyond the table of Neel rotation are left out.

    Attributes:
        diameters: core diameters [nm].
        constants: anisotropy constants [J/m^3].
        positions: along x and y.
        run_dir: where results go.
    """

    diameters: tuple[float, ...] = (15.0, 17.5, 20.0, 22.5, 25.0)
    constants: tuple[float, ...] = (1250.0, 2500.0, 5000.0, 7500.0, 10000.0)
    positions: int = 15
    run_dir: Path = Path("runs/equilibrium_validity_2d")


def mixing_orders() -> np.ndarray:
    """Smallest mixing order of every frequency, (f,)."""
    return np.abs(SEQUENCE.mixing_orders()).sum(1)


def row_errors(
    model: Complex[Array, "f n"], truth: Complex[Array, "f n"]
) -> tuple[Float[Array, " f"], Float[Array, " f"]]:
    """|E - N|/|N| of every row, and what is left of it with the best complex gain."""
    model, truth = np.asarray(model), np.asarray(truth)
    sizes = np.linalg.norm(model, axis=1) * np.linalg.norm(truth, axis=1)
    alike = np.abs(np.sum(model.conj() * truth, axis=1)) / sizes
    plain = np.linalg.norm(model - truth, axis=1) / np.linalg.norm(truth, axis=1)
    return plain, np.sqrt(np.clip(1 - alike**2, 0, None))


def cell(geometry: str, diameter: float, constant: float, positions: int) -> list[dict[str, Any]]:
    """Errors of both models in one cell, one record per range of orders that holds rows."""
    grid = mj.Grid.create((positions, positions, 1), (30e-3, 30e-3, 1e-3))
    orders = mixing_orders()
    bins = np.flatnonzero((orders >= BANDS[0][0]) & (orders <= BANDS[-1][1]))
    core, axis = diameter * 1e-9, {"anisotropy_constant": constant, **GEOMETRIES[geometry]}

    def rows(particle: mj.Particle) -> np.ndarray:
        spectrum = mj.moment_spectrum(SCANNER, SEQUENCE, particle, grid, bins)
        return (np.asarray(spectrum)[:2] * bins[:, None]).reshape(2 * len(bins), -1)  # the signal is the derivative

    particle = mj.Particle.create(core, **axis)
    truth = rows(mj.Particle.create(core, **axis, dynamics=mj.Neel()))
    strength = np.linalg.norm(truth, axis=1)
    strong = strength > KEPT * strength.max()
    (plain, shape), (langevin, _) = (row_errors(rows(p), truth) for p in (particle, mj.Particle.create(core)))
    found = []
    for low, high in BANDS:
        kept = strong & (np.tile(orders[bins], 2) >= low) & (np.tile(orders[bins], 2) <= high)
        if kept.any():
            record = {
                "geometry": geometry, "orders": f"{low} to {high}", "d [nm]": diameter, "K [J/m^3]": constant,
                "alpha": float(particle.alpha), "rows": int(kept.sum()),
            }  # fmt: skip
            values = {"equilibrium": plain, "with the best gain": shape, "Langevin": langevin}
            found.append(record | {name: float(np.median(value[kept])) for name, value in values.items()})
    return found


def main(config: Config) -> dict[str, Any]:
    """Compute the table; write it, the figure and the report; returns what results.json holds."""
    rows: list[dict[str, Any]] = []
    for geometry in GEOMETRIES:
        for diameter in config.diameters:
            for constant in config.constants:
                unit = mj.Particle.create(diameter * 1e-9, anisotropy_constant=constant, easy_axis=(1, 0, 0))
                if unit.alpha <= LARGEST_ALPHA:
                    rows += cell(geometry, diameter, constant, config.positions)
    rows.sort(key=lambda row: row["alpha"])
    results = {"cells": rows, "summary": summary(rows)}
    write_record(config.run_dir, "equilibrium_validity_2d", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_text(config.run_dir / "errors.csv", csv_table(rows))
    write_text(config.run_dir / "report.md", _report(results))
    save(plot_orders(rows, GOOD), config.run_dir / "equilibrium_2d.png", 130)
    return results


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per geometry and orders: up to which alpha equilibrium is good, and from which on it is no better than Langevin."""
    found = []
    for geometry in GEOMETRIES:
        for low, high in BANDS:
            chosen = [r for r in rows if (r["geometry"], r["orders"]) == (geometry, f"{low} to {high}")]
            limits = {
                f"good up to alpha{note}": _last_good([(r["alpha"], r[key]) for r in chosen])
                for note, key in (("", "equilibrium"), (", gain free", "with the best gain"))
            }
            worse = [r["alpha"] for r in chosen if not r["equilibrium"] < r["Langevin"]]
            found.append(
                {"geometry": geometry, "orders": f"{low} to {high}", **limits}
                | {"no better than Langevin from alpha": min(worse, default=None)}
            )
    return found


def _last_good(pairs: list[tuple[float, float]]) -> float | None:
    """The largest alpha below the first whose error is not good."""
    bad = min((alpha for alpha, error in pairs if not error <= GOOD), default=math.inf)
    return max((alpha for alpha, _ in pairs if alpha < bad), default=None)


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record per particle: error (with the best gain) / of Langevin, of every geometry and range of orders."""
    cells: dict[tuple, dict[str, Any]] = {}
    for row in rows:
        d, k = row["d [nm]"], row["K [J/m^3]"]
        columns = {f"{g}, {low} to {high}": "-" for g in GEOMETRIES for low, high in BANDS}
        one = cells.setdefault((d, k), {"alpha": f"{row['alpha']:.1f}", "particle": f"{d:g} nm, {k:g} J/m³", **columns})
        error, gain, langevin = (row[key] for key in ("equilibrium", "with the best gain", "Langevin"))
        one[f"{row['geometry']}, {row['orders']}"] = f"{error:.2g} ({gain:.2g}) / {langevin:.2g}"
    return list(cells.values())


def _report(results: dict[str, Any]) -> str:
    lines = [
        "# How wrong equilibrium is in the plane",
        "",
        "Median over rows of the error of equilibrium (what the best complex gain leaves) / of Langevin, by mixing order.",
        "",
        markdown_table(table(results["cells"])),
        "",
        f"Good is an error of at most {GOOD:g}.",
        "",
        markdown_table(results["summary"]),
        "",
        "![errors](equilibrium_2d.png)",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    run_main(main, chosen, chosen.run_dir)
