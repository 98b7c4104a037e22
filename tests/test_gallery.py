"""The gallery: every script is short and ends in a picture; the quick ones run here, all when the site is built."""

import ast
import runpy
from pathlib import Path

import matplotlib.image
import pytest

GALLERY = Path(__file__).resolve().parent.parent / "docs" / "gallery"
SCRIPTS = sorted(GALLERY.glob("*.py"))
QUICK = ["01_first_image", "08_two_tracers", "12_relaxation_and_viscosity", "16_x_space"]


def test_there_are_twenty_examples():
    assert len(SCRIPTS) >= 20
    assert [int(path.name[:2]) for path in SCRIPTS] == list(range(1, len(SCRIPTS) + 1))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_is_short_says_what_it_shows_and_ends_in_a_picture(path):
    text = path.read_text()
    assert 20 <= sum(bool(line.strip()) and "thumbnail" not in line for line in text.splitlines()) <= 60
    tree = ast.parse(text)
    title, underline, says = ast.get_docstring(tree).split("\n", 2)
    assert underline == "=" * len(title) and says.strip()
    assert ast.unparse(tree.body[-1]) == "figure"
    for node in ast.walk(tree):  # public names alone
        names = [node.attr] if isinstance(node, ast.Attribute) else []
        names += (node.module or "").split(".") if isinstance(node, ast.ImportFrom) else []
        assert not any(name.startswith("_") and not name.endswith("__") for name in names), names


def test_an_example_that_takes_too_long_ends_the_build(monkeypatch):
    limit_time = runpy.run_path(str(GALLERY.parent / "_extensions" / "gallery_costs.py"))["limit_time"]
    clocks = iter(
        [
            (1, 1, 0, 0, 0),
            (40, 2, 17, 2, 900),
            (0, 0, 0, 0, 0),
            (110, 0, 0, 0, 59),
            (5, 0, 0, 0, 900),
            (60, 5, 0, 1, 990),
        ]
    )
    monkeypatch.setattr("os.times", clocks.__next__)  # user, system, both of children, wall
    limit_time({}, None, "before")  # the gallery as a whole
    for name in ("neighbors.py", "threads.py"):
        limit_time({}, f"gallery/{name}", "before")
        limit_time({}, f"gallery/{name}", "after")
    limit_time({}, "gallery/slow.py", "before")
    with pytest.raises(RuntimeError, match=r"slow\.py took 90 s, 61 s of processor time; an example may take 60 s"):
        limit_time({}, "gallery/slow.py", "after")


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_example_draws(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(GALLERY / f"{name}.py"))
    pictures = [matplotlib.image.imread(path) for path in tmp_path.glob("*.png")]
    assert pictures and all(picture.std() > 0.05 for picture in pictures)
