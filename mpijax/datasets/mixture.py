"""Training rows of several kinds: fixed pools of matrices beside those that are simulated while a network trains."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from mpijax.core.checks import check_count, check_finite
from mpijax.core.files import atomic_path
from mpijax.core.sharding import share_rows
from mpijax.datasets.buckets import BucketSchedule
from mpijax.datasets.fixed_sets import FixedRows, box_shape
from mpijax.datasets.pairs import Pairs, Rows
from mpijax.datasets.reservoir import BatchDraw, MatrixRows
from mpijax.datasets.sources import Source


@dataclass(frozen=True)
class MatrixPool:
    """Rows of matrices that were simulated beforehand, because they take too long while a network trains.

    Every batch draws from all matrices, of equal odds where they have equally many rows. Made by :meth:`write`; the file's checksum
    is among the facts that stand beside the weights.

    Attributes:
        path: file (.npz) of rows.
        box: padded size [voxels per axis] that holds every grid.
        validation: matrices, the last ones, that are kept to validate on; 0 = none.
    """

    path: Path
    box: int = 32
    validation: int = 0

    def __post_init__(self) -> None:
        check_count("box", self.box)
        check_count("validation", self.validation, 0)

    @staticmethod
    def write(path: str | Path, rows: FixedRows) -> None:
        """Write a pool, whole or not at all."""
        with atomic_path(Path(path)) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **{field.name: getattr(rows, field.name) for field in fields(FixedRows)})

    @cached_property
    def rows(self) -> FixedRows:
        """What the file holds.

        Raises:
            ValueError: it is no pool.
        """
        try:
            with np.load(self.path, allow_pickle=False) as data:
                return FixedRows(**{field.name: data[field.name] for field in fields(FixedRows)})
        except (KeyError, ValueError, EOFError) as error:
            raise ValueError(f"{self.path} is not a pool of rows, or is damaged ({error}); make it again.") from None

    @cached_property
    def matrices(self) -> MatrixRows:
        """All matrices (m, r, n) in the corner of their boxes, each divided by its largest modulus."""
        rows, shape = self.rows, box_shape(self.rows.extents.max(axis=0), (self.box,))
        count = np.bincount(rows.matrix, minlength=len(rows.extents))
        place = np.concatenate([np.arange(n) for n in count])  # rows of a matrix stand together
        images = np.zeros((len(count), count.max(), *shape[::-1]), np.complex64)
        for i in range(len(rows)):
            nx, ny, nz = rows.extents[rows.matrix[i]]
            images[rows.matrix[i], place[i], :nz, :ny, :nx] = rows.image(i)
        scale = np.abs(images).max(axis=(1, 2, 3, 4))
        check_finite("rows of the pool", images)
        filled = np.arange(count.max()) < count[:, None]

        def padded(values: np.ndarray) -> np.ndarray:
            whole = np.zeros(filled.shape, np.int32)
            whole[rows.matrix, place] = values
            return whole

        return MatrixRows(
            rows=(images / np.where(scale > 0, scale, 1)[:, None, None, None, None]).reshape(*filled.shape, -1),
            channel=padded(rows.channel),
            frequency_index=padded(rows.frequency_index),
            usable=filled,
            extent=rows.extents.astype(np.int32),
            accepted=scale > 0,
            number=np.arange(len(count), dtype=np.int32),
        )

    @property
    def dimensions(self) -> int:
        """Axes of a row."""
        return 3 if self.rows.extents[:, 2].max() > 1 else 2

    @property
    def shape(self) -> None:
        """It varies."""
        return None

    @property
    def facts(self) -> dict[str, Any]:
        """Name, checksum and size of the pool."""
        digest = hashlib.sha256(Path(self.path).read_bytes()).hexdigest()
        return {
            "pool": Path(self.path).name,
            "sha256": digest,
            "matrices": len(self.rows.extents),
            "rows": len(self.rows),
        }

    def batches(
        self, pairs: Pairs, batch_size: int, key: jax.Array, *, sharding: NamedSharding | None = None
    ) -> jax.tree_util.Partial:
        """Batches of rows of all matrices but those kept to validate on."""
        pair: Any = pairs
        kept = len(self.rows.extents) - self.validation
        training = jax.tree.map(lambda leaf: jnp.asarray(leaf[:kept]), self.matrices)
        draw = BatchDraw(box_shape(self.rows.extents.max(axis=0), (self.box,)), batch_size, None)
        batches = jax.tree_util.Partial(draw, jax.tree_util.Partial(pair.pair), training)
        return batches if sharding is None else share_rows(batches, sharding)

    def held_out(self) -> Rows | None:
        """8 rows of each of the last matrices."""
        if not self.validation:
            return None
        kept = jax.tree.map(lambda leaf: leaf[-self.validation :], self.matrices)
        matrix, row = np.nonzero(kept.usable & (np.arange(kept.usable.shape[1]) < 8))
        nx, ny, nz = box_shape(self.rows.extents.max(axis=0), (self.box,))
        images = jnp.asarray(kept.rows[matrix, row].reshape(-1, *((ny, nx) if nz == 1 else (nz, ny, nx))))
        return Rows(images, jnp.zeros(len(images)), extent=jnp.asarray(kept.extent[matrix]))


@dataclass(frozen=True)
class Mixture:
    """Batches of several sources, each step from one of them.

    Attributes:
        sources: what is mixed; the first one chooses the weights that are kept (its ``held_out``).
        shares: of the steps, in the sources' order; they are divided by their sum.
    """

    sources: tuple[Source, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.sources or len(self.sources) != len(self.shares) or not all(share > 0 for share in self.shares):
            raise ValueError(
                f"{len(self.sources)} sources with shares = {self.shares}; give one positive share per source, at least one."
            )
        if len({source.dimensions for source in self.sources}) > 1:
            raise ValueError(
                f"the sources hold rows of {[source.dimensions for source in self.sources]} dimensions; mix rows of one kind."
            )

    @property
    def dimensions(self) -> int:
        """Axes of a row."""
        return self.sources[0].dimensions

    @property
    def shape(self) -> None:
        """It varies."""
        return None

    @property
    def facts(self) -> dict[str, Any]:
        """Those of the sources."""
        return {
            "mixture": [dict(source.facts) | {"share": s} for source, s in zip(self.sources, self.shares, strict=True)]
        }

    def batches(
        self, pairs: Pairs, batch_size: int, key: jax.Array, *, sharding: NamedSharding | None = None
    ) -> "MixedStream":
        """The stream of all."""
        shared: dict[str, Any] = {} if sharding is None else {"sharding": sharding}
        streams = [
            source.batches(pairs, batch_size, jax.random.fold_in(key, i), **shared)
            for i, source in enumerate(self.sources)
        ]
        return MixedStream(streams, self.shares, key, **shared)

    def held_out(self) -> Rows | None:
        """Of the first source."""
        return self.sources[0].held_out()


class MixedStream:
    """The stream of a :class:`Mixture`: which source a step takes is a pure function of the key and the step."""

    def __init__(
        self, streams: Sequence[Any], shares: Sequence[float], key: jax.Array, sharding: NamedSharding | None = None
    ):
        self._streams, self.sharding = streams, sharding
        self._schedule = BucketSchedule(np.asarray(shares, float), [*np.ravel(jax.random.key_data(key)).tolist(), 1])
        self.facts = {"shares": list(shares), "streams": [getattr(stream, "facts", None) for stream in streams]}

    def at(self, step: int) -> jax.tree_util.Partial:
        """Batch function of a step."""
        number, _ = self._schedule.at(step)
        stream = self._streams[number]
        return stream if isinstance(stream, jax.tree_util.Partial) else stream.at(step)

    def examples(self) -> list[jax.tree_util.Partial]:
        """One batch function of each kind."""
        return [
            example
            for stream in self._streams
            for example in ([stream] if isinstance(stream, jax.tree_util.Partial) else stream.examples())
        ]

    def report(self, steps_per_second: float | None) -> dict[str, Any]:
        """Of the first stream that simulates."""
        simulating = [stream for stream in self._streams if not isinstance(stream, jax.tree_util.Partial)]
        return simulating[0].report(steps_per_second) if simulating else {}
