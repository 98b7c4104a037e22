import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.models.blocks.selective_scan import selective_scan
from tests.reference.selective_scan import selective_scan as reference

NAMES = ("x", "step", "a", "b", "c", "skip")


def inputs(length=21, batch=2, sequences=2, channels=3, states=4):
    random = np.random.default_rng(0)
    shape = (batch, sequences, length)
    x, step = random.normal(size=(2, *shape, channels))
    b, c = random.normal(size=(2, *shape, states))
    a, skip = -random.uniform(0.2, 4, size=(sequences, channels, states)), random.normal(size=(sequences, channels))
    return [np.float32(value) for value in (x, np.log1p(np.exp(step - 1)), a, b, c, skip)]


def test_outputs_are_those_of_the_recurrence_whatever_the_chunk():
    values = inputs()
    expected = reference(*values)
    for chunk in (5, 7, 64):  # 21 steps: a rest, none, one chunk
        y = jax.jit(lambda *v, chunk=chunk: selective_scan(*v, chunk=chunk))(*values)
        assert y.dtype == jnp.float32 and y.shape == values[0].shape
        np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def test_gradients_are_those_of_the_recurrence():
    """Along a random direction of every argument, against central differences in float64; 21 steps in chunks of 8."""
    values = inputs()
    random = np.random.default_rng(1)
    weight = random.normal(size=values[0].shape)
    gradient = jax.jit(
        jax.grad(lambda *v: jnp.sum(weight * selective_scan(*v, chunk=8)), argnums=tuple(range(len(values))))
    )(*values)
    for number, name in enumerate(NAMES):
        direction = random.normal(size=values[number].shape)
        near = []
        for sign in (1, -1):
            moved = [np.float64(value) for value in values]
            moved[number] = moved[number] + sign * 1e-5 * direction
            near.append(np.sum(weight * reference(*moved)))
        scale = np.linalg.norm(gradient[number]) * np.linalg.norm(direction)
        assert abs(np.sum(gradient[number] * direction) - (near[0] - near[1]) / 2e-5) < 2e-6 * scale, name


def test_one_state_answers_an_impulse_with_an_exponential():
    step, rate, length = 0.3, -0.7, 9
    ones, x = np.ones((1, 1, length, 1), np.float32), np.zeros((1, 1, length, 1), np.float32)
    x[0, 0, 0] = 1
    y = selective_scan(x, step * ones, rate * np.ones((1, 1, 1)), ones, ones, np.zeros((1, 1)))
    np.testing.assert_allclose(y[0, 0, :, 0], step * np.exp(rate * step * np.arange(length)), rtol=1e-5)


def test_half_precision_is_computed_in_float32():
    half = [jnp.asarray(value, jnp.bfloat16) for value in inputs(length=5)]
    whole = [np.asarray(value, np.float32) for value in half]
    y = selective_scan(*half)
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, selective_scan(*whole))


def test_training_holds_the_states_of_a_chunk():
    values = [jnp.asarray(value) for value in inputs(length=1024, batch=1, sequences=1, channels=64, states=16)]
    everything = 4 * 1024 * values[2].size  # bytes of all states

    def memory(chunk):
        gradient = jax.grad(lambda *v: jnp.sum(selective_scan(*v, chunk=chunk)), argnums=tuple(range(len(values))))
        return jax.jit(gradient).lower(*values).compile().memory_analysis().temp_size_in_bytes

    assert memory(32) < everything / 2 < everything < memory(1024)


def test_chunks_are_counted():
    with pytest.raises(ValueError, match="chunk = 0"):
        selective_scan(*inputs(length=3), chunk=0)
