"""Networks on measured rows, and that their cards say what was found."""

import json

import numpy as np
import pytest

from experiments import measured_networks
from experiments.measured_networks import BLOCK, CASES, NETWORKS, NOISE, Config, kept, main, measurements
from experiments.ship_weights import evaluation
from mpijax.core.assets import asset_path
from tests import DATA


def test_the_card_says_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(measured_networks, "NETWORKS", {"complete": NETWORKS["complete"]})
    folder = tmp_path / "measured_networks"
    results = main(Config(root=DATA / "sm_encoding_array_buaa", run_dir=folder))
    found = {line["method"]: line["psnr_missing"][0] for line in results["figures"]["complete"]}
    assert found.keys() == {"spline", "wiener", "restore_2d"} and found["restore_2d"] < found["spline"] < 20
    assert "| restore_2d |" in (folder / "report.md").read_text()
    shipped = evaluation(folder / "results.json", "restore_2d")
    card = json.loads(asset_path("weights/restore_2d.json").read_text())["metadata"]["figures"]["measured_networks"]
    assert {key: card[key] for key in ("kind", "truth", "command", "networks")} == {
        key: shipped[key] for key in ("kind", "truth", "command", "networks")
    }
    for line, stored in zip(shipped["figures"]["complete"], card["figures"]["complete"], strict=True):
        assert line["method"] == stored["method"]
        assert line["psnr_missing"] == pytest.approx(stored["psnr_missing"], abs=0.1)


def test_a_card_holds_no_line_of_another_network(tmp_path):
    lines = [{"method": name, "psnr": [20.0]} for name in ("wiener", "denoise_2d", "restore_2d")]
    path = tmp_path / "measured_networks" / "results.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"figures": {"denoise, 0.1": lines, "complete": [lines[0], lines[2]]}}))
    assert evaluation(path, "denoise_2d")["figures"] == {"denoise, 0.1": lines[:2]}
    assert evaluation(path, "restore_2d")["figures"].keys() == {"denoise, 0.1", "complete"}


def test_blocks_at_every_place_and_every_second_pixel():
    blocks = list(kept("inpaint", (8, 8)))
    assert len(blocks) == 42 and all(np.count_nonzero(~known) == np.prod(BLOCK) for known in blocks)
    assert np.all(np.any([~known for known in blocks], axis=0))
    (every,) = kept("complete", (8, 8))
    assert every.sum() == 16 and every[0, 0] and not every[1].any()


def test_noise_is_what_is_told():
    rows = np.zeros((50, 8, 8), np.complex64)
    ((given, known, sigma),) = measurements("denoise", rows, 0)
    assert known.all() and np.sqrt(np.mean(np.abs(given) ** 2)) == pytest.approx(NOISE, rel=0.05)
    assert np.all(sigma == np.float32(NOISE)) and CASES["denoise"] == "denoise, 0.1"
