"""An experiment is one file: settings, what is compared, and a table; also one that lies outside the project."""

import json
import runpy
import sys

import pytest

OUTSIDE = '''
"""Classical denoisers on a noisy matrix.

Command: python -m toy_experiment
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import mpijax as mj
from experiments.support.run import markdown_table, parse, run_main, write_record
from tests.restoration.matrices import noisy, smooth_matrix


@dataclass(frozen=True)
class Config:
    """What is compared.

    Attributes:
        noise: over the largest modulus.
        run_dir: where results go.
    """

    noise: float = 0.1
    run_dir: Path = Path("runs/toy")


PRESETS = {"quick": Config(), "loud": Config(0.2)}


def main(config):
    """Denoise by every classical method and write the table."""
    if not 0 < config.noise < 1:
        raise ValueError(f"noise = {config.noise}; allowed is 0 to 1.")
    truth = smooth_matrix(empty=0)
    matrix = noisy(truth, config.noise, frames=30)
    lines = [{"method": "measured", "nRMSE": float(mj.metrics.nrmse(matrix.rows(), truth.rows()))}]
    for name in mj.Denoise().classical():
        restored = mj.restore(matrix, mj.Denoise(), method=name, trust=False).value
        lines.append({"method": name, "nRMSE": float(mj.metrics.nrmse(restored.rows(), truth.rows()))})
    config.run_dir.mkdir(parents=True)
    write_record(config.run_dir, "toy", config)
    (config.run_dir / "report.md").write_text(markdown_table(lines))


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__)
    run_main(main, chosen, chosen.run_dir)
'''


def test_an_experiment_from_outside(tmp_path, monkeypatch, capsys):
    (tmp_path / "toy_experiment.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["toy_experiment", *map(str, words)])
        runpy.run_module("toy_experiment", run_name="__main__")
        return capsys.readouterr().out

    assert str(tmp_path / "run") in run("--preset", "loud", "--run-dir", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "experiment.json").read_text())
    assert record["config"]["noise"] == 0.2 and record["versions"]["mpijax"]
    _, _, *lines = (tmp_path / "run" / "report.md").read_text().splitlines()
    errors = {name: float(value) for name, value in (line.strip("| ").split(" | ") for line in lines)}
    assert set(errors) == {"measured", "dct-soft", "dct-hard", "dct-garrote", "wiener"}
    assert errors["wiener"] < errors["dct-garrote"] < errors["measured"]
    with pytest.raises(SystemExit, match="2"):
        run("--noise", "7", "--run-dir", tmp_path / "bad")
    assert "noise = 7.0; allowed is 0 to 1." in capsys.readouterr().err and not (tmp_path / "bad").exists()
