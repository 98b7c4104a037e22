"""What a measurement, or one voxel of a calibration, says of a point sample in the field of one drive axis."""

from dataclasses import dataclass

import numpy as np

from mpijax.core.frames import frame_std
from mpijax.core.typing import Complex, Float, Int, Numbers
from mpijax.system import Measurement, SystemMatrix
from mpijax.system.facts.acquisition import Acquisition, acquisition

BESIDE_BIN = 0.01
"""How far, in bins, the fundamental may lie beside the bin it is read from."""

TOLD_APART = 1e-6
"""Distance of the sample from a voxel's center, over the voxel's size, up to which it needs no word."""


@dataclass(frozen=True)
class Drive:
    """The drive field of one axis, A sin(2 pi f t + phase).

    Attributes:
        axis: 0 to 2; others: names of further driven axes.
        frequency: f [Hz]; amplitude: A [T]; phase: [rad].
        gradient: of the selection field along the axis [T/m], None where there is none.
    """

    axis: int
    others: str
    frequency: float
    amplitude: float
    phase: float
    gradient: float | None


@dataclass(frozen=True)
class Sample:
    """Spectra of a sample: mean values (c, f), complex standard deviations (c, f) or None, static field at its place [T], (3,).

    ``corrected``: whether the receive chain is divided out.
    """

    values: Complex[np.ndarray, "c f"]
    sigma: Float[np.ndarray, "c f"] | None
    static_field: Float[np.ndarray, "3"]
    corrected: bool


def sample_of(source: Measurement | SystemMatrix, position: Numbers | None) -> Sample:
    """The sample of a source, at a position [m] or the only one there is.

    Raises:
        ValueError: periods of different fields, a sample in a gradient whose position is not given, or one beyond the grid.
    """
    place = None if position is None else np.asarray(position, float)
    return _voxel(source, place) if isinstance(source, SystemMatrix) else _mean(source, place)


def _mean(source: Measurement, place: Float[np.ndarray, "3"] | None) -> Sample:
    source = source.average(periods=source.values.shape[1])
    frames = np.asarray(source.values, np.complex128)[:, 0]
    background = None if source.background is None else np.asarray(source.background, np.complex128)[:, 0]
    sigma = None
    if len(frames) > 1:
        sigma = frame_std(frames) / np.sqrt(len(frames))
    elif background is not None and len(background) > 1:
        sigma = frame_std(background) / np.sqrt(source.averages)
    if sigma is not None and source.background_corrected and background is not None and len(background) > 1:
        sigma = np.hypot(sigma, frame_std(background) / np.sqrt(len(background)))  # of the mean that was subtracted
    facts = acquisition(source)
    offset = np.zeros(3) if facts.offset_field is None else facts.offset_field
    gradient = np.zeros((3, 3)) if facts.gradient is None else facts.gradient
    if gradient.any() and place is None:
        raise ValueError(
            "the measurement has a selection field, which differs from place to place; give the position of the sample in it, "
            "position=(x, y, z) in meters (--position in mm on the command line)."
        )
    static = offset if place is None else offset + gradient @ place
    return Sample(frames.mean(0), sigma, static, source.transfer_function_corrected)


def _voxel(source: SystemMatrix, place: Float[np.ndarray, "3"] | None) -> Sample:
    if source.transfer_function is not None and not source.transfer_function_corrected:
        source = source.remove_transfer_function()
    points, size = np.asarray(source.grid.positions, float), np.asarray(source.grid.fov) / np.asarray(source.grid.shape)
    if place is None and len(points) > 1:
        raise ValueError(
            f"the calibration has {len(points)} voxels; choose one by its position, position=(x, y, z) in meters (--position in mm "
            "on the command line)."
        )
    voxel = 0 if place is None else int(np.argmin(np.linalg.norm(points - place, axis=1)))
    if place is not None and np.any(np.abs(points[voxel] - place) > size * (0.5 + TOLD_APART)):
        ends = " to ".join(str(tuple(float(f"{1e3 * x:.6g}") for x in points[i])) for i in (0, -1))
        raise ValueError(
            f"position = {tuple(float(x) for x in place)} m lies beyond the grid, whose voxels reach from {ends} mm."
        )
    facts = acquisition(source)
    if source.scanner is not None:
        static = np.asarray(source.scanner.field(points[voxel][None]), float)[0]
    else:
        offset = np.zeros(3) if facts.offset_field is None else facts.offset_field
        static = offset if facts.gradient is None else offset + facts.gradient @ points[voxel]
    values = np.asarray(source.values, np.complex128)[..., voxel]
    return Sample(values, source.noise_std, static, source.transfer_function_corrected)


def drive_of(source: Measurement | SystemMatrix, axis: int | None) -> Drive:
    """The drive field of an axis, or of the only one.

    Raises:
        ValueError: none or several of which none is chosen, an axis that is not driven, or a field that is not one sine.
    """
    facts = acquisition(source)
    if facts.strength is None or facts.frequency is None:
        raise ValueError("the data do not say what the drive field is (amplitude, divider, base frequency).")
    driven = np.flatnonzero(facts.strength.any(axis=1)).tolist()
    names = ", ".join("xyz"[i] for i in driven)
    if axis is None and len(driven) > 1:
        raise ValueError(
            f"{len(driven)} axes are driven ({names}); choose whose harmonics are asked for: axis=0 for x (--axis x on the command "
            "line). Moments are then averaged over the phases of the others."
        )
    chosen = driven[0] if axis is None else axis
    if chosen not in driven:
        raise ValueError(f"axis = {axis} is not driven; driven are {names} (0 to 2 are x, y, z).")
    at = np.flatnonzero(facts.strength[chosen])
    waveform = "sine" if facts.waveform is None else facts.waveform[chosen, at[0]]
    if len(at) > 1 or waveform != "sine":
        kind = f"of {len(at)} frequencies" if len(at) > 1 else f"a {waveform}"
        raise ValueError(f"the drive field along {'xyz'[chosen]} is {kind}; a spectrum is that of one sine.")
    others = ", ".join("xyz"[i] for i in driven if i != chosen)
    where = chosen, int(at[0])
    phase = 0.0 if facts.phase is None else float(facts.phase[where])
    return Drive(
        chosen, others, float(facts.frequency[where]), float(facts.strength[where]), phase, _gradient(facts, chosen)
    )


def _gradient(facts: Acquisition, axis: int) -> float | None:
    along = 0.0 if facts.gradient is None else float(facts.gradient[axis, axis])
    return along or None


def channel_row(channels: tuple[int, ...], channel: int | None, axis: int) -> int:
    """Where a receiver stands among others: the one with this number, the only one, or that of the axis.

    Raises:
        ValueError: there is none.
    """
    wanted = channels[0] if channel is None and len(channels) == 1 else axis if channel is None else channel
    if wanted not in channels:
        raise ValueError(
            f"channel {wanted} is not among the receivers {', '.join(map(str, channels))}; choose one: channel= (--channel)."
        )
    return channels.index(wanted)


def harmonics_of(
    source: Measurement | SystemMatrix, row: int, frequency: float, first: int
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Harmonics below half the sampling rate that the data hold, and where they stand among the bins, (k,) each.

    Raises:
        ValueError: harmonics that are no bins of the spectrum, or none there.
    """
    cycles = frequency / (2 * float(source.bandwidth) / source.n_samples)
    whole = round(cycles)
    if whole < 1 or abs(cycles - whole) > BESIDE_BIN:
        raise ValueError(
            f"a period holds {cycles:.4g} cycles of the drive field of {frequency / 1e3:g} kHz; harmonics are read where it holds "
            "a whole number."
        )
    bins = np.asarray(source.frequency_indices)
    mask = np.ones(len(bins), bool) if source.row_mask is None else np.asarray(source.row_mask)[row]
    kept = mask & (bins % whole == 0) & (bins >= first * whole) & (2 * bins < source.n_samples)
    places = np.flatnonzero(kept)
    places = places[np.argsort(bins[places])]
    if not len(places):
        raise ValueError(
            f"the data hold no harmonic of {frequency / 1e3:g} kHz from order {first} on; first= (--first-harmonic) says "
            "where to begin."
        )
    return bins[places] // whole, places
