"""The comparison of restorations with and without an identification."""

import json

import numpy as np
import pytest

import mpijax as mj
from experiments.restore_identified import Config, every_nth, main
from experiments.support.identified_report import difference, harmed, kind

pytestmark = pytest.mark.usefixtures("optimized")


def test_a_matrix_in_the_fits_model_is_compared_once(tmp_path):
    config = Config(families=("equilibrium",), half="development", matrices=1, run_dir=tmp_path)
    results = main(config)["families"]
    (matrix,) = results["equilibrium"]
    means = {name: float(np.mean(values)) for name, values in matrix["psnr"].items()}
    assert means["identified"] > means["row by row"] + 5 and means["row by row"] > means["wiener"]
    assert matrix["chi2"] < 1.2 and not matrix["relaxes"] and len(matrix["method"]) == matrix["rows"]
    (stored,) = (tmp_path / "denoise-development-white").glob("equilibrium-0.json")
    changed = json.loads(stored.read_text())
    changed["psnr"]["identified"] = [0.0] * matrix["rows"]
    stored.write_text(json.dumps(changed))
    again = main(config)["families"]["equilibrium"]
    assert again[0]["psnr"]["identified"][0] == 0.0  # what is there is not computed again
    assert "in the fit's model" in (tmp_path / "denoise-development-white" / "report.md").read_text()


def test_differences_are_paired_and_their_intervals_go_over_matrices():
    first = [np.array([3.0, 5.0]), np.array([2.0, 2.0])]
    second = [np.array([2.0, 4.0]), np.array([1.0, 1.0])]
    assert difference(first, second) == pytest.approx((1.0, 1.0, 1.0))


def test_harm_counts_changed_rows_only():
    matrices = [{"changed": [True, False, True]}]
    psnr = {"identified": [np.array([1.0, 1.0, 9.0])], "wiener": [np.array([5.0, 5.0, 5.0])]}
    assert harmed("neel", matrices, psnr)["lost more than 1 dB"] == "1 (50.0%)"


def test_held_out_families_are_named():
    assert kind("both") == "held out" and kind("brown_1") == "out of it" and kind("coils") == "in the fit's model"


def test_a_coarse_calibration_has_every_second_position():
    grid = mj.Grid.create((7, 6, 1), (21e-3, 12e-3, 1e-3), (2e-3, -1e-3, 0.0))
    fine = np.asarray(grid.positions).reshape(6, 7, 3)
    coarse = np.asarray(every_nth(grid, 2).positions).reshape(3, 4, 3)
    np.testing.assert_allclose(coarse, fine[::2, ::2], atol=1e-9)
