"""Several processes that train one network: what the first does for all of them, and what they agree on.

Every function here is called by all processes in the same order; with one process it costs nothing.
"""

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_MESSAGE = 8192
"""Bytes of what the first process tells the others."""

_WORDS = 1000
"""Characters of an error that it tells."""


def is_first() -> bool:
    """Whether this process writes the run's files and speaks for it."""
    return jax.process_index() == 0


def check_sharding(sharding: NamedSharding | None, batch_size: int) -> None:
    """Refuse devices and processes that cannot share the rows of a batch.

    Raises:
        ValueError: The rows do not divide among the devices, or lie on devices of some of the processes only.
    """
    if sharding is not None and batch_size % sharding.mesh.size:
        raise ValueError(f"batch_size = {batch_size} rows cannot be shared equally by {sharding.mesh.size} devices.")
    count = jax.process_count()
    if count == 1:
        return
    if sharding is None:
        raise ValueError(
            f"this is one of {count} processes, and nothing says how they share a batch; pass sharding="
            "mpijax.training.row_sharding() to fit or restoration.train, or to the stream of batches."
        )
    present = {device.process_index for device in sharding.mesh.devices.flat}
    if len(present) < count:
        raise ValueError(
            f"sharding has devices of {len(present)} of {count} processes; give each process at least one, as "
            "mpijax.training.row_sharding() does."
        )


def on_first(action: Callable[[], Any]) -> Any:
    """Let the first process act while the others wait; all return its value, which must be plain (JSON).

    Raises:
        RuntimeError: On the others, where the first raised an error, which it raises itself.
    """
    if jax.process_count() == 1:
        return action()
    error, message = None, b""
    if is_first():
        try:
            told = {"value": action()}
        except Exception as caught:
            error, told = caught, {"error": str(caught)[:_WORDS] or type(caught).__name__}
        message = json.dumps(told).encode()
    said = np.zeros(_MESSAGE, np.uint8)
    said[: len(message)] = np.frombuffer(message, np.uint8)
    heard = json.loads(np.asarray(_largest(said)).tobytes().rstrip(b"\0"))
    if error is not None:
        raise error
    if "error" in heard:
        raise RuntimeError(f"the first process stopped: {heard['error']}")
    return heard["value"]


def check_agreed(description: Any) -> None:
    """Refuse processes that are not told the same.

    Args:
        description: plain values (JSON).

    Raises:
        ValueError: on all of them, where one has another description.
    """
    if jax.process_count() == 1:
        return
    digest = np.frombuffer(hashlib.sha256(json.dumps(description, sort_keys=True).encode()).digest(), np.uint8)
    if np.any(np.asarray(_largest(digest)) != 255 - np.asarray(_largest(255 - digest))):
        raise ValueError(
            "the processes would train different runs: network, recipe, random key or data of one differ from those of another. "
            "Start all of them with the same options and files."
        )


def any_process(flag: bool) -> jax.Array:
    """Whether the flag is set on any process, known once the device has come to it."""
    return _largest(np.uint8(flag))


def own(tree: Any) -> Any:
    """A tree of arrays that lie whole on every device, as arrays of this process alone."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def _largest(value: Any) -> jax.Array:
    """The largest value over the processes, entry by entry."""
    compiled, rows = _meeting()
    return compiled(jax.make_array_from_process_local_data(rows, np.asarray(value)[None]))


@functools.cache
def _meeting() -> tuple[Callable[[jax.Array], jax.Array], NamedSharding]:
    """A maximum over one device of each process, and the sharding of its argument."""
    devices = {device.process_index: device for device in reversed(jax.devices())}
    mesh = Mesh(np.array([devices[process] for process in sorted(devices)]), ("process",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    largest = jax.jit(lambda values: jnp.max(values, axis=0), out_shardings=everywhere)
    return largest, NamedSharding(mesh, PartitionSpec("process"))
