"""Restoring a system matrix: noise, method, trust, record."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mpijax.core.checks import check_choice, check_count
from mpijax.core.masks import as_mask
from mpijax.core.solution import Solution
from mpijax.core.typing import Bool, Complex
from mpijax.datasets.measured import frequency_ranks
from mpijax.io.snr import known_snr, system_matrix_snr
from mpijax.restoration import trust as judge
from mpijax.restoration.job import VERBS, Job, finer
from mpijax.restoration.network import TASKS, describe, find_restorer
from mpijax.restoration.noise import row_noise
from mpijax.restoration.outliers import find_outliers
from mpijax.restoration.record import RECORD, counts, hidden_text, methods_text, recorded, row_names
from mpijax.rows.transforms import SMALLEST
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
    background frames (with fewer than 20 of them also from the row), else estimated from the row itself. Rows not above the noise,
    rows noisier than the network's training, and rows whose restoration fails the check of :mod:`mpijax.restoration.trust` are left
    as measured ("denoise") or filled by a classical method (wiener, spline or bicubic), and named in the stats.

    Args:
        system_matrix: matrix, rows selected; a plane or a volume of at least 4 voxels along each axis in use.
        task: "denoise"; "inpaint" fills missing positions and denoises; "complete" takes a grid measured at every scale-th
            position, 10 to 19 voxels per axis; "upsample" makes x and y finer, slice by slice.
        scale: fine voxels per coarse one and axis of "upsample" (2, 4, 8) and "complete"; default 2.
        sampling: of "upsample": "box", the calibration sample fills the coarse voxel, or "stride", a small sample at every
            scale-th position; default what the method is made for, of bicubic "box".
        model: default the weights that ship; else a run directory, a weights file, or a classical method by name, see
            :data:`mpijax.restoration.network.METHODS`.
        missing: of "inpaint": positions that failed, as a mask (n,) or (nz, ny, nx), or as numbers of voxels (x fastest), see
            :func:`mpijax.core.masks.as_mask`: whatever has one value per voxel, 0 or 1 of any type, is a mask. Or "auto" to find
            them; positions with NaN or infinite values are always missing.
        noise_std: complex standard deviation of the noise: a number, per kept row (m,), or (c, f) [unit of the values].
        trust: whether to check every row. Without it all rows above the noise are restored.
        progress: whether to show a progress bar.

    Returns:
        Solution: the restored matrix, with the SNR of its restored rows where there are background frames (NaN for rows that are
        not kept), else the SNR that it had; a channel that is zero in every row stays so, with a warning. Per kept row (m,):
        ``residual``, the distance of the restored row from the measured one at measured positions over the norm of the latter;
        ``trusted``; ``reason``, a code of
        :data:`mpijax.restoration.trust.REASONS`; ``sigma`` [unit of the values]; ``level``, sigma over the largest modulus;
        ``snr``, rms signal over sigma; ``error``, the estimated remaining error power over sigma^2; ``spread`` of the ensemble
        over sigma; ``method``, what restored it, the network or a classical method that did better on this row (by Stein's
        estimate, for "inpaint" by the error at hidden voxels), empty for the others. Further ``missing`` (n,); ``noise_source``
        and ``instead``, what became of the other rows, texts; and ``hidden``, the measured voxels that were hidden for the check
        of "inpaint" (0 = none: no check asked for, or no room).

    Raises:
        ValueError: an unknown task, options that do not fit it or the grid, NaN values, zeros alone, no weights for this task,
            dimension and scale, or a matrix to denoise of which no row could be believed.
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
    known = _known(task, images, missing, system_matrix, slices)
    images = np.where(known, images, 0)
    peak = np.abs(images).reshape(len(images) // slices, -1).max(axis=1).astype(np.float64)
    _say_silent(system_matrix.row_index().channel, peak)
    unit = np.where(peak > 0, peak, 1)
    images /= np.repeat(unit, slices).reshape(-1, *(1,) * (images.ndim - 1)).astype(images.real.dtype)
    sigma, source, frames = row_noise(system_matrix, images, known, noise_std, unit)
    sigma = np.maximum(sigma, LEAST_NOISE)
    job = Job(task, scale, restorer, known, slices, trust, progress, frequency_ranks(system_matrix))

    count = slices * int(np.count_nonzero(known))
    power = job.energy(len(images), lambda part: images[part]) / count
    reason = np.full(len(unit), judge.RESTORED)
    reason[sigma > restorer.noise_limit] = judge.TOO_NOISY
    reason[~judge.present(power, sigma, count, frames)] = judge.NOISE
    if task == "complete" and restorer.trained:  # splines are then better, see experiments/README.md
        reason[(reason == judge.RESTORED) & (sigma < judge.CLEAN)] = judge.CLEAN_ROW
    tried = reason == judge.RESTORED
    evidence = job.run(images, sigma, tried)
    restored = evidence.restored
    stats: dict[str, Any] = {"sigma": sigma * unit, "level": sigma}
    stats["snr"] = np.sqrt(np.maximum(power / sigma**2 - 1, 0))
    stats["error"], stats["spread"] = np.full((2, len(unit)), np.nan)
    hidden = 0
    if trust:
        error = judge.remaining_error(evidence.residual, evidence.divergence, sigma, count, frames)
        spread = evidence.spread / sigma
        stats["error"][tried], stats["spread"][tried] = error[tried], spread[tried]
        held, codes = job.hidden, None
        if held is not None:
            hidden = int(np.count_nonzero(held))
            below = job.energy(len(images), lambda part: images[part] * held)
            codes = judge.predicted(evidence.guessed, below, sigma, hidden)
        codes = judge.judge(task, error, spread, sigma, power / sigma**2, codes, count=count, frames=frames)
        reason[tried] = codes[tried]
    if task == "denoise":
        _check_worth(reason, tried, source, system_matrix)
    left = reason != judge.RESTORED
    restored = job.without(images, restored, sigma, left)
    change = job.energy(len(images), lambda part: job.observed(restored[part]) - images[part] * known)
    stats["residual"] = np.sqrt(change / np.where(power > 0, power * count, 1))
    stats |= {"trusted": ~left, "reason": reason, "missing": ~known.reshape(-1), "noise_source": source}
    stats |= {"instead": job.instead, "hidden": hidden}
    names = np.array([Path(candidate.name).stem for candidate in job.candidates])
    stats["method"] = np.where(left, "", names[evidence.method])

    grid = _grid(system_matrix.grid, task, scale, restorer.sampling)
    restored *= np.repeat(unit, slices).reshape(-1, *(1,) * (restored.ndim - 1)).astype(np.float32)
    rows = restored.reshape(len(unit), -1).astype(np.asarray(system_matrix.values[:0]).dtype, copy=False)
    if task == "denoise":
        rows[left] = np.asarray(system_matrix.rows())[left]  # bit for bit
    text = _text(job, source, stats)
    return Solution(recorded(_with_snr(system_matrix.with_rows(rows, grid)), text), stats)


def _say_silent(channel: np.ndarray, peak: np.ndarray) -> None:
    """Refuse rows that are all zero; warn of channels that are."""
    if not peak.any():
        raise ValueError(f"all {len(peak)} rows of the system matrix are zero; there is nothing to restore.")
    silent = np.setdiff1d(channel, channel[peak > 0])
    if len(silent):
        warnings.warn(
            f"channels that are zero in every row stay as they are: {', '.join(map(str, silent))}.", stacklevel=3
        )


def _with_snr(restored: SystemMatrix) -> SystemMatrix:
    """With the SNR of the restored rows; without background frames that of the measured ones, if it says anything."""
    if restored.background is None or not np.isfinite(np.asarray(restored.background)).any():
        return replace(restored, background=None, snr=known_snr(restored.snr))
    snr = system_matrix_snr(np.asarray(restored.values), np.asarray(restored.background), row_mask=restored.row_mask)
    return replace(restored, snr=snr)


def _scale(task: str, scale: int | None) -> int:
    if task in ("denoise", "inpaint"):
        if scale not in (None, 1):
            raise ValueError(
                f"scale = {scale}; {task} keeps the grid. Use 'upsample' or 'complete', or leave scale out."
            )
        return 1
    scale = 2 if scale is None else scale
    check_count("scale", scale, 2)
    if task == "upsample" and scale not in (2, 4, 8):
        raise ValueError(
            f"scale = {scale}; upsample takes 2, 4 or 8, with splines, too. Only 'complete' takes any scale."
        )
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


def _known(
    task: str, images: Complex[np.ndarray, " b *s"], missing: Any, matrix: SystemMatrix, slices: int
) -> Bool[np.ndarray, " *s"]:
    """The measured positions."""
    finite = np.isfinite(images)
    positions = finite.all(axis=0)
    where = ""
    if not positions.all():
        broken = np.flatnonzero(~finite.reshape(len(images) // slices, -1).all(axis=1))
        which = "all rows" if len(broken) == len(images) // slices else row_names(matrix, broken)
        where = (
            f"{np.count_nonzero(~finite)} entries of the system matrix at {np.count_nonzero(~positions)} positions are NaN or "
            f"infinite, in {which}"
        )
    if task != "inpaint":
        if where:
            raise ValueError(f"{where}; leave rows out, or fill positions: the task 'inpaint' fills them.")
        return positions
    automatic = isinstance(missing, str)
    if automatic:
        check_choice("missing", missing, ("auto",))
        known = ~find_outliers(images)
    else:
        given = [] if missing is None else missing
        known = positions & ~as_mask("missing", given, matrix.grid.shape[::-1]).reshape(positions.shape)
    lost = np.count_nonzero(~known)
    if lost == 0:
        raise ValueError(
            "no position is missing"
            + (", as far as can be seen" if automatic else "")
            + "; name positions with missing="
            + ("." if automatic else ", or look for them with missing='auto'.")
        )  # fmt: skip
    if lost > known.size // 2:
        raise ValueError(
            f"{lost} of {known.size} positions are missing or NaN in some row; at most half can be filled. Leave out broken rows"
            f"{f' ({where})' if where else ''}, or use the task 'complete' for a grid measured at every n-th position."
        )
    return known


def _check_worth(reason: np.ndarray, tried: np.ndarray, source: str, matrix: SystemMatrix) -> None:
    """Raise ValueError where no row is denoised."""
    if np.any(reason == judge.RESTORED):
        return
    why = ", ".join(f"{text} ({n})" for text, n in counts({"reason": reason}).items())
    failed = np.flatnonzero(tried & (reason != judge.CLEAN_ROW))
    hint = (
        f" The first that fail are {row_names(matrix, failed)}. The noise is not what was taken for it, or the rows are not of the "
        "kind that the method is made for: a network may not know the tracer or the scanner. Say how noisy the rows are with "
        "noise_std, choose rows by SNR or frequency, or another model."
    )
    raise ValueError(f"no row would change, {source}: {why}.{hint if len(failed) else ''}")


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


def _text(job: Job, source: str, stats: dict[str, Any]) -> str:
    """What was done, in one line."""
    how = {
        "denoise": "",
        "inpaint": f" at {np.count_nonzero(stats['missing'])} of {stats['missing'].size} positions",
        "upsample": f" {job.scale} x in x and y ({job.restorer.sampling} sampling)",
        "complete": f" from every {job.scale}. position per axis",
    }[job.task]
    found = counts(stats)
    parts = [
        f"{VERBS[job.task]}{how} by {describe(job.restorer)}",
        source,
        f"{found.pop('restored', 0)} of {len(stats['reason'])} rows restored{methods_text(stats)}",
    ]
    if found and (job.restorer.trained or job.task == "denoise"):
        parts.append(f"{job.instead}: " + ", ".join(f"{n} {why}" for why, n in found.items()))
    if job.task == "inpaint" and job.trust:
        parts.append(hidden_text(stats["hidden"]))
    return "; ".join([*parts, "background frames, and the noise in the SNR, are those of the measured rows"])
