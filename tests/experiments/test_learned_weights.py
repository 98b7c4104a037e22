"""Learned row weights: a small run from end to end, and the random phantoms it draws."""

import json

import jax
import numpy as np
import pytest

import mpijax as mj
from experiments.learned_weights import TRAINED, Config, main
from experiments.support.random_phantoms import KINDS, random_phantom, random_phantoms


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    config = Config(
        voxels=9,
        peak_snr=30.0,
        sweeps=(2,),
        continued=(3,),
        training=12,
        held_out=8,
        steps=5,
        batch=12,
        run_dir=tmp_path_factory.mktemp("learned"),
    )
    return config, main(config)


def test_results(finished):
    config, results = finished
    assert results == json.loads((config.run_dir / "results.json").read_text())
    assert results["voxels"] == 81 and results["rows"] > 20
    assert len(results["tuning"]) == 3 * (1 + 1)
    rows = {(row["phantoms"], row["method"]): row for row in results["comparison"]}
    assert len(rows) == 2 * 3
    for row in rows.values():
        for figures in (row["nRMSE"], row["pSNR"]):
            low, high = figures["interval"]
            assert low <= figures["difference"] <= high and low < high
            assert figures["learned"] - figures["hand-tuned"] == pytest.approx(figures["difference"], abs=1e-9)
        assert 0 < row["nRMSE"]["learned"] < 1
    assert rows["test phantoms", "Kaczmarz"]["sweeps"] == [2, 2]
    assert rows["test phantoms", "Tikhonov"]["sweeps"] == [None, None]
    assert f"{rows['test phantoms', 'Kaczmarz']['nRMSE']['learned']:.4f}" in (config.run_dir / "report.md").read_text()
    for name in ("weights", "images_0", "images_1", "learning_curve"):
        assert (config.run_dir / "figures" / f"{name}.png").stat().st_size > 5000


def test_learning_does_not_lose_on_the_phantoms_it_is_chosen_by(finished):
    """The start is among the steps to choose from, so the validation error cannot rise."""
    _, results = finished
    for name, facts in results["learned"].items():
        best = min(row["nRMSE"] for row in results["tuning"] if row["method"] == name)
        assert best < 1 and facts["spread of the factors"] >= 1 and facts["lambda after"] > 0
        assert sum(g["rows"] for k, g in facts["groups"].items() if k.startswith("SNR")) == results["rows"]


def test_random_phantoms_are_functions_of_kind_and_key():
    grid = mj.Grid.create((27, 27, 1), (27.5e-3, 27.5e-3, 1.5e-3))
    key = jax.random.key(1)
    drawn = random_phantoms(TRAINED, 5, grid, key)
    np.testing.assert_array_equal(drawn[4], random_phantoms(TRAINED, 5, grid, key)[4])
    np.testing.assert_array_equal(drawn[2], np.float32(random_phantom("characters", grid, jax.random.fold_in(key, 2))))
    edge = np.ones((27, 27), bool)
    edge[1:-1, 1:-1] = False
    for kind in KINDS:
        images = random_phantoms((kind,), 3, grid, key)
        assert images.min() >= 0 and np.all(images.max(axis=1) > 5)
        assert np.linalg.norm(images[0] - images[1]) > 0
        assert not np.any(images.reshape(3, 27, 27)[:, edge])  # they lie inside the field of view
    with pytest.raises(ValueError, match="kind = 'cat'"):
        random_phantom("cat", grid, key)
    with pytest.raises(ValueError, match="as many voxels along x as along y"):
        random_phantom("dots", mj.Grid.create((27, 26, 1), (27e-3, 26e-3, 1e-3)), key)


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="batch = 32"):
        main(Config(training=31, run_dir=tmp_path))
