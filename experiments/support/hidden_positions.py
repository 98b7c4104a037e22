"""Hidden positions of measured lines: the fitted simulator against interpolation of the same remaining positions.

Positions are hidden one at a time, two neighbors at a time, and every second one; never the ends of the line, so that nobody
extrapolates. A hidden value is taken out of the matrix before anything is fitted or interpolated: fit, gains, weights and ridge
know the remaining positions only. Errors are relative to the rms of the row over all positions of its line.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

import mpijax as mj
from mpijax.core.typing import Bool, Complex, Float, Int
from mpijax.identification.parameters import apply, field_free_point

PRIOR = (0.7, 0.15)
"""Standard deviation of the complex coefficients of a row and of its tangents, both scaled to a largest modulus of one."""

STEP = 1e-3
"""Of the tangents, relative to a parameter, or to the span of the line for a position."""

DRAWS = 10_000
"""Of the bootstrap over hidden positions, the lines of a position together: they are hardly independent."""

SIMULATED, INTERPOLATED = ("fitted", "fitted + tangents", "fitted + spline of its residual"), ("cubic spline", "linear")
METHODS = (*SIMULATED, *INTERPOLATED)


def patterns(n: int) -> dict[str, list[Int[np.ndarray, " h"]]]:
    """What is hidden of ``n`` positions in a line: name -> sets of neighbors that are hidden at once."""
    inner = np.arange(1, n - 1)
    return {
        "one": [inner[i : i + 1] for i in range(len(inner))],
        "two neighbors": [inner[i : i + 2] for i in range(len(inner) - 1)],
        "every second": [inner[::2]],
    }


def predict(
    matrix: mj.SystemMatrix, hidden: Int[np.ndarray, " h"], fit: Callable[[mj.SystemMatrix, Any], mj.Fit]
) -> dict[str, Complex[np.ndarray, "f h"]]:
    """Every method's rows at the hidden positions.

    Args:
        matrix: a line of one channel.
        hidden: positions; their values are not looked at.
        fit: ``(matrix, weights) -> fit``; positions of weight 0 are left out.
    """
    seen = ~np.isin(np.arange(matrix.grid.size), hidden)
    x, rows = np.asarray(matrix.grid.positions)[:, 0], np.asarray(matrix.values)[0].astype(complex)[:, seen]
    known = np.zeros((len(rows), matrix.grid.size), complex)
    known[:, seen] = rows
    weights = seen / np.linalg.norm(rows, axis=-1)[:, None]
    found = fit(replace(matrix, values=known[None]), weights[None])
    model = _rows(found, matrix.grid)
    residual = rows - model[:, seen]
    linear = [np.interp(x[hidden], x[seen], row.real) + 1j * np.interp(x[hidden], x[seen], row.imag) for row in rows]
    predicted = (
        model[:, hidden],
        refined(model, tangents(found, matrix.grid), rows, seen)[:, hidden],
        model[:, hidden] + CubicSpline(x[seen], residual, axis=1)(x[hidden]),
        CubicSpline(x[seen], rows, axis=1)(x[hidden]),
        np.stack(linear),
    )
    return dict(zip(METHODS, predicted, strict=True))


def tangents(found: mj.Fit, grid: mj.Grid) -> Complex[np.ndarray, "p f n"]:
    """Change of the fitted rows with every fitted parameter, by central differences, gains held."""
    ffp, span = field_free_point(found.scanner), float(np.max(np.asarray(grid.fov)))
    changes = []
    for name, value in found.values.items():
        step = STEP * (span if name.startswith("ffp") else value)
        near = []
        for sign in (1, -1):
            scanner, particle = apply(found.values | {name: value + sign * step}, found.scanner, found.particle, ffp)
            near.append(_rows(replace(found, scanner=scanner, particle=particle), grid))
        changes.append(near[0] - near[1])
    return np.stack(changes)


def refined(
    model: Complex[np.ndarray, "f n"],
    changes: Complex[np.ndarray, "p f n"],
    rows: Complex[np.ndarray, "f s"],
    seen: Bool[np.ndarray, " n"],
) -> Complex[np.ndarray, "f n"]:
    """Ridge least squares of every row on its fitted row and tangents.

    c = argmin |y - B c|^2 / s^2 + sum_j |c_j - e_j|^2 / p_j^2, e = (1, 0, ..), p = :data:`PRIOR`, s the rms residual of the fitted
    row at the remaining positions.
    """
    result = []
    for number, (own, measured) in enumerate(zip(model, rows, strict=True)):
        basis = np.concatenate([own[None], changes[:, number]])
        peak = np.abs(basis).max(axis=1)
        kept = peak > 1e-6 * peak[0]
        basis = basis[kept] / peak[kept, None]
        start = np.where(np.arange(len(basis)) == 0, peak[0], 0)
        prior = np.where(np.arange(len(basis)) == 0, *PRIOR) * peak[0]
        residual = measured - own[seen]
        noise = np.sqrt(np.mean(np.abs(residual) ** 2))
        a = np.concatenate([basis[:, seen].T / noise, np.diag(1 / prior)])
        change = np.linalg.lstsq(a, np.concatenate([residual / noise, np.zeros(len(basis))]), rcond=None)[0]
        result.append((start + change) @ basis)
    return np.stack(result)


def hidden_positions(
    lines: Sequence[mj.SystemMatrix], fit: Callable[[mj.SystemMatrix, Any], mj.Fit], seed: int = 0
) -> list[dict[str, Any]]:
    """Relative errors of every method by pattern and harmonic, with 95 % intervals, and which wins.

    A record holds ``pattern``, ``harmonic`` (a number or "all"), ``errors`` (method -> error, low, high), ``difference`` (of every
    method that simulates: the paired mean difference of squared errors to the spline, low, high) and ``verdict`` in words.
    """
    harmonics = [int(k) for k in np.asarray(lines[0].frequency_indices)]
    power = np.stack([np.mean(np.abs(np.asarray(line.values)[0]) ** 2, axis=1) for line in lines])
    records = []
    for pattern, sets in patterns(lines[0].grid.size).items():
        errors: dict[str, list[np.ndarray]] = {name: [] for name in METHODS}
        for hidden in sets:
            for i, line in enumerate(lines):
                truth = np.asarray(line.values)[0][:, hidden]
                for name, rows in predict(line, hidden, fit).items():
                    errors[name].append(np.abs(rows - truth).T ** 2 / power[i])
        at = np.concatenate([np.tile(hidden, (len(lines), 1)).ravel() for hidden in sets])
        squared = {name: _by_position(np.concatenate(parts), at) for name, parts in errors.items()}
        for number, harmonic in enumerate([*harmonics, "all"]):
            part = {
                name: values.mean(axis=1) if harmonic == "all" else values[:, number]
                for name, values in squared.items()
            }
            records.append({"pattern": pattern, "harmonic": harmonic, **_compared(part, seed)})
    return records


def hidden_report(records: Sequence[Mapping[str, Any]], markdown_table: Callable[..., str]) -> list[str]:
    """The section of the report."""
    table = []
    for record in records:
        row = {"hidden": record["pattern"], "harmonic": record["harmonic"]}
        row |= {name: "{:.3f} [{:.3f}, {:.3f}]".format(*values) for name, values in record["errors"].items()}
        verdicts = {f"{name} against spline": record["verdict"][name] for name in (SIMULATED[0], SIMULATED[2])}
        table.append(row | verdicts)
    return [
        "## Hidden positions: simulator or interpolation?",
        "",
        "Root mean square error at hidden positions of all lines over the rms of the row, 95 % by bootstrap over positions. "
        "*Wins* and *loses*: the interval of the paired difference of squared errors excludes zero. Few positions are behind an "
        "interval, and many intervals are looked at.",
        "",
        markdown_table(table),
        "",
    ]


def _by_position(errors: Float[np.ndarray, "e f"], at: Int[np.ndarray, " e"]) -> Float[np.ndarray, "p f"]:
    """Mean over all that was predicted of a position."""
    return np.stack([errors[at == position].mean(axis=0) for position in np.unique(at)])


def _compared(squared: Mapping[str, Float[np.ndarray, " p"]], seed: int) -> dict[str, Any]:
    count = len(squared["fitted"])
    draws = np.random.default_rng(seed).integers(count, size=(DRAWS, count))

    def interval(values: np.ndarray) -> tuple[float, float, float]:
        low, high = np.percentile(values[draws].mean(axis=1), (2.5, 97.5))
        return float(values.mean()), float(low), float(high)

    errors = {name: tuple(float(np.sqrt(v)) for v in interval(values)) for name, values in squared.items()}
    difference = {name: interval(squared[name] - squared["cubic spline"]) for name in SIMULATED}
    verdict = {
        name: "wins" if high < 0 else "loses" if low > 0 else "not decided"
        for name, (_, low, high) in difference.items()
    }
    return {"errors": errors, "difference": difference, "verdict": verdict}


def _rows(found: mj.Fit, grid: mj.Grid) -> Complex[np.ndarray, "f n"]:
    return np.asarray(found.system_matrix(grid).values)[0].astype(complex)
