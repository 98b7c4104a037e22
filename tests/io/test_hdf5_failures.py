"""Every way in which HDF5 fails has its own sentence; only real damage says: damaged, fetch it again."""

import errno
import subprocess
import sys

import h5py
import numpy as np
import pytest

from mpijax import io
from mpijax.io import hdf5_open, hdf5_storage
from tests.io.mdf_files import measurement

MISSING = 32004  # lz4


@pytest.fixture
def path(tmp_path):
    return measurement(tmp_path / "m.mdf", np.ones((3, 2, 2, 16), np.float32))


def said(path):
    with pytest.raises((io.MDFError, OSError)) as caught:
        io.read_measurement(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_another_program_has_open(path):
    code = f"import h5py\nf = h5py.File({str(path)!r}, 'r+')\nprint('open', flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        text = said(path)
        other.communicate("\n")
    assert "another program" in text and "HDF5_USE_FILE_LOCKING" in text and "damaged" not in text
    assert io.read_measurement(path).values.shape == (3, 2, 2, 9)


def test_a_file_whose_writer_was_killed(path, tmp_path):
    killed = tmp_path / "killed.mdf"
    code = (
        f"import h5py, os\na, b = h5py.File({str(path)!r}), h5py.File({str(killed)!r}, 'w', libver='latest')\n"
        "for name in a: a.copy(name, b)\nb.flush(); b.swmr_mode = True; b.flush(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    text = said(killed)
    assert f"h5clear -s {killed}" in text and "damaged" not in text


def filtered(path, mask):
    """The data stored as compressed by lz4; with mask 1 the chunk itself was not."""
    if h5py.h5z.filter_avail(MISSING):
        pytest.skip("the filter is there")
    with h5py.File(path, "r+") as file:
        del file["measurement/data"]
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((3, 2, 2, 16))
        plan.set_filter(MISSING, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((3, 2, 2, 16))
        made = h5py.h5d.create(file["measurement"].id, b"data", h5py.h5t.NATIVE_FLOAT, space, plan)
        made.write_direct_chunk((0, 0, 0, 0), np.ones((3, 2, 2, 16), "f4").tobytes(), mask)


@pytest.mark.parametrize("installed", [False, True])
def test_a_filter_that_is_missing(path, monkeypatch, installed):
    filtered(path, 0)
    imported = []
    monkeypatch.setattr(hdf5_storage.importlib, "import_module", imported.append if installed else no_module)
    text = said(path)
    assert "lz4 (32004)" in text and "hdf5plugin" in text and "damaged" not in text
    assert set(imported) == ({"hdf5plugin"} if installed else set())


def test_a_chunk_that_was_stored_without_its_filter_needs_none(path):
    filtered(path, 1)
    assert io.read_measurement(path).values.shape == (3, 2, 2, 9)


def no_module(name):
    raise ImportError(name)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\n<html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"anything", "not an HDF5 file"),
    ],
)
def test_what_is_not_hdf5(tmp_path, content, words):
    (tmp_path / "x.mdf").write_bytes(content)
    text = said(tmp_path / "x.mdf")
    assert words in text and "damaged" not in text


def test_folders_missing_files_and_permission(tmp_path, path, monkeypatch):
    assert "is a folder" in said(tmp_path) and "there is no file" in said(tmp_path / "none.mdf")

    def refuse(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(hdf5_open.h5py, "File", refuse)
    with pytest.raises(PermissionError, match="denies permission"):
        io.read_info(path)


@pytest.mark.parametrize("code, kind", [(errno.EIO, OSError), (errno.EINVAL, io.MDFError)])
def test_what_the_system_reports_is_no_damage(code, kind):
    error = hdf5_open.failure("x.mdf", OSError(code, "read failed"), "/a")
    assert type(error) is kind and ("damaged" in str(error)) == (kind is io.MDFError)


def test_a_file_that_is_cut_off(path):
    path.write_bytes(path.read_bytes()[:-3000])
    assert "cut off" in said(path) and "fetch it again" in said(path)


def test_the_data_set_names_what_it_skips(tmp_path, path):
    (tmp_path / "broken.mdf").write_bytes(path.read_bytes()[:-3000])
    (tmp_path / "page.h5").write_bytes(b"<html>")
    found = io.OpenMPIDataset(tmp_path)
    assert len(found.measurements) == 1 and len(found.skipped) == 2
