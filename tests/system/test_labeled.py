"""Containers as labeled arrays: every value beside its channel, frequency and position."""

import sys

import numpy as np
import pytest

import mpijax as mj
from mpijax.io import Reconstruction

GRID = mj.Grid.create((4, 3, 2), (8e-3, 9e-3, 5e-3), (1e-3, -2e-3, 0.5e-3))


def matrix(**options):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 5, 24)) + 1j * rng.normal(size=(2, 5, 24))
    return mj.SystemMatrix.create(values, 1e3 * np.arange(5.0), GRID, channels=(0, 2), **options)


def test_without_xarray_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pip install 'mpijax\[xarray\]'"):
        matrix().to_xarray()


def test_rows_are_found_by_channel_frequency_and_position():
    pytest.importorskip("xarray")
    made = matrix(snr=np.arange(10.0).reshape(2, 5), row_mask=np.eye(2, 5, dtype=bool), angles=np.array([0.0, 1.0]))
    array = made.to_xarray()
    assert array.dims == ("channel", "frequency", "z", "y", "x") and array.shape == (2, 5, 2, 3, 4)
    assert array.frequency.attrs["units"] == "Hz" and array.x.attrs["units"] == "m"
    for voxel in (0, 13, 23):
        x, y, z = np.asarray(GRID.positions)[voxel]
        found = array.sel(channel=2, frequency=3e3).sel(x=x, y=y, z=z, method="nearest", tolerance=1e-9)
        assert found.item() == made.values[1, 3, voxel]
    assert array.snr.sel(channel=2, frequency=4e3) == 9 and array.kept.values.sum() == 2
    assert array.angle.sel(channel=2) == 1 and array.bin.values.tolist() == [0, 1, 2, 3, 4]
    assert array.attrs["n_samples"] == 8 and "patch" not in array.attrs


def test_measurements_and_images():
    pytest.importorskip("xarray")
    data = matrix().measure(np.ones(24), frames=3)
    array = data.to_xarray()
    assert array.dims == ("frame", "period", "channel", "frequency") and array.shape == (3, 1, 2, 5)
    assert array.sel(frame=0, channel=2, frequency=2e3).item() == data.values[0, 0, 1, 2]
    images = np.random.default_rng(1).random((3, 2, 2, 3, 4))
    overscan = np.zeros((2, 3, 4), bool)
    overscan[0, 0, 0] = True
    made = Reconstruction.create(images, GRID, data, parameters={"sweeps": 3}, overscan=overscan)
    array = made.to_xarray()
    assert array.dims == ("frame", "contrast", "z", "y", "x") and array.attrs == {"sweeps": 3, "units": "mmol(Fe)/L"}
    assert array.overscan.values.sum() == 1
    one = Reconstruction.create(images[:, 0], GRID, data).to_xarray()
    assert one.dims == ("frame", "z", "y", "x")
    np.testing.assert_allclose(one.x, np.asarray(GRID.positions)[:4, 0])
    assert one.integrate("x").shape == (3, 2, 3)
