"""The page "Your first hour with your own data": its commands run as they stand, one after another."""

import glob
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

import mpijax as mj
from mpijax.cli import main
from mpijax.datasets import presets

PAGE = Path(__file__).resolve().parent.parent / "docs" / "first_hour.md"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("optimized")]


def run(line):
    words = [found for word in shlex.split(line) for found in (sorted(glob.glob(word)) or [word])]
    if words[0] == "mkdir":
        Path(words[1]).mkdir()
        return
    assert words[0] == "mpijax", line
    sys.argv = words
    main()


def test_from_a_folder_of_files_to_a_restored_matrix_and_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [])
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    said = {}
    for line in [line for block in blocks for line in block.splitlines()]:
        run(line)
        said[line.split()[1]] = capsys.readouterr().out
    assert (tmp_path / "sm-inspect.png").exists() and (tmp_path / "restored.png").exists()
    assert "core diameter" in said["restore"] and "2 written of 2 measurements" in said["reconstruct"]
    first, same = (mj.io.read_reconstruction(name).images for name in ("first.mdf", "images/snake.mdf"))
    np.testing.assert_array_equal(first, same)
    truth = np.asarray(presets.preset("2d", shape=(20, 20, 1)).simulate().rows())
    noisy, restored = (np.asarray(mj.io.read_system_matrix(name).rows()) for name in ("sm.mdf", "restored.mdf"))
    strong = np.argsort(np.linalg.norm(truth, axis=1))[-100:]
    errors = [np.linalg.norm((rows - truth)[strong]) for rows in (noisy, restored)]
    assert errors[1] < errors[0] / 2
    found = sorted(path.name for path in Path("restored-images").iterdir())
    assert found == ["dots.mdf", "dots.png", "snake.mdf", "snake.png"]
