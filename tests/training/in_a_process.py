"""One process of a test: ``python in_a_process.py PART FOLDER [PORT PROCESS]``; without a port it is the only one."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mpijax import models
from mpijax.cli.processes import joined, sharding
from mpijax.core.sharding import share_rows
from mpijax.reconstruction import kaczmarz, tikhonov
from mpijax.training import TrainConfig, fit, row_sharding
from mpijax.training.step import Unchanging

RECIPE = TrainConfig(steps=12, batch_size=4, learning_rate=1e-2, log_every=1, validate_every=4, checkpoint_every=4)


def batch(key):
    target = jax.random.normal(key, (4, 8, 8, 2))
    return {"input": target.reshape(4, 4, 2, 4, 2, 2).mean((2, 4)), "target": target}


def train(run_dir, rows, batches=batch, config=RECIPE):
    held_out = batch(jax.random.key(99))

    def validate(apply):
        return {"error": float(jnp.linalg.norm(apply(held_out["input"]) - held_out["target"]))}

    network = models.create("srcnn", scale=2, input_shape=(4, 4), features=(4, 4), rngs=0)
    return fit(network, batches, config, run_dir=run_dir, validate=validate, sharding=rows)


class Signaling(Unchanging):
    """Batches that send this process a signal before a step."""

    def __init__(self, rows, number, before):
        super().__init__(share_rows(jax.tree_util.Partial(batch), rows), rows)
        self.number, self.before = number, before

    def at(self, step):
        if step == self.before:
            os.kill(os.getpid(), self.number)
        return super().at(step)


def solved(rows):
    """Solutions for four frames, a global array if its sharding is given."""
    random = np.random.default_rng(0)
    matrix, images = (random.standard_normal((*shape, 2)) @ [1, 1j] for shape in ((12, 6), (4, 6)))
    matrix, frames = matrix.astype(np.complex64), (images @ matrix.T).astype(np.complex64)
    gather = np.asarray
    if rows is not None:
        frames = jax.make_array_from_callback(frames.shape, rows, lambda index, frames=frames: frames[index])
        gather = jax.jit(lambda x: x, out_shardings=jax.NamedSharding(rows.mesh, jax.P()))
    found = {
        "tikhonov": tikhonov(matrix, frames, 1e-3).value,
        "kaczmarz": kaczmarz(matrix, frames, regularization=1e-3, sweeps=3).value,
    }
    damaged = jnp.where(jnp.arange(12) == 5, jnp.nan, frames)
    try:
        tikhonov(matrix, damaged, 1e-3)
    except ValueError as error:
        print(f"refused: {error}")
    return {name: np.asarray(gather(value)) for name, value in found.items()}


def whole(folder, rows):
    """A run from the beginning to the end, and solutions."""
    if rows is not None:
        for shared, size in ((None, 4), (rows, 3), (row_sharding(jax.local_devices()), 4)):
            try:
                train(folder / "refused", shared, config=replace(RECIPE, batch_size=size))
            except ValueError as error:
                print(f"refused: {error}")
        try:
            train(folder / "refused", rows, config=replace(RECIPE, seed=jax.process_index()))
        except ValueError as error:
            print(f"refused: {error}")
    name = "alone" if rows is None else "whole"
    result = train(folder / name, rows)
    leaves = {f"leaf{i}": leaf for i, leaf in enumerate(jax.tree.leaves((result.state, result.weights)))}
    np.savez(folder / f"{name}{jax.process_index()}.npz", **leaves, **solved(rows))
    if rows is None:
        train(folder / "stopped", None)


def killed(folder, rows):
    """A run whose second process is killed in step 6."""
    train(folder / "stopped", rows, Signaling(rows, signal.SIGKILL, 5 if jax.process_index() == 1 else None))


def stopped(folder, rows):
    """That run, stopped by SIGINT of the second process in step 5, then by SIGTERM of the first in step 7."""
    try:
        train(folder / "stopped", rows, Signaling(rows, signal.SIGINT, 4 if jax.process_index() == 1 else None))
    except KeyboardInterrupt:
        print("stopped by a signal", sorted(os.listdir(folder / "stopped" / "checkpoints")))
    train(folder / "stopped", rows, Signaling(rows, signal.SIGTERM, 6 if jax.process_index() == 0 else None))


if __name__ == "__main__":
    part, folder, *place = sys.argv[1:]
    several = (f"127.0.0.1:{place[0]}", 2, int(place[1])) if place else (None, None, None)
    with joined(bool(place), *several, None):
        {"whole": whole, "killed": killed, "stopped": stopped}[part](Path(folder), sharding(None))
