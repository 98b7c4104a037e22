"""Size buckets of a training stream: which grids share one compiled step, and which bucket a step uses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.typing import Array, Bool, Float
from mpijax.system import Setup

MISS = 1e-3
"""Largest probability with which all draws of a matrix may miss their bucket."""

ESTIMATE_DRAWS = 4096
"""Draws of the prior from which the share of every bucket is estimated."""

BLOCK = 1024
"""Steps whose buckets are drawn together."""


@runtime_checkable
class Prior(Protocol):
    """A hashable distribution of calibrations; ``draw`` is traced, so only arrays may differ between two draws."""

    def draw(self, key: jax.Array) -> Setup:
        """One calibration, a pure function of the key."""
        ...


@dataclass(frozen=True)
class Bucket:
    """Grids that are padded to one static shape.

    A grid belongs to the bucket if low <= extent <= shape along every axis and, where ``above`` is given, it does not fit in
    that smaller box.

    Attributes:
        shape: largest voxels per axis (nx, ny, nz), the padded box.
        low: fewest voxels per axis.
        above: largest box (nx, ny, nz) of the next smaller bucket, or None.
    """

    shape: tuple[int, int, int]
    low: tuple[int, int, int] = (1, 1, 1)
    above: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        if any(not 1 <= low <= high for low, high in zip(self.low, self.shape, strict=True)):
            raise ValueError(f"low = {self.low}, shape = {self.shape}; allowed is 1 <= low <= shape along every axis.")

    def accepts(self, extent: Any) -> Bool[Array, "*batch"]:
        """Whether a grid of ``extent`` (..., 3) voxels belongs here; traced or not."""
        fits = jnp.all((extent >= jnp.asarray(self.low)) & (extent <= jnp.asarray(self.shape)), axis=-1)
        return fits if self.above is None else fits & jnp.any(extent > jnp.asarray(self.above), axis=-1)


def nested_buckets(low: tuple[int, int, int], *shapes: tuple[int, int, int]) -> list[Bucket]:
    """Buckets of growing shapes that share no grid: each takes what is too large for the one before.

    Args:
        low: fewest voxels per axis of all.
        *shapes: largest voxels per axis (nx, ny, nz), the smallest first.
    """
    return [Bucket(shape, low, above) for shape, above in zip(shapes, (None, *shapes), strict=False)]


def acceptance(prior: Prior, buckets: Sequence[Bucket], *, key: jax.Array) -> Float[np.ndarray, " buckets"]:
    """Share of the prior's draws that belong to each bucket, estimated from 4096 draws."""
    keys = jax.random.split(key, ESTIMATE_DRAWS)
    extents = jax.jit(jax.vmap(lambda key: jnp.asarray(prior.draw(key).extent)))(keys)
    return np.array([np.mean(bucket.accepts(extents)) for bucket in buckets])


def check_acceptance(shares: Float[np.ndarray, " buckets"], buckets: Sequence[Bucket], draws: int) -> None:
    """Refuse buckets in which more than one matrix in a thousand would find no fitting grid among its draws.

    Raises:
        ValueError: it names the acceptance and the number of draws that would do.
    """
    for share, bucket in zip(shares, buckets, strict=True):
        if (1 - share) ** draws <= MISS:
            continue
        found = f"{bucket} accepts {share:.2%} of the prior's grids ({round(share * ESTIMATE_DRAWS)} of {ESTIMATE_DRAWS} draws)"
        if share == 0:
            raise ValueError(f"{found}; widen its low and shape, or change the prior's ranges.")
        raise ValueError(
            f"{found}, so that {(1 - share) ** draws:.1%} of the matrices would find none among draws = {draws}; widen the bucket "
            f"or give draws = {math.ceil(math.log(MISS) / math.log1p(-share))} or more."
        )


class BucketSchedule:
    """The bucket of every step: a pure function of (seed, step), known on the host before the device is asked anything.

    The buckets of 1024 steps come from one Philox generator keyed by the seed and the number of the block. What is kept
    between calls is a table of what has been asked for; it only saves time.

    Args:
        shares: relative frequency of each bucket.
        seed: words of the seed.
    """

    def __init__(self, shares: Float[np.ndarray, " buckets"], seed: Sequence[int]):
        self._edges = np.cumsum(shares) / np.sum(shares)
        self._seed = tuple(int(word) for word in seed)
        self._buckets = np.zeros(0, np.int64)
        self._uses = np.zeros(0, np.int64)

    def at(self, step: int) -> tuple[int, int]:
        """Bucket of a step (0, 1, ..), and how many earlier steps used the same bucket."""
        while step >= len(self._buckets):
            self._extend()
        return int(self._buckets[step]), int(self._uses[step])

    def _extend(self) -> None:
        block = len(self._buckets) // BLOCK
        uniform = np.random.Generator(np.random.Philox([*self._seed, block])).random(BLOCK)
        drawn = np.searchsorted(self._edges[:-1], uniform, side="right")
        uses = np.empty(BLOCK, np.int64)
        for bucket in range(len(self._edges)):
            here = drawn == bucket
            uses[here] = np.count_nonzero(self._buckets == bucket) + np.arange(np.count_nonzero(here))
        self._buckets = np.concatenate([self._buckets, drawn])
        self._uses = np.concatenate([self._uses, uses])
