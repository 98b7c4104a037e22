"""Three measured line calibrations of a head-sized scanner: what a fitted simulator explains, and which particle model does.

Data: systemMatrixNew.h5 (3 lines of 9 positions, 10 mm apart; drive field 5 mT at 25.699 kHz; MIT license,
MagneticParticleImaging MPIMeasurements.jl); not part of the project.

Command:  python -m experiments.measured_line --file FILE [--run-dir DIR]

The middle line is fitted (diameter, gradient along the line, field-free point; one complex gain per harmonic; the fundamental is
filtered out by the receive chain). The other two lines are then predicted with its parameters and its gains, once as they are
and once with their unknown distance across the line free. Null: the same parameters, the measured positions permuted, the gains
solved anew. Particle models are compared by information criteria and by predicting each position from the other eight; the
curvature's uncertainties stand beside those of the jackknife, which leaves out whole positions. Inner positions of all lines are
hidden, one, two neighbors and every second at once, and predicted by the fit to the others and by interpolation of them
(:mod:`experiments.support.hidden_positions`). Whether relaxation explains the lines better than equilibrium is decided by a rule
that was declared first and is tried on lines of known truths (:mod:`experiments.support.line_dynamics`).

Expected: complex correlations of 0.98 to 0.99 for harmonics 2 to 5, about 0.3 permuted; the spline better at single hidden
positions of harmonics 2 to 4, the simulator at higher ones and wider gaps, the fit and a spline of what it misses best;
relaxation: no. Expected time: 35 minutes on two busy cores, most of it the controls, which ``--controls 0`` leaves out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.interpolate import CubicSpline

import mpijax as mj
from experiments.figures.hidden import plot_hidden
from experiments.figures.profiles import plot_profiles
from experiments.support.hidden_positions import hidden_positions, hidden_report
from experiments.support.line_dynamics import relaxation, relaxation_report
from experiments.support.run import markdown_table, run_main, write_record
from mpijax.core.files import write_text
from mpijax.core.typing import Array, Complex, Float
from mpijax.identification.gains import row_correlation
from mpijax.viz import save

GRADIENT = 0.2
"""First guess of the gradient along the line [T/m]; across it, minus half of that."""

LINE = ("core_diameter", "gradient", "ffp_x")
MODELS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "Langevin": ({}, LINE),
    "log-normal sizes": ({"size_spread": 0.1}, (*LINE, "size_spread")),
    "fluid, uniaxial": ({"anisotropy_constant": 2e3, "spatial_modulation": 1.0}, (*LINE, "anisotropy_constant")),
    "axis along the field": ({"anisotropy_constant": 2e3, "easy_axis": (1, 0, 0)}, (*LINE, "anisotropy_constant")),
    "axis across the field": ({"anisotropy_constant": 2e3, "easy_axis": (0, 1, 0)}, (*LINE, "anisotropy_constant")),
}
"""Particle models: what is added to the particle of the first guess, and the free parameters."""


@dataclass(frozen=True)
class Config:
    """What is fitted and where results go.

    Attributes:
        file: systemMatrixNew.h5.
        harmonics: fitted rows.
        more_harmonics: rows of a second comparison of the models, whose higher harmonics tell more; empty = none.
        line: the line that is fitted, 0 to 2; 1 is the middle one.
        permutations: of the null.
        controls: lines of every known truth on which the rule for relaxation is tried; 0 = none.
        seed: of the permutations.
        run_dir: where results go.
    """

    file: Path
    harmonics: tuple[int, ...] = (2, 3, 4, 5)
    more_harmonics: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    line: int = 1
    permutations: int = 200
    controls: int = 8
    seed: int = 0
    run_dir: Path = Path("runs/measured_line")


def fit_line(matrix: mj.SystemMatrix, model: str = "Langevin", weights: Any = None) -> mj.Fit:
    """Fit one of the models to a line; the coil looks along it."""
    middle = float(np.asarray(matrix.grid.center)[0])
    scanner = mj.Scanner.create(
        (GRADIENT, -GRADIENT / 2, -GRADIENT / 2), (-GRADIENT * middle, 0, 0), receive_coils=((1, 0, 0),)
    )
    extra, free = MODELS[model]
    return mj.fit(matrix, scanner, particle=mj.Particle.create(20e-9, **extra), free=free, weights=weights)


def null_correlation(
    model: Complex[Array, "f n"], measured: Complex[Array, "f n"], count: int, seed: int
) -> Float[np.ndarray, "count f"]:
    """Correlation of every row with its positions permuted, all rows alike; the identity is not among the permutations."""
    generator = np.random.default_rng(seed)
    n = measured.shape[-1]
    orders: list[np.ndarray] = []
    while len(orders) < count:
        order = generator.permutation(n)
        if np.any(order != np.arange(n)):
            orders.append(order)
    return row_correlation(np.asarray(model), np.asarray(measured)[:, np.stack(orders)].transpose(1, 0, 2))


def left_out(matrix: mj.SystemMatrix, model: str) -> tuple[Float[np.ndarray, "f n"], list[mj.Fit]]:
    """Squared error, relative to the row, of every position predicted from the others, and the fits without them."""
    values = np.asarray(matrix.values)
    norms = np.linalg.norm(values, axis=-1)
    errors, fits = np.zeros(values.shape[1:]), []
    for position in range(matrix.grid.size):
        weights = np.repeat(1 / norms[..., None], matrix.grid.size, -1)
        weights[..., position] = 0
        found = fit_line(matrix, model, weights)
        predicted = np.asarray(found.system_matrix(matrix.grid).values)[0, :, position]
        errors[:, position] = np.abs(predicted - values[0, :, position]) ** 2 / norms[0] ** 2
        fits.append(found)
    return errors, fits


def interpolated(matrix: mj.SystemMatrix) -> Float[np.ndarray, "f n"]:
    """The same errors of a cubic spline through the other positions; at the two ends it extrapolates."""
    values, x = np.asarray(matrix.values)[0], np.asarray(matrix.grid.positions)[:, 0]
    errors = np.zeros(values.shape)
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        predicted = CubicSpline(x[others], values[:, others], axis=1)(x[i])
        errors[:, i] = np.abs(predicted - values[:, i]) ** 2
    return errors / np.linalg.norm(values, axis=1, keepdims=True) ** 2


def compare(matrix: mj.SystemMatrix) -> list[dict[str, Any]]:
    """The particle models on one line: residual, information criteria, prediction of left-out positions, jackknife."""
    rows, n = matrix.values.shape[1], matrix.grid.size
    data = 2 * rows * n
    records = []
    for name in MODELS:
        found = fit_line(matrix, name)
        errors, fits = left_out(matrix, name)
        count = len(found.values) + 2 * rows + 1  # parameters, gains, variance
        likelihood = data * np.log(found.residual**2 * rows / data)
        jackknife = {key: float(np.sqrt((n - 1) * np.var([one.values[key] for one in fits]))) for key in found.values}
        jackknife["beta_gradient"] = float(
            np.sqrt((n - 1) * np.var(np.asarray([one.beta_gradient for one in fits], float)))
        )
        records.append(
            {
                "model": name,
                "parameters": len(found.values),
                "residual": found.residual,
                "correlation": [float(value) for value in found.correlation[0]],
                "aicc": float(likelihood + 2 * count + 2 * count * (count + 1) / (data - count - 1)),
                "bic": float(likelihood + count * np.log(data)),
                **_prediction(errors),
                "values": found.values,
                "stds": found.stds,
                "beta_gradient": found.beta_gradient,
                "beta_gradient_std": found.beta_gradient_std,
                "jackknife": jackknife,
                "notes": list(found.notes),
            }
        )
    records.append({"model": "cubic spline", **_prediction(interpolated(matrix))})
    return records


def other_line(found: mj.Fit, matrix: mj.SystemMatrix) -> tuple[dict[str, Any], mj.Fit]:
    """A line predicted with the parameters and gains of another: as it is, and with its distance across the line free."""
    norms = np.linalg.norm(np.asarray(matrix.values), axis=-1, keepdims=True)
    predicted = np.asarray(found.system_matrix(matrix.grid).values)
    span = float(np.asarray(matrix.grid.fov)[0])
    moved = mj.fit(
        matrix,
        found.scanner,
        particle=found.particle,
        gains=found.gains,
        free=("ffp_y",),
        bounds={"ffp_y": (0.0, span)},
    )
    across = abs(float(np.asarray(found.scanner.gradient)[1, 1])) * moved.values["ffp_y"]
    return {
        "residual": float(
            np.sqrt(np.mean(np.abs((predicted - np.asarray(matrix.values)) / norms) ** 2) * matrix.grid.size)
        ),
        "correlation": row_correlation(predicted, np.asarray(matrix.values))[0].tolist(),
        "gain_ratio": [abs(g) for g in _gain_ratio(predicted, np.asarray(matrix.values))],
        "across_mT": across * 1e3,
        "across_std_mT": across * 1e3 * moved.stds["ffp_y"] / max(moved.values["ffp_y"], 1e-12),
        "residual_moved": moved.residual,
        "correlation_moved": moved.correlation[0].tolist(),
        "notes": list(moved.notes),
    }, moved


def main(config: Config) -> dict[str, Any]:
    """Fit, predict, permute, compare; returns what results.json holds."""
    lines = [_harmonics(line, config.harmonics) for line in mj.io.read_head_scanner_lines(config.file)]
    if not 0 <= config.line < len(lines):
        raise ValueError(f"line = {config.line}; the file holds lines 0 to {len(lines) - 1}.")
    fitted = lines[config.line]
    found = fit_line(fitted)
    model = np.asarray(found.system_matrix(fitted.grid).values)[0]
    null = null_correlation(model, np.asarray(fitted.values)[0], config.permutations, config.seed)
    others, fits = {}, {config.line: found}
    for number, line in enumerate(lines):
        if number != config.line:
            others[str(number)], fits[number] = other_line(found, line)
    results: dict[str, Any] = {
        "harmonics": list(config.harmonics),
        "fit": {
            "values": found.values,
            "stds": found.stds,
            "beta_gradient": found.beta_gradient,
            "beta_gradient_std": found.beta_gradient_std,
            "residual": found.residual,
            "condition": found.condition,
            "correlation": found.correlation[0].tolist(),
            "null_mean": null.mean(0).tolist(),
            "null_95": np.percentile(null, 95, axis=0).tolist(),
            "text": found.describe(),
        },
        "other_lines": others,
        "models": compare(fitted),
        "hidden": hidden_positions(lines, _fit_weighted, config.seed),
        "relaxation": relaxation(lines, config.line, config.controls, config.seed),
    }
    if config.more_harmonics:
        more = [_harmonics(line, config.more_harmonics) for line in mj.io.read_head_scanner_lines(config.file)]
        results["more_models"] = compare(more[config.line])
        results["more_hidden"] = hidden_positions(more, _fit_weighted, config.seed)
    _figures(config, lines, fits, results.get("more_hidden", results["hidden"]))
    write_record(config.run_dir, "measured_line", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_text(config.run_dir / "report.md", _report(config, results))
    return results


def _fit_weighted(matrix: mj.SystemMatrix, weights: Any) -> mj.Fit:
    return fit_line(matrix, weights=weights)


def _harmonics(matrix: mj.SystemMatrix, harmonics: tuple[int, ...]) -> mj.SystemMatrix:
    base = float(matrix.frequencies[1])
    keep = np.isin(np.arange(len(matrix.frequencies)), harmonics)
    if min(harmonics) < 2 or keep.sum() != len(harmonics):
        raise ValueError(f"harmonics = {harmonics}; give distinct ones from 2 to {len(matrix.frequencies) - 1}.")
    kept = matrix.select(min_frequency=base * (min(harmonics) - 0.5), max_frequency=base * (max(harmonics) + 0.5))
    mask = np.isin(np.asarray(kept.frequency_indices), harmonics)[None]
    return kept if mask.all() else replace(kept, row_mask=mask)


def _prediction(errors: Float[np.ndarray, "f n"]) -> dict[str, float]:
    """Relative error of left-out positions: all of them, and those between two measured ones."""
    per_row = errors.shape[0]
    return {
        "left_out": float(np.sqrt(errors.sum() / per_row)),
        "left_out_inner": float(np.sqrt(errors[:, 1:-1].sum() / per_row)),
    }


def _gain_ratio(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    return (np.sum(np.conj(predicted) * measured, -1) / np.sum(np.abs(predicted) ** 2, -1))[0]


def _figures(
    config: Config, lines: list[mj.SystemMatrix], fits: Mapping[int, mj.Fit], hidden: list[dict[str, Any]]
) -> None:
    coarse = lines[0].grid
    fine = mj.Grid.create((coarse.shape[0] * 10, 1, 1), coarse.fov, coarse.center)
    order = [config.line, *(number for number in range(len(lines)) if number != config.line)]
    names = {n: f"line {n}, fitted" if n == config.line else f"line {n}, distance free" for n in order}
    x, dense = np.asarray(coarse.positions)[:, 0], np.asarray(fine.positions)[:, 0]
    measured = {names[n]: (x, np.asarray(lines[n].rows())) for n in order}
    curves = {names[n]: (dense, np.asarray(fits[n].system_matrix(fine).rows())) for n in order}
    titles = [f"harmonic {k}" for k in sorted(config.harmonics)]
    save(plot_profiles(measured, curves, titles), config.run_dir / "lines.png")
    save(plot_hidden(hidden), config.run_dir / "hidden.png")


def _report(config: Config, results: dict[str, Any]) -> str:
    fit, models = results["fit"], results["models"]
    rows = []
    for i, harmonic in enumerate(sorted(config.harmonics)):
        row = {
            "harmonic": harmonic,
            f"line {config.line} (fitted)": fit["correlation"][i],
            "null, mean": fit["null_mean"][i],
            "null, 95th percentile": fit["null_95"][i],
        }
        for number, other in results["other_lines"].items():
            row[f"line {number}"] = other["correlation"][i]
            row[f"line {number}, distance free"] = other["correlation_moved"][i]
        rows.append(row)
    others = [
        {
            "line": number,
            "residual as it is": other["residual"],
            "with the distance free": other["residual_moved"],
            "field across the line [mT]": f"{other['across_mT']:.3g} +- {other['across_std_mT']:.2g}",
            "amplitude / predicted, per harmonic": ", ".join(f"{ratio:.2f}" for ratio in other["gain_ratio"]),
        }
        for number, other in results["other_lines"].items()
    ]
    lines = [
        "# Measured lines of a head-sized scanner",
        "",
        f"Line {config.line}, harmonics {_span(config.harmonics)} of 25.699 kHz, Langevin particles, one complex gain per "
        "harmonic:",
        "",
        "```",
        fit["text"],
        "```",
        "",
        "## Complex correlation along the line",
        "",
        f"Null: {config.permutations} permutations of the positions, same parameters, gains solved anew. The other lines are "
        "predicted with the parameters fitted here.",
        "",
        markdown_table(rows),
        "",
        "## The other lines with the fitted gains",
        "",
        "Residuals relative to each row's norm, gains of the fitted line. How far the lines lie apart is not documented: a "
        "field across the line is fitted, one number per line, nothing else.",
        "",
        markdown_table(others),
        "",
        "![lines](lines.png)",
        "",
        "Markers: measured, real part after one phase per row (open: imaginary part). Curves: the fitted simulator.",
        "",
        *hidden_report(results["hidden"], markdown_table),
        "![hidden](hidden.png)",
        "",
        *_comparison(f"Which particle model? Harmonics {_span(config.harmonics)}", models),
    ]
    lines += relaxation_report(results["relaxation"], markdown_table)
    if "more_models" in results:
        lines += _comparison(f"The same with harmonics {_span(config.more_harmonics)}", results["more_models"])
        lines += hidden_report(results["more_hidden"], markdown_table)
    return "\n".join(lines)


def _comparison(title: str, records: list[dict[str, Any]]) -> list[str]:
    models = [record for record in records if "values" in record]
    table = [
        {
            "model": r["model"],
            "parameters": r.get("parameters", "-"),
            "residual": r.get("residual", "-"),
            "AICc - Langevin": r["aicc"] - models[0]["aicc"] if "aicc" in r else "-",
            "BIC - Langevin": r["bic"] - models[0]["bic"] if "bic" in r else "-",
            "left-out position": r["left_out"],
            "inner left-out": r["left_out_inner"],
        }
        for r in records
    ]
    values = [
        {
            "model": r["model"],
            "d [nm]": _value(r, "core_diameter", 1e9),
            "G [T/m]": _value(r, "gradient", 1),
            "field-free point [mm]": _value(r, "ffp_x", 1e3),
            "beta G [1/m]": f"{r['beta_gradient']:.3g} +- {r['beta_gradient_std']:.3g} ({r['jackknife']['beta_gradient']:.3g})",
            "spread": _value(r, "size_spread", 1),
            "K [J/m^3]": _value(r, "anisotropy_constant", 1),
        }
        for r in models
    ]
    best = {key: min(models, key=lambda r: r[key])["model"] for key in ("bic", "left_out")}
    verdict = (
        f"Least BIC: {best['bic']}. Least error on left-out positions: {best['left_out']}. The criteria take residuals for "
        "independent, which smooth model errors are not: differences of a few units decide nothing."
    )
    return [
        f"## {title}", "", markdown_table(table), "", verdict, "",
        "Uncertainties from the curvature, in brackets from the jackknife over positions:", "",
        markdown_table(values), "",
    ]  # fmt: skip


def _value(record: Mapping[str, Any], name: str, factor: float) -> str:
    if name not in record["values"]:
        return "-"
    value, std, jackknife = (record[key][name] * factor for key in ("values", "stds", "jackknife"))
    spread = "at its bound" if np.isnan(std) else f"+- {std:.2g}"
    return f"{value:.4g} {spread} ({jackknife:.2g})"


def _span(harmonics: tuple[int, ...]) -> str:
    return ", ".join(map(str, sorted(harmonics)))


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    run_main(main, chosen, chosen.run_dir)
