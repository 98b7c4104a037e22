import functools
from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments import mpi_mamba_simulation
from experiments.mpi_mamba_simulation import PRESETS, main
from experiments.support import mpi_mamba_report as report
from experiments.support import xspace_cases as xspace
from experiments.support.xspace_networks import NETWORKS, Training
from mpijax.datasets import XSpaceTask, xspace_batches
from mpijax.datasets.phantoms import PlanarPhantoms

SIZE = 32
sets = functools.cache(xspace.test_sets)  # their programs take seconds to compile


@pytest.fixture(scope="module")
def cases():
    return xspace.Cases.draw("dots", xspace.prior_of("training", SIZE), "isotropic", ("dots",), 3, jax.random.key(1))


def test_scores_of_a_known_error(cases):
    span = np.ptp(cases.targets, axis=(1, 2), keepdims=True)
    found = xspace.scores(cases.targets + 0.05 * span, cases)
    np.testing.assert_allclose(found["nrmse"], 0.05, rtol=1e-4)
    np.testing.assert_allclose(found["psnr"], -20 * np.log10(0.05), rtol=1e-4)
    assert np.all(xspace.scores(cases.targets, cases)["ssim"] > 0.9999)
    half = xspace.scores(0.5 * cases.targets, cases)  # the code's range is that of the estimate: half the reference's
    np.testing.assert_allclose(half["nrmse_legacy"], 2 * half["nrmse"], rtol=0.02)


def test_classical_methods_take_the_best_parameter(cases, monkeypatch):
    monkeypatch.setattr(xspace, "WIENER", (1e-5, 1e-4, 1e-1))
    monkeypatch.setattr(xspace, "LUCY", (1, 40))
    methods, chosen = xspace.classical_methods(cases, "isotropic")
    assert chosen["Wiener"] in (1e-5, 1e-4) and chosen["Richardson-Lucy"] == 40
    errors = {name: xspace.scores(method(cases), cases)["nrmse"].mean() for name, method in methods.items()}
    assert errors["Wiener"] < 0.6 * errors["input"] and errors["Richardson-Lucy"] < 0.6 * errors["input"]


def test_cases_are_functions_of_their_key(cases):
    again = xspace.Cases.draw("dots", xspace.prior_of("training", SIZE), "isotropic", ("dots",), 3, jax.random.key(1))
    np.testing.assert_array_equal(again.inputs, cases.inputs)
    np.testing.assert_array_equal(again.targets, cases.targets)


def test_cases_are_the_batch_of_their_key(cases):
    prior, source = xspace.prior_of("training", SIZE), PlanarPhantoms.create(("dots",), SIZE)
    task = XSpaceTask.create("isotropic", noise=xspace.NOISE, crop=None, augment=False)
    batch = jax.jit(xspace_batches(task, prior, source, 3))(jax.random.key(1))
    np.testing.assert_allclose(batch["input"][..., 0], cases.inputs, atol=1e-5)
    np.testing.assert_allclose(batch["target"][..., 0], cases.targets, atol=1e-5)


def test_scanners_lie_outside_the_training():
    first = sets("isotropic", SIZE, PRESETS["smoke"].test_images, None)
    xi = {cases.name: cases.pixel_xi for cases in first}
    drawn = np.concatenate([xi[f"{kind} (held out)"] for kind in xspace.HELD_OUT])
    assert xi["narrower kernel"].min() > drawn.max() and xi["wider kernel"].max() < drawn.min()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    config = replace(
        PRESETS["smoke"],
        run_dir=tmp_path_factory.mktemp("mamba"),
        networks=("mpi_mamba", "guided"),
        progress=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xspace, "WIENER", (1e-5, 1e-3))
        patch.setattr(xspace, "LUCY", (10, 40))
        patch.setattr(mpi_mamba_simulation, "test_sets", sets)
        yield config, main(config)


def test_results_hold_every_method_on_every_image(finished):
    config, results = finished
    names = {"input", "Wiener", "Richardson-Lucy", "MPI-Mamba", "guided NAFNet"}
    assert {r["method"] for r in results["records"]} == names
    assert len(results["records"]) == len(names) * 7 * config.test_images
    assert all(np.isfinite(r["psnr"]) for r in results["records"])
    assert results["facts"]["MPI-Mamba"]["steps"] == 4 and results["facts"]["guided NAFNet"]["steps"] == 4


def test_report_names_where_the_network_is_behind(finished):
    config, results = finished
    text = (config.run_dir / "report.md").read_text()
    for word in ("Table 1", "DiffIR", "MPI-Mamba against Wiener", "29.48"):
        assert word in text
    for name in ("largest", "median", "learning"):
        assert (config.run_dir / "figures" / f"{name}.png").stat().st_size > 5000
    mean, spread = report.mean_of(results["records"], "Wiener", report.MAIN, "psnr")
    wanted = [r["psnr"] for r in results["records"] if r["method"] == "Wiener" and r["set"] in report.MAIN]
    assert mean == pytest.approx(np.mean(wanted)) and np.isnan(spread)


def test_finished_trainings_are_read_again(finished):
    config, results = finished
    before = (config.run_dir / "seed_0/mpi_mamba/stage_2/weights.npz").stat().st_mtime_ns
    again = main(config)
    assert (config.run_dir / "seed_0/mpi_mamba/stage_2/weights.npz").stat().st_mtime_ns == before
    assert again["records"] == results["records"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": ("unet",)}, "network"),
        ({"patches": (64,)}, "patches of 64"),
        ({"patches": (32,)}, "patches of 32"),
        ({"crop": 4}, "crop = 4"),
        ({"steps": 0}, "steps = 0"),
        ({"networks": ("nafnet", "nafnet")}, "networks = .* each once"),
        ({"seeds": (10_000,)}, "seeds"),
        ({"label": "round"}, "label"),
        ({"seeds": ()}, "seeds"),
        ({"size": 8}, "size"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        main(replace(PRESETS["smoke"], run_dir=tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()


def test_spread_is_over_seeds():
    records = [
        {"method": "a", "set": "s", "seed": seed, "psnr": value} for seed, value in ((0, 1.0), (0, 3.0), (1, 5.0))
    ]
    mean, spread = report.mean_of(records, "a", ("s",), "psnr")
    assert mean == 3.5 and spread == pytest.approx(np.std([2.0, 5.0], ddof=1))


def test_report_says_by_how_much_the_network_is_behind():
    gains = {("vessels (held out)", 0): 1.0, ("vessels (held out)", 1): -3.0, ("10 dB", 0): 2.0}
    records = [
        {"method": name, "set": group, "image": image, "seed": 0, "psnr": 20.0 + (gain if name == "MPI-Mamba" else 0.0)}
        for (group, image), gain in gains.items()
        for name in ("input", "Wiener", "MPI-Mamba")
    ]
    assert report._behind(records, ["MPI-Mamba"]) == [
        "- MPI-Mamba against Wiener: behind on vessels (held out) (1.00 dB); ahead on 50% of the held-out images."
    ]


def test_tests_have_textures_of_their_own():
    textures = np.arange(9.0).reshape(9, 1, 1)
    training, tests = xspace.split_textures(textures)
    assert set(tests.ravel()) == {0, 4, 8} and len(training) == 6
    with pytest.raises(ValueError, match="at least two"):
        xspace.split_textures(textures[:1])


def test_two_stages_share_the_steps_of_one(cases, tmp_path):
    def steps(recipe, name, stage):
        training = Training(tmp_path, "isotropic", SIZE, recipe, None, None, cases, 0, False)
        return training.config(NETWORKS[name], stage).steps

    assert [steps("quick", "mpi_mamba", stage) for stage in (1, 2)] == [400, 2200]
    assert steps("quick", "nafnet", None) == steps("quick", "backbone", 0) == 2600
    assert [steps("published", "mpi_mamba", stage) for stage in (1, 2)] == [100_000, 100_000]
    assert steps("quick", "nafnet_longer", None) == 4 * 2600
