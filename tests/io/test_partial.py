"""A reconstruction written block by block."""

import subprocess
import sys

import numpy as np
import pytest

import mpijax as mj
from mpijax.io import PartialReconstruction, Reconstruction

GRID = mj.Grid.create((3, 2, 1), (3e-3, 2e-3, 1e-3))


@pytest.fixture
def source():
    """Five frames of two contrasts and their measurement."""
    values = np.ones((5, 1, 1, 9), np.complex64)
    data = mj.Measurement.create(values, np.arange(9.0), n_samples=16, bandwidth=8.0)
    images = np.random.default_rng(0).random((5, 2, 1, 2, 3)).astype(np.float32)
    return Reconstruction.create(images, GRID, data, parameters={"sweeps": 3})


def begin(path, source, settings=None):
    return PartialReconstruction.begin(path, source, 5, settings or {"lambda": 1.0, "rows": {"channels": (0, 1)}})


def test_blocks_make_the_file_that_one_piece_makes(tmp_path, source):
    out = tmp_path / "new" / "a.mdf"
    partial = begin(out, source)
    partial.write(np.asarray(source.images[:2]), {"seconds": 1.5})
    assert partial.done == 2 and not out.exists()
    partial.close()
    again = PartialReconstruction.found(out, {"lambda": 1.0, "rows": {"channels": (0, 1)}})
    assert again.done == 2 and again.total == 5 and again.said == {"seconds": 1.5}
    again.write(np.asarray(source.images[2:]), {})
    np.testing.assert_array_equal(again.values(3), np.asarray(source.images[3]).reshape(2, 6))
    again.finish()
    assert [path.name for path in out.parent.iterdir()] == ["a.mdf"]
    found = mj.io.read_reconstruction(out)
    np.testing.assert_array_equal(found.images, source.images)
    assert found.parameters == source.parameters and found.metadata == source.metadata


def test_other_settings_and_damage_are_named(tmp_path, source):
    out = tmp_path / "a.mdf"
    begin(out, source).close()
    with pytest.raises(ValueError, match=r"rows channels \[0, 1\], now \[0\]; key None, now 3"):
        PartialReconstruction.found(out, {"lambda": 1.0, "rows": {"channels": (0,)}, "key": 3})
    (tmp_path / "a.mdf.partial").write_bytes(b"nothing")
    settings = {"lambda": 1.0, "rows": {"channels": (0, 1)}}
    with pytest.raises(OSError, match="delete it to start anew"):
        PartialReconstruction.found(out, settings)
    (tmp_path / "a.mdf.partial.json").write_text("{")
    with pytest.raises(ValueError, match=r"json cannot be read; delete it to start .*a\.mdf anew"):
        PartialReconstruction.found(out, settings)
    (tmp_path / "a.mdf.partial.json").unlink()
    assert PartialReconstruction.found(out, settings) is None


def test_a_file_that_cannot_begin_leaves_nothing(tmp_path, source, monkeypatch):
    monkeypatch.setattr("mpijax.io.mdf.partial.check_readable", lambda file, path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        begin(tmp_path / "a.mdf", source)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(OSError, match="no room for 5 frames"):
        begin(tmp_path / "a.mdf", source)
    assert list(tmp_path.iterdir()) == []


def test_nan_is_refused(tmp_path, source):
    partial = begin(tmp_path / "a.mdf", source)
    with pytest.raises(ValueError, match="images"):
        partial.write(np.full((1, 2, 1, 2, 3), np.nan, np.float32), {})
    assert partial.done == 0


def test_two_processes_do_not_write_one_file(tmp_path, source):
    out = tmp_path / "a.mdf"
    partial = begin(out, source, {"a": 1})
    script = """
import sys
import mpijax as mj
from mpijax.io import PartialReconstruction as P
first = mj.io.read_reconstruction(sys.argv[2])
for start in (lambda: P.found(sys.argv[1], {"a": 1}), lambda: P.begin(sys.argv[1], first, 5, {"a": 1})):
    try:
        start()
    except OSError as error:
        print(error)
"""
    mj.io.write(tmp_path / "first.mdf", source)
    command = [sys.executable, "-c", script, str(out), str(tmp_path / "first.mdf")]
    made = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert made.stdout.count("is being written by another process") == 2, (made.stdout, made.stderr[-2000:])
    partial.write(np.asarray(source.images), {})
    partial.finish()  # whose file the other process has left alone
    np.testing.assert_array_equal(mj.io.read_reconstruction(out).images, source.images)


def test_the_rest_of_a_killed_beginning_is_replaced(tmp_path, source):
    (tmp_path / "a.mdf.partial").write_bytes(b"killed before it was complete")
    begin(tmp_path / "a.mdf", source).close()
    assert PartialReconstruction.found(tmp_path / "a.mdf", {"lambda": 1.0, "rows": {"channels": (0, 1)}}).done == 0
