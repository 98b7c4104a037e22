"""Data parallelism: the rows of a batch are shared out over devices, everything else lies whole on each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def row_sharding(devices: Sequence[Any] | None = None) -> NamedSharding:
    """Rows over devices: the leading axis of an array is split along the mesh axis "data".

    Args:
        devices: Devices to use; None = all of the backend, those of other processes included.
    """
    devices = jax.devices() if devices is None else devices
    mesh = jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)
    return NamedSharding(mesh, PartitionSpec("data"))


def replicate(tree: Any, rows: NamedSharding) -> Any:
    """A tree whose arrays lie whole on every device that ``rows`` uses.

    Args:
        tree: Arrays.
        rows: Made by `row_sharding`.
    """
    return jax.device_put(tree, NamedSharding(rows.mesh, PartitionSpec()))


def shared_out(array: Any) -> NamedSharding | None:
    """How the leading axis of an array is split over devices; None where it is not, or not known (a tracer)."""
    sharding = None if isinstance(array, jax.core.Tracer) else getattr(array, "sharding", None)
    return sharding if isinstance(sharding, NamedSharding) and sharding.spec[:1] not in ((), (None,)) else None


def each_device(function: Callable[..., Any], rows: NamedSharding, arguments: Any, results: Any) -> Callable[..., Any]:
    """The function as every device runs it on its own share.

    Args:
        function: Of the shares; what it returns may differ between devices.
        rows: Names the devices.
        arguments, results: ``PartitionSpec`` of each, empty where it lies whole on every device.
    """
    return jax.shard_map(function, mesh=rows.mesh, in_specs=arguments, out_specs=results, check_vma=False)


def share_out(array: Any, rows: NamedSharding) -> jax.Array:
    """An array over devices, filled up with zero rows to a multiple of their number.

    Args:
        array: Any number of rows.
        rows: How the leading axis is split.
    """
    axes = rows.spec[0] if isinstance(rows.spec[0], tuple) else (rows.spec[0],)
    missing = -len(array) % int(np.prod([rows.mesh.shape[axis] for axis in axes]))
    zeros = np.zeros((missing, *np.shape(array)[1:]), array.dtype)
    return jax.device_put(np.concatenate([np.asarray(array), zeros]) if missing else array, rows)


def share_rows(batches: jax.tree_util.Partial, rows: NamedSharding) -> jax.tree_util.Partial:
    """A batch function whose arrays lie whole on every device and whose batches are shared out by rows.

    Args:
        batches: Key -> batch, a dictionary of arrays; ``input`` has the number of rows.
        rows: Made by `row_sharding`.
    """
    return jax.tree_util.Partial(_Shared(rows), replicate(batches, rows))


@dataclass(frozen=True)
class _Shared:
    """(batch function, key) -> batch; compared by value, so that equal ones share a compiled step."""

    rows: NamedSharding

    def __call__(self, batches: jax.tree_util.Partial, key: jax.Array) -> dict[str, Any]:
        batch = batches(key)
        count = batch["input"].shape[0] if "input" in batch else None
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(leaf, self.rows) if count in leaf.shape[:1] else leaf, batch
        )
