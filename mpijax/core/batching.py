"""Maps over many items under a memory cap."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def chunk_size(n_items: int, bytes_per_item: int, memory_limit: int) -> int:
    """Items per chunk so that a chunk stays under ``memory_limit`` bytes and the padding of the last one is smallest."""
    n_chunks = math.ceil(n_items * bytes_per_item / max(memory_limit, bytes_per_item))
    return math.ceil(n_items / max(1, min(n_chunks, n_items)))


def capped_map(fn: Callable[[Any], Any], items: Any, chunk: int, out_axis: int = 0, count: Any = None) -> Any:
    """Apply ``fn`` to chunks of the leading axis of ``items`` one after another and join the results along ``out_axis``.

    ``fn`` maps a tree with leading axis ``chunk`` to a tree that has this axis at ``out_axis``. The items are padded to whole
    chunks by repeating the last one, so the body compiles once; each chunk is rematerialized under reverse mode, so that
    gradients need the memory of one chunk as well.

    Args:
        fn, items, chunk, out_axis: see above.
        count: how many of the items matter, may be traced; chunks of others are not computed but zero (under ``vmap`` they are
            computed). None = all.
    """
    n = jax.tree.leaves(items)[0].shape[0]
    n_chunks = math.ceil(n / chunk)
    if n_chunks == 1:
        return fn(items)
    step = jax.checkpoint(fn)

    def split(x: jax.Array) -> jax.Array:
        x = jnp.concatenate([x, jnp.repeat(x[-1:], n_chunks * chunk - n, axis=0)]) if n_chunks * chunk > n else x
        return x.reshape(n_chunks, chunk, *x.shape[1:])

    def join(y: jax.Array) -> jax.Array:
        axis = out_axis % (y.ndim - 1)
        y = jnp.moveaxis(y, 0, axis)
        y = y.reshape(*y.shape[:axis], n_chunks * chunk, *y.shape[axis + 2 :])
        return jax.lax.slice_in_dim(y, 0, n, axis=axis)

    chunks = jax.tree.map(split, items)
    if count is None:
        return jax.tree.map(join, jax.lax.map(step, chunks))

    def if_needed(chunk_of: tuple[jax.Array, Any]) -> Any:
        first, part = chunk_of
        result = jax.eval_shape(step, part)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), result)
        return jax.lax.cond(first < count, step, lambda _: nothing, part)

    return jax.tree.map(join, jax.lax.map(if_needed, (jnp.arange(n_chunks) * chunk, chunks)))
