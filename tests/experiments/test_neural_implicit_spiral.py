"""The spiral experiment in seconds: measures of sharpness on known images, a tiny run from end to end, continuation."""

import json

import numpy as np
import pytest
import scipy.ndimage

from experiments.neural_implicit_spiral import PRESETS, Config, main, upsample
from experiments.support import spiral


def test_sharpness_of_the_phantom_and_of_blurred_copies():
    true = spiral.truth(79)
    sharp = spiral.sharpness(true)
    assert sharp["gap contrast"] == pytest.approx(1, abs=1e-6)
    assert sharp["width"] == pytest.approx(1e3 * spiral.TUBE_WIDTH, abs=0.05)
    assert sharp["inner diameter"] == pytest.approx(1e3 * spiral.TRUE_INNER_DIAMETER, abs=0.05)
    sigma = 1.0e-3 / spiral.FOV * 79
    blurred = spiral.sharpness(scipy.ndimage.gaussian_filter(true, sigma))
    more = spiral.sharpness(scipy.ndimage.gaussian_filter(true, 2 * sigma))
    for key in ("steepness", "gap contrast"):
        assert sharp[key] > blurred[key] > more[key]
    assert blurred["width"] > 2 and blurred["inner diameter"] < sharp["inner diameter"]
    again = spiral.sharpness(3 * true)
    assert again == pytest.approx(sharp)


def test_upsampling_keeps_constants_and_planes():
    plane = np.add.outer(np.arange(6.0), 2 * np.arange(6.0))
    for how in ("bilinear", "bicubic"):
        fine = upsample(plane, 12, how)
        expected = np.add.outer(np.arange(12) / 2 - 0.25, np.arange(12) - 0.5)
        np.testing.assert_allclose(fine[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-6)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    config = Config(
        steps=10, width=8, omegas=(10.0,), pilot_steps=10, ensemble=2, max_factor=2, check_every=5, save_every=5, size=12,
        refinement=3, grids=(12, 20), noise=1e-4, background_frames=10, regularizations=(0.5,), sweeps=(2,),
        run_dir=tmp_path_factory.mktemp("spiral"), progress=False,
    )  # fmt: skip
    return config, main(config)


def test_results_and_report(finished):
    config, results = finished
    methods = {n: [r["method"] for r in results["scores"] if r["voxels"] == n] for n in (12, 20)}
    assert methods[12] == [
        "truth",
        "SIREN",
        "SIREN, omega 30, unconstrained",
        "Kaczmarz, lambda 0.5",
        "Kaczmarz, tuned",
    ]
    assert len(methods[20]) == 8 and "Kaczmarz, tuned, bicubic" in methods[20]
    assert all(0 < r["nRMSE"] < 1 for r in results["scores"] if r["method"] != "truth")
    assert results["traces"]["SIREN"]["step"] == [5, 10] and results["chosen"]["SIREN"]["omega"] == 10
    assert results["rows"]["kept"] <= results["rows"]["in band"] == 470
    assert json.loads((config.run_dir / "results.json").read_text())["scores"][0]["method"] == "truth"
    report = (config.run_dir / "report.md").read_text()
    assert "20 x 20, steepness: SIREN" in report and "held out" in report
    for figure in ("images", "profiles", "uncertainty", "inner_diameter"):
        assert (config.run_dir / "figures" / f"{figure}.png").stat().st_size > 5000


def test_continues_where_it_stopped(finished):
    config, results = finished
    path = config.run_dir / "fits" / "siren.npz"
    stored = dict(np.load(path))
    (config.run_dir / "fits" / "published.npz").unlink()
    again = main(config)
    assert again["scores"] == results["scores"] and again["traces"] == results["traces"]
    np.testing.assert_array_equal(np.load(path)["trace"], stored["trace"])
    with pytest.raises(ValueError, match="other settings"):
        main(Config(run_dir=config.run_dir))


def test_presets():
    assert (
        PRESETS["paper"].steps == 70_000
        and PRESETS["paper"].width == 256
        and PRESETS["quick"].grids == (29, 54, 79, 104)
    )
