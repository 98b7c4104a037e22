"""What is computed lowers for CUDA, ROCm and TPU, on a machine that has none of them, and calls nothing that only a CPU has."""

import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax import models
from mpijax.reconstruction import admm, kaczmarz, tikhonov
from mpijax.training import TrainConfig, adam, as_partial, init_state, make_train_step, split
from tests.datasets.tiny_stream import SMALL, make_stream

PLATFORMS = ("cuda", "rocm", "tpu")
SCANNER = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0))
PLANAR = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0), dividers=(12, 10, 8))
SPATIAL = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 12e-3), dividers=(12, 10, 8))
LINE = mj.LissajousSequence.create(amplitude=(12e-3, 0.0, 0.0), dividers=(12, 10, 8))
NETWORKS = {
    "srcnn": dict(features=(4, 4)),
    "vrfnet": dict(features=4, blocks=1, embed=4, depth=0, heads=1, mlp=4),
    "dncnn": {},
    "wiener_unet": {},
    "nafnet": dict(features=4, encoder=(1,), middle=1, decoder=(1,)),
}


def called(function, *arguments):
    """Names of what a function calls beyond XLA on the three platforms, which are lowered into one program."""
    leaves, tree = jax.tree.flatten(arguments)
    traced = jax.jit(lambda *leaves: jax.tree.leaves(function(*tree.unflatten(leaves)))).trace(*leaves)
    return set(re.findall(r"custom_call @([\w.$]+)", traced.lower(lowering_platforms=PLATFORMS).as_text()))


def check(function, *arguments):
    foreign = [name for name in called(function, *arguments) if re.search("cpu|lapack|python|callback", name.lower())]
    assert not foreign


def test_calls_are_found(monkeypatch):
    assert "cusolver_potrf_ffi" in called(jnp.linalg.cholesky, jnp.eye(2))
    with pytest.raises(NotImplementedError, match="python_callback"):
        check(lambda x: jax.pure_callback(np.sin, x, x), jnp.ones(2))
    monkeypatch.setattr(sys.modules[__name__], "PLATFORMS", ("cpu",))
    with pytest.raises(AssertionError, match="lapack"):
        check(jnp.linalg.cholesky, jnp.eye(2))


def matrix(diameter, sequence, engine, dynamics=None):
    particle = mj.Particle.create(core_diameter=diameter, dynamics=dynamics)
    grid = mj.Grid.create((4, 3, 2 if sequence is SPATIAL else 1), (24e-3, 24e-3, 12e-3))
    return mj.simulate_system_matrix(SCANNER, sequence, particle, grid, engine=engine).values


@pytest.mark.parametrize("engine, sequence", [("time", PLANAR), ("separable", SPATIAL)])
def test_simulations(engine, sequence):
    check(lambda diameter: matrix(diameter, sequence, engine), 20e-9)


def test_derivatives_of_a_simulation():
    check(jax.grad(lambda diameter: jnp.sum(jnp.abs(matrix(diameter, PLANAR, "time")) ** 2)), 20e-9)


def test_phase_nodes():
    source = make_stream(buckets=(SMALL,), nodes=12).sources[0]
    check(source.matrix, jax.random.key(0), np.int32(0))


def test_dynamics():
    check(lambda diameter: matrix(diameter, LINE, "time", mj.Neel(damping=0.1)), 20e-9)


SOLVERS = {
    "kaczmarz": lambda a, b: kaczmarz(a, b, regularization=1e-3, sweeps=2).value,
    "tikhonov": lambda a, b: tikhonov(a, b, 1e-3).value,
    "tikhonov of a constraint": lambda a, b: tikhonov(a, b, 1e-3, constraint="real").value,
    "low rank": lambda a, b: tikhonov(a, b, 1e-3, method="low_rank", rank=3, key=jax.random.key(0)).value,
    "admm": lambda a, b: admm(a, b, image_shape=(1, 2, 3), l1=1e-2, tv=1e-2, iterations=3).value,
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers(name):
    check(SOLVERS[name], jnp.ones((12, 6), jnp.complex64), jnp.ones((4, 12), jnp.complex64))


@pytest.mark.parametrize("name", NETWORKS)
def test_training_steps(name):
    factor = 2 if name in ("srcnn", "vrfnet") else 1
    model = models.create(name, scale=factor, input_shape=(8, 8), rngs=0, **NETWORKS[name])
    network, weights = split(model)
    optimizer = adam(TrainConfig(steps=2, batch_size=2))

    def batch(key):
        target = jax.random.normal(key, (2, 8 * factor, 8 * factor, 2))
        given = target.reshape(2, 8, factor, 8, factor, 2).mean((2, 4))
        return {"input": given, "target": target, "noise_level": jnp.ones(2)}

    step = make_train_step(network, optimizer)
    check(step, init_state(weights, optimizer), jax.random.key(0), as_partial(batch))
