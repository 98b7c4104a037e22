"""Restoring a system matrix: noise, method, trust, record."""

from pathlib import Path
from typing import Any

import numpy as np

from mpijax.core.checks import check_choice, check_count, check_range
from mpijax.core.solution import Solution
from mpijax.core.typing import Bool, Complex, Float
from mpijax.restoration import trust as judge
from mpijax.restoration.job import VERBS, Job, finer
from mpijax.restoration.network import TASKS, Restorer, describe, find_restorer
from mpijax.restoration.noise import estimate_noise
from mpijax.restoration.outliers import find_outliers
from mpijax.restoration.record import RECORD, counts, recorded
from mpijax.restoration.transforms import SMALLEST
from mpijax.system import Grid, SystemMatrix

LEAST_NOISE = 1e-6
"""Noise over largest modulus that a row has at least: the rounding of single precision."""


def restore(
    system_matrix: SystemMatrix,
    task: str,
    *,
    scale: int | None = None,
    sampling: str | None = None,
    model: str | Path | None = None,
    missing: Any = None,
    noise_std: Any = None,
    trust: bool = True,
    progress: bool = False,
) -> Solution:
    """Restore the kept rows of a calibration: remove noise, fill positions, or make the grid finer.

    Every row is restored on its own, in units of its largest modulus and told its noise: that of ``noise_std``, else of the
    background frames, else estimated from the row itself. Rows not above the noise, rows noisier than the network's training,
    and rows whose restoration fails the check of :mod:`mpijax.restoration.trust` are left as measured ("denoise") or filled by
    a classical method (biharmonic, spline or bicubic), and named in the stats.

    Args:
        system_matrix: matrix, rows selected; a plane or a volume of at least 4 voxels along each axis in use.
        task: "denoise"; "inpaint" fills missing positions and denoises; "complete" takes a grid measured at every scale-th
            position, 10 to 19 voxels per axis; "upsample" makes x and y finer, slice by slice.
        scale: fine voxels per coarse one and axis of "upsample" (2, 4, 8) and "complete"; default 2.
        sampling: of "upsample": "box", the calibration sample fills the coarse voxel, or "stride", a small sample at every
            scale-th position; default what the method is made for, of bicubic "box".
        model: default the weights that ship; else a run directory, a weights file, or a classical method by name, see
            :data:`mpijax.restoration.network.METHODS`.
        missing: of "inpaint": positions that failed, as bool (n,) or (nz, ny, nx), as indices of voxels (x fastest), or "auto"
            to find them; positions with NaN or infinite values are always missing.
        noise_std: complex standard deviation of the noise: a number, per kept row (m,), or (c, f) [unit of the values].
        trust: whether to check every row. Without it all rows above the noise are restored.
        progress: whether to show a progress bar.

    Returns:
        Solution: the restored matrix, and per kept row (m,): ``residual``, the distance of the restored row from the measured
        one at measured positions over the norm of the latter; ``trusted``; ``reason``, a code of
        :data:`mpijax.restoration.trust.REASONS`; ``sigma`` [unit of the values]; ``level``, sigma over the largest modulus;
        ``snr``, rms signal over sigma; ``error``, the estimated remaining error power over sigma^2; ``spread`` of the ensemble
        over sigma. Further ``missing`` (n,), and ``noise_source``, a text.

    Raises:
        ValueError: an unknown task, options that do not fit it or the grid, NaN values, no weights for this task, dimension
            and scale, or a matrix of which less than half of the rows that were tried could be believed.
        FileNotFoundError: no such run directory or weights file.
    """
    check_choice("task", task, TASKS)
    scale = _scale(task, scale)
    _check_options(task, sampling, missing)
    if task == "denoise" and noise_std is None and RECORD in system_matrix.metadata:
        raise ValueError(
            f"this matrix has been restored before ({system_matrix.metadata[RECORD]}), and its background frames no longer say how "
            "noisy it is; denoise the measured one, or say how noisy this one is with noise_std."
        )
    images, slices = _images(system_matrix, task)
    restorer = find_restorer(task, images.ndim - 1, scale, sampling=sampling, model=model)
    known = _known(task, images, missing)
    images = np.where(known, images, 0)
    peak = np.abs(images).reshape(len(images) // slices, -1).max(axis=1).astype(np.float64)
    unit = np.where(peak > 0, peak, 1)
    images = images / np.repeat(unit, slices).reshape(-1, *(1,) * (images.ndim - 1)).astype(images.real.dtype)
    sigma, source, frames = _noise(system_matrix, images, known, noise_std, unit)
    job = Job(task, scale, restorer, known, slices, trust, progress)

    count = slices * int(np.count_nonzero(known))
    power = job.rowwise(np.abs(images.astype(np.complex128)) ** 2) / count
    reason = np.full(len(unit), judge.RESTORED)
    reason[sigma > restorer.noise_limit] = judge.TOO_NOISY
    reason[~judge.present(power, sigma, count, frames)] = judge.NOISE
    tried = reason == judge.RESTORED
    evidence = job.run(images, sigma, tried)
    restored = evidence.restored
    stats: dict[str, Any] = {"sigma": sigma * unit, "level": sigma}
    stats["snr"] = np.sqrt(np.maximum(power / sigma**2 - 1, 0))
    stats["error"], stats["spread"] = np.full((2, len(unit)), np.nan)
    if trust:
        error = judge.remaining_error(evidence.residual, evidence.divergence, sigma, count, frames)
        spread = evidence.spread / sigma
        stats["error"][tried], stats["spread"][tried] = error[tried], spread[tried]
        codes = judge.judge(
            task, error, spread, sigma, power / sigma**2, evidence.predicted, count=count, frames=frames
        )
        reason[tried] = codes[tried]
    if task == "denoise":
        _check_worth(reason, tried, source)
    left = reason != judge.RESTORED
    restored = job.without(images, restored, sigma, left)
    change = job.rowwise(np.abs(job.observed(restored) - images * known) ** 2)
    stats["residual"] = np.sqrt(change / np.where(power > 0, power * count, 1))
    stats |= {"trusted": ~left, "reason": reason, "missing": ~known.reshape(-1), "noise_source": source}

    grid = _grid(system_matrix.grid, task, scale, restorer.sampling)
    rows = (restored.reshape(len(unit), -1) * unit[:, None]).astype(np.asarray(system_matrix.values[:0]).dtype)
    if task == "denoise":
        rows[left] = np.asarray(system_matrix.rows())[left]  # bit for bit
    text = _text(task, scale, restorer, source, stats)
    return Solution(recorded(system_matrix.with_rows(rows, grid), text), stats)


def _scale(task: str, scale: int | None) -> int:
    if task in ("denoise", "inpaint"):
        if scale not in (None, 1):
            raise ValueError(
                f"scale = {scale}; {task} keeps the grid. Use 'upsample' or 'complete', or leave scale out."
            )
        return 1
    scale = 2 if scale is None else scale
    check_count("scale", scale, 2)
    if task == "upsample":
        check_choice("scale", scale, (2, 4, 8))
    return scale


def _check_options(task: str, sampling: str | None, missing: Any) -> None:
    if sampling is not None and task != "upsample":
        raise ValueError(f"sampling = {sampling!r} is an option of 'upsample'; leave it out for {task!r}.")
    if missing is not None and task != "inpaint":
        raise ValueError(f"missing positions are filled by the task 'inpaint', but task = {task!r}.")


def _images(matrix: SystemMatrix, task: str) -> tuple[Complex[np.ndarray, " b *s"], int]:
    """Rows as images over the axes in use, and how many slices a row has where it is upsampled slice by slice."""
    nx, ny, nz = matrix.grid.shape
    images = np.asarray(matrix.grid.to_image(matrix.rows()))
    used = [n for n in (nz, ny, nx) if n > 1]
    if task == "upsample":
        used, slices = [ny, nx], nz
    else:
        slices = 1
    if len(used) < 2 or min(used) < SMALLEST:
        raise ValueError(
            f"the grid has {nx} x {ny} x {nz} voxels; restoring takes planes and volumes of at least {SMALLEST} along each axis in "
            "use."
        )
    if not len(images):
        raise ValueError("the system matrix has no rows; lower the SNR threshold.")
    return images.reshape(-1, *used), slices


def _known(task: str, images: Complex[np.ndarray, " b *s"], missing: Any) -> Bool[np.ndarray, " *s"]:
    """The measured positions."""
    finite = np.isfinite(images)
    positions = finite.all(axis=0)
    if task != "inpaint":
        if not positions.all():
            raise ValueError(
                f"{np.count_nonzero(~finite)} entries of the system matrix at {np.count_nonzero(~positions)} positions are NaN or "
                "infinite; the task 'inpaint' fills them."
            )
        return positions
    if isinstance(missing, str):
        check_choice("missing", missing, ("auto",))
        known = ~find_outliers(images)
    else:
        known = positions & ~_positions(missing, positions.shape)
    lost = np.count_nonzero(~known)
    if lost == 0:
        raise ValueError(
            "no position is missing" + ("" if missing is None else ", as far as can be seen")
            + "; name positions with missing=, or look for them with missing='auto'."
        )  # fmt: skip
    if lost > known.size // 2:
        raise ValueError(
            f"{lost} of {known.size} positions are missing or NaN in some row; at most half can be filled. Leave out broken rows, "
            "or use the task 'complete' for a grid measured at every n-th position."
        )
    return known


def _positions(missing: Any, shape: tuple[int, ...]) -> Bool[np.ndarray, " *s"]:
    """Missing positions from a mask of any fitting shape, or from indices of voxels."""
    mask = np.zeros(shape, bool)
    if missing is None:
        return mask
    given = np.asarray(missing)
    if given.dtype == bool:
        squeezed = tuple(n for n in given.shape if n > 1)
        if given.size != mask.size or squeezed not in ((mask.size,), shape):
            raise ValueError(
                f"missing is a mask of shape {given.shape}; expected one per voxel, ({mask.size},) or {shape}, True = missing."
            )
        return given.reshape(shape)
    if given.ndim != 1 or given.dtype.kind not in "iu" or np.any((given < 0) | (given >= mask.size)):
        raise ValueError(
            f"missing is neither a mask of {mask.size} voxels nor a list of whole numbers from 0 to {mask.size - 1}, x fastest."
        )
    mask.reshape(-1)[given] = True
    return mask


def _noise(
    matrix: SystemMatrix, images: Complex[np.ndarray, " b *s"], known: np.ndarray, noise_std: Any, unit: np.ndarray
) -> tuple[Float[np.ndarray, " m"], str, int | None]:
    """Noise of every row over its largest modulus, where it is from, and how many background frames it is from."""
    frames = None
    if noise_std is not None:
        check_range("noise_std", noise_std, 0, float("inf"), "")
        given: Any = np.asarray(noise_std, np.float64)
        if given.shape == matrix.values.shape[:2]:
            given = matrix.row_values(given)
        elif given.shape not in ((), unit.shape):
            raise ValueError(
                f"noise_std has shape {given.shape}; expected a number, ({len(unit)},) or {matrix.values.shape[:2]}."
            )
        sigma, source = np.broadcast_to(given, unit.shape) / unit, "noise as given"
    elif RECORD not in matrix.metadata and (measured := matrix.noise_std) is not None:
        frames = matrix.background.shape[0]
        sigma, source = matrix.row_values(measured) / unit, f"noise from {frames} background frames"
    else:
        guess = np.asarray(estimate_noise(images, None if known.all() else known), np.float64)
        sigma = np.sqrt(np.mean(guess.reshape(len(unit), -1) ** 2, axis=1))
        source = "noise estimated from the rows themselves"
    return np.maximum(sigma, LEAST_NOISE), source, frames


def _check_worth(reason: np.ndarray, tried: np.ndarray, source: str) -> None:
    """Raise ValueError where no row is denoised, or most rows that were tried and have something to gain fail their check."""
    if not np.any(reason == judge.RESTORED) and np.all(~tried | (reason == judge.CLEAN_ROW)):
        why = ", ".join(f"{n} are {text}" for text, n in counts({"reason": reason}).items())
        raise ValueError(f"no row would change: of {len(reason)} rows {why} ({source}).")
    asked = np.count_nonzero(tried & (reason != judge.CLEAN_ROW))
    failed = asked - np.count_nonzero(reason == judge.RESTORED)
    if 2 * failed > asked:
        raise ValueError(
            f"{failed} of {asked} rows fail the check of their own residual, so that the denoised matrix would be worse than the "
            f"measured one ({source}). Say how noisy the rows are with noise_std, choose rows by SNR or frequency, or "
            "another model."
        )


def _grid(grid: Grid, task: str, scale: int, sampling: str) -> Grid:
    """The grid of the restored rows; the first fine voxel sits on the first coarse position, except for box means."""
    if task in ("denoise", "inpaint"):
        return grid
    shape, fov = np.asarray(grid.shape), np.asarray(grid.fov, np.float64)
    voxel, center = fov / shape, np.asarray(grid.center, np.float64)
    if task == "upsample":
        nx, ny, nz = grid.shape
        shift = np.array([1, 1, 0]) * voxel / 2 * (1 - 1 / scale) if sampling == "stride" else 0
        return Grid((nx * scale, ny * scale, nz), grid.fov, center + shift)
    nx, ny, nz = finer(grid.shape, scale)
    fine = np.where(shape > 1, np.array([nx, ny, nz]) * voxel / scale, fov)
    return Grid((nx, ny, nz), fine, center)


def _text(task: str, scale: int, restorer: Restorer, source: str, stats: dict[str, Any]) -> str:
    """What was done, in one line."""
    how = {
        "denoise": "",
        "inpaint": f" at {np.count_nonzero(stats['missing'])} of {stats['missing'].size} positions",
        "upsample": f" {scale} x in x and y ({restorer.sampling} sampling)",
        "complete": f" from every {scale}. position per axis",
    }[task]
    instead = "left as measured" if task == "denoise" else "filled by a classical method"
    found = counts(stats)
    restored = found.pop("restored", 0)
    left = (
        ""
        if not found or not restorer.trained and task != "denoise"
        else f"; {instead}: " + ", ".join(f"{n} {why}" for why, n in found.items())
    )
    return (
        f"{VERBS[task]}{how} by {describe(restorer)}; {source}; {restored} of {len(stats['reason'])} rows restored{left}; "
        "SNR and background frames are those of the measured rows"
    )
