"""From the weights of the first stage to the second one's network and batches."""

import jax
import numpy as np
import pytest

from mpijax import models
from mpijax.training import TrainConfig, begin_second_stage, fit, save_weights, split
from mpijax.training.loop import _compiled_step
from mpijax.training.state import module_of

TINY = dict(
    channels=1, features=4, blocks=(1, 1), heads=(1, 1), refinement=0, states=2, embed=4, encoder_blocks=0, side=2,
    denoiser_features=8,
)  # fmt: skip


def batches(key):
    x = jax.random.normal(key, (2, 8, 8, 1))
    return {"input": x, "target": x**2}


def written(path, name="mpi_mamba", **options):
    model = models.create(name, rngs=3, **options)
    save_weights(path, split(model)[1], model.config)
    return model


def test_second_stage_takes_generator_and_tokens_of_the_first(tmp_path):
    first = written(tmp_path / "weights.npz", stage=1, **TINY)
    second, batch_fn = begin_second_stage(tmp_path, batches, seed=5)
    assert second.config == first.config | {"stage": 2}
    old, new = (split(model)[1].params["generator"] for model in (first, second))
    jax.tree.map(np.testing.assert_array_equal, old, new)
    again = split(begin_second_stage(tmp_path, batches, seed=5)[0])[1]  # what a run is continued with
    jax.tree.map(np.testing.assert_array_equal, again, split(second)[1])
    batch = batch_fn(jax.random.key(0))
    latent = first.encode(batch["input"], batch["target"])
    np.testing.assert_allclose(batch["auxiliary"]["latent"], latent, atol=1e-6)
    assert latent.shape == (2, 4, 16)


@pytest.mark.parametrize(
    ("name", "options"),
    [("mpi_mamba", dict(stage=2, **TINY)), ("nafnet", dict(features=4, encoder=(1,), decoder=(1,)))],
)
def test_other_weights_are_refused(tmp_path, name, options):
    written(tmp_path / "weights.npz", name, **options)
    with pytest.raises(ValueError, match=f"holds {name}, stage .*; stage 2 starts from mpi_mamba of stage 1"):
        begin_second_stage(tmp_path, batches)


def test_module_of_undoes_split():
    model = models.create("consistent_unet", scale=2, features=(4, 4), rngs=1)
    other = module_of(model.config, split(model)[1])
    jax.tree.map(np.testing.assert_array_equal, split(model)[1], split(other)[1])


def test_a_second_stage_that_was_stopped_ends_like_one_that_was_not(tmp_path):
    written(tmp_path / "weights.npz", stage=1, **TINY)
    recipe = TrainConfig(4, 2, optimizer="adamw", loss="l1", validate_every=3, checkpoint_every=2, ema_decay=0.5)
    model, batch_fn = begin_second_stage(tmp_path, batches)

    def run(folder, validate):
        return fit(model, batch_fn, recipe, run_dir=tmp_path / folder, validate=validate, progress=False)

    calls = []

    def stop(apply):
        calls.append(apply)
        if len(calls) == 2:  # after step 3, whose checkpoint is that of step 2
            raise RuntimeError("stopped")
        return {"error": 1.0}

    with pytest.raises(RuntimeError, match="stopped"):
        run("stopped", stop)
    again, whole = run("stopped", lambda apply: {"error": 1.0}), run("whole", lambda apply: {"error": 1.0})
    jax.tree.map(np.testing.assert_array_equal, again.state.weights, whole.state.weights)
    assert int(again.state.step) == 4
    assert _compiled_step(split(model)[0], recipe)._cache_size() == 1
