"""Layers: their value is that of the solvers, their gradients are right, and training them lowers a loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from mpijax.reconstruction import ImplicitTikhonov, UnrolledKaczmarz
from tests.reference.kaczmarz import kaczmarz as reference_kaczmarz
from tests.reference.kaczmarz import tikhonov as reference_tikhonov

ROWS, VOXELS, FRAMES = 14, 6, 3
RNG = np.random.default_rng(3)
MATRIX = RNG.normal(size=(ROWS, VOXELS)) + 1j * RNG.normal(size=(ROWS, VOXELS))
IMAGES = np.abs(RNG.normal(size=(FRAMES, VOXELS)))
DATA = IMAGES @ MATRIX.T + 0.3 * (RNG.normal(size=(FRAMES, ROWS)) + 1j * RNG.normal(size=(FRAMES, ROWS)))
WEIGHTS = np.exp(RNG.normal(size=ROWS))
RELATIVE = 0.02


def absolute_lambda():
    return RELATIVE * np.sum(np.abs(WEIGHTS[:, None] * MATRIX) ** 2) / VOXELS


LAYERS = {
    "kaczmarz": lambda constraint: UnrolledKaczmarz.create(WEIGHTS, RELATIVE, sweeps=2, constraint=constraint),
    "tikhonov": lambda constraint: ImplicitTikhonov.create(WEIGHTS, RELATIVE, constraint=constraint),
}
CASES = [("kaczmarz", "nonnegative"), ("tikhonov", None), ("tikhonov", "real")]


@pytest.mark.parametrize("constraint", [None, "real", "nonnegative"])
def test_kaczmarz_is_the_row_loop(constraint):
    with jax.enable_x64(True):
        image = LAYERS["kaczmarz"](constraint)(MATRIX, DATA)
        for frame, data in zip(image, DATA, strict=True):
            options = {"sweeps": 2, "constraint": constraint, "row_weights": WEIGHTS}
            expected, _ = reference_kaczmarz(MATRIX, data, absolute_lambda(), **options)
            np.testing.assert_allclose(frame, expected, atol=1e-12)


@pytest.mark.parametrize("constraint", [None, "real"])
def test_tikhonov_is_the_least_squares_solution(constraint):
    with jax.enable_x64(True):
        image = LAYERS["tikhonov"](constraint)(MATRIX, DATA)
        assert jnp.isrealobj(image) == (constraint == "real")
        a, b = WEIGHTS[:, None] * MATRIX, WEIGHTS * DATA
        if constraint == "real":
            a, b = np.concatenate([a.real, a.imag]), np.concatenate([b.real, b.imag], axis=1)
        expected = [reference_tikhonov(a, row, absolute_lambda()) for row in b]
        np.testing.assert_allclose(image, expected, atol=1e-11)


@pytest.mark.parametrize(("name", "constraint"), CASES)
def test_gradients(name, constraint):
    with jax.enable_x64(True):
        layer = LAYERS[name](constraint)

        def loss(layer, real, imag, data):
            image = layer(real + 1j * imag, data * (1 + 1j))
            return jnp.sum(jnp.cos(image.real) + jnp.sin(image.imag))

        inputs = layer, MATRIX.real, MATRIX.imag, DATA.real
        check_grads(jax.jit(loss), inputs, order=1, modes=["rev"], eps=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_jit_equals_eager_and_frames_equal_a_loop(name):
    with jax.enable_x64(True):
        layer = LAYERS[name]("real")
        together = layer(MATRIX, DATA)
        np.testing.assert_allclose(jax.jit(lambda layer, a, b: layer(a, b))(layer, MATRIX, DATA), together, atol=1e-13)
        np.testing.assert_allclose([layer(MATRIX, data) for data in DATA], together, atol=1e-13)


@pytest.mark.parametrize("name", LAYERS)
def test_the_unit_of_the_signal_does_not_matter_even_for_gradients(name):
    """Entries of 1e-13 V and their squares in float32."""
    layer = LAYERS[name]("real")

    def loss(layer, scale):
        return jnp.sum(layer(jnp.asarray(scale * MATRIX, jnp.complex64), jnp.asarray(scale * DATA, jnp.complex64)) ** 2)

    value, gradient = jax.value_and_grad(loss)(layer, 1.0)
    tiny_value, tiny_gradient = jax.value_and_grad(loss)(layer, 2.0**-43)
    assert tiny_value == pytest.approx(float(value), rel=1e-6)
    for tiny, ordinary in zip(jax.tree.leaves(tiny_gradient), jax.tree.leaves(gradient), strict=True):
        assert np.abs(ordinary).max() > 0
        np.testing.assert_allclose(tiny, ordinary, rtol=1e-4, atol=1e-6)


def test_a_common_factor_of_the_weights_does_not_matter():
    with jax.enable_x64(True):
        images = [UnrolledKaczmarz.create(c * WEIGHTS, RELATIVE)(MATRIX, DATA) for c in (1, 1e9)]
        np.testing.assert_allclose(*images, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_training_lowers_the_loss(name):
    """Rows of unequal noise: the layer learns to trust the clean ones."""
    noise = np.where(np.arange(ROWS) < ROWS // 2, 3.0, 0.03)
    data = IMAGES @ MATRIX.T + noise * RNG.normal(size=(FRAMES, ROWS))
    start = (
        UnrolledKaczmarz.create(np.ones(ROWS), 0.1)
        if name == "kaczmarz"
        else ImplicitTikhonov.create(np.ones(ROWS), 0.1)
    )
    optimizer = optax.adam(0.1)

    @jax.jit
    def step(layer, state):
        loss, gradient = jax.value_and_grad(lambda layer: jnp.mean((layer(MATRIX, data) - IMAGES) ** 2))(layer)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(layer, updates), state, loss

    layer, state, losses = start, optimizer.init(start), []
    for _ in range(30):
        layer, state, loss = step(layer, state)
        losses.append(float(loss))
    assert losses[-1] < 0.3 * losses[0]
    logs = np.asarray(layer.log_weights)
    assert logs[: ROWS // 2].mean() < logs[ROWS // 2 :].mean() - 1
    assert step._cache_size() == 1


def test_refusals():
    with pytest.raises(ValueError, match="row_weights.*Leave rows out"):
        UnrolledKaczmarz.create(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="regularization = 0"):
        ImplicitTikhonov.create(np.ones(2), 0)
    with pytest.raises(ValueError, match="constraint = 'nonnegative'"):
        ImplicitTikhonov.create(np.ones(2), constraint="nonnegative")
    with pytest.raises(ValueError, match="sweeps = 0"):
        UnrolledKaczmarz.create(np.ones(2), sweeps=0)
    with pytest.raises(ValueError, match=r"log_weights has shape \(2,\); expected \(14,\)"):
        UnrolledKaczmarz.create(np.ones(2))(MATRIX, DATA)
    with pytest.raises(ValueError, match="data has shape"):
        UnrolledKaczmarz.create(np.ones(ROWS))(MATRIX, DATA[:, :-1])
