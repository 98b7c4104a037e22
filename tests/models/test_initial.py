import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax.models.blocks import initial

THEIRS = nnx.initializers
PAIRS = {
    "uniform": (
        initial.uniform(-0.3, 0.7),
        lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -0.3, 0.7),
    ),
    "normal": (initial.normal(0.02), THEIRS.normal(0.02)),
    "lecun_normal": (initial.lecun_normal, THEIRS.lecun_normal()),
    "he_normal": (initial.he_normal, THEIRS.he_normal()),
    "scaled_uniform": (initial.scaled(1 / 3, "uniform"), THEIRS.variance_scaling(1 / 3, "fan_in", "uniform")),
    "scaled_normal": (initial.scaled(0.02, "normal"), THEIRS.variance_scaling(0.02, "fan_in", "normal")),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_numbers_are_those_of_jax(name):
    ours, theirs = PAIRS[name]
    key, shape = jax.random.key(7), (3, 3, 5, 7)
    expected = theirs(key, shape, jnp.float32)
    found = ours(key, shape)
    assert isinstance(found, jax.Array) and found.dtype == jnp.float32
    np.testing.assert_array_equal(found, expected)


def test_traced_and_in_a_longer_row_the_numbers_are_the_same():
    ours, theirs = PAIRS["lecun_normal"]
    key, shape = jax.random.key(7), (40, 30)
    expected = theirs(key, shape, jnp.float32)
    np.testing.assert_array_equal(ours(key, shape), expected)
    np.testing.assert_allclose(jax.jit(ours, static_argnums=1)(key, shape), expected, rtol=1e-6, atol=1e-7)


def test_shapes_share_rows_of_few_lengths():
    drawn = set()

    def row(key, shape, dtype):
        drawn.add(shape)
        return jax.random.normal(key, shape, dtype)

    for size in [*range(1, 20), 1024, 1025, 4096, 4097, 10_000]:
        assert initial._cut(row, jax.random.key(0), (size,)).shape == (size,)
    assert drawn == {(1, 1024), (1, 4096), (1, 16_384)}


def test_keys_of_a_seed_are_those_of_flax():
    ours, theirs = initial.streams(3), nnx.Rngs(3)
    for _ in range(3):
        assert ours.params() == theirs.params()


def test_what_a_module_keeps_of_a_seed_is_the_stream_of_flax():
    """Dropout forks a stream and draws of it in a compiled call, each time another mask."""

    def masks(rngs):
        rngs.params()
        dropout = nnx.Dropout(0.5, rngs=rngs)
        call = nnx.jit(lambda dropout, x: dropout(x))
        return [call(dropout, jnp.ones(64)) for _ in range(2)], rngs.params()

    ours, theirs = masks(initial.streams(3)), masks(nnx.Rngs(3))
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[1] == theirs[1] and not np.array_equal(*ours[0])
