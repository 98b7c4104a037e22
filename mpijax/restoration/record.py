"""What was done to a matrix, in words: for the file that is written and for the one who waits."""

from dataclasses import dataclass, replace

import numpy as np

from mpijax.core.record import Record
from mpijax.core.typing import Bool, Float, Int
from mpijax.identification.per_matrix import Identified
from mpijax.io.mdf.shapes import known_snr
from mpijax.io.snr import system_matrix_snr
from mpijax.restoration.trial import Tried
from mpijax.restoration.trust import CLEAN_ROW, REASONS, RESTORED
from mpijax.system import SystemMatrix
from mpijax.system.facts.header import stating

NAMED = 3
"""Rows that a message names."""


@dataclass(frozen=True, eq=False)
class Restored(Record):
    """What became of each kept row (m,) of a matrix that was restored; ``stats["trusted"]`` is ``stats.trusted``.

    Attributes:
        residual: distance of the restored row from the measured one at measured positions over the norm of the latter.
        trusted: whether the row was restored by the method, or by a classical one that did better on it.
        reason: a code of :data:`mpijax.restoration.trust.REASONS`; :meth:`reasons` says them in words.
        sigma: complex standard deviation of the noise [unit of the values]; level: over the largest modulus.
        snr: rms signal over sigma.
        error: estimated remaining error power over sigma^2; spread: of the ensemble over sigma; NaN where nothing was checked.
        method: what restored the row, empty where none did.
        missing: positions (n,) of the measured grid that were missing.
        noise_source: where the noise is from, in words; noise_from_rows: whether the rows themselves were asked.
        instead: what became of the other rows, in words.
        hidden: measured voxels that were hidden for the check of a task with gaps; 0 = none.
        identified: the particle that was fitted to all rows, or None; identification: what a fit of the whole matrix found, or why
            there is none.
        trial: how the asked method did against the stand-in on measured voxels, one level coarser; None where that is no check.
    """

    residual: Float[np.ndarray, " m"]
    trusted: Bool[np.ndarray, " m"]
    reason: Int[np.ndarray, " m"]
    sigma: Float[np.ndarray, " m"]
    level: Float[np.ndarray, " m"]
    snr: Float[np.ndarray, " m"]
    error: Float[np.ndarray, " m"]
    spread: Float[np.ndarray, " m"]
    method: np.ndarray
    missing: Bool[np.ndarray, " n"]
    noise_source: str
    noise_from_rows: bool
    instead: str
    hidden: int
    identified: Identified | None = None
    identification: str | None = None
    trial: Tried | None = None

    def reasons(self) -> dict[str, int]:
        """What became of the rows, in words, and of how many; the restored ones first."""
        return counts(self.reason)


def recorded(system_matrix: SystemMatrix, text: str) -> SystemMatrix:
    """The matrix whose header says ``text``, as its restoration and at the end of the description, with its SNR computed again.

    A plan by which the measured matrix was made is none of the restored one.
    Without background frames the SNR stays that of the measured rows, if it says anything.
    """
    described = system_matrix.header.description
    description = f"{described}; {text}" if described not in (None, "", "n.a.") else text
    values, background, snr = system_matrix.values, system_matrix.background, known_snr(system_matrix.snr)
    if background is None or not np.isfinite(np.asarray(background)).any():
        background = None
    else:
        snr = system_matrix_snr(np.asarray(values), np.asarray(background), row_mask=system_matrix.row_mask)
    metadata = stating(system_matrix.metadata, restoration=text, description=description, plan=None)
    return replace(system_matrix, background=background, snr=snr, metadata=metadata)


def check_worth(reason: np.ndarray, tried: np.ndarray, source: str, matrix: SystemMatrix) -> None:
    """Raise ValueError where no row is denoised."""
    if np.any(reason == RESTORED):
        return
    why = ", ".join(f"{text} ({n})" for text, n in counts(reason).items())
    failed = np.flatnonzero(tried & (reason != CLEAN_ROW))
    hint = (
        f" The first that fail are {row_names(matrix, failed)}. The noise is not what was taken for it, or the rows are not of the "
        "kind that the method is made for: a network may not know the tracer or the scanner. Say how noisy the rows are with "
        "noise_std, choose rows by SNR or frequency, or another model."
    )
    raise ValueError(f"no row would change, {source}: {why}.{hint if len(failed) else ''}")


def counts(reason: Int[np.ndarray, " m"]) -> dict[str, int]:
    """Reason -> how many rows, the restored ones first; only reasons that occur."""
    found = np.bincount(reason, minlength=len(REASONS))
    return {name: int(n) for name, n in zip(REASONS, found, strict=True) if n}


def methods_text(stats: Restored) -> str:
    """How many rows each method restored, in brackets; empty where it was the one that was asked for."""
    names, found = np.unique(stats.method[stats.trusted], return_counts=True)
    asked = len(names) == 0 or (len(names) == 1 and stats.identified is None)
    return "" if asked else f" ({', '.join(f'{n} by {name}' for name, n in zip(names, found, strict=True))})"


def hidden_text(hidden: int) -> str:
    """What the check of rows with gaps rests on."""
    if hidden:
        return f"checked at {hidden} measured voxels that were hidden"
    return "not checked at hidden voxels, there is no room for them"


def averages_gained(stats: Restored) -> float | None:
    """By how many times the noise power of the restored rows fell, as if so many times as many averages had been taken.

    1 over the mean of the estimated remaining error of the restored rows; None where nothing was checked, the estimate does not
    differ from zero, or the noise is from the rows themselves: that is too large for most rows, by a few percent, and the gain
    would be much too large. Rows of SNR below 2 are left out: among them those are restored whose noise was underestimated.
    """
    if stats.noise_from_rows:
        return None
    error = stats.error[stats.trusted & np.isfinite(stats.error) & (stats.snr >= 2)]
    if len(error) < 2:
        return None
    mean, deviation = float(np.mean(error)), float(np.std(error) / np.sqrt(len(error)))
    return 1 / mean if mean > 2 * deviation else None


def row_names(system_matrix: SystemMatrix, rows: Int[np.ndarray, " k"]) -> str:
    """The first of the given rows by number, channel and frequency, and how many there are beyond."""
    index, table = system_matrix.row_index(), np.asarray(system_matrix.row_frequencies)
    names = [
        f"row {i} (channel {index.channel[i]}, bin {index.frequency_index[i]}, {table[i] / 1e3:.2f} kHz)"
        for i in rows[:NAMED]
    ]
    more = len(rows) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def row_list(system_matrix: SystemMatrix, stats: Restored) -> str:
    """A table of the rows that were not restored: channel, bin, frequency, noise and why; tabs between the columns."""
    index = system_matrix.row_index()
    frequencies = np.asarray(system_matrix.row_frequencies)
    lines = ["channel\tbin\tfrequency_kHz\tnoise_over_maximum\treason"]
    for i in np.flatnonzero(~stats.trusted):
        lines.append(
            f"{index.channel[i]}\t{index.frequency_index[i]}\t{frequencies[i] / 1e3:.4f}\t{stats.level[i]:.4g}\t"
            f"{REASONS[stats.reason[i]]}"
        )
    return "\n".join(lines) + "\n"


def calibration_time(system_matrix: SystemMatrix, positions: float | int) -> float | None:
    """Seconds that a calibration of so many positions takes with the matrix's averages and period; None where unknown.

    Positions x averages x period; moving the sample comes on top.
    """
    averages = system_matrix.header.averages
    if system_matrix.sequence is None or not averages:
        return None
    return float(positions * averages * np.asarray(system_matrix.sequence.period))
