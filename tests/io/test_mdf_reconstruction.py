"""Reconstructed images go into MDF and NIfTI files and come back."""

import os
import sys

import h5py
import numpy as np
import pytest

from mpijax import io
from mpijax.io.mdf.fields import MANDATORY
from mpijax.system import Grid, Measurement
from tests.io.mdf_files import random_complex

GRID = Grid.create((4, 3, 2), (8e-3, 9e-3, 5e-3), (1e-3, -2e-3, 0.5e-3))
PARAMETERS = {
    "method": "kaczmarz",
    "lambda": 1.25e-3,
    "relative": True,
    "sweeps": 3,
    "given": ("a", "b"),
    "empty": None,
}


def measurement(periods=1, **metadata):
    values = random_complex(0, 3, periods, 2, 5, dtype=np.complex64)
    return Measurement.create(values, 1e3 * np.arange(5.0), metadata=metadata)


def reconstruction(dtype=np.float32, contrasts=(), **changes):
    images = np.random.default_rng(1).standard_normal((3, *contrasts, 2, 3, 4)).astype(dtype)
    images.flat[0] = -0.0
    return io.Reconstruction.create(images, GRID, measurement(), **({"parameters": PARAMETERS} | changes))


@pytest.mark.parametrize("contrasts", [(), (2,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_returns_bit_for_bit(tmp_path, dtype, contrasts):
    overscan = np.random.default_rng(2).random((2, 3, 4)) > 0.5
    made = reconstruction(dtype, contrasts, overscan=overscan)
    io.write_reconstruction(tmp_path / "a.mdf", made)
    found = io.read_reconstruction(tmp_path / "a.mdf")
    assert found.images.dtype == dtype and found.images.tobytes() == made.images.tobytes()
    assert found.images.shape == made.images.shape and found.grid.shape == GRID.shape
    np.testing.assert_array_equal(found.grid.positions, GRID.positions)
    np.testing.assert_array_equal(found.overscan, overscan)
    assert found.parameters == made.parameters and found.metadata == made.metadata
    assert found.parameters["given"] == ("a", "b") and found.unit == "mmol(Fe)/L"
    assert "empty" not in found.parameters


def test_layout_and_mandatory_fields_are_those_of_the_specification(tmp_path):
    made = reconstruction(contrasts=(2,))
    io.write_reconstruction(tmp_path / "a.mdf", made)
    with h5py.File(tmp_path / "a.mdf") as file:
        data = file["/reconstruction/data"][()]
        assert data.shape == (3, 24, 2)  # [Q, P, S], x fastest
        assert data[1, 4 * (3 * 1 + 2) + 3, 1] == made.images[1, 1, 1, 2, 3]
        assert file["/reconstruction/size"][()].tolist() == [4, 3, 2]
        assert file["/reconstruction/order"].asstr()[()] == "xyz"
        assert file["/reconstruction/_parameters/lambda"][()] == 1.25e-3
        assert "/measurement" not in file and "/calibration" not in file
        assert not [path for path in MANDATORY if path not in file]
        for name in ("batch", "concentration", "name", "solute", "vendor", "volume"):
            assert f"/tracer/{name}" in file
        assert file["/acquisition/numFrames"][()] == 3


def test_the_measurement_gives_the_header(tmp_path):
    fields = {"/study/name": "Rats", "/study/number": 7, "/tracer/name": "Perimag", "/scanner/_site": "north"}
    made = io.Reconstruction.create(np.ones((2, 3, 4), np.float32), GRID, measurement(2, **fields))
    io.write_reconstruction(tmp_path / "a.mdf", made)
    found = io.read_reconstruction(tmp_path / "a.mdf")
    assert found.images.shape == (1, 2, 3, 4)
    assert found.metadata["/study/name"] == "Rats" and found.metadata["/study/number"] == 7
    assert found.metadata["/tracer/name"] == ("Perimag",) and found.metadata["/scanner/_site"] == "north"
    info = io.read_info(tmp_path / "a.mdf")
    assert info.study["uuid"] == made.metadata["/study/uuid"] and info.n_samples == 8 and info.n_periods == 2


def test_unknown_frequencies_of_the_measurement_do_not_spoil_the_file(tmp_path):
    values = random_complex(0, 1, 1, 2, 5, dtype=np.complex64)
    data = Measurement.create(values, np.full(5, np.nan), bandwidth=1e6)
    io.write_reconstruction(tmp_path / "a.mdf", io.Reconstruction.create(np.ones((2, 3, 4)), GRID, data))
    assert io.read_reconstruction(tmp_path / "a.mdf").images.sum() == 24


def test_voxels_in_another_order_are_sorted(tmp_path):
    made = reconstruction()
    io.write_reconstruction(tmp_path / "a.mdf", made)
    with h5py.File(tmp_path / "a.mdf", "a") as file:
        del file["/reconstruction/data"], file["/reconstruction/order"]
        file["/reconstruction/data"] = made.images.transpose(0, 3, 2, 1).reshape(3, 24, 1)  # z fastest
        file["/reconstruction/order"] = "zyx"
    np.testing.assert_array_equal(io.read_reconstruction(tmp_path / "a.mdf").images, made.images)


def test_description_says_what_the_file_holds(tmp_path):
    io.write_reconstruction(tmp_path / "a.mdf", reconstruction())
    text = io.describe(io.read_info(tmp_path / "a.mdf"))
    for words in ("reconstruction, MDF 2.1.0", "3 frames of 24 voxels", "grid 4 x 3 x 2", "8 x 9 x 5 mm",
                  "method kaczmarz", "lambda 0.00125", "unit mmol(Fe)/L"):  # fmt: skip
        assert words in text, text
    assert "data:" not in text


@pytest.mark.parametrize(
    "images, overscan, message",
    [
        (np.ones((4, 3, 2)), None, r"images \(frames, \[contrasts,\] 2, 3, 4\)"),
        (np.ones((5, 1, 2, 3, 4)), None, "single contrast"),
        (np.ones((2, 3, 4), complex), None, "real part"),
        (np.full((2, 3, 4), np.nan), None, "24 of 24"),
        (np.ones((2, 3, 4)), np.ones(24), "overscan has shape"),
    ],
)
def test_bad_images_are_refused(images, overscan, message):
    with pytest.raises(ValueError, match=message):
        io.Reconstruction.create(images, GRID, measurement(), overscan=overscan)


def test_bad_files_are_refused(tmp_path):
    io.write_measurement(tmp_path / "m.mdf", measurement())
    with pytest.raises(io.MDFError, match="no /reconstruction/data"):
        io.read_reconstruction(tmp_path / "m.mdf")
    io.write_reconstruction(tmp_path / "a.mdf", reconstruction())
    with h5py.File(tmp_path / "a.mdf", "a") as file:
        file["/reconstruction/size"][...] = [4, 3, 3]
    with pytest.raises(io.MDFError, match=r"\(frames, 36, contrasts\)"):
        io.read_reconstruction(tmp_path / "a.mdf")
    with pytest.raises(io.MDFError, match="a.mdf holds images and nothing measured"):
        io.read_measurement(tmp_path / "a.mdf")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_puts_every_voxel_where_the_grid_has_it(tmp_path, name):
    nibabel = pytest.importorskip("nibabel")
    made = reconstruction(np.float64)
    io.write_nifti(tmp_path / name, made)
    image = nibabel.load(tmp_path / name)
    data = image.get_fdata()
    assert data.shape == (4, 3, 2, 3) and image.get_data_dtype() == np.float32
    assert image.header.get_xyzt_units()[0] == "mm" and nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    index = np.indices((4, 3, 2)).reshape(3, -1).T
    positions = 1e-3 * nibabel.affines.apply_affine(image.affine, index)
    flat = index @ [1, 4, 12]
    np.testing.assert_allclose(positions, np.asarray(GRID.positions)[flat], rtol=0, atol=1e-9)
    for frame in range(3):
        expected = made.images[frame].reshape(-1)[flat].astype(np.float32)
        np.testing.assert_array_equal(data[(*index.T, frame)], expected)
    assert os.listdir(tmp_path) == [name]


def test_nifti_of_one_frame_and_of_contrasts(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    io.write_nifti(tmp_path / "a.nii", io.Reconstruction.create(np.ones((2, 3, 4)), GRID, measurement()))
    assert nibabel.load(tmp_path / "a.nii").shape == (4, 3, 2)
    made = reconstruction(contrasts=(2,))
    io.write_nifti(tmp_path / "b.nii", made)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "b.nii").get_fdata(), made.images.transpose(4, 3, 2, 0, 1))


def test_nifti_says_what_is_wrong(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"\.nii or \.nii\.gz"):
        io.write_nifti(tmp_path / "a.png", reconstruction())
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match=r"pip install 'mpijax\[nifti\]'"):
        io.write_nifti(tmp_path / "a.nii", reconstruction())
    assert os.listdir(tmp_path) == []
