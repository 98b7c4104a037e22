"""The measured lines, where they are at hand, and the statistics on synthetic ones."""

import json

import numpy as np
import pytest

import mpijax as mj
from experiments import measured_line
from experiments.measured_line import Config, interpolated, main, null_correlation
from experiments.support import line_dynamics
from tests import DATA

FILE = DATA / "hamburg_headscanner_2018" / "systemMatrixNew.h5"


@pytest.mark.usefixtures("optimized")
def test_correlations_null_and_report(tmp_path, monkeypatch):
    monkeypatch.setattr(measured_line, "MODELS", {"Langevin": measured_line.MODELS["Langevin"]})
    few = {name: line_dynamics.MODELS[name] for name in ("Langevin", "Neel, axis along", "Brown")}
    monkeypatch.setattr(line_dynamics, "MODELS", few)
    monkeypatch.setattr(line_dynamics, "STARTS", 1)
    monkeypatch.setattr(line_dynamics, "REFINED", 5)
    monkeypatch.setattr(
        measured_line,
        "relaxation",
        lambda lines, line, *rest: line_dynamics.relaxation(lines[line : line + 1], 0, *rest),
    )
    results = main(Config(file=FILE, run_dir=tmp_path, more_harmonics=(), controls=0))
    assert not any(verdict["better"] for verdict in results["relaxation"]["middle"])
    assert {verdict["family"] for verdict in results["relaxation"]["all"]} == {"Neel", "Brown"}
    fit = results["fit"]
    assert min(fit["correlation"]) >= 0.97
    assert max(fit["null_mean"]) < 0.4 and max(fit["null_95"]) < 0.8
    for other in results["other_lines"].values():
        assert min(other["correlation"]) > 0.94 and other["residual_moved"] < 0.7 * other["residual"]
    langevin, spline = results["models"]
    assert langevin["left_out"] < spline["left_out"] and langevin["jackknife"]["ffp_x"] < 1e-3
    hidden = {(record["pattern"], record["harmonic"]): record for record in results["hidden"]}
    both = "fitted + spline of its residual"
    for pattern in ("one", "two neighbors", "every second"):
        errors = hidden[pattern, "all"]["errors"]
        assert errors[both][0] < min(errors["cubic spline"][0], errors["fitted"][0], errors["linear"][0])
        assert hidden[pattern, "all"]["verdict"][both] == "wins"
    assert hidden["one", 2]["verdict"]["fitted"] == "loses" and hidden["every second", 4]["verdict"]["fitted"] == "wins"
    assert json.loads((tmp_path / "results.json").read_text())["fit"]["correlation"] == fit["correlation"]
    report = (tmp_path / "report.md").read_text()
    assert "Complex correlation along the line" in report and "hardly told apart" in report
    assert "simulator or interpolation" in report
    assert (
        (tmp_path / "hidden.png").exists()
        and (tmp_path / "lines.png").exists()
        and (tmp_path / "experiment.json").exists()
    )


def test_null_permutes_positions_only():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2, 9)) + 0j
    null = null_correlation(rows, rows * [[2j], [-1]], 50, 3)
    assert null.shape == (50, 2) and np.all(null < 1 - 1e-9)  # the identity would give 1
    np.testing.assert_allclose(null, null_correlation(rows, rows, 50, 3), rtol=1e-9)  # gains do not matter
    constant = np.ones((1, 9)) + 0j
    np.testing.assert_allclose(null_correlation(constant, constant, 5, 0), 1)  # nothing to permute


def test_spline_predicts_cubics():
    grid = mj.Grid.create((9, 1, 1), (9.0, 1.0, 1.0))
    x = np.asarray(grid.positions)[:, 0]
    rows = np.stack([x**3 - 2 * x, 1j * x**2])[None]
    matrix = mj.SystemMatrix.create(
        rows + 0j, np.array([1.0, 2.0]), grid, frequency_indices=[1, 2], n_samples=8, bandwidth=4.0
    )
    assert interpolated(matrix).max() < 1e-20


def test_fundamental_is_refused(tmp_path):
    with pytest.raises(ValueError, match="from 2"):
        main(Config(file=FILE, harmonics=(1, 2, 3), run_dir=tmp_path))
    with pytest.raises(FileNotFoundError):
        main(Config(file=tmp_path / "none.h5"))


def test_a_surrogate_has_the_size_and_smoothness_of_the_residual():
    rng = np.random.default_rng(0)
    x = np.arange(9)
    residual = np.stack([a * np.exp(0.4j * x) for a in (1.0, 3.0)])
    drawn = np.stack([line_dynamics.surrogate(residual, rng) for _ in range(400)])
    np.testing.assert_allclose(np.sqrt(np.mean(np.abs(drawn) ** 2, axis=(0, 2))), (1, 3), rtol=0.1)
    neighbors = np.sum(drawn[..., 1:] * np.conj(drawn[..., :-1])).real / np.sum(np.abs(drawn[..., 1:]) ** 2)
    wanted = np.sum(residual[:, 1:] * np.conj(residual[:, :-1])).real / np.sum(np.abs(residual) ** 2)
    assert neighbors == pytest.approx(wanted, abs=0.05)


def test_the_rule_asks_for_both_criteria():
    def made(bic, errors):
        return [line_dynamics.Explained(bic, np.asarray(errors), None)]

    worse, better = np.full(9, 2.0), np.linspace(0.9, 1.1, 9)
    for bic, errors, expected in ((-20, better, True), (-20, worse + 1, False), (-5, better, False)):
        explained = {name: made(0, worse) for name in line_dynamics.MODELS} | {"Brown": made(bic, errors)}
        neel, brown = line_dynamics.judge(explained)
        assert brown.better is expected and not neel.better
