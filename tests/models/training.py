"""Twenty steps of training on box means of smooth rows."""

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.training import TrainConfig, adam, init_state, make_train_step, split
from mpijax.training.step import as_partial
from tests.models.grids import create


def check_loss_falls(name, scale, *, size=(4, 6), learning_rate=1e-2, loss="l1", **options):
    """Train a network on eight fixed rows: the loss is finite at every step, and lower at the last five than at the first."""
    fine = tuple(scale * n for n in size)
    waves = np.random.default_rng(0).uniform(-1, 1, size=(8, 2, 3))
    y, x = np.meshgrid(*(np.linspace(0, 3, n) for n in fine), indexing="ij")
    target = np.cos(waves[..., 0, None, None] * y + waves[..., 1, None, None] * x + 3 * waves[..., 2, None, None])
    target = np.moveaxis(target, 1, -1).astype(np.float32)
    coarse = target.reshape(8, size[0], scale, size[1], scale, 2).mean((2, 4))

    def batch(target, coarse, key):
        return {"input": coarse, "target": target}

    network, weights = split(create(name, scale=scale, **options))
    optimizer = adam(TrainConfig(steps=20, learning_rate=learning_rate, final_learning_rate=learning_rate / 10))
    step = make_train_step(network, optimizer, loss=loss)
    state, losses = init_state(weights, optimizer), []
    batches = as_partial(jax.tree_util.Partial(batch, jnp.asarray(target), jnp.asarray(coarse)))
    compiled = jax.jit(step)
    for _ in range(20):
        state, value = compiled(state, jax.random.key(0), batches)
        losses.append(float(value))
    assert np.isfinite(losses).all() and int(state.bad_step) == 0
    assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5]), losses
