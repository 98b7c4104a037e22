"""The fields of a scan as facts: those of a system matrix beside those of a measurement.

A measurement carries them in its metadata under the paths of MDF, one entry for all periods or one per period.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpijax.core.checks import is_concrete
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import AMPLITUDE_FLOOR, LissajousSequence

DRIVE = "/acquisition/drivefield"
STRENGTH, PHASE = f"{DRIVE}/strength", f"{DRIVE}/phase"
GRADIENT, OFFSET = "/acquisition/gradient", "/acquisition/offsetField"
WAVEFORM = f"{DRIVE}/waveform"
ASSUMED = "/acquisition/_assumed"
"""Names the fields that a file lacks and that its scanner, sequence and sample assume: they are no facts."""
CONCENTRATION = "/tracer/concentration"
UNIT = "/acquisition/receiver/unit"
AVERAGES = "/acquisition/numAverages"
BY_PERIOD = (STRENGTH, PHASE, GRADIENT, OFFSET)
"""Fields with one entry for all periods or one for each."""
SCAN = (GRADIENT, OFFSET, ASSUMED, UNIT)
"""Beside the drive field, what the fields and the receiver of a scan are compared by."""

UNKNOWN_TEXTS = ("", "n.a.", "unknown")


@dataclass(frozen=True, eq=False)
class Acquisition:
    """What a scan says of itself; None where it does not.

    Attributes:
        gradient: [T/m], (3, 3); offset_field: [T], (3,).
        strength: [T], (d, f), 0 where a drive channel is idle; phase: [rad], likewise, of a sine.
        frequency: [Hz], (d, f), 0 where idle; waveform: (d, f) texts, empty where idle; divider: (d, f).
        n_samples, bandwidth [Hz], unit: of the receiver.
    """

    n_samples: int
    bandwidth: float | None
    unit: str | None
    gradient: np.ndarray | None
    offset_field: np.ndarray | None
    strength: np.ndarray | None = None
    phase: np.ndarray | None = None
    frequency: np.ndarray | None = None
    waveform: np.ndarray | None = None
    divider: np.ndarray | None = None


def drive_metadata(sequence: LissajousSequence) -> dict[str, Any]:
    """A sequence under the paths of MDF, phases in [-pi, pi) of a sine."""
    amplitude = np.asarray(sequence.amplitude, np.float64)
    quarter = np.full(3, np.pi / 2 if sequence.waveform == "cosine" else 0.0)
    phase = quarter if sequence.phase is None else np.asarray(sequence.phase, np.float64)
    inside = (phase >= -np.pi) & (phase < np.pi)
    return {
        f"{DRIVE}/baseFrequency": float(sequence.base_frequency),
        f"{DRIVE}/cycle": float(sequence.period),
        f"{DRIVE}/numChannels": len(sequence.dividers),
        f"{DRIVE}/divider": np.asarray(sequence.dividers, np.int64)[:, None],
        STRENGTH: amplitude[None, :, None],
        PHASE: np.where(inside, phase, (phase + np.pi) % (2 * np.pi) - np.pi)[None, :, None],
        WAVEFORM: "sine",
    }


def selection_metadata(scanner: Scanner) -> dict[str, Any]:
    """The selection field's linear part under the paths of MDF."""
    return {
        GRADIENT: np.asarray(scanner.gradient, np.float64).reshape(1, 1, 3, 3),
        OFFSET: np.asarray(scanner.offset_field, np.float64).reshape(1, 1, 3),
    }


def nested(value: Any) -> Any:
    """An array as nested tuples, as static metadata hold it; everything else unchanged."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return tuple(nested(item) for item in value) if isinstance(value, list) else value


def acquisition_metadata(sequence: LissajousSequence | None, scanner: Scanner | None) -> dict[str, Any]:
    """Drive field and selection field as metadata of a measurement."""
    fields: dict[str, Any] = {} if sequence is None else drive_metadata(sequence)
    if scanner is not None:
        fields |= selection_metadata(scanner)
    return {path: nested(item) for path, item in fields.items()}


def scan_metadata(source: Any) -> dict[str, Any]:
    """What a container states of its scan's fields and receiver, as metadata of another one; traced fields are not known."""
    stated = {path: item for path, item in source.metadata.items() if path in SCAN or path.startswith(f"{DRIVE}/")}
    return stated | acquisition_metadata(*_known_fields(source))


def _known_fields(source: Any) -> list[Any]:
    return [part if is_concrete(part) else None for part in (getattr(source, n, None) for n in ("sequence", "scanner"))]


def mean_periods(metadata: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The fields by period of a measurement whose periods are averaged by so many; an incomplete rest is dropped.

    Raises:
        ValueError: fields that differ among the periods of one mean: those are different patches.
    """
    found = {}
    for path in BY_PERIOD:
        values = np.asarray(metadata.get(path, ()), float)
        if len(values) > 1:
            groups = values[: len(values) // count * count].reshape(-1, count, *values.shape[1:])
            if not np.array_equal(groups, np.broadcast_to(groups[:, :1], groups.shape), equal_nan=True):
                raise ValueError(
                    f"{path} differs among the periods that are to be averaged: they are different patches. Choose periods of the "
                    "same fields, or reconstruct the patches together."
                )
            found[path] = nested(groups[:, 0])
    return found


def acquisition(source: Any, period: int = 0) -> Acquisition:
    """The facts of a system matrix or of one period of a measurement: see :func:`acquisition_of`. Traced ones are not known."""
    bandwidth = source.bandwidth if is_concrete(source.bandwidth) else np.nan
    return acquisition_of(
        dict(source.metadata) | acquisition_metadata(*_known_fields(source)), source.n_samples, bandwidth, period
    )


def acquisition_of(fields: Mapping[str, Any], n_samples: int, bandwidth: Any, period: int = 0) -> Acquisition:
    """The facts that fields under the paths of MDF state of one period.

    A drive field that is idle on all channels is no fact: it is what a file is given where nothing is known. A gradient that
    varies within the period is none either.
    """

    assumed = fields.get(ASSUMED, ())

    def at(path: str) -> np.ndarray | None:
        if fields.get(path) is None or path in assumed:
            return None
        values = np.asarray(fields[path], float)
        if len(values) == 1:
            return values[0]
        return values[period] if period < len(values) else None

    def constant(path: str, shape: tuple[int, ...]) -> np.ndarray | None:
        values = at(path)
        if values is None or not np.isfinite(values).all() or values.size % np.prod(shape):
            return None
        parts = values.reshape(-1, *shape)
        return parts[0] if np.allclose(parts, parts[:1], rtol=1e-6, atol=0) else None

    unit = str(fields.get(UNIT) or "").strip()
    return Acquisition(
        n_samples=int(n_samples),
        bandwidth=float(bandwidth) if np.isfinite(bandwidth) else None,
        unit=None if unit.lower() in UNKNOWN_TEXTS else unit,
        gradient=constant(GRADIENT, (3, 3)),
        offset_field=constant(OFFSET, (3,)),
        **_drive(fields, at(STRENGTH), at(PHASE)),
    )


def _drive(
    fields: Mapping[str, Any], strength: np.ndarray | None, phase: np.ndarray | None
) -> dict[str, np.ndarray | None]:
    """Strength, phase, frequency, waveform and divider of a drive field that is on."""
    if strength is None or not np.isfinite(strength).all():
        return {}
    on = np.abs(strength) > AMPLITUDE_FLOOR
    if not on.any():
        return {}
    base, divider = fields.get(f"{DRIVE}/baseFrequency"), fields.get(f"{DRIVE}/divider")
    divider = None if divider is None else np.where(on, np.asarray(divider).reshape(strength.shape), 0)
    names = np.asarray(fields.get(WAVEFORM) or "sine", object)
    names = np.array([str(name).strip().lower() for name in names.ravel()], object).reshape(names.shape)
    names = np.broadcast_to(names, strength.shape)
    found = {"strength": np.where(on, strength, 0.0), "divider": divider}
    # a cosine is a sine a quarter of a period ahead
    if WAVEFORM in fields and WAVEFORM not in fields.get(ASSUMED, ()):
        found["waveform"] = np.where(on, np.where(names == "cosine", "sine", names), "")
    if phase is not None:
        found["phase"] = np.where(on, phase + np.where(names == "cosine", np.pi / 2, 0.0), 0.0)
    if base is not None and np.isfinite(base) and divider is not None:
        found["frequency"] = np.divide(float(base), divider, out=np.zeros(strength.shape), where=divider != 0)
    # an axis that a file does not list is idle
    rows = [(0, max(0, 3 - len(strength))), (0, 0)]
    return {
        name: None if item is None else np.pad(item, rows, constant_values="" if item.dtype.kind in "OU" else 0)
        for name, item in found.items()
    }
