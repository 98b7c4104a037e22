"""How many frames of ``mpijax reconstruct`` are solved together, and on what."""

from dataclasses import dataclass

import jax
from jax.sharding import NamedSharding, PartitionSpec

import mpijax as mj
from mpijax.core.checks import check_choice, check_count
from mpijax.core.sharding import row_sharding

BLOCK_BYTES = 2**26
"""Measured data of a block, at most where its size is not given."""
MOST_IMAGES = 512
"""Images of a block, at most where its size is not given: more would not be faster, and less would be lost."""


@dataclass(frozen=True)
class BlockOptions:
    """How many frames are solved together, and on what.

    Attributes:
        devices: devices to use: all, or how many; not given = one.
        split: what the devices share: the frames, or the rows of a matrix larger than one of them (tikhonov and admm).
        block: images solved and written at a time; not given = 64 MB of measured data, 512 at most.
    """

    devices: str | None = None
    split: str = "frames"
    block: int | None = None

    def sharding(self) -> NamedSharding | None:
        """Of the data (frames, rows) over the devices.

        Raises:
            ValueError: no devices, or more than there are, or none to share rows.
        """
        if self.block is not None:
            check_count("block", self.block)
        check_choice("split", self.split, ("frames", "rows"))
        frames = self._frames()
        if self.split == "frames":
            return frames
        if frames is None:
            raise ValueError("split = 'rows' needs devices that share them; give --devices all, or how many.")
        return NamedSharding(frames.mesh, PartitionSpec(None, *frames.spec))

    def _frames(self) -> NamedSharding | None:
        if self.devices in (None, "all"):
            return None if self.devices is None else row_sharding()
        found = jax.devices()
        if not self.devices.isdecimal() or not 1 <= int(self.devices) <= len(found):
            raise ValueError(
                f"devices = {self.devices}; this process has {len(found)} ({found[0].platform}): give all or a number from 1 to "
                f"{len(found)}. A CPU counts as N devices with XLA_FLAGS=--xla_force_host_platform_device_count=N."
            )
        return row_sharding(found[: int(self.devices)])

    def size(self, scan: mj.io.MDFInfo, periods: int, devices: int) -> int:
        """Images per block, a multiple of the devices where it is not given."""
        if self.block is not None:
            return self.block
        fit = BLOCK_BYTES // (8 * periods * scan.n_channels * len(scan.frequency_indices))
        return devices * -(-min(max(fit, 1), MOST_IMAGES) // devices)
