"""The fields of a scan as facts: those of a system matrix beside those of a measurement.

A measurement carries them in its header, one entry for all periods or one per period.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpijax.core.checks import is_concrete
from mpijax.system.facts.header import Header, as_metadata, header_of
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import AMPLITUDE_FLOOR, LissajousSequence

DRIVE = ("base_frequency", "cycle", "drive_channels", "divider", "strength", "phase", "waveform")
"""Fields of a header that tell the drive field."""
BY_PERIOD = ("strength", "phase", "gradient", "offset_field")
"""Fields with one entry for all periods or one for each."""
SCAN = (*DRIVE, "gradient", "offset_field", "unit")
"""What the fields and the receiver of a scan are compared by, beside what is only assumed of them."""

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


def drive_facts(sequence: LissajousSequence) -> dict[str, Any]:
    """A sequence as fields of a header, phases in [-pi, pi) of a sine."""
    amplitude = np.asarray(sequence.amplitude, np.float64)
    quarter = np.full(3, np.pi / 2 if sequence.waveform == "cosine" else 0.0)
    phase = quarter if sequence.phase is None else np.asarray(sequence.phase, np.float64)
    inside = (phase >= -np.pi) & (phase < np.pi)
    return {
        "base_frequency": float(sequence.base_frequency),
        "cycle": float(sequence.period),
        "drive_channels": len(sequence.dividers),
        "divider": np.asarray(sequence.dividers, np.int64)[:, None],
        "strength": amplitude[None, :, None],
        "phase": np.where(inside, phase, (phase + np.pi) % (2 * np.pi) - np.pi)[None, :, None],
        "waveform": "sine",
    }


def selection_facts(scanner: Scanner) -> dict[str, Any]:
    """The selection field's linear part as fields of a header."""
    return {
        "gradient": np.asarray(scanner.gradient, np.float64).reshape(1, 1, 3, 3),
        "offset_field": np.asarray(scanner.offset_field, np.float64).reshape(1, 1, 3),
    }


def acquisition_metadata(sequence: LissajousSequence | None, scanner: Scanner | None) -> dict[str, Any]:
    """Drive field and selection field as metadata of a measurement."""
    facts: dict[str, Any] = {} if sequence is None else drive_facts(sequence)
    if scanner is not None:
        facts |= selection_facts(scanner)
    return as_metadata(**facts)


def scan_metadata(source: Any) -> dict[str, Any]:
    """What a container states of its scan's fields and receiver, as metadata of another one; traced fields are not known."""
    header = header_of(source.metadata)
    names = (*SCAN, "assumed") if header.assumed else SCAN
    stated = {name: item for name in names if (item := getattr(header, name)) is not None}
    return as_metadata(**stated) | acquisition_metadata(*_known_fields(source))


def _known_fields(source: Any) -> list[Any]:
    return [part if is_concrete(part) else None for part in (getattr(source, n, None) for n in ("sequence", "scanner"))]


def mean_periods(metadata: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The fields by period of a measurement whose periods are averaged by so many; an incomplete rest is dropped.

    Raises:
        ValueError: fields that differ among the periods of one mean: those are different patches.
    """
    found, header = {}, header_of(metadata)
    for name in BY_PERIOD:
        stated = getattr(header, name)
        values = np.asarray(() if stated is None else stated, float)
        if len(values) > 1:
            groups = values[: len(values) // count * count].reshape(-1, count, *values.shape[1:])
            if not np.array_equal(groups, np.broadcast_to(groups[:, :1], groups.shape), equal_nan=True):
                raise ValueError(
                    f"the {name.replace('_', ' ')} differs among the periods that are to be averaged: they are different patches. "
                    "Choose periods of the same fields, or reconstruct the patches together."
                )
            found[name] = groups[:, 0]
    return as_metadata(**found)


def acquisition(source: Any, period: int = 0) -> Acquisition:
    """The facts of a system matrix or of one period of a measurement: see :func:`acquisition_of`. Traced ones are not known."""
    bandwidth = source.bandwidth if is_concrete(source.bandwidth) else np.nan
    return acquisition_of(
        dict(source.metadata) | acquisition_metadata(*_known_fields(source)), source.n_samples, bandwidth, period
    )


def acquisition_of(fields: Mapping[str, Any], n_samples: int, bandwidth: Any, period: int = 0) -> Acquisition:
    """The facts that metadata state of one period.

    A drive field that is idle on all channels is no fact: it is what a file is given where nothing is known. A gradient that
    varies within the period is none either.
    """
    header = header_of(fields)

    def at(name: str) -> np.ndarray | None:
        if getattr(header, name) is None or name in header.assumed:
            return None
        values = np.asarray(getattr(header, name), float)
        if len(values) == 1:
            return values[0]
        return values[period] if period < len(values) else None

    def constant(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        values = at(name)
        if values is None or not np.isfinite(values).all() or values.size % np.prod(shape):
            return None
        parts = values.reshape(-1, *shape)
        return parts[0] if np.allclose(parts, parts[:1], rtol=1e-6, atol=0) else None

    unit = str(header.unit or "").strip()
    return Acquisition(
        n_samples=int(n_samples),
        bandwidth=float(bandwidth) if np.isfinite(bandwidth) else None,
        unit=None if unit.lower() in UNKNOWN_TEXTS else unit,
        gradient=constant("gradient", (3, 3)),
        offset_field=constant("offset_field", (3,)),
        **_drive(header, at("strength"), at("phase")),
    )


def _drive(header: Header, strength: np.ndarray | None, phase: np.ndarray | None) -> dict[str, np.ndarray | None]:
    """Strength, phase, frequency, waveform and divider of a drive field that is on."""
    if strength is None or not np.isfinite(strength).all():
        return {}
    on = np.abs(strength) > AMPLITUDE_FLOOR
    if not on.any():
        return {}
    base, divider = header.base_frequency, header.divider
    divider = None if divider is None else np.where(on, np.asarray(divider).reshape(strength.shape), 0)
    names = np.asarray(header.waveform or "sine", object)
    names = np.array([str(name).strip().lower() for name in names.ravel()], object).reshape(names.shape)
    names = np.broadcast_to(names, strength.shape)
    found = {"strength": np.where(on, strength, 0.0), "divider": divider}
    # a cosine is a sine a quarter of a period ahead
    if header.waveform is not None and "waveform" not in header.assumed:
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
