"""Saving is atomic, and drawing leaves no trace in matplotlib's global state."""

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from mpijax import viz
from mpijax.physics.sequences import UNREACHED
from mpijax.viz.style import order_text

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def figure():
    return viz.plot_reconstructions({"zero": np.eye(12, dtype=np.float32)})


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_suffix_names_the_format(figure, tmp_path, suffix, magic):
    path = tmp_path / "new" / f"figure.{suffix}"
    viz.save(figure, path)
    assert path.read_bytes().startswith(magic)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failed_write_keeps_the_old_file(figure, tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_text("old")

    def fail(target, **_):
        Path(target).write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        viz.save(figure, path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_an_unknown_format_is_refused(figure, tmp_path):
    with pytest.raises(ValueError, match="allowed: .*pdf.*png"):
        viz.save(figure, tmp_path / "figure.xyz")
    assert not list(tmp_path.iterdir())


def test_global_settings_and_pyplot_stay_untouched():
    code = (
        "import sys, matplotlib, numpy as np; from mpijax import viz; "  # reading the setting 'backend' imports pyplot
        "settings = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}; "
        "before = settings(); viz.plot_reconstructions({'a': np.ones((4, 4))}).canvas.draw(); "
        "assert before == settings(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_settings_are_restored_after_an_error():
    before = dict(matplotlib.rcParams)
    with pytest.raises(ValueError, match="empty"):
        viz.plot_reconstructions({})
    assert dict(matplotlib.rcParams) == before


def test_mixing_orders_as_text():
    assert order_text(np.array([1, -2, 0])) == "(1, −2, 0)"
    assert order_text(np.full(3, UNREACHED)) == ""
