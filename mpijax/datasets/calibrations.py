"""Calibrations drawn from a prior while a network trains."""

from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from mpijax.core.checks import check_count
from mpijax.datasets.buckets import Bucket, Prior, nested_buckets
from mpijax.datasets.imperfections import Imperfections
from mpijax.datasets.pairs import Pairs, Rows
from mpijax.datasets.presets import Preset
from mpijax.datasets.reservoir import RowStream
from mpijax.datasets.samplers import RestorationPrior, SameScanner, ScannerPrior

HELD_OUT = 7919
"""Seed of the matrices that are never trained on."""

VOLUMES: dict[str, Any] = {
    "slots": 32, "rows_per_matrix": 64, "reuse": 30, "nodes": 20, "validation": 3,
    "imperfections": Imperfections(size_ratio=None),
}  # fmt: skip
"""What makes 3-D matrices, which take seconds each, go further: rows of a second size would take as long again."""


@dataclass(frozen=True)
class Calibrations:
    """Rows of matrices that are simulated while a network trains, see :class:`RowStream`.

    Attributes:
        prior: distribution of calibrations.
        boxes: padded sizes [voxels per axis]; grids that fit none are not drawn.
        smallest: voxels per axis of the smallest grid.
        slots: matrices in the reservoir of each box.
        rows_per_matrix: rows kept of each.
        reuse: steps between two new matrices.
        draws: draws of the prior among which one must fit a box; None = 256, in 3-D 1,024.
        max_order: largest mixing order of a row; None = no limit.
        nodes: drive phases per axis at which moments are simulated; None = the samples of a period.
        validation: matrices to validate on, 8 rows of each; 0 = none. They are the prior's own, without imperfections.
        imperfections: of coils, selection field and sizes, drawn for every training matrix; None = none. They are on unless
            switched off, one by one or all: a network that never saw them is sure of what real scanners do not do.
    """

    prior: Prior
    boxes: tuple[int, ...] = (32, 48)
    smallest: int = 8
    slots: int = 64
    rows_per_matrix: int = 32
    reuse: int = 8
    draws: int | None = None
    max_order: int | None = None
    nodes: int | None = None
    validation: int = 24
    imperfections: Imperfections | None = Imperfections()

    def __post_init__(self) -> None:
        for name in ("smallest", "slots", "rows_per_matrix", "reuse"):
            check_count(name, getattr(self, name))
        check_count("validation", self.validation, 0)
        for name in ("draws", "max_order", "nodes"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if not self.boxes:
            raise ValueError("boxes is empty; give at least one size in voxels per axis.")
        for size in self.boxes:
            check_count("boxes", size, self.smallest)

    @property
    def dimensions(self) -> int:
        """Those that the prior says, else driven axes of its sequence; a line along one axis counts as planar."""
        if isinstance(said := getattr(self.prior, "dimensions", None), int):
            return said
        return max(2, sum(jax.eval_shape(self.prior.draw, jax.random.key(0)).sequence.active))

    @classmethod
    def of_scanner(cls, preset: Preset, *, particles: str = "mixed", **options: Any) -> "Calibrations":
        """Calibrations of one scanner with random particles, on its own grid.

        Args:
            preset: scanner, sequence and grid, e.g. ``mpijax.datasets.presets.preset("2d", gradient=...)``.
            particles: "mixed", "fluid", "immobilized" or "langevin".
            options: other attributes.
        """
        used = [n for n in preset.shape if n > 1]
        prior = ScannerPrior(preset, RestorationPrior(2, particles))
        own: dict[str, Any] = {"boxes": (max(used),), "smallest": min(used), "draws": 1}
        return cls(prior, **own | (VOLUMES if len(used) == 3 else {}) | options)

    @classmethod
    def of_same(cls, prior: SameScanner, **options: Any) -> "Calibrations":
        """Calibrations of a scanner as its files describe it; :func:`mpijax.restoration.like` makes them of a file.

        Args:
            prior: scanner, sequence, grid and ranges of the particles.
            options: other attributes.
        """
        used = prior.shape[: prior.dimensions]
        own: dict[str, Any] = {"boxes": (max(used),), "smallest": min(used), "draws": 1}
        if sum(prior.sequence.active) == 3:
            own["nodes"] = VOLUMES["nodes"]
        return cls(prior, **own | (VOLUMES if prior.dimensions == 3 else {}) | options)

    @property
    def shape(self) -> None:
        """It varies."""
        return None

    @property
    def facts(self) -> dict[str, Any]:
        """The prior's values; those of the stream, imperfections among them, are written by the training."""
        prior: Any = self.prior
        return {"prior": asdict(prior) if is_dataclass(type(prior)) else repr(prior)}

    def batches(
        self, pairs: Pairs, batch_size: int, key: jax.Array, *, sharding: NamedSharding | None = None
    ) -> RowStream:
        """An endless stream of pairs.

        Raises:
            ValueError: pairs that are made of whole batches of one grid.
        """
        pair = getattr(pairs, "pair", None)
        if pair is None:
            raise ValueError(
                f"{type(pairs).__name__} makes pairs of rows on one grid; with calibrations of many grids use RandomCorruption."
            )
        low, *shapes = map(self._cube, (self.smallest, *sorted(self.boxes)))
        buckets = nested_buckets(low, *shapes)
        return self._stream(
            pair, buckets, batch_size, key, self.slots, self.rows_per_matrix, self.imperfections, sharding
        )

    def held_out(self) -> Rows | None:
        """8 usable rows of each of a few matrices in the largest box, drawn with a seed of their own."""
        if not self.validation:
            return None
        bucket = Bucket(self._cube(max(self.boxes)), self._cube(self.smallest))
        key = jax.random.key(HELD_OUT)
        source = self._stream(lambda key, row, extent: {"row": row}, [bucket], 1, key, 1, 8).sources[0]
        drawn = jax.jit(lambda numbers: jax.lax.map(lambda number: source.matrix(key, number), numbers))(
            np.arange(self.validation, dtype=np.int32)
        )
        matrix, row = np.nonzero(np.asarray(drawn.usable))
        nx, ny, nz = bucket.shape
        images = jnp.asarray(drawn.rows)[matrix, row].reshape(-1, *((nz, ny, nx) if self.dimensions == 3 else (ny, nx)))
        return Rows(images, jnp.zeros(len(images)), extent=jnp.asarray(drawn.extent)[matrix])

    def _stream(
        self,
        pair: Any,
        buckets: list[Bucket],
        batch_size: int,
        key: jax.Array,
        slots: int,
        rows: int,
        imperfections: Imperfections | None = None,
        sharding: NamedSharding | None = None,
    ) -> RowStream:
        draws = self.draws or (1024 if self.dimensions == 3 else 256)
        return RowStream(
            self.prior, pair, buckets, key=key, batch_size=batch_size, slots=slots, rows_per_matrix=rows, reuse=self.reuse,
            draws=draws, max_order=self.max_order, nodes=self.nodes, imperfections=imperfections, sharding=sharding,
        )  # fmt: skip

    def _cube(self, n: int) -> tuple[int, int, int]:
        return n, n, n if self.dimensions == 3 else 1
