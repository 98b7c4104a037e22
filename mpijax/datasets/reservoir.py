"""An endless stream of training rows: matrices are simulated on the fly into a reservoir on the device.

Simulating a matrix costs more than a training step, so a matrix is used more than once. A reservoir holds ``slots`` matrices
of ``rows_per_matrix`` rows each, every batch draws from all of them, and every ``reuse`` steps the oldest matrix is replaced
by a new one. The simulation costs refresh/(reuse * step) of the training time. A matrix lives slots * reuse steps, and one of
its rows is used about batch_size * reuse / rows_per_matrix times, each time with another corruption.

Nothing depends on what happened before. Matrix number s of a bucket is a pure function of (key, bucket, s); before use n of
the bucket its reservoir holds the numbers r .. r + slots - 1 with r = n // reuse, number s in slot s mod slots; the row at
place i of the batch of step t is a pure function of (run key, t, i). A resume simulates the last ``slots`` numbers again and
goes on bit for bit; several devices draw the same rows as one.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from mpijax.core.checks import check_count
from mpijax.core.pytree import pytree
from mpijax.core.typing import Int
from mpijax.datasets.buckets import Bucket, BucketSchedule, Prior, acceptance, check_acceptance
from mpijax.datasets.imperfections import Imperfections
from mpijax.physics.sequences import UNREACHED
from mpijax.rows.scaling import present_rows
from mpijax.system import LissajousSequence, simulate_rows

Pair = Callable[[jax.Array, jax.Array, jax.Array], dict[str, jax.Array]]
"""(key, complex row (y, x) or (z, y, x) in the corner of its box, extent (3,)) -> a training pair, arrays of one row.

``RandomCorruption(...).pair`` is one. Large arrays of it go in as ``jax.tree_util.Partial(function, arrays)``."""


@pytree
class MatrixRows:
    """Usable rows of one simulated matrix; a reservoir stacks them along a leading axis of slots.

    Attributes:
        rows: complex (r, n), divided by the largest modulus of the matrix, zero outside the extent.
        channel: receive channel of each row (r,).
        frequency_index: bin of each row (r,).
        usable: (r,); False where the matrix has fewer than r usable rows.
        extent: voxels per axis (3,).
        accepted: whether one of the draws fitted the bucket; if not, no row is usable.
        number: of the matrix in its bucket.
    """

    rows: Any
    channel: Any
    frequency_index: Any
    usable: Any
    extent: Any
    accepted: Any
    number: Any


def candidate_bins(sequence: LissajousSequence, max_order: int | None = None) -> Int[np.ndarray, " f"]:
    """Bins that may give rows, by rising mixing order: neither k = 0, nor Nyquist, nor a bin that no order reaches.

    Args:
        sequence: drive field and sampling.
        max_order: largest sum |n_i|; None = no limit.

    Raises:
        ValueError: no bin is left.
    """
    orders = sequence.mixing_orders(max_order)[: (sequence.n_samples + 1) // 2]
    reached = np.flatnonzero(orders[:, 0] != UNREACHED)
    bins = reached[reached > 0]
    if not bins.size:
        if max_order is None:
            raise ValueError(
                f"dividers = {sequence.dividers} leave no frequency in a period of {sequence.n_samples} samples; give those of the "
                "drive field, e.g. (102, 96, 99)."
            )
        raise ValueError(f"max_order = {max_order} leaves no frequency; the drive frequencies have order 1.")
    return bins[np.argsort(np.abs(orders[bins]).sum(1), kind="stable")]


@dataclass(frozen=True)
class MatrixSource:
    """Draws a calibration of a bucket and simulates some of its rows; pure and traced, compared by value.

    The first of ``draws`` draws of the prior that fits the bucket is taken. A matrix is never simulated whole: the bins, sorted
    by mixing order, are cut into as many strata as there are candidates, one bin is drawn from each, and only these are
    kept, beside the drive frequencies, which hold the largest values of a matrix and set its scale. Of the candidate rows (every
    channel of every candidate bin) those below 1e-5 of the scale, or zero, are dropped, and ``rows`` of the others are drawn
    without replacement.

    Attributes:
        prior: distribution of calibrations.
        bucket: grids that are accepted.
        bins: candidate bins by rising mixing order (f,).
        drive_bins: bins of the drive frequencies.
        candidates: bins simulated for one matrix.
        rows: rows kept of one matrix.
        draws: draws of the prior among which one must fit.
        nodes: phases per driven axis, see :func:`mpijax.system.simulate_rows`.
        imperfections: of coils, field and sizes, drawn for every matrix; None = the prior's own calibrations.
    """

    prior: Prior
    bucket: Bucket
    bins: tuple[int, ...]
    drive_bins: tuple[int, ...]
    candidates: int
    rows: int
    draws: int
    nodes: int | None = None
    imperfections: Imperfections | None = None

    def matrix(self, key: jax.Array, number: Any) -> MatrixRows:
        """Matrix of a number, a pure function of fold_in(key, number)."""
        draw_key, bin_key, row_key = jax.random.split(jax.random.fold_in(key, number), 3)
        keys = jax.random.split(draw_key, self.draws)
        fits = jax.vmap(lambda key: self.bucket.accepts(jnp.asarray(self.prior.draw(key).extent)))(keys)
        first = jnp.argmax(fits)
        # drawn again from its key instead of picked from the stack: what the prior knows concretely stays concrete
        setup = self.prior.draw(keys[first])

        strata = np.arange(self.candidates + 1) * len(self.bins) // self.candidates
        place = jax.random.randint(bin_key, (self.candidates,), strata[:-1], strata[1:])
        bins = jnp.concatenate([jnp.asarray(self.bins)[place], jnp.asarray(self.drive_bins)])
        if self.imperfections is None:
            values, _ = simulate_rows(setup, self.bucket.shape, bins, nodes=self.nodes)
        else:
            extra = jax.random.fold_in(draw_key, self.draws)
            values = self.imperfections.rows(extra, setup, self.bucket.shape, bins, self.nodes)

        scale = jnp.max(jnp.abs(values))
        usable = present_rows(values)[:, : self.candidates] & fits[first]
        score = jnp.where(usable, jax.random.uniform(row_key, usable.shape), -1.0)
        score, chosen = jax.lax.top_k(score.reshape(-1), self.rows)
        channel, place = jnp.divmod(chosen, self.candidates)
        return MatrixRows(
            rows=values[channel, place] / jnp.where(scale > 0, scale, 1),
            channel=channel,
            frequency_index=bins[place],
            usable=score >= 0,
            extent=jnp.minimum(jnp.asarray(setup.extent), jnp.asarray(self.bucket.shape)),
            accepted=fits[first],
            number=jnp.asarray(number, jnp.int32),
        )


@functools.lru_cache(maxsize=16)
def compiled_refresh(source: MatrixSource, sharding: NamedSharding | None) -> Callable[..., MatrixRows]:
    """Compile ``refresh(reservoir, key, number, slot)``, which puts a matrix into a slot and takes the reservoir's memory.

    Continuing a run in the same process does not compile again.
    """

    def refresh(reservoir: MatrixRows, key: jax.Array, number: jax.Array, slot: jax.Array) -> MatrixRows:
        return jax.tree.map(lambda old, new: old.at[slot].set(new), reservoir, source.matrix(key, number))

    return jax.jit(refresh, donate_argnums=0, out_shardings=sharding)


@dataclass(frozen=True)
class BatchDraw:
    """(pair, reservoir, key) -> batch; compared by value, so that equal draws share a compiled step.

    Attributes:
        shape: the bucket's padded box (nx, ny, nz).
        batch_size: rows.
        sharding: places of the rows, or None.
    """

    shape: tuple[int, int, int]
    batch_size: int
    sharding: NamedSharding | None

    def __call__(self, pair: jax.tree_util.Partial, reservoir: MatrixRows, key: jax.Array) -> dict[str, jax.Array]:
        """Row i of the batch is drawn from the usable ones of all matrices with fold_in(key, i), on any number of devices."""
        nx, ny, nz = self.shape
        box = (ny, nx) if nz == 1 else (nz, ny, nx)
        usable = reservoir.usable.reshape(-1)
        order, count = jnp.argsort(~usable, stable=True), jnp.sum(usable)

        def one(index: jax.Array) -> dict[str, jax.Array]:
            choice_key, pair_key = jax.random.split(jax.random.fold_in(key, index))
            chosen = order[jax.random.randint(choice_key, (), 0, count)]
            slot, row = jnp.divmod(chosen, reservoir.usable.shape[1])
            return pair(pair_key, reservoir.rows[slot, row].reshape(box), reservoir.extent[slot])

        return self._place(jax.vmap(one)(self._place(jnp.arange(self.batch_size))))

    def _place(self, tree: Any) -> Any:
        return tree if self.sharding is None else jax.lax.with_sharding_constraint(tree, self.sharding)


class RowStream:
    """Batches for ``mpijax.training.fit`` from matrices that are simulated while it trains.

    Which bucket a step uses is decided on the host, see :class:`BucketSchedule`, with the probabilities that the prior gives
    the buckets; every bucket has one compiled refresh and one compiled training step. Neither waits for the device. A run
    directory remembers ``facts``, the settings; name prior and pair in the metadata of ``fit``.

    Args:
        prior: distribution of calibrations, e.g. of `mpijax.datasets.samplers`.
        pair: makes a training pair of one row, e.g. ``RandomCorruption().pair``.
        buckets: which grids share a padded shape.
        key: random key of matrices and buckets.
        batch_size: rows per step.
        slots: matrices in a bucket's reservoir.
        rows_per_matrix: rows kept of each.
        reuse: steps of a bucket between two new matrices.
        draws: draws of the prior per matrix, of which the first that fits is taken.
        max_order: largest mixing order of a row; None = no limit.
        candidates: bins simulated per matrix; None = four times rows_per_matrix, or all there are.
        nodes: phases per driven axis at which moments are simulated, see :func:`mpijax.system.simulate_rows`; None = the samples
            of a period. 3-D matrices come several times faster from 20 of them.
        imperfections: see :class:`mpijax.datasets.Imperfections`; None = the prior's own calibrations.
        sharding: of the batch's rows over devices (`mpijax.training.row_sharding`); the reservoirs lie whole on each.

    Raises:
        ValueError: a bucket that the prior hardly ever fills (the acceptance is named), counts below one, too few candidate
            rows, or rows that do not divide among the devices.

    Memory: slots * rows_per_matrix * 8 n bytes per bucket of n voxels (0.5 GB for 32^3 with the defaults).
    """

    def __init__(
        self,
        prior: Prior,
        pair: Pair,
        buckets: Sequence[Bucket],
        *,
        key: jax.Array,
        batch_size: int = 64,
        slots: int = 64,
        rows_per_matrix: int = 32,
        reuse: int = 8,
        draws: int = 256,
        max_order: int | None = None,
        candidates: int | None = None,
        nodes: int | None = None,
        imperfections: Imperfections | None = None,
        sharding: NamedSharding | None = None,
    ):
        counts = dict(batch_size=batch_size, slots=slots, rows_per_matrix=rows_per_matrix, reuse=reuse, draws=draws)
        for name, count in counts.items():
            check_count(name, count)
        if not buckets:
            raise ValueError("buckets is empty; give at least one Bucket.")
        if candidates is not None:
            check_count("candidates", candidates)
        if sharding is not None and batch_size % sharding.mesh.size:
            raise ValueError(
                f"batch_size = {batch_size} rows cannot be shared equally by {sharding.mesh.size} devices."
            )
        shares = acceptance(prior, buckets, key=jax.random.fold_in(key, len(buckets)))
        check_acceptance(shares, buckets, draws)
        sequence = jax.eval_shape(prior.draw, key).sequence
        bins = candidate_bins(sequence, max_order)
        candidates = min(4 * rows_per_matrix if candidates is None else candidates, len(bins))
        if candidates < rows_per_matrix:
            raise ValueError(
                f"rows_per_matrix = {rows_per_matrix}, but only {candidates} candidate bins (max_order = {max_order} leaves "
                f"{len(bins)}); give at least as many candidates as rows."
            )
        drive = tuple(m for m in sequence.cycles if 0 < m < (sequence.n_samples + 1) // 2)

        self.batch_size, self.slots, self.reuse, self.sharding = batch_size, slots, reuse, sharding
        self.sources = [
            MatrixSource(
                prior, b, tuple(bins.tolist()), drive, candidates, rows_per_matrix, draws, nodes, imperfections
            )
            for b in buckets
        ]
        self.facts: dict[str, Any] = {
            "key": jax.random.key_data(key).tolist(),
            "buckets": [asdict(bucket) for bucket in buckets],
            "acceptance": shares.tolist(),
            **counts,
            "max_order": max_order,
            "candidates": candidates,
            "nodes": nodes,
        } | ({} if imperfections is None else {"imperfections": asdict(imperfections)})
        self._shares = shares / shares.sum()
        self._schedule = BucketSchedule(shares, np.ravel(jax.random.key_data(key)).tolist())
        self._pair = pair if isinstance(pair, jax.tree_util.Partial) else jax.tree_util.Partial(pair)
        self._keys = [jax.random.fold_in(key, index) for index in range(len(buckets))]
        self._draws = [BatchDraw(bucket.shape, batch_size, sharding) for bucket in buckets]
        self._refresh = [compiled_refresh(source, self._everywhere()) for source in self.sources]
        self._shapes = [self._empty(source, key) for source, key in zip(self.sources, self._keys, strict=True)]
        self._first: list[int | None] = [None] * len(buckets)
        self.reservoirs: list[Any] = [None] * len(buckets)
        """Of each bucket, None before its first use. A refresh takes the memory of the one before."""
        self._seconds: dict[int, float] = {}

    def at(self, step: int) -> jax.tree_util.Partial:
        """Batch function of a step (0, 1, ..), with the bucket's reservoir as it belongs to this step.

        Consecutive steps refresh at most one matrix; any other order of steps simulates what is missing. Call the function
        before the next ``at`` or ``report``, which may take the reservoir's memory.

        Raises:
            ValueError: a step that is not a whole number of at least 0.
        """
        check_count("step", step, 0)
        bucket, use = self._schedule.at(step)
        self._advance(bucket, use // self.reuse)
        return self._batches(bucket, self.reservoirs[bucket])

    def examples(self) -> list[jax.tree_util.Partial]:
        """One batch function of each bucket with shapes in place of arrays, for `jax.eval_shape`."""
        return [self._batches(bucket, shapes) for bucket, shapes in enumerate(self._shapes)]

    def report(self, steps_per_second: float | None) -> dict[str, Any]:
        """How the stream is doing; it waits for the device, and the first report times one refresh of every bucket in use.

        Args:
            steps_per_second: measured over steps with their refreshes, or None.

        Returns:
            rows_per_second; refresh_seconds, the mean time of one refresh; refresh_ratio = refresh / (reuse * step), the step
            without refreshes; matrices_missed, slots for which no draw fitted; usable_rows, share of the rows kept.
        """
        used = [bucket for bucket, reservoir in enumerate(self.reservoirs) if reservoir is not None]
        for bucket in used:
            if bucket not in self._seconds:
                self._seconds[bucket] = self._timed_refresh(bucket)
        mean = sum(self._shares[b] * self._seconds[b] for b in used) / max(sum(self._shares[b] for b in used), 1e-30)
        share = None if steps_per_second is None else mean / self.reuse * steps_per_second
        filled = [self.reservoirs[bucket] for bucket in used]
        return {
            "rows_per_second": None if steps_per_second is None else self.batch_size * steps_per_second,
            "refresh_seconds": float(mean),
            "refresh_ratio": None if share is None or share >= 1 else float(share / (1 - share)),
            "matrices_missed": sum(int(jnp.sum(~reservoir.accepted)) for reservoir in filled),
            "usable_rows": float(np.mean([jnp.mean(reservoir.usable) for reservoir in filled])),
        }

    def _advance(self, bucket: int, first: int) -> None:
        """Make the reservoir hold the matrices first .. first + slots - 1."""
        held = self._first[bucket]
        if held == first:
            return
        if self.reservoirs[bucket] is None:
            empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), self._shapes[bucket])
            self.reservoirs[bucket] = empty if self.sharding is None else jax.device_put(empty, self._everywhere())
        for number in range(first, first + self.slots):
            if held is None or not held <= number < held + self.slots:
                self._put(bucket, number)
        self._first[bucket] = first

    def _put(self, bucket: int, number: int) -> None:
        self.reservoirs[bucket] = self._refresh[bucket](
            self.reservoirs[bucket], self._keys[bucket], np.int32(number), np.int32(number % self.slots)
        )

    def _timed_refresh(self, bucket: int) -> float:
        """Seconds of a refresh: the newest matrix is simulated once more, which changes nothing."""
        jax.block_until_ready(self.reservoirs[bucket])
        start = time.perf_counter()
        self._put(bucket, (self._first[bucket] or 0) + self.slots - 1)
        jax.block_until_ready(self.reservoirs[bucket])
        return time.perf_counter() - start

    def _empty(self, source: MatrixSource, key: jax.Array) -> Any:
        one = jax.eval_shape(source.matrix, key, np.int32(0))
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((self.slots, *leaf.shape), leaf.dtype), one)

    def _everywhere(self) -> NamedSharding | None:
        return None if self.sharding is None else NamedSharding(self.sharding.mesh, PartitionSpec())

    def _batches(self, bucket: int, reservoir: Any) -> jax.tree_util.Partial:
        return jax.tree_util.Partial(self._draws[bucket], self._pair, reservoir)
