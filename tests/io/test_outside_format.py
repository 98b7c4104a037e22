"""A file format of another package: one file and an entry point, read and written from the command line."""

import sys

import numpy as np
import pytest

import mpijax as mj
from mpijax.io import formats
from tests.test_cli import run

OUTSIDE = '''
"""NumPy archives: values and the frequencies they belong to; a grid makes a matrix of them."""
import numpy as np
import mpijax as mj


class Toy(mj.io.Format):
    name = "toy"
    suffixes = (".toy",)
    reads = True
    writes = (mj.io.Reconstruction,)

    def holds(self, path):
        return self.recognizes(path) or path.is_file() and path.read_bytes()[:2] == b"PK"

    def read(self, path):
        with np.load(path) as held:
            if "shape" in held:
                grid = mj.Grid.create(tuple(held["shape"].tolist()), held["fov"])
                return mj.SystemMatrix.create(held["values"], held["frequencies"], grid)
            return mj.Measurement.create(held["values"], held["frequencies"])

    def write(self, path, data):
        with open(path, "wb") as file:
            np.savez(file, images=data.images, fov=data.grid.fov)
'''


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """An installed package of one file, and a calibration and a measurement in its format."""
    (tmp_path / "toy_format.py").write_text(OUTSIDE)
    facts = tmp_path / "toy_format-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-format\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[mpijax.formats]\ntoy = toy_format:Toy\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(formats, "FORMATS", formats.FORMATS.copy())
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1, 33, 12)) + 1j * rng.normal(size=(1, 33, 12))
    image = np.zeros(12)
    image[[2, 7]] = 1.0, 2.0
    frequencies = np.arange(33) * 1e4
    save(tmp_path / "matrix.toy", values=rows, frequencies=frequencies, shape=(4, 3, 1), fov=(4e-3, 3e-3, 1e-3))
    save(tmp_path / "scan.toy", values=(rows @ image)[None, None], frequencies=frequencies)
    yield tmp_path
    sys.modules.pop("toy_format", None)


def save(path, **held):
    with open(path, "wb") as file:
        np.savez(file, **held)


def test_it_goes_through_the_command_line(outside, capsys):
    matrix, scan = outside / "matrix.toy", outside / "scan.toy"
    words = ["--min-frequency", "0"]
    commands = (
        (["info", matrix], "system matrix, MDF"),
        (["convert", matrix, "-o", outside / "rows.mdf", "--min-frequency", "100"], "system matrix 1 x 1 x 23 x 12"),
        (["inspect", matrix, "-o", outside / "look.png"], "wrote"),
        (["reconstruct", matrix, scan, "-o", outside / "image.toy", *words], "1 frames of 4 x 3 x 1 voxels"),
        (["reconstruct", matrix, scan, "-o", outside / "image.mdf", *words], "1 frames of 4 x 3 x 1 voxels"),
    )
    commands += (
        (["convert", outside / "image.mdf", "-o", outside / "again.toy"], "Reconstruction as toy"),
        (["convert", outside / "image.mdf", "-o", outside / "image.nii"], "Reconstruction as nifti"),
    )
    for command, expected in commands:
        status, text = run(capsys, *command)
        assert status == 0 and expected in text, text
    assert (outside / "look.png").stat().st_size > 1000
    with np.load(outside / "image.toy") as held:
        found = held["images"]
    np.testing.assert_array_equal(found, mj.io.read(outside / "image.mdf").images)
    np.testing.assert_allclose(found.ravel()[[2, 7]], [1, 2], rtol=0.2)


def test_it_goes_through_the_door_of_every_file(outside):
    held = mj.io.read(outside / "matrix.toy")
    read = mj.io.read_system_matrix(outside / "matrix.toy", min_frequency=1e5)
    np.testing.assert_array_equal(read.values, held.values[:, 10:])
    data = mj.io.read_measurement(outside / "scan.toy")
    np.testing.assert_array_equal(data.values, mj.io.read(outside / "scan.toy").values)
    (outside / "matrix.bin").write_bytes((outside / "matrix.toy").read_bytes())
    np.testing.assert_array_equal(mj.io.read(outside / "matrix.bin").values, held.values)  # by what it holds
    mj.io.write(outside / "matrix.mdf", held)
    again = mj.io.read(outside / "matrix.mdf")
    assert isinstance(again, mj.SystemMatrix) and np.array_equal(again.values, held.values)


def test_mistakes_are_one_sentence(outside):
    (outside / "damaged.toy").write_text("nothing")
    with pytest.raises(mj.io.MDFError, match=r"damaged.toy: as toy cannot be read"):
        mj.io.read_system_matrix(outside / "damaged.toy")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        mj.io.read_system_matrix(outside / "missing.toy")
    with pytest.raises(TypeError, match="data is ndarray; a SystemMatrix"):
        mj.io.write(outside / "a.mdf", np.zeros(3))
    with pytest.raises(TypeError, match="expected a class derived from mpijax.io.Format"):
        mj.io.register_format(dict)
    other = type("Other", (mj.io.Format,), {"name": "nifti"})
    with pytest.raises(ValueError, match="a format 'nifti' is known already"):
        mj.io.register_format(other)
