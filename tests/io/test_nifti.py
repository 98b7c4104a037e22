"""NIfTI images come in: the grid of their affine, whatever the order and direction of their axes."""

import sys

import numpy as np
import pytest

import mpijax as mj
from mpijax import io
from tests.io.test_mdf_reconstruction import GRID, measurement, reconstruction

nibabel = pytest.importorskip("nibabel")


@pytest.mark.parametrize("contrasts", [(), (2,)])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_was_written_returns(tmp_path, name, contrasts):
    made = reconstruction(contrasts=contrasts)
    io.write_nifti(tmp_path / name, made)
    found = io.read(tmp_path / name)
    np.testing.assert_array_equal(found.images, made.images)
    np.testing.assert_allclose(found.grid.positions, GRID.positions, atol=1e-9)
    assert found.images.dtype == np.float32 and found.grid.shape == GRID.shape and found.unit == "mmol(Fe)/L"


def test_it_may_go_on_into_mdf(tmp_path):
    io.write_nifti(tmp_path / "a.nii", reconstruction())
    found = io.read_nifti(tmp_path / "a.nii")
    io.write_reconstruction(tmp_path / "a.mdf", found)
    np.testing.assert_array_equal(io.read_reconstruction(tmp_path / "a.mdf").images, found.images)
    assert "grid 4 x 3 x 2" in io.describe(io.read_info(tmp_path / "a.nii"))


@pytest.mark.parametrize("unit, length", [("mm", 1e3), ("meter", 1.0), ("micron", 1e6), ("unknown", 1e3)])
@pytest.mark.parametrize("order, signs", [((0, 1, 2), (-1, 1, 1)), ((2, 0, 1), (1, -1, -1)), ((1, 0, 2), (1, 1, 1))])
def test_every_voxel_lies_where_the_affine_puts_it(tmp_path, order, signs, unit, length):
    """An image whose value is its position, in voxels of swapped and reversed axes."""
    shape, voxel = np.array([2, 3, 4]), np.array([1e-3, 2e-3, 3e-3])
    affine = np.zeros((4, 4))
    affine[list(order), range(3)] = voxel * signs * length
    affine[:, 3] = *(np.array([5e-3, -6e-3, 7e-3]) * length), 1
    index = np.indices(shape).reshape(3, -1).T
    positions = nibabel.affines.apply_affine(affine, index) / length
    code = positions @ [1e3, 1e5, 1e7]
    image = nibabel.Nifti1Image(code.reshape(shape), affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    found = io.read_nifti(tmp_path / "a.nii")
    np.testing.assert_allclose(found.images.reshape(-1), np.asarray(found.grid.positions) @ [1e3, 1e5, 1e7], atol=1e-2)
    assert sorted(found.grid.shape) == [2, 3, 4] and found.unit == ""


def test_scaled_integers_are_numbers(tmp_path):
    image = nibabel.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    image.header.set_slope_inter(0.5, 1.0)
    nibabel.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(io.read_nifti(tmp_path / "a.nii").images[0].T, 1 + np.arange(8).reshape(2, 2, 2) / 2)


@pytest.mark.parametrize("kind, read_as", [(np.int16, np.float32), (np.uint8, np.float32), (np.int32, np.float64)])
def test_whole_numbers_are_read_in_floating_point(tmp_path, kind, read_as):
    values = np.arange(8).reshape(2, 2, 2).astype(kind)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    images = io.read_nifti(tmp_path / "a.nii").images
    assert images.dtype == read_as
    np.testing.assert_array_equal(images[0].T, values)


def rotated(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    "data, affine, message",
    [
        (np.ones((2, 3, 4)), rotated(10), "oblique"),
        (np.ones((2, 3, 4), np.complex64), np.eye(4), "complex64 data"),
        (np.ones((2, 3)), np.eye(4), r"shape \(2, 3\)"),
        (np.full((2, 3, 4), np.nan), np.eye(4), "24 of 24"),
    ],
)
def test_what_no_image_is_is_refused(tmp_path, data, affine, message):
    nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "a.nii")
    with pytest.raises(ValueError, match=message):
        io.read_nifti(tmp_path / "a.nii")


def test_damage_and_absence_are_said(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no file"):
        io.read_nifti(tmp_path / "none.nii")
    (tmp_path / "a.nii").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="cannot be read as NIfTI"):
        io.read_nifti(tmp_path / "a.nii")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match=r"pip install 'mpijax\[nifti\]'"):
        io.read_nifti(tmp_path / "a.nii")


def test_images_are_no_matrix(tmp_path):
    io.write_nifti(tmp_path / "a.nii", io.Reconstruction.create(np.ones((2, 3, 4)), GRID, measurement()))
    with pytest.raises((ValueError, mj.io.MDFError)):
        io.read_system_matrix(tmp_path / "a.nii")
