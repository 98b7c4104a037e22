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


def capped_map(fn: Callable[[Any], Any], items: Any, chunk: int, out_axis: int = 0) -> Any:
    """Apply ``fn`` to chunks of the leading axis of ``items`` one after another and join the results along ``out_axis``.

    ``fn`` maps a tree with leading axis ``chunk`` to a tree that has this axis at ``out_axis``. The items are padded to whole
    chunks by repeating the last one, so the body compiles once; each chunk is rematerialised under reverse mode, so that
    gradients need the memory of one chunk as well.
    """
    n = jax.tree.leaves(items)[0].shape[0]
    n_chunks = math.ceil(n / chunk)
    if n_chunks == 1:
        return fn(items)

    def split(x: jax.Array) -> jax.Array:
        x = jnp.concatenate([x, jnp.repeat(x[-1:], n_chunks * chunk - n, axis=0)]) if n_chunks * chunk > n else x
        return x.reshape(n_chunks, chunk, *x.shape[1:])

    def join(y: jax.Array) -> jax.Array:
        axis = out_axis % (y.ndim - 1)
        y = jnp.moveaxis(y, 0, axis)
        y = y.reshape(*y.shape[:axis], n_chunks * chunk, *y.shape[axis + 2 :])
        return jax.lax.slice_in_dim(y, 0, n, axis=axis)

    return jax.tree.map(join, jax.lax.map(jax.checkpoint(fn), jax.tree.map(split, items)))
