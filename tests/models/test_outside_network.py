"""A network of another package: one file and an entry point, trained and used from the command line."""

import sys

import numpy as np
import pytest
from flax import nnx

import mpijax as mj
from mpijax import cli, models
from mpijax.models import registry
from mpijax.restoration import recipe
from tests.restoration.matrices import smooth_matrix

OUTSIDE = '''
"""Repeats every voxel, times a gain that is learned."""
import jax.numpy as jnp
from flax import nnx
from mpijax.models import Network


class Repeat(Network):
    def __init__(self, *, channels=2, scale=2, input_shape=None, rngs, start=0.5):
        super().__init__(name="repeat", channels=channels, scale=scale, input_shape=input_shape, start=start)
        self.factor = scale
        self.gain = nnx.Param(jnp.full((1,), start))

    def forward(self, x):
        return self.gain[...] * jnp.repeat(jnp.repeat(x, self.factor, 1), self.factor, 2)
'''


@pytest.fixture
def outside(tmp_path, monkeypatch):
    (tmp_path / "repeat_network.py").write_text(OUTSIDE)
    facts = tmp_path / "repeat-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: repeat\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[mpijax.networks]\nrepeat = repeat_network:Repeat\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_NETWORKS", dict(registry._NETWORKS))
    return tmp_path


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["mpijax", *map(str, words)])
    cli.main()


def test_it_is_trained_and_used_from_the_command_line(outside, monkeypatch, capsys):
    assert models.create("repeat", scale=2, rngs=0).config["start"] == 0.5
    fine = smooth_matrix((16, 16, 1), rows=40, empty=0)
    coarse = fine.with_rows(
        np.asarray(fine.images()).reshape(40, 8, 2, 8, 2).mean((2, 4)).reshape(40, -1),
        mj.Grid.create((8, 8, 1), fine.grid.fov, fine.grid.center),
    )
    mj.io.write_system_matrix(outside / "fine.mdf", fine)
    mj.io.write_system_matrix(outside / "coarse.mdf", coarse)
    words = [
        "--model",
        "repeat",
        "--steps",
        "60",
        "--learning-rate",
        "0.05",
        "--snr-threshold",
        "0",
        "--min-frequency",
        "0",
    ]
    run(monkeypatch, "train", outside / "fine.mdf", "--run-dir", outside / "run", *words)
    assert "weights.npz" in capsys.readouterr().out
    words = ["--task", "upsample", "--method", outside / "run", "--no-draw", "--no-trust"]
    run(monkeypatch, "restore", outside / "coarse.mdf", "-o", outside / "finer.mdf", *words)
    rows = np.asarray(mj.io.read_system_matrix(outside / "finer.mdf").images()).reshape(40, 16, 16)
    want = np.repeat(np.repeat(np.asarray(coarse.images()).reshape(40, 8, 8), 2, 1), 2, 2)
    gain = np.sum(rows * want.conj()).real / np.sum(np.abs(want) ** 2)
    np.testing.assert_allclose(rows, gain * want, atol=1e-5 * np.abs(want).max())
    assert 0.8 < gain < 1.1, "the gain was learned"


def test_one_of_a_script_is_registered_and_refused_before_the_first_step_where_it_is_not(outside, monkeypatch):
    monkeypatch.chdir(outside)
    namespace = {}
    exec(OUTSIDE, namespace)
    made = namespace["Repeat"](rngs=nnx.Rngs(0))
    config = mj.training.TrainConfig(steps=1, batch_size=1)
    batch = {"input": np.ones((1, 4, 4, 2), np.float32), "target": np.ones((1, 8, 8, 2), np.float32)}
    (outside / "repeat-1.0.dist-info" / "entry_points.txt").write_text("")
    with pytest.raises(ValueError, match="unknown network 'repeat'.*register_network"):
        mj.training.fit(made, lambda key: batch, config, run_dir=outside / "run", progress=False)
    assert not (outside / "run").exists()
    models.register_network("repeat", namespace["Repeat"])
    result = mj.training.fit(made, lambda key: batch, config, run_dir=outside / "run", progress=False)
    predict = mj.training.make_predict(made.config, result.weights)
    assert predict(batch["input"]).shape == (1, 8, 8, 2)
    with pytest.raises(ValueError, match="there is a network 'unet' already"):
        models.register_network("unet", namespace["Repeat"])
    with pytest.raises(TypeError, match="derived from"):
        models.register_network("other", dict)


def test_networks_without_a_published_recipe_have_the_quick_one():
    assert recipe("unet", 2).options == {} and recipe("unet", 2, steps=3).config.steps == 3
    with pytest.raises(ValueError, match="no recipe is published for 'unet', only for 'transms'"):
        recipe("unet", 2, "published")
    with pytest.raises(ValueError, match="unknown network 'nothing'"):
        recipe("nothing", 2)
