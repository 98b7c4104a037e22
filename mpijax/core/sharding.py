"""Arrays over devices: one axis is shared out, as the rows of a batch, and everything else lies whole on each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
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
    """An array over devices, filled up with zeros to a multiple of their number.

    Every device gets its share and no more from an array of the host, of which no copy is made.

    Args:
        array: Of any length.
        rows: Which one axis is split, and how.
    """
    missing = lacking(array.shape, rows)
    if isinstance(array, jax.Array) and not any(missing):
        return jax.device_put(array, rows)
    host, dtype = np.asarray(array), jax.dtypes.canonicalize_dtype(array.dtype)
    shape = tuple(np.add(host.shape, missing).tolist())

    def share(index: Any) -> np.ndarray:
        given = host[index]
        widths = [
            (0, len(range(*part.indices(size))) - length)
            for part, size, length in zip(index, shape, given.shape, strict=True)
        ]
        return np.pad(given.astype(dtype, copy=False), widths)

    return jax.make_array_from_callback(shape, rows, share)


def lacking(shape: tuple[int, ...], rows: NamedSharding) -> list[int]:
    """How many entries every axis of an array lacks to a multiple of the devices that it is split over."""
    names = [axis if isinstance(axis, tuple) else (axis,) for axis in (*rows.spec, *[None] * len(shape))]
    counts = [prod(rows.mesh.shape[name] for name in several if name is not None) for several in names]
    return [-size % count for size, count in zip(shape, counts, strict=False)]


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
