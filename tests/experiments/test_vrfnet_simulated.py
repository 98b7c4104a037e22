"""The experiments on VRF-Net's simulated scans from end to end, with networks of a few weights."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments import vrfnet_ablation, vrfnet_inference, vrfnet_simulated
from experiments.support import vrfnet_paper as paper
from experiments.support.competitors import network_task
from experiments.support.sources import coil_source
from experiments.support.upsampling import row_metrics
from mpijax.datasets import (
    CoarseMeasurement,
    RowPool,
    SuperResolutionPrior,
    noise_for_peak_snr,
    simulated_source,
    usable_rows,
    z_slice,
)
from mpijax.system import simulate_system_matrix


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A run of the first experiment, whose network the others use."""
    run_dir = tmp_path_factory.mktemp("simulated")
    config = dataclasses.replace(vrfnet_simulated.PRESETS["smoke"], run_dir=run_dir, progress=False)
    return config, vrfnet_simulated.main(config)


def by_method(records):
    return {r["method"]: r for r in records}


def test_simulated(simulated):
    config, results = simulated
    part = results["scan 2, 2x"]
    errors = by_method(part["matrices"])
    assert errors["linear filter 5x5"]["nrmse"] < errors["bicubic"]["nrmse"] < errors["compressed sensing"]["nrmse"]
    assert errors["strided bicubic"]["nrmse"] < errors["strided bicubic, misaligned"]["nrmse"]
    assert errors["bicubic of pooled rows"]["nrmse"] > 3 * errors["bicubic"]["nrmse"]
    for r in errors.values():  # a range is at least the largest part's modulus, a peak the largest modulus
        assert 0 < r["nrmse_range"] < r["nrmse_row"] and r["psnr"] > 0
    images = by_method(part["images"])
    assert images["true matrix"]["nrmse_to_true_matrix"] == pytest.approx(0, abs=1e-6)
    assert images["bicubic"]["psnr_to_true_matrix"] > images["strided bicubic, misaligned"]["psnr_to_true_matrix"]
    assert part["training"][0]["steps"] == 6
    report = (config.run_dir / "report.md").read_text()
    assert "| VRF-Net | 4.44 | 28.52 |" in report and "cannot be compared" in report
    for name in ("rows_scan_2_2x", "images_scan_2_2x", "learning_curve_scan_2_2x", "coils_2"):
        assert f"figures/{name}.png" in report and (config.run_dir / "figures" / f"{name}.png").stat().st_size > 5000
    assert json.loads((config.run_dir / "results.json").read_text())["scan 2, 2x"]["matrices"] == part["matrices"]


def test_coils_scale_rows_and_nothing_else():
    """What the report says of the paper's training data: slices of one number differ by one factor per receive channel."""
    prior = SuperResolutionPrior(scan=2)
    matrices = []
    for seed in (0, 1):
        setup = z_slice(prior.draw(jax.random.key(seed)), 16)
        matrix = simulate_system_matrix(setup.scanner, setup.sequence, setup.particle, setup.grid())
        usable = np.asarray(usable_rows(matrix, noise_for_peak_snr(matrix), 10.0))
        matrices.append((np.asarray(matrix.values, np.complex128), usable))
    (first, kept), (second, _) = matrices
    for a, b, rows in zip(first, second, kept, strict=True):
        factor = np.vdot(a, b) / np.vdot(a, a)
        assert abs(factor - 1) > 0.01
        error = np.linalg.norm(b - factor * a, axis=1) / np.linalg.norm(b, axis=1).clip(1e-30)
        assert (
            rows.sum() > 50 and error[rows].max() < 1e-4
        )  # single precision of rows 100 times weaker than the strongest


def test_ablation(simulated, tmp_path):
    config = dataclasses.replace(vrfnet_ablation.PRESETS["smoke"], run_dir=tmp_path, progress=False)
    results = vrfnet_ablation.main(config)["scales"]["2"]
    assert list(results["weights"]) == ["VRF-Net", "ViT-only", "stride", "box"]
    assert results["weights"]["stride"] == results["weights"]["VRF-Net"] > results["weights"]["ViT-only"]
    errors = by_method(results["records"]["degradation"])
    assert list(errors) == ["bicubic, box", "bicubic, stride", "box", "stride"]
    # the untrained network is Keys interpolation of its own rows; it takes strided ones for blocks
    assert errors["box"]["nrmse"] == pytest.approx(errors["bicubic, box"]["nrmse"], rel=0.05)
    assert errors["stride"]["nrmse"] > 2 * errors["bicubic, stride"]["nrmse"]
    report = (tmp_path / "report.md").read_text()
    assert "| ViT-only | 7.75 | 22.98 |" in report and "figures/degradation_2x.png" in report


def test_finished_trainings_are_read_and_others_refused(simulated):
    config, results = simulated
    source = coil_source(2, CoarseMeasurement(scale=2), 1, config.snr_threshold, config.seed)
    weights = vrfnet_simulated.training_dir(config, 2, 2) / "vrfnet" / "weights.npz"
    before = weights.stat().st_mtime_ns
    methods = vrfnet_simulated.train(config, 2, source, 2)
    assert weights.stat().st_mtime_ns == before
    image = methods["VRF-Net"](source.tests[0])
    again = row_metrics(image, source.tests[0])["nrmse"]
    assert again == by_method(results["scan 2, 2x"]["matrices"])["VRF-Net"]["nrmse"]
    with pytest.raises(ValueError, match="holds a different run"):
        vrfnet_simulated.train(dataclasses.replace(config, steps=(7,)), 2, source, 2)


def test_inference(simulated, tmp_path):
    finished = vrfnet_simulated.training_dir(simulated[0], 2, 2) / "vrfnet"
    config = dataclasses.replace(vrfnet_inference.PRESETS["smoke"], run_dir=tmp_path, model=(finished,))
    results = vrfnet_inference.main(config)
    clean, noisy, bent = (by_method(r) for r in results["robustness"].values())
    assert list(results["robustness"]) == ["as trained", "noise 0.05", "sine 1 voxels"]
    for name, record in clean.items():
        assert noisy[name]["nrmse"] > record["nrmse"]
    assert abs(bent["bicubic"]["nrmse"] / clean["bicubic"]["nrmse"] - 1) < 0.5  # a smooth row, moved
    assert {r["method"] for r in results["times"]} == {
        "bicubic", "consistent-bicubic", "linear filter 5x5", "compressed sensing", "SRCNN", "VRF-Net",
    }  # fmt: skip
    assert all(0 < 1500 * r["seconds per row"] == pytest.approx(r["seconds"]) for r in results["times"])
    report = (tmp_path / "report.md").read_text()
    assert "| VRF-Net | 7.58 |" in report and str(finished) in report
    with pytest.raises(ValueError, match="trained for scale 2"):
        vrfnet_inference.main(dataclasses.replace(config, scale=4))


def test_distortion_moves_rows():
    """A row that is linear in x is displaced by amplitude * slope * sine away from the edges."""
    task = CoarseMeasurement(scale=2)
    case = vrfnet_inference.homogeneous_cases(2, task, 1, 50.0, 0)[0]
    ny, nx = case.images.shape[1:]
    ramp = np.broadcast_to(np.arange(nx, dtype=np.float32), case.images.shape).astype(np.complex64)
    values = np.zeros(np.shape(case.truth.values), np.complex64)
    values[case.truth.kept_rows()] = ramp.reshape(len(ramp), -1)
    linear = dataclasses.replace(case, truth=dataclasses.replace(case.truth, values=values))
    moved = vrfnet_inference.distorted(linear, 1.0).images[0]
    expected = np.arange(nx) + np.sin(2 * np.pi * (np.arange(ny)[:, None] + 0.5) / ny)
    np.testing.assert_allclose(moved[:, 8:-8], expected[:, 8:-8], atol=1e-3)


def test_noise_of_a_case_is_what_its_level_says():
    task = CoarseMeasurement(scale=2)
    case = vrfnet_inference.homogeneous_cases(2, task, 1, 50.0, 0)[0]
    noisy = vrfnet_inference.NoisyCase(case.name, case.truth, case.sigma, task, case.key, level=0.05)
    (clean, sigma), (coarse, total) = case.sampled(), noisy.sampled()
    added = (coarse - clean) / np.abs(clean).max((1, 2), keepdims=True)
    assert np.std(added.real) == pytest.approx(0.05, rel=0.05) and np.std(added.imag) == pytest.approx(0.05, rel=0.05)
    peak = np.abs(clean).max((1, 2))
    np.testing.assert_allclose(total, np.hypot(sigma, np.sqrt(2) * 0.05 * peak), rtol=1e-5)


def test_networks_get_the_degradation_that_they_are_made_for():
    source = simulated_source("vrfnet-1", 2, snr_threshold=10.0)
    assert network_task("smrnet", source, 2, {"method": "stride"}).method == "stride"
    assert network_task("smrnet", source, 2, {"method": "stride"}, "maxavg").method == "stride"
    assert network_task("vrfnet", source, 2, {}, "maxavg").method == "maxavg"
    assert source.rows.sized(16).rows_per_matrix == 8
    pool = RowPool(np.zeros((3, 4, 4), np.complex64), np.ones(3, np.float32))
    assert pool.sized(16).batch_size == 16
    with pytest.raises(ValueError, match="not a multiple"):
        source.rows.sized(15)


def test_what_the_printed_errors_imply():
    low, high = map(float, paper.follows(0.403).split(" to "))
    assert low == pytest.approx(41.9, abs=0.05) and high == pytest.approx(47.9, abs=0.05)
    assert all(set(paper.TABLE_4[s]) == set(paper.TABLE_5[s]) == set(paper.TABLE_6[s]) for s in (2, 4, 8))


def test_settings_are_refused_before_training(tmp_path):
    smoke = vrfnet_simulated.PRESETS["smoke"]
    for options, message in (
        ({"steps": (1, 2)}, "one number for each"),
        ({"scans": (3,)}, "scan"),
        ({"test_matrices": 0}, "= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            vrfnet_simulated.main(dataclasses.replace(smoke, run_dir=tmp_path, **options))
    with pytest.raises(ValueError, match="variants"):
        vrfnet_ablation.main(
            dataclasses.replace(vrfnet_ablation.PRESETS["smoke"], run_dir=tmp_path, variants=("depth 9",))
        )
    with pytest.raises(ValueError, match="SNR of 1000"):
        coil_source(1, CoarseMeasurement(scale=2), 1, 1e6, 0)
    assert not list(tmp_path.iterdir())
