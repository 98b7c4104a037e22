"""The snippets of docs/xspace.md run as they stand and show what the page says."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "xspace.md"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) == 3

    def snippet(number):
        names: dict = {}
        exec(compile(snippets[number], str(PAGE), "exec"), names)
        return names

    return snippet


def test_images_and_their_deconvolution(run, capsys):
    """The mean of both scans is nearer to the phantom than one scan, and what the kernel makes of that one nearer still."""
    run(0)
    x, both, wiener, lucy = (float(value) for value in re.findall(r"0\.\d\d", capsys.readouterr().out))
    assert x < both < min(wiener, lucy)


def test_pairs(run):
    batch = run(1)["batch"]
    assert (
        {batch[name].shape for name in ("input", "target")} == {(4, 16, 16, 1)} == {batch["auxiliary"]["guide"].shape}
    )
    assert np.all(np.isfinite(batch["input"])) and np.abs(batch["input"] - batch["target"]).max() > 0.05


@pytest.mark.slow
def test_two_stages(run):
    names = run(2)
    assert names["image"].shape == (2, 16, 16, 1) and np.all(np.isfinite(names["image"]))
    assert names["second"].config["stage"] == 2
