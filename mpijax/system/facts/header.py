"""What a container says of its scan beside its arrays, as a record; how files spell it is the business of :mod:`mpijax.io`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from mpijax.core.mapping import FrozenMapping

if TYPE_CHECKING:
    Count, Text, Number = int, str, float
else:  # a file may hold anything there
    Count = Text = Number = Any


@dataclass(frozen=True)
class Header:
    """Facts of a scan; None where it does not state them. Fields of the drive and of the selection are nested tuples.

    Attributes:
        averages: how many periods each frame is the mean of.
        simulated: whether the data are simulated.
        method: of a calibration, such as "robot" or "simulation".
        description: of the experiment, in words.
        restoration: what was done to a restored matrix, in words.
        plan: by which a simulated or a restored matrix was made, as the text of a plan.
        unit: of the receiver's data.
        base_frequency: [Hz]; cycle [s]; drive_channels: how many; divider (d, f); waveform: a text, or texts (d, f).
        strength: (1 or periods, d, f) [T]; phase: likewise [rad].
        gradient: (1 or periods, 1, 3, 3) [T/m]; offset_field: (1 or periods, 1, 3) [T].
        concentration: of the sample; only ever named by ``assumed``.
        assumed: names of the fields that a file lacks and that its scanner, sequence and sample assume: they are no facts.

    The types are what a sound file holds; whoever reads a field checks what it needs of it.
    """

    averages: Count | None = None
    simulated: Any = None
    method: Text | None = None
    description: Text | None = None
    restoration: Text | None = None
    plan: Text | None = None
    unit: Text | None = None
    base_frequency: Number | None = None
    cycle: Number | None = None
    drive_channels: Count | None = None
    divider: Any = None
    strength: Any = None
    phase: Any = None
    waveform: Any = None
    gradient: Any = None
    offset_field: Any = None
    concentration: Any = None
    assumed: tuple[str, ...] = ()


FIELDS = tuple(field.name for field in fields(Header))

_KEYS: dict[str, str] = {}


def keep_under(keys: Mapping[str, str]) -> None:
    """Say under which key of a container's ``metadata`` each field of :class:`Header` is kept: mpijax.io does, once."""
    if missing := set(FIELDS) ^ set(keys):
        raise ValueError(f"keys are missing or unknown: {', '.join(sorted(missing))}.")
    _KEYS.update(keys)


def header_of(metadata: Mapping[str, Any]) -> Header:
    """The facts among the metadata of a container; everything else in them is passed through from file to file."""
    known = {name: metadata[key] for name, key in _KEYS.items() if key in metadata}
    names = {key: name for name, key in _KEYS.items()}
    known["assumed"] = tuple(names[key] for key in known.get("assumed", ()) if key in names)
    return Header(**known)


def as_metadata(**facts: Any) -> dict[str, Any]:
    """Fields of :class:`Header` as entries of a container's metadata, arrays as nested tuples."""
    if "assumed" in facts:
        facts["assumed"] = tuple(_KEYS[name] for name in facts["assumed"])
    return {_KEYS[name]: nested(item) for name, item in facts.items()}


def stating(metadata: Mapping[str, Any], **facts: Any) -> FrozenMapping:
    """The metadata with these facts, each a field of :class:`Header`, in place of what they said of them; None = nothing."""
    stated = {**metadata, **as_metadata(**facts)}
    return FrozenMapping({key: item for key, item in stated.items() if item is not None})


def nested(value: Any) -> Any:
    """An array as nested tuples, as static metadata hold it, and a truth value as 0 or 1; everything else unchanged."""
    if isinstance(value, bool):
        return int(value)
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return tuple(nested(item) for item in value) if isinstance(value, list) else value
