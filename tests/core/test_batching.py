"""Maps in chunks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.core.batching import capped_map


@pytest.mark.parametrize("chunk", [3, 4, 10])
def test_chunks_give_what_the_whole_gives(chunk):
    items = jnp.arange(10.0).reshape(10, 1) + jnp.arange(2.0)
    np.testing.assert_array_equal(capped_map(jnp.sin, items, chunk), jnp.sin(items))
    columns = capped_map(lambda part: jnp.sin(part).T, items, chunk, out_axis=-1)
    np.testing.assert_array_equal(columns, jnp.sin(items).T)


def test_chunks_that_do_not_matter_are_not_computed():
    """A function that would never return on them is not called; gradients go through the others."""
    items = jnp.array([1.0, 2.0, 3.0, -1.0, -1.0, -1.0, -1.0])

    def endless_below_zero(part):
        return jax.lax.while_loop(lambda x: jnp.any(x < 0), lambda x: x, part) * 2

    run = jax.jit(lambda items, count: capped_map(endless_below_zero, items, 2, count=count))
    np.testing.assert_array_equal(run(items.at[3].set(4.0), 4), [2, 4, 6, 8, 0, 0, 0])
    gradient = jax.grad(lambda items: jnp.sum(capped_map(jnp.sin, items, 2, count=jnp.asarray(4))))(items)
    np.testing.assert_allclose(gradient, np.append(np.cos(items[:4]), np.zeros(3)), atol=1e-6)
