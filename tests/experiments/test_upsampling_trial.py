"""The trial of the shipped upsampler on one matrix whose fine rows are known."""

import json
from dataclasses import replace

import pytest

from experiments.upsampling_trial import PRESETS, Config, main, summary


def test_one_matrix_keeps_the_network_and_its_gain(tmp_path):
    results = main(replace(PRESETS["smoke"], run_dir=tmp_path))
    (record,) = results["matrices"]
    assert record["kept"] and record["after"] == record["before"] > record["spline"] + 3
    assert record["errors"][0] < record["errors"][1]
    assert json.loads((tmp_path / "results.json").read_text())["summary"] == results["summary"]
    assert "1 of 1" in (tmp_path / "report.md").read_text()


def test_summary_counts_what_was_kept_and_lost():
    def made(family, kept, before, after):
        return {
            "family": family,
            "sigma": 0.1,
            "kept": kept,
            "before": before,
            "after": after,
            "spline": 20.0,
            "bicubic": 21.0,
        }

    a, b, every = summary(
        [made("neel", True, 24.0, 24.0), made("neel", False, 26.0, 20.0), made("coils", False, 15.0, 20.0)]
    )
    assert a["network kept"] == "1 of 2" and a["network better"] == "2 of 2" and a["before [dB]"] == 25
    assert b["worst matrix against spline, before [dB]"] == -5 and b["after it [dB]"] == 0
    assert every["family"] == "all" and every["most lost by the trial [dB]"] == 6


def test_unknown_families_are_refused():
    with pytest.raises(ValueError, match="families"):
        Config(families=("unknown",))
