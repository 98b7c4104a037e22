"""Facts that travel from file to file: MDF path -> str, number or nested tuples of them."""

from typing import Any

import h5py

from mpijax.io.hdf5 import dataset, value
from mpijax.io.mdf_fields import FREQUENCIES, FREQUENCIES_UNKNOWN, ROW_MASK
from mpijax.io.mdf_header import hashable
from mpijax.io.mdf_info import MDFInfo

LARGEST = 4096
"""User fields with more entries than this stay behind."""

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
DRIVE = tuple(f"/acquisition/drivefield/{name}" for name in ("baseFrequency", "cycle", "divider", "numChannels", "waveform"))
_OWN = (ROW_MASK, FREQUENCIES, FREQUENCIES_UNKNOWN)


def read_metadata(file: h5py.File, info: MDFInfo, *, calibration: bool) -> dict[str, Any]:
    """The facts of a file that its containers have no field for; user fields (``_name``) included.

    A measurement, and a calibration whose drive sequence cannot be expressed, carry the drive field too.
    """
    paths = list(CARRIED) + (list(CALIBRATION) if calibration else [])
    carries_drive = not calibration or info.sequence is None
    if carries_drive:
        paths += DRIVE

    def visit(name: str, item: Any) -> None:
        path = f"/{name}"
        if isinstance(item, h5py.Dataset) and "/_" in path and path not in _OWN and item.size is not None:
            if item.size <= LARGEST:
                paths.append(path)

    file.visititems(visit)
    found = {path: hashable(value(file, path)) for path in paths if dataset(file, path) is not None}
    if carries_drive and info.divider is not None:
        found |= period_fields(info, [info.period])
    return {path: item for path, item in found.items() if item is not None}


def period_fields(info: MDFInfo, periods: list[int]) -> dict[str, Any]:
    """Drive strength and phase, gradient and offset field of some periods; one entry where all are the same."""
    found: dict[str, Any] = {}
    for path, values in (
        ("/acquisition/drivefield/strength", info.strengths),
        ("/acquisition/drivefield/phase", info.phases),
        ("/acquisition/gradient", info.gradients),
        ("/acquisition/offsetField", info.offset_fields),
    ):
        if values is not None:
            chosen = values if len(values) == 1 else values[periods]
            if chosen.size <= LARGEST:
                found[path] = hashable(chosen)
    return found
