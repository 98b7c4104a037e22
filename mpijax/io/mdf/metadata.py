"""Facts that travel from file to file: MDF path -> str, number or nested tuples of them."""

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import LARGEST, small_value, walk
from mpijax.io.mdf.fields import (
    ACQUIRED,
    ANGLES,
    ASSUMED,
    BY_PERIOD,
    CHANNELS,
    CONCENTRATION,
    FREQUENCIES,
    FREQUENCIES_UNKNOWN,
    OFFSET,
    PERIODS,
    PHASE,
    PLAN,
    ROW_MASK,
    WAVEFORM,
)
from mpijax.io.mdf.info import MDFInfo
from mpijax.system.facts.header import nested

CARRIED = (
    *(f"/study/{name}" for name in ("description", "name", "number", "uuid", "time")),
    *(f"/experiment/{name}" for name in ("description", "isSimulation", "name", "number", "subject", "uuid")),
    *(f"/tracer/{name}" for name in ("batch", "name", "solute", "vendor", "injectionTime")),
    *(f"/scanner/{name}" for name in ("boreSize", "facility", "manufacturer", "name", "operator", "topology")),
    "/acquisition/numAverages",
    "/acquisition/startTime",
    "/acquisition/receiver/unit",
    "/measurement/isBackgroundCorrected",
    "/measurement/isSpectralLeakageCorrected",
)
CALIBRATION = ("/calibration/method", "/calibration/deltaSampleSize")
DRIVE = tuple(
    f"/acquisition/drivefield/{name}" for name in ("baseFrequency", "cycle", "divider", "numChannels", "waveform")
)
_OWN = (ACQUIRED, ANGLES, CHANNELS, PERIODS, ROW_MASK, FREQUENCIES, FREQUENCIES_UNKNOWN)


def read_metadata(file: h5py.File, info: MDFInfo, *, calibration: bool) -> dict[str, Any]:
    """The facts of a file that its containers have no field for; user fields (``_name``) included.

    Its plan stays behind: what is made of the containers is made otherwise.
    A measurement, and a calibration whose drive sequence cannot be expressed, carry the drive field too.
    """
    paths = list(CARRIED) + (list(CALIBRATION) if calibration else [])
    carries_drive = not calibration or info.sequence is None
    if carries_drive:
        paths += DRIVE
    paths += [path for path in walk(file) if "/_" in path and path not in (*_OWN, PLAN)]
    found = {path: nested(item) for path in paths if (item := small_value(file, path)) is not None}
    for path, item in found.items():  # one tracer, or one waveform for all channels, is one text
        if path.startswith("/tracer/") and isinstance(item, tuple) and len(item) == 1:
            found[path] = item[0]
    if carries_drive and len(set(info.waveform)) == 1:
        found["/acquisition/drivefield/waveform"] = info.waveform[0]
    if carries_drive and info.divider is not None:
        found |= period_fields(info, [info.period])
    assumed = {*found.get(ASSUMED, ()), *(path for path in (PHASE, WAVEFORM, OFFSET) if path in info.lacks)}
    if calibration and info.tracer_concentration is None:
        assumed.add(CONCENTRATION)
    if assumed:
        found[ASSUMED] = tuple(sorted(assumed))
    return found


def period_fields(info: MDFInfo, periods: list[int]) -> dict[str, Any]:
    """Drive strength and phase, gradient and offset field of some periods.

    One entry stands for all where they are the same; what has more than ``LARGEST`` numbers stays behind.
    """
    found: dict[str, Any] = {}
    stored = (info.strengths, info.phases, info.gradients, info.offset_fields)
    for path, values in zip(BY_PERIOD, stored, strict=True):
        if values is not None:
            chosen = values if len(values) == 1 else values[periods]
            if np.array_equal(chosen, np.broadcast_to(chosen[:1], chosen.shape)):
                chosen = chosen[:1]
            if chosen.size <= LARGEST:
                found[path] = nested(chosen)
    return found


def check_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a container's metadata that are written to a file: those whose key is a path.

    Raises:
        MDFError: a path that is neither a user field nor a field that metadata may set.
    """
    fields = {path: item for path, item in metadata.items() if path.startswith("/")}
    for path in fields:
        if path not in (*CARRIED, *CALIBRATION, *DRIVE, *BY_PERIOD) and (path in _OWN or "/_" not in path):
            raise MDFError(
                f"metadata names {path}, which MDF lacks or which is written from the data itself; give a user field a "
                "name that begins with _, such as /calibration/_restoration."
            )
    return fields
