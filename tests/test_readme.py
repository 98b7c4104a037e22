"""The README's Python runs as it stands."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent


def snippet(page):
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    return names


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_ten_lines_recover_the_two_points():
    names = snippet("README.md")
    image, phantom = np.asarray(names["image"]), names["phantom"]
    assert image.shape == (1, 20, 20)
    strongest = np.argsort(image.reshape(-1))[-2:]
    assert set(strongest) == set(np.flatnonzero(phantom))
    rows = names["matrix"].rows()
    assert len(rows) > 100 and float(np.min(names["matrix"].frequencies)) >= 80e3


def test_the_snippet_of_the_simulation(capsys):
    names = snippet("docs/simulation.md")
    assert names["line"].values.shape == (60, 8, 64)
    assert "core_diameter" in capsys.readouterr().out
    assert abs(names["fitted"].values["core_diameter"] - 24e-9) < 0.05e-9


def test_links_lead_somewhere():
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} -> {target}"
