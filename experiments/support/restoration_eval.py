"""Scoring restored rows: fixed rows in padded boxes, one fixed corruption per row, figures per row, means over matrices.

Conventions of every table. A clean row is scaled to a largest modulus of one, which is the peak of the PSNR, and turned by one
random phase. Noise is white and complex with standard deviation sigma = sqrt(E|n|^2); complex errors are counted once. SSIM is
the mean over real and imaginary part with a data range of 2 (the paper is silent), over windows of 11 voxels, or of the largest
odd number that fits a smaller grid, slice by slice in a volume. Only voxels of the row's own grid count. All random parts of row
i come from ``fold_in(key, i)``, the noise drawn on the row's box: they depend neither on the method nor on the other rows.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from mpijax.core.typing import Bool, Complex, Float, Int
from mpijax.datasets import FIXED_SETS, FixedRows, RandomCorruption, read_set
from mpijax.rows import Complete, Denoise, Inpaint, Task, Upsample

WINDOW = 11
EXACT = 1e-12
"""Least mean square error that is told from zero, 120 dB: rows are in single precision."""

CHUNK = {2: 64, 3: 8}
"""Rows that are corrupted and restored at once."""


@dataclass(frozen=True)
class Batch:
    """Clean rows in the corner of one box, scaled to a largest modulus of one; image axes (y, x) or (z, y, x).

    Attributes:
        rows: number of each row in its set (b,).
        matrix: number of its matrix (b,).
        extents: voxels of each row along the image axes (b, d).
        clean: (b, *box), zero outside the extents.
    """

    rows: Int[np.ndarray, " b"]
    matrix: Int[np.ndarray, " b"]
    extents: Int[np.ndarray, "b d"]
    clean: Complex[np.ndarray, " b *box"]


@dataclass(frozen=True)
class Problem:
    """What a method is given, and the answer.

    Attributes:
        images: corrupted rows (b, *s) in the corner of their box; noise on every voxel inside, also on unknown ones.
        known: measured voxels (b, *s).
        inside: voxels of the grid (b, *s).
        sigma: complex standard deviation of the noise (b,).
        extents: voxels of each image (b, d); fine_extents: of each answer (b, d).
        clean: the answer (b, *t); t = s unless the task is to upsample.
        scale: how much finer the answer is.
    """

    images: Complex[np.ndarray, " b *s"]
    known: Bool[np.ndarray, " b *s"]
    inside: Bool[np.ndarray, " b *s"]
    sigma: Float[np.ndarray, " b"]
    extents: Int[np.ndarray, "b d"]
    fine_extents: Int[np.ndarray, "b d"]
    clean: Complex[np.ndarray, " b *t"]
    scale: int


Method = Callable[[Problem], np.ndarray]
"""From a problem to restored rows (b, *t); what it returns outside the extents is not read."""


def load_set(name: str, folder: Path, matrices: int | None = None, smoke: bool = False) -> FixedRows:
    """A fixed set, checked; where it has not been written, its first ``matrices`` simulated in place; or `smooth_rows` for tests.

    Raises:
        FileNotFoundError: it has not been written yet, and no number of matrices is given.
    """
    if smoke:
        return smooth_rows(FIXED_SETS[name].prior.dimensions)
    path = folder / f"{name}.npz"
    if path.exists():
        return read_set(path, FIXED_SETS[name])[1]
    if matrices is None:
        raise FileNotFoundError(
            f"{path} does not exist; write it with: python -m experiments.fixed_sets --name {name}, or give --matrices N, and "
            "its first N are simulated now."
        )
    return dataclasses.replace(FIXED_SETS[name], count=matrices).simulate()


def smooth_rows(dimensions: int) -> FixedRows:
    """Two waves on each of two grids, which stand for a set in tests."""
    extents = np.array([[11, 10, 1], [14, 16, 1]] if dimensions == 2 else [[9, 10, 8], [14, 16, 15]])
    values, rng = [], np.random.default_rng(0)
    for nx, ny, nz in np.repeat(extents, 2, axis=0):
        z, y, x = np.mgrid[:nz, :ny, :nx] / 16
        a, b, c = rng.uniform(2, 5, 3)
        values.append(3e-7 * (np.sin(a * x + b * y + c * z) + 1j * np.cos(c * x - a * y + b * z)).ravel())
    matrix = np.array([0, 0, 1, 1], np.int32)
    offsets = np.concatenate([[0], np.cumsum([v.size for v in values])])
    units = np.zeros((2, 20), np.float32)
    return FixedRows(units, extents, matrix, matrix, matrix + 20, offsets, np.concatenate(values).astype(np.complex64))


def choose_rows(rows: FixedRows, matrices: int | None, per_matrix: int | None, keep: Any = None) -> np.ndarray:
    """Numbers of the rows to score: of the first matrices, ``per_matrix`` of each, spread evenly over its rows.

    Args:
        rows: of a set.
        matrices, per_matrix: None = all.
        keep: bool per matrix, those to use; None = all.
    """
    allowed = np.ones(len(rows.extents), bool) if keep is None else np.asarray(keep)
    numbers = np.flatnonzero(allowed)[:matrices]
    members = [np.flatnonzero(rows.matrix == i) for i in numbers]
    if per_matrix is not None:
        members = [m[np.unique(np.arange(per_matrix) * len(m) // per_matrix)] for m in members]
    return np.concatenate(members)


def batches(rows: FixedRows, chosen: np.ndarray, boxes: Sequence[int]) -> Iterable[Batch]:
    """The chosen rows in the smallest of a few boxes, chunk by chunk; rows of one matrix stay together where they can."""
    d = 3 if rows.extents[0, 2] > 1 else 2
    extents = rows.extents[rows.matrix[chosen]][:, d - 1 :: -1]
    box_of = np.array([min(box for box in boxes if box >= n) for n in extents.max(axis=1)])
    for box in np.unique(box_of):
        members = np.flatnonzero(box_of == box)
        for start in range(0, len(members), CHUNK[d]):
            part = members[start : start + CHUNK[d]]
            clean = np.zeros((len(part), *(int(box),) * d), np.complex64)
            for i, row in enumerate(chosen[part]):
                image = rows.image(int(row)).reshape(extents[part[i]])
                corner: Any = (i, *(slice(n) for n in image.shape))
                clean[corner] = image / np.abs(image).max()
            yield Batch(chosen[part], rows.matrix[chosen[part]], extents[part], clean)


def inside_of(extents: Int[np.ndarray, "b d"], box: tuple[int, ...]) -> Bool[np.ndarray, " b *box"]:
    """The voxels of each grid in its box."""
    result = np.ones((len(extents), *box), bool)
    for axis, n in enumerate(box):
        shape = (-1, *(n if a == axis else 1 for a in range(len(box))))
        result &= (np.arange(n) < extents[:, axis, None]).reshape(shape)
    return result


def corrupt(batch: Batch, task: RandomCorruption, sigma: float, key: jax.Array) -> Problem:
    """The problem that a task makes of clean rows; row i draws its mask, phase and noise with ``fold_in(key, i)``."""
    box = batch.clean.shape[1:]
    drawn = _draw(task, box)(key, batch.rows, batch.extents[:, ::-1])
    phase = np.exp(1j * np.asarray(drawn.phase)).astype(np.complex64)
    clean = batch.clean * phase.reshape(-1, *(1,) * len(box))
    coarse = np.asarray(task.tasks[0].seen(clean))
    extents = np.asarray(task.tasks[0].seen_extent(batch.extents))
    inside = inside_of(extents, coarse.shape[1:])
    return Problem(
        images=np.where(inside, coarse + np.float32(sigma) * np.asarray(drawn.noise), 0).astype(np.complex64),
        known=np.asarray(drawn.known) & inside,
        inside=inside,
        sigma=np.full(len(clean), sigma, np.float32),
        extents=extents,
        fine_extents=batch.extents,
        clean=clean,
        scale=task.factor,
    )


@functools.lru_cache
def _draw(task: RandomCorruption, box: tuple[int, ...]) -> Any:
    def one(key: jax.Array, row: jax.Array, extent: jax.Array) -> Any:
        return task.draw(jax.random.fold_in(key, row), box, extent)

    return jax.jit(jax.vmap(one, (None, 0, 0)))


def per_grid(restore: Callable[..., Any]) -> Method:
    """A method for padded boxes from ``restore(images, known, sigma, shape)``, which takes rows (k, *s) of one grid, without
    padding, and returns (k, *shape)."""

    def method(problem: Problem) -> np.ndarray:
        result = np.zeros_like(problem.clean)
        grids, group = np.unique(problem.fine_extents, axis=0, return_inverse=True)
        for number, fine in enumerate(grids):
            members = np.flatnonzero(group.reshape(-1) == number)
            coarse = problem.extents[members[0]]
            cut: Any = (members, *(slice(n) for n in coarse))
            paste: Any = (members, *(slice(n) for n in fine))
            shape = tuple(int(n) for n in fine)
            images = np.ascontiguousarray(problem.images[cut])
            result[paste] = restore(images, problem.known[cut], problem.sigma[members], shape)
        return result

    return method


def score(estimate: np.ndarray, problem: Problem) -> dict[str, np.ndarray]:
    """PSNR [dB] and SSIM of every row; with unknown voxels also the PSNR over those and over the known ones."""
    inside = inside_of(problem.fine_extents, problem.clean.shape[1:])
    estimate = np.where(inside, estimate, 0).astype(np.complex64)
    figures = {
        "psnr": _psnr(estimate, problem.clean, inside),
        "ssim": _ssim(estimate, problem.clean, problem.fine_extents),
    }
    if problem.known.shape == inside.shape and not np.array_equal(problem.known, inside):
        figures["psnr_missing"] = _psnr(estimate, problem.clean, inside & ~problem.known)
        figures["psnr_known"] = _psnr(estimate, problem.clean, problem.known)
    return figures


def _psnr(estimate: np.ndarray, clean: np.ndarray, counted: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, clean.ndim))
    power = np.abs((estimate - clean).astype(np.complex128)) ** 2
    error = np.sum(power, axes, where=counted) / np.sum(counted, axes)
    return -10 * np.log10(np.maximum(error, EXACT))


def _ssim(estimate: np.ndarray, clean: np.ndarray, extents: np.ndarray) -> np.ndarray:
    result = np.zeros(len(clean))
    windows = np.minimum((extents[:, -2:].min(axis=1) - 1) // 2 * 2 + 1, WINDOW)
    for window in np.unique(windows):
        half = int(window) // 2
        ends = extents.copy()
        ends[:, -2:] -= half
        counted = inside_of(ends, clean.shape[1:])
        counted[..., :half, :] = False
        counted[..., :, :half] = False
        values = np.asarray(_masked_ssim(estimate, clean, counted, int(window)))
        result = np.where(windows == window, values, result)
    return result


@functools.partial(jax.jit, static_argnames="window")
def _masked_ssim(estimate: Any, clean: Any, counted: Any, window: int) -> jax.Array:
    return mj.metrics.ssim(estimate, clean, 2.0, mask=counted, axis=tuple(range(1, clean.ndim)), window=window)


@dataclass(frozen=True)
class Figures:
    """Figures of every row under one noise level.

    Attributes:
        rows, matrix: numbers (r,).
        size: mean voxel count of the row's axes (r,).
        values: method -> name of the figure -> one value per row (r,).
    """

    rows: np.ndarray
    matrix: np.ndarray
    size: np.ndarray
    values: Mapping[str, Mapping[str, np.ndarray]]


def evaluate(
    rows: FixedRows,
    chosen: np.ndarray,
    boxes: Sequence[int],
    task: RandomCorruption,
    sigma: float,
    methods: Mapping[str, Method],
    key: jax.Array,
) -> Figures:
    """Corrupt the chosen rows, restore them by every method, score them."""
    records: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in methods}
    seen = []
    for batch in batches(rows, chosen, boxes):
        problem = corrupt(batch, task, sigma, key)
        seen.append((batch.rows, batch.matrix, batch.extents.mean(axis=1)))
        for name, method in methods.items():
            records[name].append(score(np.asarray(method(problem)), problem))
    number, matrix, size = (np.concatenate(part) for part in zip(*seen, strict=True))
    values = {name: {k: np.concatenate([r[k] for r in found]) for k in found[0]} for name, found in records.items()}
    return Figures(number, matrix, size, values)


def summarize(
    figures: Figures, ranges: Mapping[str, tuple[float, float]] | None = None, *, key: jax.Array
) -> list[dict[str, Any]]:
    """Means over rows with 95 % intervals by bootstrap over matrices, per range of mean sizes (low, high] and method."""
    records = []
    for title, (low, high) in {**(ranges or {}), "all": (0, np.inf)}.items():
        chosen = (figures.size > low) & (figures.size <= high)
        if not chosen.any():
            continue
        for method, values in figures.values.items():
            record: dict[str, Any] = {"range": title, "method": method, "rows": int(chosen.sum())}
            record["matrices"] = len(np.unique(figures.matrix[chosen]))
            for name, value in values.items():
                record[name] = mj.metrics.bootstrap_mean(value[chosen], figures.matrix[chosen], key=key)
            records.append(record)
    return records


def by_order(
    rows: FixedRows, figures: Figures, ranges: Mapping[str, tuple[float, float]], title: str
) -> list[dict[str, Any]]:
    """Mean PSNR of every method over the rows whose frequency has a mixing order |mx| + |my| + |mz| in a range (low, high]."""
    driven = 3 if rows.extents[0, 2] > 1 else 2
    sequence = mj.LissajousSequence.create(tuple(12e-3 * (axis < driven) for axis in range(3)))
    orders = np.abs(np.asarray(sequence.mixing_orders(), int)).sum(axis=1)[rows.frequency_index[figures.rows]]
    table = []
    for name, (low, high) in ranges.items():
        inside = (orders > low) & (orders <= high)
        if inside.any():
            means = {method: float(np.mean(values["psnr"][inside])) for method, values in figures.values.items()}
            table.append({"rows": f"{title}, order {name}", "share": float(inside.mean()), **means})
    return table


TASKS: dict[str, Task] = {
    "denoise": Denoise(),
    "inpaint": Inpaint(),
    "complete": Complete(2),
    "upsample": Upsample(2, "stride"),
}


@functools.cache
def fixed_task(task: str) -> RandomCorruption:
    """The test's corruption: a block of 10 % in one piece, every second voxel, or twofold upsampling from every second voxel."""
    return RandomCorruption((TASKS[task],), missing_range=(0.1, 0.1), max_blocks=1)
