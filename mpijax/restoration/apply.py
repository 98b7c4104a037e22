"""Restoring a system matrix: noise, method, trust, record."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mpijax.core.checks import check_choice
from mpijax.core.solution import Solution
from mpijax.core.typing import Bool, Complex, Float, Int
from mpijax.datasets.measured import frequency_ranks
from mpijax.identification.per_matrix import Identified
from mpijax.identification.per_matrix.identify import DYNAMICS
from mpijax.identification.problem import FITTED_TEXT
from mpijax.restoration import trust as judge
from mpijax.restoration.choose import find_method
from mpijax.restoration.guided import guided
from mpijax.restoration.job import Evidence, Job
from mpijax.restoration.method import Method
from mpijax.restoration.noise import RowNoise, row_noise
from mpijax.restoration.record import Restored, check_worth, counts, hidden_text, methods_text, recorded, row_names
from mpijax.restoration.trial import Tried, try_out
from mpijax.rows.tasks import RowMethod, Task, task_of
from mpijax.rows.transforms import SMALLEST
from mpijax.system import SystemMatrix

LEAST_NOISE = 1e-6
"""Noise over largest modulus that a row has at least: the rounding of single precision."""

LEAST_OF_MEDIAN = 0.5
"""Least noise of a row over the median of all, in a fit, where rows were asked for their own noise."""


def restore(
    system_matrix: SystemMatrix,
    task: Task | str,
    *,
    method: str | Path | Method | RowMethod | None = None,
    noise_std: Any = None,
    trust: bool = True,
    progress: bool = False,
    identify: bool | str = True,
    model: str | Path | None = None,
    scale: int | None = None,
    sampling: str | None = None,
    missing: Any = None,
) -> Solution[Restored, SystemMatrix]:
    """Restore the kept rows of a calibration: remove noise, fill positions, or make the grid finer.

    Every row is restored on its own, in units of its largest modulus and told its noise: that of ``noise_std``, else of the
    background frames (with fewer than 20 of them also from the row), else estimated from the row itself. Rows not above the noise,
    rows noisier than the network's training, and rows whose restoration fails the check of :mod:`mpijax.restoration.trust` are left
    as measured (``Denoise``) or filled by a classical method (the task's ``stand_in``), and named in the stats.

    A network or callable that upsamples is first tried on the rows themselves, one level coarser: from every ``scale``-th measured
    voxel (from block means) it predicts the others. Where the stand-in does so better by 0.5 dB in the mean over rows, that one
    upsamples the matrix, with a warning. Where fewer than 4 voxels along an axis would be left, nothing can be hidden: the weights
    that ship then give way to the stand-in, a method that you name does not.

    Args:
        system_matrix: matrix, rows selected; a plane or a volume of at least 4 voxels along each axis in use.
        task: :class:`mpijax.rows.tasks.Denoise`, ``Inpaint(missing)``, ``Complete(scale)`` or ``Upsample(scale, sampling)``, a task
            of your own, or the name of one: "denoise", "inpaint", "complete", "upsample".
        method: default the weights that ship; else a run directory, a weights file, the name of a classical method of the task
            (``task.classical()``), "fitted" (upsampling the rows of a plane together, by one fitted particle or line), or a
            callable ``(rows, known, inside, sigma) -> rows``.
        noise_std: complex standard deviation of the noise: a number, per kept row (m,), or (c, f) [unit of the values].
        trust: whether to check every row, and upsamplers as a whole. Without it all rows above the noise are restored.
        progress: whether to show a progress bar.
        identify: whether one particle, and what is wrong with the file, is fitted to all rows first
            (:func:`mpijax.identification.identify_rows`), and its rows compete with the network's. Where the matrix does not say
            enough of itself this is skipped, and the stats say why. "equilibrium" or "neel" = only with these dynamics. False =
            every row by itself. Takes seconds; minutes where Neel rotation is tried.
        model: other name of ``method``.
        scale, sampling, missing: options of a task that is given by its name.

    Returns:
        Solution: the restored matrix, with the SNR of its restored rows where there are background frames (NaN for rows that are
        not kept), else the SNR that it had; a channel that is zero in every row stays so, with a warning; and a
        :class:`mpijax.restoration.Restored`.

    Raises:
        ValueError: an unknown task, options that do not fit it or the grid, NaN values, zeros alone, no weights for this task,
            dimension and scale, or a matrix to denoise of which no row could be believed.
        FileNotFoundError: no such run directory or weights file.

    Source: restoration paper, section 3.2 (the tasks); the check after Stein, Ann. Statist. 9 (1981) 1135.
    """
    task, dynamics = task_of(task, scale=scale, sampling=sampling, missing=missing), _dynamics(identify)
    if model is not None and method is not None:
        raise ValueError(f"method = {method} and model = {model} are both given; they are two names of one thing.")
    if task.stand_in is None and noise_std is None and system_matrix.header.restoration is not None:
        raise ValueError(
            f"this matrix has been restored before ({system_matrix.header.restoration}), and its background frames no longer say "
            "how noisy it is; denoise the measured one, or say how noisy this one is with noise_std."
        )
    images, slices = _images(system_matrix, task)
    given = model if method is None else method
    chosen, task = find_method(task, images.ndim - 1, given)
    known = _known(task, images, system_matrix, slices)
    images = np.where(known, images, 0)
    peak = np.abs(images).reshape(len(images) // slices, -1).max(axis=1).astype(np.float64)
    _say_silent(system_matrix.row_index().channel, peak)
    unit = np.where(peak > 0, peak, 1)
    images /= np.repeat(unit, slices).reshape(-1, *(1,) * (images.ndim - 1)).astype(images.real.dtype)
    noise = row_noise(system_matrix, images, known, noise_std, unit)
    noise = replace(noise, sigma=np.maximum(noise.sigma, LEAST_NOISE))
    job = Job(task, chosen, known, slices, trust, progress, frequency_ranks(system_matrix))
    if job.stand_in is None and task.fine_shape(known.shape) != known.shape:
        raise ValueError(
            f"the task {task.name} makes another grid and has no stand_in for rows that cannot be restored; name one."
        )

    count = slices * int(np.count_nonzero(known))
    said: str | None = None
    found: Identified | None = None
    power = job.energy(len(images), lambda part: images[part]) / count
    reason = _worth_trying(job, noise, power, count)
    job, trial = _tried_out(job, images, noise, reason == judge.RESTORED, proven=given is not None)
    if trial is not None and trial.replaced:
        reason = _worth_trying(job, noise, power, count)
    tried = reason == judge.RESTORED
    if chosen.whole is not None:
        level = noise.sigma if system_matrix.angles is not None else _cautious(noise, unit)
        with _told(progress, "fitting all rows together") as tell:
            together = chosen.whole(system_matrix, task, level * unit, dynamics=dynamics or "auto", progress=tell)
        evidence, said = job.together(together, unit), together.details
    else:
        if dynamics is not None and tried.any():
            job, found, said = _identified(job, system_matrix, images, _cautious(noise, unit), dynamics)
        evidence = job.run(images, noise.sigma, tried)
    error, spread = np.full((2, len(unit)), np.nan)
    if trust:
        measured = judge.remaining_error(evidence.residual, evidence.divergence, noise.sigma, count, noise.frames)
        error[tried], spread[tried] = measured[tried], (evidence.spread / noise.sigma)[tried]
        reason[tried] = _judged(job, images, evidence, measured, noise, power, count)[tried]
    if job.stand_in is None:
        check_worth(reason, tried, noise.source, system_matrix)
    left = reason != judge.RESTORED
    restored = job.without(images, evidence.restored, noise.sigma, left)
    change = job.energy(len(images), lambda part: job.observed(restored[part]) - images[part] * known)
    names = np.array([candidate.title for candidate in job.candidates])
    stats = Restored(
        residual=np.sqrt(change / np.where(power > 0, power * count, 1)),
        trusted=~left,
        reason=reason,
        sigma=noise.sigma * unit,
        level=noise.sigma,
        snr=np.sqrt(np.maximum(power / noise.sigma**2 - 1, 0)),
        error=error,
        spread=spread,
        method=np.where(left, "", names[evidence.method]),
        missing=~known.reshape(-1),
        noise_source=noise.source,
        noise_from_rows=noise.from_rows,
        instead=job.instead,
        hidden=0 if job.hidden is None else int(np.count_nonzero(job.hidden)),
        identified=found,
        identification=said,
        trial=trial,
    )

    restored *= np.repeat(unit, slices).reshape(-1, *(1,) * (restored.ndim - 1)).astype(np.float32)
    rows = restored.reshape(len(unit), -1).astype(np.asarray(system_matrix.values[:0]).dtype, copy=False)
    if job.stand_in is None:
        rows[left] = np.asarray(system_matrix.rows())[left]  # bit for bit
    result = system_matrix.with_rows(rows, task.grid(system_matrix.grid))
    return Solution(recorded(result, _text(job, stats)), stats)


def _dynamics(identify: bool | str) -> str | None:
    """What an identification tries; None = there is none."""
    if isinstance(identify, str):
        check_choice("identify", identify, DYNAMICS)
        return identify
    return "auto" if identify else None


def _cautious(noise: RowNoise, unit: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Noise of the rows for a fit, which trusts those most whose noise came out least.

    Variances of E background frames, whose mean was subtracted, are (1 + 1/E)(E - 1)/(E - 2) times as large in the mean of their
    inverse; noise that was taken from a row itself is not less than ``LEAST_OF_MEDIAN`` of the median.
    """
    if noise.from_rows:
        absolute = noise.sigma * unit
        return np.maximum(absolute, LEAST_OF_MEDIAN * np.median(absolute[absolute > 0])) / unit
    if noise.frames is None or noise.frames < 3:
        return noise.sigma
    frames = noise.frames
    return noise.sigma * np.sqrt((1 + 1 / frames) * (frames - 1) / (frames - 2))


def _identified(
    job: Job, matrix: SystemMatrix, images: Complex[np.ndarray, " b *s"], sigma: Float[np.ndarray, " m"], dynamics: str
) -> tuple[Job, Identified | None, str]:
    """The job with the methods of an identification, and what it found, or why there is none."""
    if job.slices > 1 or not job.method.trained or not job.trust:
        why = (
            "rows are restored slice by slice"
            if job.slices > 1
            else "only a network that is checked is compared with a fit"
        )
        return job, None, f"not identified: {why}"
    with _told(job.progress, "identifying the particle") as tell:
        found, said = guided(matrix, job.task, images, job.known, sigma, dynamics=dynamics, progress=tell)
    return (job, None, said) if found is None else (replace(job, guided=found.methods), found.identified, said)


@contextlib.contextmanager
def _told(progress: bool, first: str) -> Iterator[Callable[[str], Any]]:
    """Says in the terminal what is being done."""
    console = Console(stderr=True)
    if not (progress and console.is_terminal):
        yield lambda text: None
        return
    with console.status(first) as status:
        yield status.update


def _worth_trying(job: Job, noise: RowNoise, power: Float[np.ndarray, " m"], count: int) -> Int[np.ndarray, " m"]:
    """``RESTORED`` for the rows that the method is tried on, and why not for the others."""
    reason = np.full(len(power), judge.RESTORED)
    reason[noise.sigma > job.method.noise_limit] = judge.TOO_NOISY
    # restored together, rows below the noise are told by the others
    above = judge.present(power, noise.sigma, count, noise.frames) if job.method.whole is None else power > 0
    reason[~above] = judge.NOISE
    if job.method.trained:  # the stand-in is then better, see experiments/README.md
        reason[(reason == judge.RESTORED) & (noise.sigma < job.task.least_noise)] = judge.CLEAN_ROW
    return reason


def _tried_out(
    job: Job, images: Complex[np.ndarray, " b *s"], noise: RowNoise, wanted: Bool[np.ndarray, " m"], proven: bool
) -> tuple[Job, Tried | None]:
    """The job, by the stand-in where that predicts the measured rows better; said in a warning."""
    if job.method.classical or job.method.whole is not None or not (job.trust and job.task.has_trial):
        return job, None
    chosen = np.repeat(wanted, job.slices)
    method, trial = try_out(job.task, job.method, images[chosen], np.repeat(noise.sigma, job.slices)[chosen], proven)
    if trial is None or not trial.replaced:
        return job, trial
    warnings.warn(f"{trial.text()}; without the check (trust=False) {job.method.title} is used.", stacklevel=3)
    return replace(job, method=method), trial


def _judged(
    job: Job,
    images: Complex[np.ndarray, " b *s"],
    evidence: Evidence,
    error: Float[np.ndarray, " m"],
    noise: RowNoise,
    power: Float[np.ndarray, " m"],
    count: int,
) -> Int[np.ndarray, " m"]:
    """What the checks say of every row."""
    held, codes, sigma = job.hidden, None, noise.sigma
    if held is not None:
        below = job.energy(len(images), lambda part: images[part] * held)
        codes = judge.predicted(evidence.guessed, below, sigma, int(np.count_nonzero(held)))
    return judge.judge(
        error,
        evidence.spread / sigma,
        sigma,
        power / sigma**2,
        codes,
        fills=job.task.stand_in is not None,
        count=count,
        frames=noise.frames,
    )


def _say_silent(channel: np.ndarray, peak: np.ndarray) -> None:
    """Refuse rows that are all zero; warn of channels that are."""
    if not peak.any():
        raise ValueError(f"all {len(peak)} rows of the system matrix are zero; there is nothing to restore.")
    silent = np.setdiff1d(channel, channel[peak > 0])
    if len(silent):
        warnings.warn(
            f"channels that are zero in every row stay as they are: {', '.join(map(str, silent))}.", stacklevel=3
        )


def _images(matrix: SystemMatrix, task: Task) -> tuple[Complex[np.ndarray, " b *s"], int]:
    """Rows as images over the axes in use, and how many slices a row has where it is restored slice by slice."""
    nx, ny, nz = matrix.grid.shape
    images = np.asarray(matrix.grid.to_image(matrix.rows()))
    used = [ny, nx] if task.by_slice else [n for n in (nz, ny, nx) if n > 1]
    if len(used) < 2 or min(used) < SMALLEST:
        raise ValueError(
            f"the grid has {nx} x {ny} x {nz} voxels; restoring takes planes and volumes of at least {SMALLEST} along each axis in "
            "use."
        )
    if not len(images):
        raise ValueError("the system matrix has no rows; lower the SNR threshold.")
    return images.reshape(-1, *used), nz if task.by_slice else 1


def _known(
    task: Task, images: Complex[np.ndarray, " b *s"], matrix: SystemMatrix, slices: int
) -> Bool[np.ndarray, " *s"]:
    """The measured positions."""
    finite = np.isfinite(images)
    positions = finite.all(axis=0)
    where = ""
    if not positions.all():
        rows = finite.reshape(len(images) // slices, -1)
        broken, voxels = np.flatnonzero(~rows.all(axis=1)), np.flatnonzero(~rows.all(axis=0))
        which = "all rows" if len(broken) == len(rows) else row_names(matrix, broken)
        where = (
            f"{np.count_nonzero(~finite)} entries of the system matrix at {len(voxels)} positions are NaN or infinite, in {which}; "
            f"the first is voxel {voxels[0]}, counted from 0, x fastest"
        )
    if where and not task.has_gaps:
        raise ValueError(f"{where}. Leave rows out, or fill positions with the task 'inpaint' (--task inpaint).")
    known = task.known(images, positions, matrix.grid.shape[::-1])
    lost = np.count_nonzero(~known)
    if lost > known.size // 2:
        raise ValueError(
            f"{lost} of {known.size} positions are missing or NaN in some row; at most half can be filled. Leave out broken rows"
            f"{f' ({where})' if where else ''}, or use the task 'complete' for a grid measured at every n-th position."
        )
    return known


def _text(job: Job, stats: Restored) -> str:
    """What was done, in one line."""
    found = counts(stats.reason)
    parts = [
        f"{job.task.verb}{job.task.how(stats.missing)} by {job.method.describe()}",
        stats.noise_source,
        f"{found.pop('restored', 0)} of {len(stats.reason)} rows restored{methods_text(stats)}",
    ]
    if found and not (job.method.classical and job.stand_in):
        parts.append(f"{job.instead}: " + ", ".join(f"{n} {why}" for why, n in found.items()))
    if stats.identified is not None and np.any(np.isin(stats.method, [method.name for method in job.guided])):
        parts.append(f"{FITTED_TEXT} ({stats.identified.summary()})")
    elif job.method.whole is not None:
        parts.append(FITTED_TEXT)
    if stats.trial is not None:
        parts.append(stats.trial.text())
    if job.task.has_gaps and job.trust:
        parts.append(hidden_text(stats.hidden))
    return "; ".join([*parts, "background frames, and the noise in the SNR, are those of the measured rows"])
