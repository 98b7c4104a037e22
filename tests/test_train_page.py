"""The page "Train a network for your own scanner": its commands and its Python run, with two steps and on a smaller grid."""

import json
import re

import numpy as np
import pytest

import mpijax as mj
from tests.test_first_hour import PAGE, run

PAGE = PAGE.parent / "train_your_own.md"
QUICKER = (("--shape 20 20 1", "--shape 8 8 1"), ("train --like sm.mdf", "train --like sm.mdf --steps 2"))

pytestmark = pytest.mark.slow


def test_from_a_calibration_to_a_network_that_restores_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [])
    page = PAGE.read_text()
    assert all(old in page for old, _ in QUICKER)
    said = {}
    for line in [line for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]:
        for old, new in QUICKER:
            line = line.replace(old, new)
        run(line)
        said[line.split()[1]] = capsys.readouterr().out
    assert "8 x 8 x 1 voxels on 30 x 30 x 1 mm, gradient -1 x -1 x 2 T/m" in said["train"], said["train"]
    assert "in model" in said["train"] and "step 2/2  loss" in said["train"]
    prior = json.loads((tmp_path / "runs/own/config.json").read_text())["data"]["prior"]
    assert prior["shape"] == [8, 8, 1] and prior["dividers"] == [102, 96, 99]

    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(block.replace("steps=3000", "steps=2").replace("(20, 20, 1)", "(8, 8, 1)"), names)
    told = capsys.readouterr().out
    assert not re.search(r"^step \d", told, re.MULTILINE)  # the run is that of the command, and done
    measured, *restored = (float(line.split()[1]) for line in told.splitlines() if line.startswith("error "))
    assert len(restored) == 2 and max(restored) < measured
    by_command = mj.io.read_system_matrix("by-network.mdf")
    np.testing.assert_allclose(
        names["better"].rows(), by_command.rows(), rtol=1e-4, atol=1e-6 * np.abs(by_command.rows()).max()
    )
