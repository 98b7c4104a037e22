import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax.training import TrainConfig, adam, count_parameters, init_state, make_train_step, split
from mpijax.training.step import as_partial


def test_step_compiles_once_draws_by_step_and_lowers_the_loss(model, batch_fn):
    traces = []

    def counted(key):
        traces.append(key)
        return batch_fn(key)

    network, weights = split(model)
    optimizer = adam(TrainConfig(steps=30, learning_rate=1e-2, final_learning_rate=1e-3))
    step = make_train_step(network, optimizer, ema_decay=0.5)
    state, key, batches = init_state(weights, optimizer), jax.random.key(1), as_partial(counted)
    ema, losses = [], []
    for t in range(30):
        before = jax.tree.map(np.asarray, state.ema)
        state, loss = step(state, key, batches)
        losses.append(float(loss))
        if t < 12:
            decay = min(0.5, (1 + t) / (10 + t))
            expected = jax.tree.map(lambda m, w, d=decay: d * m + (1 - d) * w, before, state.weights)
            ema.append(jax.tree.map(lambda a, b: np.allclose(a, b, atol=1e-6), state.ema, expected))
    assert len(traces) == 1
    assert all(jax.tree.leaves(ema))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert int(state.step) == 30 and int(state.bad_step) == 0 and int(state.loss_count) == 30
    np.testing.assert_allclose(state.loss_sum, np.sum(losses), rtol=1e-5)

    drawn = batch_fn(
        jax.random.fold_in(key, 0)
    )  # the first step saw the batch of fold_in(key, 0), as Keys upsampling does
    untrained = network.train(weights, drawn["input"])[0]
    np.testing.assert_allclose(losses[0], jnp.mean((untrained - drawn["target"]) ** 2), rtol=1e-5)


def test_arrays_of_a_partial_are_arguments_of_the_step(model, batch_fn):
    def select(rows, key):
        batch = batch_fn(key)
        return batch | {"target": rows}

    network, weights = split(model)
    optimizer = adam(TrainConfig(steps=2))
    step = make_train_step(network, optimizer)
    losses = []
    for value in (0.0, 3.0):
        batches = jax.tree_util.Partial(select, jnp.full((4, 8, 8, 2), value))
        losses.append(float(step(init_state(weights, optimizer), jax.random.key(0), batches)[1]))
    assert losses[1] == pytest.approx(losses[0] + 9.0, rel=0.2)  # other rows, same compiled step
    assert step._cache_size() == 1


def test_split_leaves_the_module_alone_and_separates_the_modes(model, batch_fn):
    x = batch_fn(jax.random.key(0))["input"]
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))
    network, weights = split(model)
    _, statistics = network.train(weights, x)
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), statistics, weights.batch_stats)
    assert any(jax.tree.leaves(moved))
    jax.tree.map(np.testing.assert_array_equal, nnx.to_pure_dict(nnx.state(model)), before)
    model.eval()
    np.testing.assert_allclose(network.evaluate(weights, x), model(x), atol=1e-6)
    assert count_parameters(model) == sum(leaf.size for leaf in jax.tree.leaves(weights.params))


def test_networks_with_random_streams_are_refused(model):
    network = nnx.clone(model)
    network.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="Rng.*supports Param and BatchStat only"):
        split(network)
