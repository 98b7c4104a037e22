"""The README's Python runs as it stands."""

import re
from pathlib import Path

import numpy as np

import mpijax as mj

ROOT = Path(__file__).resolve().parent.parent


def test_ten_lines_recover_the_two_points():
    first, _ = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(first, names)
    picture, image = np.asarray(names["picture"]), names["image"]
    assert picture.shape == (1, 20, 20)
    strongest = np.argsort(picture.reshape(-1))[-2:]
    assert set(strongest) == set(np.flatnonzero(image))
    rows = names["matrix"].rows()
    assert len(rows) > 100 and float(np.min(names["matrix"].frequencies)) >= 80e3


def test_the_physics_snippet(capsys):
    _, second = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {
        "mj": mj,
        "scanner": mj.Scanner.create((-1.0, -1.0, 2.0)),
        "sequence": mj.LissajousSequence.create((12e-3, 12e-3, 0.0)),
        "grid": mj.Grid.create((8, 8, 1), (24e-3, 24e-3, 1e-3)),
    }
    exec(second, names)
    assert names["line"].values.shape == (60, 8, 64)
    assert "core_diameter" in capsys.readouterr().out
    assert abs(names["fitted"].values["core_diameter"] - 24e-9) < 0.05e-9


def test_links_lead_somewhere():
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} -> {target}"
