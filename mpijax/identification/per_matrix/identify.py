"""One particle, and what is wrong with the file, from all rows of a noisy calibration."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from mpijax.core.checks import check_choice
from mpijax.core.typing import Bool, Complex, Float, Int
from mpijax.identification.per_matrix.facts import Told
from mpijax.identification.per_matrix.identified import Identified
from mpijax.identification.per_matrix.match import FIRST_TALK, Match, Rows, Simulator, n_coil_numbers, search
from mpijax.identification.per_matrix.numbers import Start, free_of, names_of
from mpijax.identification.per_matrix.rows import HIGHEST, Physics, driven, value_and_slopes
from mpijax.identification.per_matrix.starts import dictionary, late_dictionary, misfit

DYNAMICS = ("auto", "equilibrium", "neel")
"""What is tried: "auto" begins with the equilibrium, and tries Neel rotation where that does not explain the rows."""

MOST_ROWS, CANDIDATES = 60, 200
"""Rows that are fitted, and strongest ones that they are chosen among."""

VOXELS, SHORT_VOXELS, NEEL_VOXELS = 256, 64, 48
"""Most positions of a fit, of the short searches before it, and of a fit with Neel rotation."""

FEWEST_VOXELS = 16
"""Positions of a fit at least, where they are many."""

STEPS, SHORT_STEPS, NEEL_STEPS = 12, 6, 16
"""Most steps of a search."""

FLUID_STARTS, IMMOBILIZED_STARTS, FINALISTS, NEEL_STARTS = 4, 8, 2, 3
"""Short searches in equilibrium of either kind, those that are continued, and searches with Neel rotation. Of fewer short ones all
may end in other minima: on the first four matrices of the restoration paper's test set eight full searches from 24 particles missed
the truth twice (a trial that is not kept), these never."""

EXPLAINED = 1.05
"""chi^2 per degree of freedom, or one and three standard deviations of it, below which no other start or dynamics are tried."""

BETTER = 0.5
"""Neel rotation is taken where it leaves less than this share of what chi^2 has beyond one in equilibrium."""

Progress = Callable[[str], Any]


class NoParticleError(ValueError):
    """No particle can be simulated in the fields of a calibration."""

    def __init__(self, how: str):
        super().__init__(
            f"no particle of the dictionary can be simulated {how} in the fields of this calibration; check its facts"
        )


@dataclass(frozen=True, eq=False)
class Reached:
    """Where a search ended."""

    match: Match
    start: Start
    physics: Physics
    names: tuple[str, ...]

    @property
    def freedom(self) -> float:
        """Complex degrees of freedom of chi^2."""
        return self.match.model.size - len(self.match.model) - len(self.match.numbers) / 2

    @property
    def chi2(self) -> float:
        """Chi^2 per degree of freedom."""
        return self.match.cost / self.freedom

    @property
    def explained(self) -> bool:
        """Whether chi^2 leaves nothing to explain."""
        return self.chi2 < 1 + max(EXPLAINED - 1, 3 / float(np.sqrt(self.freedom)))


def identify_rows(
    told: Told,
    values: Complex[np.ndarray, "m n"],
    known: Bool[np.ndarray, " n"],
    sigma: Float[np.ndarray, " m"],
    coil: Int[np.ndarray, " m"],
    bins: Int[np.ndarray, " m"],
    *,
    dynamics: str = "auto",
    progress: Progress = lambda text: None,
) -> Identified:
    r"""Fit one particle, the geometry and the receive coils to all rows of a matrix, one complex factor per row.

    .. math:: \min_{t, g}\ 2 \sum_{rn} \frac{|y_{rn} - g_r\, s_{rn}(t)|^2}{\sigma_r^2} + |t|^2

    t are diameter, anisotropy (and its modulation or easy axis), gradients, shift, turn and amplitudes, slopes and cross talk of
    the coils, each over the standard deviation of its prior (:data:`numbers.PRIOR`): that says how wrong a file may be. The
    searches start from the best fluid and immobilized particles of a dictionary: short ones on few positions, of which the best are
    continued.

    Args:
        told: what the file says.
        values: noisy rows (m, n), any unit; known: measured positions.
        sigma: complex standard deviation of each row's noise (m,) [unit of the values].
        coil, bins: of each row.
        dynamics: see :data:`DYNAMICS`.
        progress: told what is being done.

    Raises:
        ValueError: other dynamics.
        NoParticleError: nothing can be simulated.

    Source: this project; variable projection after Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413.
    """
    check_choice("dynamics", dynamics, DYNAMICS)
    began = time.perf_counter()
    low = _low_orders(told, bins)
    chosen = low[different_rows(values[low] * known, sigma[low])]
    axes = np.flatnonzero(told.used)
    rows = Rows.of(values, known, sigma, coil, bins, told.unit()[axes]).some(chosen)
    voxels = _spread(np.flatnonzero(known), _most(VOXELS, told))
    few, points = rows.at(voxels), np.asarray(told.points)
    physics, names = Physics.equilibrium(), names_of(told, relaxes=False)
    short = _spread(np.flatnonzero(known), _most(SHORT_VOXELS, told))
    progress("comparing with a dictionary of particles")
    starts = _best_starts(told, rows.at(short), points[short], names)
    found = _searches(starts, told, rows.at(short), points[short], physics, names, SHORT_STEPS, progress)
    finalists = sorted(found, key=lambda each: each.match.total)[:FINALISTS]
    found = _searches(finalists, told, few, points[voxels], physics, names, STEPS, progress)
    if not found:
        raise NoParticleError("in equilibrium")
    best = min(found, key=lambda each: each.match.total)
    equilibrium = best.chi2
    if dynamics == "neel" or (dynamics == "auto" and not best.explained):
        late = _neel(told, rows, points, progress)
        if dynamics == "neel" and not late:
            raise NoParticleError("with Neel rotation")
        chosen_late = min(late, key=lambda each: each.chi2, default=best)
        if dynamics == "neel" or chosen_late.chi2 - 1 < BETTER * (best.chi2 - 1):
            best = chosen_late
    at = best.match
    most = _most(NEEL_VOXELS if best.physics.relaxes else VOXELS, told)
    return Identified(
        told=told, start=best.start, names=best.names, physics=best.physics, numbers=at.numbers,
        free=_free(best.names, best.start, len(at.numbers) - len(best.names)), curvature=at.curvature,
        chi2=best.chi2, freedom=best.freedom, equilibrium_chi2=equilibrium,
        rows=chosen, voxels=min(most, int(np.count_nonzero(known))), seconds=time.perf_counter() - began,
    )  # fmt: skip


def different_rows(values: Complex[np.ndarray, "m n"], sigma: Float[np.ndarray, " m"]) -> Int[np.ndarray, " k"]:
    """The rows to fit: of the strongest over their noise those that differ most, by a QR decomposition with pivots."""
    power = np.sum(np.abs(values) ** 2, axis=1) / sigma**2
    strong = np.argsort(-power, kind="stable")[:CANDIDATES]
    strong = strong[power[strong] > 0]
    if len(strong) <= MOST_ROWS:
        return np.sort(strong)
    weighted = values[strong] / np.sqrt(np.sum(np.abs(values[strong]) ** 2, axis=1))[:, None]
    weighted = weighted * np.sqrt(np.minimum(power[strong], 100 * np.median(power[strong])))[:, None]
    pivots = scipy.linalg.qr(weighted.T, mode="r", pivoting=True)[1]
    return np.sort(strong[pivots[:MOST_ROWS]])


def _low_orders(told: Told, bins: Int[np.ndarray, " m"]) -> Int[np.ndarray, " k"]:
    """The rows that are simulated well with few phases; all where none is."""
    highest = HIGHEST[driven(told)]
    orders = np.abs(np.asarray(told.sequence.mixing_orders(3 * highest), int)).max(axis=1)
    low = np.flatnonzero(orders[bins] <= highest)
    return low if len(low) else np.arange(len(bins))


def _simulator(
    told: Told, start: Start, points: np.ndarray, bins: np.ndarray, physics: Physics, names: tuple[str, ...]
) -> Simulator:
    def simulate(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, slopes = value_and_slopes(t, told, start, points, bins, physics, names)
        assert slopes is not None
        return value, slopes

    return simulate


def _best_starts(told: Told, rows: Rows, points: np.ndarray, names: tuple[str, ...]) -> list[Start]:
    """The best of either kind, the best of all first."""
    left = {True: FLUID_STARTS, False: IMMOBILIZED_STARTS}
    chosen = []
    for start in _ranked(dictionary(), told, rows, points, Physics.equilibrium(), names):
        left[bool(start.fluid)] -= 1
        if left[bool(start.fluid)] >= 0:
            chosen.append(start)
    return chosen


def _ranked(
    starts: list[Start], told: Told, rows: Rows, points: np.ndarray, physics: Physics, names: tuple[str, ...]
) -> list[Start]:
    """Particles by how well they explain rows without any correction, those that cannot be simulated left out."""
    zero, scores = np.zeros(len(names)), []
    for start in starts:
        value, _ = value_and_slopes(zero, told, start, points, rows.bins, physics, names, slopes=False)
        scores.append(misfit(value, rows) if np.isfinite(value).all() else np.inf)
    order = np.argsort(scores, kind="stable")
    return [starts[i] for i in order if np.isfinite(scores[i])]


def _neel(told: Told, rows: Rows, points: np.ndarray, progress: Progress) -> list[Reached]:
    """Searches with Neel rotation, on fewer positions.

    They have a dictionary of their own: an equilibrium that was bent to late rows leads astray.
    """
    physics, names = Physics.neel(), names_of(told, relaxes=True)
    voxels = _spread(np.flatnonzero(rows.known), _most(NEEL_VOXELS, told))
    few = rows.at(voxels)
    progress("comparing with a dictionary of particles with Neel rotation")
    starts = _ranked(late_dictionary(), told, few, points[voxels], physics, names)[:NEEL_STARTS]
    return _searches(starts, told, few, points[voxels], physics, names, NEEL_STEPS, progress)


def _searches(
    starts: Sequence[Start | Reached],
    told: Told,
    rows: Rows,
    points: np.ndarray,
    physics: Physics,
    names: tuple[str, ...],
    steps: int,
    progress: Progress,
) -> list[Reached]:
    """One search after another, from particles or on from where others ended, until one leaves nothing to explain; those that
    cannot be simulated are left out."""
    coils, found = n_coil_numbers(told.n_channels, len(rows.unit)), []
    first = np.concatenate([np.zeros(len(names)), _first_coils(told, len(rows.unit))])
    for number, each in enumerate(starts):
        what = "Neel rotation" if physics.relaxes else "the equilibrium"
        progress(f"fitting {what}, start {number + 1} of {len(starts)}")
        start, numbers = (each.start, each.match.numbers) if isinstance(each, Reached) else (each, first)
        simulate = _simulator(told, start, points, rows.bins, physics, names)
        reached = search(simulate, numbers, _free(names, start, coils), rows, coils, steps)
        if np.isfinite(reached.total):
            found.append(Reached(reached, start, physics, names))
            if found[-1].explained:
                break
    return found


def _free(names: tuple[str, ...], start: Start, coils: int) -> np.ndarray:
    """Which numbers are fitted, those of the coils last."""
    return np.concatenate([free_of(names, bool(start.fluid)), np.ones(coils, bool)])


def _first_coils(told: Told, axes: int) -> np.ndarray:
    channels = told.n_channels
    return np.concatenate([np.zeros(channels * axes), np.full(channels * (channels - 1), FIRST_TALK)])


def _most(voxels: int, told: Told) -> int:
    """Positions of a fit: one that is a mean over a sample of q positions counts as (1 + q)/2."""
    return max(min(voxels, FEWEST_VOXELS), 2 * voxels // (1 + len(np.asarray(told.sample))))


def _spread(voxels: np.ndarray, most: int) -> np.ndarray:
    """Positions that fill the grid evenly, the same every time."""
    if len(voxels) <= most:
        return voxels
    return np.sort(np.random.default_rng(0).permutation(voxels)[:most])
