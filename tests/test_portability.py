"""What is computed lowers for CUDA, ROCm and TPU, on a machine that has none of them, and calls nothing that only a CPU has."""

import re
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax import models
from mpijax.models.guided_unet import GUIDES
from mpijax.reconstruction import admm, kaczmarz, plug_and_play, tikhonov
from mpijax.reconstruction.solvers.neural.steps import NeuralProblem, PureSiren, advance, initial_state
from mpijax.training import TrainConfig, adam, as_partial, init_state, make_train_step, split
from tests.datasets.tiny_stream import SMALL, make_stream
from tests.models.grids import create

PLATFORMS = ("cuda", "rocm", "tpu")
SCANNER = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0))
PLANAR = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0), dividers=(12, 10, 8))
SPATIAL = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 12e-3), dividers=(12, 10, 8))
LINE = mj.LissajousSequence.create(amplitude=(12e-3, 0.0, 0.0), dividers=(12, 10, 8))
UPSAMPLING = {
    "consistent_unet": dict(features=(4, 4, 4), blocks=1),
    "mdsr": dict(features=4, blocks=1),
    "smrnet": dict(features=4, growth=4, blocks=1),
    "srcnn": dict(features=(4, 4)),
    "transms": dict(embed=8, heads=1, local_features=4, growth=2, blocks=1, fused_features=4),
    "vdsr": dict(features=4, layers=3),
    "vrfnet": dict(features=4, blocks=1, embed=4, depth=0, heads=1, mlp=4),
}
NETWORKS = UPSAMPLING | {
    "dncnn": dict(features=4, layers=3),
    "guided_unet": dict(features=(4, 4, 4)),
    "mpi_mamba": dict(features=4, blocks=(1, 1), refinement=1, heads=(1, 1), states=2, embed=4, encoder_blocks=1),
    "nafnet": dict(features=4, encoder=(1,), middle=1, decoder=(1,)),
    "pconv_unet": dict(features=(4, 4)),
    "rdn": dict(features=4, growth=4, blocks=1, layers=1),
    "restormer": dict(features=4, blocks=(1, 1), refinement=1, heads=(1, 1)),
    "swinir": dict(features=8, blocks=1, layers=1, heads=1, window=4),
    "unet": dict(features=(4, 4, 4), blocks=1),
    "wiener_unet": dict(features=(4, 4, 4)),
}
"""All but the network of coordinates, which a solver trains."""


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


def matrix(diameter, sequence, engine, scanner=SCANNER, **more):
    particle = mj.Particle.create(core_diameter=diameter, **more)
    grid = mj.Grid.create((4, 3, 2 if sequence is SPATIAL else 1), (24e-3, 24e-3, 12e-3))
    return mj.simulate_system_matrix(scanner, sequence, particle, grid, engine=engine).values


@pytest.mark.parametrize("engine, sequence", [("time", PLANAR), ("separable", SPATIAL)])
def test_simulations(engine, sequence):
    check(lambda diameter: matrix(diameter, sequence, engine), 20e-9)


PARTICLES = {
    "fluid": dict(anisotropy_constant=1e3, spatial_modulation=1.0),
    "immobilized": dict(anisotropy_constant=1e3, easy_axis=(0.6, 0.8, 0.0)),
    "neel": dict(dynamics=mj.Neel(damping=0.1), anisotropy_constant=1e3, easy_axis=(0.0, 1.0, 0.0)),
    "brown": dict(dynamics=mj.Brown(hydrodynamic_diameter=40e-9, viscosity=1e-3)),
}


@pytest.mark.parametrize("name", PARTICLES)
def test_particles(name):
    check(lambda diameter: matrix(diameter, PLANAR, "time", **PARTICLES[name]), 20e-9)


def test_coils():
    coil = mj.LoopCoil(0.08, np.array([0.0, 0.0, 0.05]), np.array([0.0, 0.0, 1.0]))
    check(lambda diameter: matrix(diameter, PLANAR, "time", replace(SCANNER, receive_coils=(coil,))), 20e-9)


def test_a_field_free_line():
    line, drive = mj.Scanner.field_free_line(0.7), mj.line_sequence(9e-3, 25e3, 64)
    grid = mj.Grid.create((4, 3, 1), (16e-3, 12e-3, 1e-3))

    def values(diameter):
        particle = mj.Particle.create(core_diameter=diameter)
        return mj.simulate_field_free_line(line, drive, particle, grid, angles=(0.0, 1.0)).values

    check(values, 20e-9)


def test_derivatives_of_a_simulation():
    check(jax.grad(lambda diameter: jnp.sum(jnp.abs(matrix(diameter, PLANAR, "time")) ** 2)), 20e-9)


def test_phase_nodes():
    source = make_stream(buckets=(SMALL,), nodes=12).sources[0]
    check(source.matrix, jax.random.key(0), np.int32(0))


def test_dynamics():
    check(lambda diameter: matrix(diameter, LINE, "time", dynamics=mj.Neel(damping=0.1)), 20e-9)


SOLVERS = {
    "kaczmarz": lambda a, b: kaczmarz(a, b, regularization=1e-3, sweeps=2).value,
    "tikhonov": lambda a, b: tikhonov(a, b, 1e-3).value,
    "tikhonov of a constraint": lambda a, b: tikhonov(a, b, 1e-3, constraint="real").value,
    "low rank": lambda a, b: tikhonov(a, b, 1e-3, method="low_rank", rank=3, key=jax.random.key(0)).value,
    "few rows": lambda a, b: tikhonov(a[:4], b[:, :4], 1e-3, method="dual").value,
    "cgnr": lambda a, b: tikhonov(a, b, 1e-3, method="cgnr").value,
    "denoiser": lambda a, b: (
        plug_and_play(a, b, (1, 2, 3), lambda x, _: x / 2, regularization=1e-2, iterations=2).value
    ),
    "admm": lambda a, b: admm(a, b, image_shape=(1, 2, 3), l1=1e-2, tv=1e-2, iterations=3).value,
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers(name):
    check(SOLVERS[name], jnp.ones((12, 6), jnp.complex64), jnp.ones((4, 12), jnp.complex64))


def test_a_neural_field():
    state = initial_state(PureSiren(width=8, depth=1), (3, 2, 1), 1.0, 1, key=jax.random.key(0))
    problem = NeuralProblem(jnp.ones((8, 6)), jnp.ones(8), jnp.ones((2, 6)), jnp.ones(2), (jnp.ones((6, 1, 2)),))
    check(lambda *given: advance(*given, 1e-3, key=jax.random.key(0), steps=2), problem, state)


def test_every_network_is_here():
    assert {*NETWORKS, "siren"} == set(models.names())


@pytest.mark.parametrize("name", NETWORKS)
def test_training_steps(name):
    factor, size = (2 if name in UPSAMPLING else 1), 16
    network, weights = split(create(name, scale=factor, input_shape=(size, size), **NETWORKS[name]))
    optimizer = adam(TrainConfig(steps=2, batch_size=2))
    told = {"mask": (2, size, size, 1), "noise_level": (2,), "guides": (2, size, size, GUIDES)}
    kinds = [kind for kind in told if name in models.names(takes=kind) and (factor == 1 or kind == "noise_level")]
    inputs = {kind: jnp.ones(told[kind]) for kind in kinds}

    def batch(key):
        target = jax.random.normal(key, (2, size * factor, size * factor, 2))
        given = target.reshape(2, size, factor, size, factor, 2).mean((2, 4))
        return {"input": given, "target": target} | inputs

    step = make_train_step(network, optimizer)
    check(step, init_state(weights, optimizer), jax.random.key(0), as_partial(batch))
