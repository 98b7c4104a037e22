"""The restoration experiments from end to end on stand-ins of their sets, with networks that have just been started."""

import dataclasses
import json

import numpy as np
import pytest

from experiments import (
    restore_complete,
    restore_denoise,
    restore_inpaint,
    restore_model_ablation,
    restore_unified,
    restore_upsample,
)
from mpijax import models
from mpijax.datasets import RandomCorruption
from mpijax.restoration.card import KEY, to_card
from mpijax.rows import Complete, Denoise, Inpaint, Upsample
from mpijax.training import save_weights, split


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Untrained networks: they return their input, or its interpolation."""
    folder = tmp_path_factory.mktemp("weights")

    def create(name, dimensions, scale):
        model = models.create("unet", scale=scale, dimensions=dimensions, features=(4,), blocks=1, patch=1, rngs=0)
        tasks = (Denoise(), Inpaint(), Complete(2)) if scale == 1 else (Upsample(2, "stride"),)
        facts = {KEY: to_card(RandomCorruption(tasks).trained(dimensions))}
        save_weights(folder / f"{name}.npz", split(model)[1], model.config, metadata={"data": facts})
        return str(folder / f"{name}.npz")

    return {(d, s): create(f"net{d}{s}", d, s) for d, s in ((2, 1), (2, 2), (3, 1))}


def run(module, tmp_path, networks, **changes):
    config = dataclasses.replace(module.PRESETS["smoke"], networks=networks, run_dir=tmp_path, **changes)
    results = module.main(config)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["seconds"] > 0 and (tmp_path / "figures" / "rows.png").stat().st_size > 5000
    return results, (tmp_path / "report.md").read_text()


def psnr(records, method, title="all"):
    return next(r["psnr"][0] for r in records if r["method"] == method and r["range"] == title)


def test_denoise(weights, tmp_path):
    results, report = run(restore_denoise, tmp_path, (weights[2, 1],))
    records = results["figures"]["0.1"]
    assert psnr(records, "net21") == pytest.approx(psnr(records, "as measured"), abs=1e-3)
    assert psnr(records, "as measured") == pytest.approx(20, abs=1)
    assert psnr(records, "garrote, tuned") > psnr(records, "as measured")
    assert "| 21.9 |" in report and "paper's SwinIR" in report
    table = {line["matrix"]: line for line in results["snake"]["table"]}
    assert table["net21"]["image to the phantom"] == pytest.approx(
        table["10 averages"]["image to the phantom"], rel=1e-3
    )
    assert table["330 averages"]["nRMSE of the rows"] < table["10 averages"]["nRMSE of the rows"]


def test_upsample(weights, tmp_path):
    results, report = run(restore_upsample, tmp_path, (weights[2, 2],))
    records = results["figures"]["upsampling_2d, 0.1"]
    assert psnr(records, "spline after garrote") > psnr(records, "spline")
    assert psnr(records, "bicubic") > psnr(records, "bicubic, misaligned")
    assert np.isfinite(psnr(records, "net22")) and "paper's SMRnet" in report
    assert len(results["spiral"]["table"]) == 1 + 2 * 4


def test_inpaint(weights, tmp_path):
    results, report = run(restore_inpaint, tmp_path, (weights[3, 1],))
    records = results["figures"]["0.1"]
    assert psnr(records, "biharmonic after garrote") > psnr(records, "biharmonic")
    for record in records:
        assert min(record["psnr_missing"][0], record["psnr_known"][0]) <= record["psnr"][0]
    assert "paper's PConvUNet" in report
    table = {line["matrix"]: line for line in results["rectangles"]["table"]}
    assert table["whole calibration"]["image to that of whole calibration"] == 0


def test_complete(weights, tmp_path):
    results, report = run(restore_complete, tmp_path, (weights[3, 1],))
    assert "calibration of 6.0 h instead of 41.0 h" in report
    noise = results["by order"][-1]
    assert noise["tricubic"] < psnr(results["figures"]["0.1"], "tricubic")


def test_ablation(weights, tmp_path):
    results, _ = run(restore_model_ablation, tmp_path, (weights[2, 1], weights[2, 1]))
    assert results["gain"]["up to 32 voxels, 0.1"][0] == 0
    with pytest.raises(ValueError, match="trained without"):
        restore_model_ablation.main(
            restore_model_ablation.PRESETS["smoke"].__class__((weights[2, 1],), (0.1,), tmp_path)
        )


def test_unified(weights, tmp_path):
    config = dataclasses.replace(
        restore_unified.PRESETS["smoke"], networks=(weights[2, 1],) * 4 + (weights[2, 2],), run_dir=tmp_path
    )
    results = restore_unified.main(config)
    denoise = results["denoise, restoration_2d, 0.1"]
    assert psnr(denoise, "one for all") == psnr(denoise, "denoiser") < psnr(denoise, "garrote 2")
    assert psnr(results["complete, upsampling_2d, 0.1"], "upsampler") > psnr(denoise, "one for all") - 20
    assert "| complete | upsampling_2d | 0.1 | spline after garrote |" in (tmp_path / "report.md").read_text()
