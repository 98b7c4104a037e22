import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.training import BatchStream, TrainConfig, adam, fit, init_state, make_train_step, split
from mpijax.training.loop import _compiled_step
from tests.datasets.tiny_stream import SMALL, make_stream

RECIPE = TrainConfig(steps=9, batch_size=4, learning_rate=1e-2, log_every=3, checkpoint_every=4)
WALL_CLOCK = ("seconds", "steps_per_second", "stream")


def records(result):
    return [{name: value for name, value in record.items() if name not in WALL_CLOCK} for record in result.metrics]


def test_an_interrupted_run_on_a_stream_ends_like_an_uninterrupted_one(model, tmp_path):
    whole = fit(model, make_stream(buckets=(SMALL,)), RECIPE, run_dir=tmp_path / "whole")
    assert _compiled_step(split(model)[0], RECIPE)._cache_size() == 1

    failing = make_stream(buckets=(SMALL,))
    at = failing.at

    def cut(step):
        if step == 6:
            raise RuntimeError("power cut")
        return at(step)

    failing.at = cut
    with pytest.raises(RuntimeError, match="power cut"):
        fit(model, failing, RECIPE, run_dir=tmp_path / "cut")
    resumed = fit(model, make_stream(buckets=(SMALL,)), RECIPE, run_dir=tmp_path / "cut")
    assert _compiled_step(split(model)[0], RECIPE)._cache_size() == 1
    for got, want in zip(
        jax.tree.leaves((resumed.state, resumed.weights)), jax.tree.leaves((whole.state, whole.weights)), strict=True
    ):
        np.testing.assert_array_equal(got, want)
    assert records(resumed) == records(whole)

    figures = [record["stream"] for record in whole.metrics if "stream" in record]
    assert len(figures) == 3
    for figure, record in zip(figures, (r for r in whole.metrics if "stream" in r), strict=True):
        assert figure["rows_per_second"] == pytest.approx(4 * record["steps_per_second"])
        assert figure["refresh_seconds"] > 0 and figure["matrices_missed"] == 0
    facts = json.loads((tmp_path / "whole" / "config.json").read_text())["data"]["stream"]
    assert facts["reuse"] == 2 and facts["buckets"][0]["shape"] == [8, 8, 1]
    with pytest.raises(ValueError, match="different run: data.stream.reuse is 2 there and 3 here"):
        fit(model, make_stream(buckets=(SMALL,), reuse=3), RECIPE, run_dir=tmp_path / "whole")


def test_neither_stream_nor_step_looks_at_a_value_of_the_device(model):
    """Steps and refreshes can be traced as one function, so nothing between them waits for a result."""
    stream = make_stream()
    assert isinstance(stream, BatchStream)
    network, weights = split(model)
    optimizer = adam(RECIPE)
    step = make_train_step(network, optimizer)
    stream._first = [0, 0]
    empty = [jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes) for shapes in stream._shapes]

    def run(reservoirs, state):
        stream.reservoirs = list(reservoirs)
        for t in range(12):
            state, loss = step(state, jax.random.key(0), stream.at(t))
        return loss

    jax.make_jaxpr(run)(empty, init_state(weights, optimizer))
    assert min(stream._first) >= 1 and sum(stream._first) >= 4  # with refreshes of both buckets among the steps


def test_batches_that_do_not_fit_the_recipe_are_refused_for_every_bucket(model, tmp_path):
    with pytest.raises(ValueError, match="delivers 6 rows, but batch_size = 4"):
        fit(model, make_stream(batch_size=6), RECIPE, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
