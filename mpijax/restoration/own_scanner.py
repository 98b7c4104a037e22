"""What a network for one's own scanner is trained on, as a file of that scanner tells it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mpijax.core.typing import Float
from mpijax.datasets.calibrations import VOLUMES, Calibrations
from mpijax.datasets.corruption import RandomCorruption
from mpijax.datasets.reservoir import candidate_bins
from mpijax.datasets.samplers import RestorationPrior, SameScanner
from mpijax.io import MDFInfo, open_system_matrix, read_info
from mpijax.physics.sequences import UNREACHED
from mpijax.restoration.noise import row_noise
from mpijax.rows.tasks import Task, task_of
from mpijax.system import Grid, LissajousSequence, Scanner, SystemMatrix

NOISE_RANGE = RandomCorruption().noise_range
"""Of networks that no file tells the noise, and the most that is trained for: a row of more shows its noise and little else."""

LEAST_NOISE = 0.05
"""Largest noise of a network whose file is cleaner than this."""

MOST_BYTES = 2**28
"""Of rows that are read to learn their noise."""

CHANCE = 1e-6
"""With which the largest of a row's voxels is as far above the noise as asked for, though there is nothing but noise."""

MARGIN = 1.25
"""Noise that is trained for over that of the weakest rows: the next file has others."""

STRONG = 0.99
"""Share of the rows above the noise whose mixing orders are trained for: few others are noise that looks like a row."""


@dataclass(frozen=True)
class OwnScanner:
    """Calibrations to train on, and how noisy they are. Made by :func:`like`.

    Attributes:
        calibrations: of the scanner, sequence and grid of the file, with random particles.
        noise_range: least and largest complex standard deviation of the noise over a row's largest modulus.
        remarks: what was read off the file, in sentences.
    """

    calibrations: Calibrations
    noise_range: tuple[float, float]
    remarks: tuple[str, ...]

    def pairs(self, task: Task | str = "denoise") -> RandomCorruption:
        """What the network learns: a task that keeps the grid, at the noise of the file.

        Raises:
            ValueError: a task that makes the grid finer.
        """
        wanted = task_of(task)
        if wanted.seen_factor > 1:
            raise ValueError(
                f"task {wanted.name!r} is trained on rows of one grid, not on a scanner's calibrations; take denoise, inpaint or "
                "complete. To upsample, train on fine calibrations of yours, or on a source that has one grid (--source ffl)."
            )
        return RandomCorruption((wanted,), noise_range=self.noise_range)


def like(
    file: str | Path,
    *,
    gradient: Sequence[float] | None = None,
    amplitude: Sequence[float] | None = None,
    dividers: tuple[int, int, int] | None = None,
    base_frequency: float | None = None,
    shape: tuple[int, int, int] | None = None,
    fov: tuple[float, float, float] | None = None,
    particles: str = "mixed",
) -> OwnScanner:
    """Calibrations like that of a file, for :func:`mpijax.restoration.train`.

    Selection field, drive field, receive channels and grid are those of the file; which mixing orders and how much noise there is,
    is learned from its rows. What is given takes the place of what the file says.

    Args:
        file: MDF file with a calibration; a measurement, where shape and fov are given.
        gradient: diagonal of the selection field [T/m].
        amplitude: of the drive field along x, y, z [T].
        dividers: of the base frequency, along x, y, z.
        base_frequency: [Hz].
        shape: voxels along x, y, z.
        fov: field of view [m].
        particles: that are drawn: "mixed", "fluid", "immobilized" or "langevin".

    Raises:
        FileNotFoundError, MDFError: there is no such file, or it is none.
        ValueError: the file lacks something that is not given, all of which is named; it is of a field-free line, has several
            periods, or no gradient; numbers that cannot be.
    """
    info = read_info(file)
    _check_kind(info)
    given = {"gradient": gradient, "amplitude": amplitude, "dividers": dividers, "base_frequency": base_frequency}
    _check_told(info, given | {"shape": shape, "fov": fov})
    scanner = Scanner.from_mdf(info) if gradient is None else Scanner.create(np.asarray(gradient, float))
    sequence = _sequence(info, amplitude, dividers, base_frequency)
    prior = SameScanner.of(
        scanner, sequence, _grid(info, shape, fov), _coils(info, sequence), RestorationPrior(2, particles)
    )
    told = _told(info, sequence)
    calibrations = Calibrations.of_same(prior, **_rows(prior, told.max_order))
    return OwnScanner(calibrations, told.noise_range, (_scan_words(prior), told.text))


def _check_kind(info: MDFInfo) -> None:
    if info.n_periods > 1:
        raise ValueError(f"{info.path} holds {info.n_periods} periods (patches); give a file of one.")
    if info.angles is not None:
        raise ValueError(
            f"{info.path} is of a field-free line that turns; calibrations are drawn of a field-free point. Train on the file "
            "itself, or on the source ffl."
        )


def _check_told(info: MDFInfo, given: dict[str, Any]) -> None:
    """Raise ValueError with everything that neither the file nor the caller says."""
    zero = info.gradient is None or not np.any(info.gradient)  # files say unknown by zero
    lacks = {
        "gradient": (zero, "the gradient (/acquisition/gradient)"),
        "amplitude": (not info.driven, "the drive amplitudes (/acquisition/driveField/strength)"),
        "dividers": (info.divider is None, "the drive frequencies (/acquisition/driveField/divider)"),
        "base_frequency": (
            info.base_frequency is None,
            "the base frequency (/acquisition/driveField/baseFrequency)",
        ),
        "shape": (_lacks_grid(info, "size"), "the voxels (/calibration/size)"),
        "fov": (_lacks_grid(info, "fov"), "the field of view (/calibration/fieldOfView)"),
    }
    missing = {name: words for name, (lacking, words) in lacks.items() if lacking and given[name] is None}
    if missing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise ValueError(
            f"{info.path} lacks {_listed(list(missing.values()))}; give {'it' if len(missing) == 1 else 'them'} by hand: {options} "
            f"(in Python {', '.join(f'{name}=' for name in missing)})."
        )


def _lacks_grid(info: MDFInfo, name: str) -> bool:
    calibration = info.calibration
    if calibration is None:
        return True
    return getattr(calibration, name) is None and calibration.positions is None


def _grid(info: MDFInfo, shape: tuple[int, int, int] | None, fov: tuple[float, float, float] | None) -> Grid:
    """That of the file, with what is given in its place."""
    if shape is not None and fov is not None:
        center = None if info.calibration is None else info.calibration.center
        return Grid.create(shape, fov, np.zeros(3) if center is None else center)
    found = info.grid
    return Grid.create(found.shape if shape is None else shape, found.fov if fov is None else fov, found.center)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sequence(
    info: MDFInfo,
    amplitude: Sequence[float] | None,
    dividers: tuple[int, int, int] | None,
    base_frequency: float | None,
) -> LissajousSequence:
    """That of the file, with what is given in its place; the file's samples per period stay."""
    found = info.sequence
    if amplitude is None and dividers is None and base_frequency is None:
        if found is None:
            raise ValueError(
                f"the drive field of {info.path} is not one sine for each axis, and no other is simulated; give one that is near "
                "by hand: --amplitude, --dividers (in Python amplitude=, dividers=)."
            )
        return found
    made = LissajousSequence.create(
        _first(info.strength, 0.0) if amplitude is None else np.asarray(amplitude, float),
        tuple(int(n) for n in _first(info.divider, 1)) if dividers is None else dividers,
        info.base_frequency or 1.0 if base_frequency is None else base_frequency,
        phase=None if found is None or found.phase is None or dividers is not None else np.asarray(found.phase),
        n_samples=info.n_samples,
    )
    if not np.isfinite(info.bandwidth):
        return made
    periods = info.n_samples / (2 * info.bandwidth * made.period)
    count = round(periods)
    if count < 1 or abs(periods - count) > 1e-3 * count:
        raise ValueError(
            f"dividers = {made.dividers} at {made.base_frequency:g} Hz repeat after {made.period * 1e3:.6g} ms, but a period of "
            f"{info.path} lasts {info.n_samples / (2 * info.bandwidth) * 1e3:.6g} ms ({info.n_samples} samples, bandwidth "
            f"{info.bandwidth:g} Hz); one of these is wrong."
        )
    return replace(made, ticks=made.ticks * count)


def _first(values: np.ndarray | None, fill: float) -> np.ndarray:
    """The first tone of each drive channel, for three axes."""
    assert values is not None
    return np.pad(values[:, 0], [0, 3 - len(values)], constant_values=fill)


def _coils(info: MDFInfo, sequence: LissajousSequence) -> tuple[int, ...]:
    """The axis of every receive channel: that of its number, else x, y, z of three, else the driven ones."""
    numbers = info.channel_numbers
    if numbers is not None and all(0 <= n < 3 for n in numbers):
        return numbers
    if info.n_channels == 3:
        return (0, 1, 2)
    return tuple(int(axis) for axis in np.flatnonzero(sequence.active))


@dataclass(frozen=True)
class _Told:
    """What the rows of a file tell: range of the noise, largest mixing order or None, and where it is from."""

    noise_range: tuple[float, float]
    max_order: int | None
    text: str


def _told(info: MDFInfo, sequence: LissajousSequence) -> _Told:
    """Noise and mixing orders of the rows that are not drowned in noise; of a measurement the defaults."""
    if not info.is_calibration:
        return _Told(
            NOISE_RANGE, None, f"noise 0 to {NOISE_RANGE[1]:g} of a row's maximum, all mixing orders: no rows tell"
        )
    source = open_system_matrix(info.path).thinned(MOST_BYTES)
    matrix = source.read(background="mean" if info.n_background_frames else "none")
    sigma, origin = _levels(matrix)
    strong = sigma < 1 / np.sqrt(np.log(matrix.grid.size / CHANCE))  # P(|n| > x sigma) = exp(-x^2) of complex noise
    if not strong.any():
        raise ValueError(
            f"{info.path}: no row stands above the noise ({origin}); there is nothing that a network could learn."
        )
    high = round(float(np.clip(MARGIN * np.quantile(sigma[strong], STRONG), LEAST_NOISE, NOISE_RANGE[1])), 3)
    bins = np.asarray(matrix.frequency_indices)[matrix.kept_rows()[1]][strong]
    table = np.abs(sequence.mixing_orders()).sum(1)
    orders = table[bins[bins < len(table)]]
    reached = orders[orders < UNREACHED]
    order = int(np.quantile(reached, STRONG, method="higher")) if reached.size else None
    return _Told(
        (0.0, high),
        order,
        f"{np.count_nonzero(strong)} of {len(sigma)} rows stand above the noise ({origin}): trained for 0 to {high:g} of a row's "
        f"maximum{'' if order is None else f' and up to mixing order {order}'}",
    )


def _levels(matrix: SystemMatrix) -> tuple[Float[np.ndarray, " m"], str]:
    """Noise of every kept row over its largest modulus, infinite of rows without a signal; and where it is from."""
    images = np.asarray(matrix.grid.to_image(matrix.rows()))
    images = images[:, 0] if images.shape[1] == 1 else images
    peak = np.abs(images).reshape(len(images), -1).max(1).astype(np.float64)
    present = np.isfinite(peak) & (peak > 0)
    unit = np.where(present, peak, 1.0)
    spread = unit.reshape(-1, *(1,) * (images.ndim - 1)), present.reshape(-1, *(1,) * (images.ndim - 1))
    found = row_noise(matrix, np.where(spread[1], images / spread[0], 0), np.ones(images.shape[1:], bool), None, unit)
    return np.where(present, found.sigma, np.inf), found.source


def _rows(prior: SameScanner, max_order: int | None) -> dict[str, Any]:
    """Options of the stream: as many orders as the file shows, and no more rows of a matrix than there are frequencies."""
    wanted = VOLUMES["rows_per_matrix"] if prior.dimensions == 3 else Calibrations.rows_per_matrix
    return {"max_order": max_order, "rows_per_matrix": min(wanted, len(candidate_bins(prior.sequence, max_order)))}


def _scan_words(prior: SameScanner) -> str:
    """Grid, fields and channels, so that a wrong number of the file is seen."""

    def product(values: Any, scale: float = 1.0) -> str:
        return " x ".join(f"{scale * value:.4g}" for value in values)

    sequence = prior.sequence
    tones = ", ".join(
        f"{sequence.base_frequency / n / 1e3:.4g}"
        for n, on in zip(sequence.dividers, sequence.active, strict=True)
        if on
    )
    gradient = np.asarray(prior.gradient)
    full = np.abs(gradient - np.diag(np.diagonal(gradient))).max() > 1e-9
    return (
        f"{product(prior.shape)} voxels on {product(prior.fov, 1e3)} mm, gradient {product(np.diagonal(gradient))} T/m"
        f"{' (diagonal of a full matrix)' if full else ''}, drive amplitude {product(prior.amplitude, 1e3)} mT at {tones} kHz, "
        f"{len(prior.coils)} receive channels; particles are drawn"
    )
