"""The training of the shipped networks, shortened to two steps."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments import ship_weights, train_restoration
from mpijax import models
from mpijax.datasets import RandomCorruption
from mpijax.training import load_weights, save_weights, split


def test_smoke_preset_writes_weights_that_say_what_they_were_trained_on(tmp_path):
    config = dataclasses.replace(train_restoration.PRESETS["smoke"], run_dir=tmp_path, progress=False)
    result = train_restoration.main(config)
    model, _ = load_weights(tmp_path)
    card = json.loads((tmp_path / "weights.json").read_text())
    assert model["name"] == "wiener_unet" and model["features"] == [8]
    assert card["metadata"]["data"]["trained_for"]["tasks"] == [{"name": "denoise"}]
    assert card["metadata"]["data"]["prior"]["size_range"] == [8, 16]
    first = next(record["validation"] for record in result.metrics if record["step"] == 0)
    # the untrained network is a filter: it gains on noise of 0.2, whose own PSNR is 14 dB
    assert first["psnr_0.2"] > 16


def test_presets_draw_grids_that_fit_their_boxes():
    for name, config in train_restoration.PRESETS.items():
        prior = train_restoration.calibrations(config).prior
        assert prior.sizes[1] == max(config.boxes), name
        assert (prior.voxels_per_fwhm == train_restoration.FINE) == (config.task == "upsample"), name


def test_validation_measures_the_noise_it_adds():
    """A perfect network has no error; one that returns its input has the PSNR of the noise."""
    config = train_restoration.PRESETS["smoke"]
    targets = {}

    def keep(name):
        def apply(x, **inputs):
            targets[name] = x
            return x

        return apply

    rows = train_restoration.calibrations(config).held_out()
    values = RandomCorruption().validation(rows, 1)(keep("noisy"))
    assert values["psnr_0.06"] == pytest.approx(-20 * np.log10(0.06), abs=0.4)
    assert values["psnr_0.2"] == pytest.approx(-20 * np.log10(0.2), abs=0.4)
    assert values["psnr"] == pytest.approx((values["psnr_0.06"] + values["psnr_0.2"]) / 2)
    assert jax.numpy.all(jax.numpy.isfinite(targets["noisy"]))


def test_shipped_weights_carry_command_and_figures(tmp_path):
    network = models.create("wiener_unet", features=(4,), rngs=0)
    save_weights(tmp_path / "tiny" / "weights.npz", split(network)[1], network.config, metadata={"step": 7})
    results = tmp_path / "restore_denoise" / "results.json"
    results.parent.mkdir()
    results.write_text(json.dumps({"rows": 3, "figures": {"0.1": [{"method": "tiny", "psnr": 30.0}]}, "snake": {}}))
    path = ship_weights.main(ship_weights.Config(tmp_path / "tiny", (results,), tmp_path / "data"))
    assert path == tmp_path / "data" / "tiny.npz"
    model, _ = load_weights(path)
    metadata = json.loads(path.with_suffix(".json").read_text())["metadata"]
    assert model == network.config and metadata["step"] == 7
    assert metadata["command"].endswith("--preset tiny")
    assert metadata["figures"]["restore_denoise"]["figures"]["0.1"][0]["psnr"] == 30.0
    assert metadata["license"] == "MIT" and metadata["figures"]["restore_denoise"]["kind"] == "in model"
    results.write_text("{}")
    with pytest.raises(ValueError, match="no figures"):
        ship_weights.main(ship_weights.Config(tmp_path / "tiny", (results,), tmp_path / "data"))


def test_figures_out_of_the_model_say_their_truth(tmp_path):
    methods = {name: {"psnr": [value]} for name, value in (("Wiener", 24.6), ("spline", 20.0), ("denoise_2d", 22.6))}
    path = tmp_path / "reality_gap" / "results.json"
    path.parent.mkdir()
    families = {"neel": {"denoise, white": methods | {"restore_2d": {"psnr": [22.4]}}, "inpaint, white": {}}}
    path.write_text(json.dumps({"families": families}))
    found = ship_weights.evaluation(path, "denoise_2d")
    assert found["kind"] == "out of model" and found["networks"] == ["denoise_2d"]
    told = {"truth": "Neel rotation, alpha 3 to 11", "in_model": False}
    assert found["figures"] == {
        "denoise, white noise": [
            {**told, "method": "Wiener", "psnr": [24.6]},
            {**told, "method": "denoise_2d", "psnr": [22.6]},
        ]
    }
