"""The measured coil array, where its data are at hand, and its reader on files made here."""

import json

import h5py
import numpy as np
import pytest

import mpijax as mj
from experiments.measured_array import Config, array_matrix, blobs, main, read_mat
from tests import DATA

ARRAY = DATA / "sm_encoding_array_buaa"


def test_residuals_blobs_and_honest_recovery(tmp_path):
    results = main(Config(root=ARRAY, run_dir=tmp_path))
    assert results["read_back_bit_for_bit"]
    for name, (x, y) in {"b1": (-3, 3), "b2": (0, 0)}.items():
        assert results[name]["relative_residual"] <= 0.06 and results[name]["blobs"] == 1
        assert abs(results[name]["peak_x_mm"] - x) <= 1 and abs(results[name]["peak_y_mm"] - y) <= 1
    errors = {r["method"]: r["nrmse"] for r in results["recovery"]}
    assert errors["consistent-bicubic"] < errors["bicubic"] < 0.2
    hidden = {r["method"]: r["relative error"] for r in results["hidden"]}
    assert hidden["upsample_2d without a trial"] > 1.5 * hidden["spline"]
    assert hidden["mpijax restore --task upsample"] == hidden["spline"]
    assert len(results["trials"]) == 1 and "upsample_2d is off by" in results["trials"][0]
    assert "so spline takes its place" in results["trials"][0]
    info = mj.io.read_info(tmp_path / "files" / "system_matrix.mdf")
    assert "not documented" in info.experiment["description"] and np.all(np.isnan(info.frequencies))
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert "No network was given" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "images.png").exists() and (tmp_path / "rows.png").exists()


def write_mat(path, name, values):
    pairs = np.zeros(values.T.shape, [("real", "f8"), ("imag", "f8")])
    pairs["real"], pairs["imag"] = values.T.real, values.T.imag
    with h5py.File(path, "w") as file:
        file[name] = pairs


def test_pixels_keep_matlab_s_picture(tmp_path):
    """Column-major pixels: number 1 lies below number 0, and the first row of the picture is at the top (largest y)."""
    write_mat(tmp_path / "S.mat", "S", np.arange(40)[:, None] * 100 + np.arange(64)[None] + 0j)
    matrix = array_matrix(tmp_path)
    image = matrix.grid.to_image(matrix.values)[0, 0, 0].real
    assert image[7, 0] == 0 and image[6, 0] == 1 and image[7, 1] == 8 and image[0, 7] == 63


def test_bad_files(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_mat(tmp_path / "S.mat", "S")
    (tmp_path / "S.mat").write_text("MATLAB 5.0")
    with pytest.raises(ValueError, match="v7.3"):
        read_mat(tmp_path / "S.mat", "S")
    write_mat(tmp_path / "T.mat", "A", np.ones((2, 2)) + 0j)
    with pytest.raises(ValueError, match="expected a variable S"):
        read_mat(tmp_path / "T.mat", "S")


def test_blobs_counts_regions_above_half():
    image = np.zeros((5, 5))
    image[0, 0], image[4, 4], image[2, 2] = 1.0, 0.6, 0.4
    assert blobs(image) == 2
