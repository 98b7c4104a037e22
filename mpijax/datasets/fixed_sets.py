"""Fixed sets of simulated rows to test on: defined by a seed, written once, checked whenever they are read.

Two machines never simulate the same bits. What identifies a set are therefore its draws, the uniform numbers behind every
calibration, which are the same bits everywhere: their checksum stands in the card and is computed again from the seed at every
read. A second checksum, over the data file, only says that this copy is undamaged. Values are compared with a tolerance: by
:meth:`FixedSet.check_values`, or between two cards by the root mean square of each matrix's rows.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mpijax.core.checks import check_range
from mpijax.core.files import atomic_path, write_text
from mpijax.core.typing import Complex, Float, Int
from mpijax.datasets.samplers import RestorationPrior
from mpijax.physics.sequences import UNREACHED
from mpijax.rows.scaling import present_rows
from mpijax.system import LissajousSequence, Setup
from mpijax.system.simulate import simulate_rows

REFERENCE_ORDER = 3
"""Mixing orders up to this are simulated with every subset of bins: the strongest row of a matrix is among them."""

VALUE_TOLERANCE = 1e-5
"""Relative deviation (Frobenius norm over a matrix's rows) beyond what rounding explains on any machine."""


def box_shape(extent: Any, boxes: tuple[int, ...]) -> tuple[int, int, int]:
    """The smallest of a few padded boxes that holds a grid, so that few shapes are compiled; nz = 1 stays 1.

    Raises:
        ValueError: the grid fits none.
    """
    nx, ny, nz = (int(n) for n in extent)
    fitting = [box for box in boxes if box >= max(nx, ny, nz)]
    if not fitting:
        raise ValueError(f"a grid of {nx} x {ny} x {nz} voxels fits none of the boxes {boxes}; add a larger one.")
    return min(fitting), min(fitting), 1 if nz == 1 else min(fitting)


@dataclass(frozen=True)
class FixedRows:
    """Rows of many matrices of many sizes, on the host. ``len`` is the number of rows.

    Attributes:
        units: uniform numbers behind every calibration, float32 (m, u), 20 of a :class:`RestorationPrior`.
        extents: voxels (nx, ny, nz) of every matrix, (m, 3).
        matrix, channel, frequency_index: of every row, (r,).
        offsets: where a row starts in ``values``, (r + 1,).
        values: all rows one after another, complex64, x fastest.
    """

    units: Float[np.ndarray, "m u"]
    extents: Int[np.ndarray, "m 3"]
    matrix: Int[np.ndarray, " r"]
    channel: Int[np.ndarray, " r"]
    frequency_index: Int[np.ndarray, " r"]
    offsets: Int[np.ndarray, " r1"]
    values: Complex[np.ndarray, " total"]

    def __len__(self) -> int:
        return len(self.matrix)

    def image(self, row: int) -> Complex[np.ndarray, "z y x"]:
        """One row as an image (nz, ny, nx)."""
        start, stop = self.offsets[row : row + 2]
        return self.values[start:stop].reshape(self.extents[self.matrix[row]][::-1])

    def rms(self) -> Float[np.ndarray, " m"]:
        """Root mean square of each matrix's stored rows, which rounding changes little: strong rows dominate it."""
        power = np.add.reduceat(np.abs(self.values).astype(np.float64) ** 2, self.offsets[:-1])
        matrices = np.arange(len(self.extents))
        total = np.array([power[self.matrix == i].sum() for i in matrices])
        voxels = np.array([(self.matrix == i).sum() for i in matrices]) * self.extents.prod(axis=1)
        return np.sqrt(total / np.maximum(voxels, 1))

    def draws_sha256(self) -> str:
        """Checksum of the draws: the same on every machine."""
        return hashlib.sha256(self.units.astype("<f4").tobytes()).hexdigest()


@dataclass(frozen=True)
class FixedSet:
    """What a set holds; everything follows from these values.

    Matrix i is drawn from ``fold_in(key(seed), i)``: the first accepted calibration, then ``candidates`` bins, then
    ``rows_per_matrix`` of the rows (channel, bin) that hold signal (:func:`present_rows`), each with equal odds. The bins 0 and
    Nyquist are never chosen. The simulation runs in double precision: in single precision the weakest rows are wrong by a
    percent, which would bound the peak signal-to-noise ratio of a perfect restoration near 40 dB.

    Attributes:
        name: of the set.
        prior: distribution of the calibrations.
        seed: of everything.
        count: matrices.
        rows_per_matrix: rows kept of each (fewer where fewer hold signal).
        candidates: bins simulated of each matrix; None = all.
        boxes: sizes to which grids are padded in the simulation; the rows are stored without padding.
    """

    name: str
    prior: RestorationPrior
    seed: int
    count: int
    rows_per_matrix: int = 16
    candidates: int | None = None
    boxes: tuple[int, ...] = (32, 48, 64)

    def __post_init__(self) -> None:
        check_range("seed", self.seed, 0, 2**31 - 1, "")
        check_range("count", self.count, 1, 1_000_000, "matrices")
        check_range("rows_per_matrix", self.rows_per_matrix, 1, 100_000, "rows")
        if self.candidates is not None:
            check_range("candidates", self.candidates, 1, 20_000, "bins")
        if max(self.boxes) < self.prior.sizes[1]:
            raise ValueError(
                f"boxes = {self.boxes} hold no grid of {self.prior.sizes[1]} voxels per axis, which the prior accepts; add one."
            )

    def draw(self, index: int) -> tuple[np.ndarray, Setup, np.ndarray, jax.Array]:
        """Matrix number ``index``: its uniform numbers, calibration, bins to choose from, and the key of the choice.

        Raises:
            ValueError: no draw was accepted.
        """
        key = jax.random.fold_in(jax.random.key(self.seed), index)
        draw_key, bin_key, row_key = jax.random.split(key, 3)
        units, found = _accepted_units(self.prior, draw_key)
        if not found:
            self.prior.check_acceptance(draw_key)
            raise ValueError(f"no draw of matrix {index} was accepted; choose another seed.")
        setup = _setup(self.prior, units)
        bins = np.arange(1, (setup.sequence.n_samples - 1) // 2 + 1)
        if self.candidates is not None:
            others = np.setdiff1d(bins, reference_bins(setup.sequence))
            bins = np.sort(np.asarray(jax.random.permutation(bin_key, others))[: self.candidates])
        return np.asarray(units), setup, bins, row_key

    def simulate(self, report: Callable[[int], None] | None = None) -> FixedRows:
        """Simulate the set.

        Args:
            report: called with the number of finished matrices.
        """
        parts = []
        for index in range(self.count):
            parts.append(self._matrix(index))
            if report is not None:
                report(index + 1)
        counts = [len(part["channel"]) for part in parts]
        extents = np.stack([part["extent"] for part in parts])
        lengths = np.repeat(extents.prod(axis=1), counts)
        return FixedRows(
            units=np.stack([part["units"] for part in parts]),
            extents=extents,
            matrix=np.repeat(np.arange(self.count, dtype=np.int32), counts),
            channel=np.concatenate([part["channel"] for part in parts]),
            frequency_index=np.concatenate([part["bin"] for part in parts]),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            values=np.concatenate([part["values"].reshape(-1) for part in parts]),
        )

    def check_values(self, rows: FixedRows, matrices: Iterable[int] = (0,)) -> float:
        """Simulate the rows of a few matrices again and compare; returns the largest relative deviation.

        Raises:
            ValueError: a matrix deviates by more than 1e-5 of its norm.
        """
        worst = 0.0
        for index in matrices:
            chosen = np.flatnonzero(rows.matrix == index)
            stored = np.stack([rows.image(int(row)) for row in chosen]).reshape(len(chosen), -1)
            _, setup, _, _ = self.draw(index)
            indices, inverse = np.unique(rows.frequency_index[chosen], return_inverse=True)
            values = _simulate(setup, box_shape(rows.extents[index], self.boxes), indices, rows.extents[index])
            deviation = np.linalg.norm(values[rows.channel[chosen], inverse] - stored) / np.linalg.norm(stored)
            if not deviation <= VALUE_TOLERANCE:
                raise ValueError(
                    f"matrix {index} of {self.name} deviates by {deviation:.2g} of its norm from what is simulated now; rounding "
                    f"explains {VALUE_TOLERANCE:g}. The file was made with another model; write the set again."
                )
            worst = max(worst, float(deviation))
        return worst

    def _matrix(self, index: int) -> dict[str, np.ndarray]:
        units, setup, bins, key = self.draw(index)
        extent = np.asarray(setup.extent)
        indices = bins
        if self.candidates is not None:
            indices = np.sort(np.concatenate([bins, reference_bins(setup.sequence)]))
        values = _simulate(setup, box_shape(extent, self.boxes), indices, extent)
        present = np.asarray(present_rows(values)) & np.isin(indices, bins)
        # the order of preference of a row depends on its channel and bin alone, not on which other rows hold signal
        priority = np.where(present, np.asarray(jax.random.uniform(key, present.shape)), np.inf)
        count = min(self.rows_per_matrix, np.count_nonzero(present))
        channel, position = np.unravel_index(np.argsort(priority, axis=None, kind="stable")[:count], present.shape)
        order = np.lexsort([position, channel])
        channel, position = channel[order], position[order]
        return {
            "units": units,
            "extent": extent,
            "channel": channel.astype(np.int32),
            "bin": indices[position].astype(np.int32),
            "values": values[channel, position],
        }


FIXED_SETS = {
    "restoration_2d": FixedSet("restoration_2d", RestorationPrior(2), seed=2301, count=300, rows_per_matrix=16),
    "restoration_3d": FixedSet(
        "restoration_3d", RestorationPrior(3), 2302, 15, rows_per_matrix=64, candidates=256, boxes=(16, 24, 32)
    ),
    "upsampling_2d": FixedSet(
        "upsampling_2d",
        RestorationPrior(2, size_range=(16, 96), voxels_per_fwhm=(12.48, 16.64)),
        2303,
        100,
        rows_per_matrix=16,
        candidates=128,
        boxes=(64, 96),
    ),
}
"""The test sets of the restoration paper, 300 matrices in 2-D and 15 in 3-D, and one of grids twice as fine as a calibration's.

The paper does not say which grids its upsampled rows have. The fine grids of ``upsampling_2d`` are such that every second voxel is
a calibration of Table 1, which is what a user wants upsampled; 100 matrices bound the mean within a few tenths of a dB, and 128
of 817 bins are enough to choose 16 rows from.
"""


def reference_bins(sequence: LissajousSequence) -> Int[np.ndarray, " f"]:
    """Bins of mixing orders up to 3, without bin 0: the strongest row is among them."""
    orders = sequence.mixing_orders(REFERENCE_ORDER)
    bins = np.flatnonzero(np.all(orders != UNREACHED, axis=1))
    return bins[(bins > 0) & (2 * bins < sequence.n_samples)]


def write_set(path: str | Path, spec: FixedSet, rows: FixedRows) -> None:
    """Write a set as ``path`` (.npz) and its card beside it (.json)."""
    path = _npz(path)
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as stream:
            np.savez(stream, **{field.name: getattr(rows, field.name) for field in fields(FixedRows)})
        digest = _file_sha256(temporary)
    card = {
        "spec": _plain(asdict(spec)),
        "rows": len(rows),
        "draws_sha256": rows.draws_sha256(),
        "file_sha256": digest,
        "rms": [float(f"{value:.6g}") for value in rows.rms()],
        "versions": {name: importlib.metadata.version(name) for name in ("mpijax", "jax", "jaxlib", "numpy")},
    }
    write_text(path.with_suffix(".json"), json.dumps(card, indent=1) + "\n")


def read_set(path: str | Path, spec: FixedSet | None = None) -> tuple[FixedSet, FixedRows]:
    """Read a set, check that the file is undamaged and that its draws are those of its seed.

    Args:
        path: the .npz file; its card lies beside it.
        spec: what the set must be; None = whatever the card says.

    Raises:
        ValueError: a damaged file, another set than asked for, or draws that do not follow from the seed.
    """
    path = _npz(path)
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        content, draws, saved = (card[name] for name in ("file_sha256", "draws_sha256", "spec"))
        found = FixedSet(**{**_with_tuples(saved), "prior": RestorationPrior(**_with_tuples(saved["prior"]))})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{path.with_suffix('.json')} is not the card of a set, or damaged; write the set again."
        ) from None
    if _file_sha256(path) != content:
        raise ValueError(
            f"{path} does not match the checksum of its card; it is damaged or was edited. Write the set again."
        )
    if spec is not None and saved != _plain(asdict(spec)):
        raise ValueError(f"{path} holds the set {saved}; asked for is {_plain(asdict(spec))}.")
    spec = found
    with np.load(path, allow_pickle=False) as data:
        rows = FixedRows(**{field.name: data[field.name] for field in fields(FixedRows)})
    expected = np.stack([spec.draw(index)[0] for index in range(spec.count)])
    if rows.draws_sha256() != draws or not np.array_equal(rows.units, expected):
        raise ValueError(
            f"the draws in {path} are not those of seed {spec.seed} in this version of the sampler; write the set again."
        )
    return spec, rows


@partial(jax.jit, static_argnums=0)
def _accepted_units(prior: RestorationPrior, key: jax.Array) -> tuple[Any, Any]:
    return prior.accepted_units(key)


@partial(jax.jit, static_argnums=0)
def _setup(prior: RestorationPrior, units: jax.Array) -> Setup:
    return prior.setup(units)


_padded_rows = jax.jit(simulate_rows, static_argnums=1, static_argnames="dtype")


def _simulate(
    setup: Setup, shape: tuple[int, int, int], indices: np.ndarray, extent: np.ndarray
) -> Complex[np.ndarray, "c f n"]:
    """Rows (c, f, n) of a calibration on its own grid, cut from the padded box; double precision, whatever the mode."""
    with jax.enable_x64(True):
        setup = jax.tree.map(lambda leaf: leaf.astype(float) if np.issubdtype(leaf.dtype, np.floating) else leaf, setup)
        values = np.asarray(_padded_rows(setup, shape, indices, dtype=np.float64)[0], np.complex64)
    nx, ny, nz = (int(n) for n in extent)
    return values.reshape(*values.shape[:2], *shape[::-1])[..., :nz, :ny, :nx].reshape(*values.shape[:2], -1)


def _plain(value: Any) -> Any:
    """The value as it comes back from JSON."""
    return json.loads(json.dumps(value))


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _npz(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path} does not end in .npz.")
    return path


def _file_sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
