"""Data parallelism: the rows of a batch are shared out over devices, everything else lies whole on each of them."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def row_sharding(devices: Sequence[Any] | None = None) -> NamedSharding:
    """Rows over devices: the leading axis of an array is split along the mesh axis "data".

    Args:
        devices: Devices to use; None = all of this process's backend.
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
