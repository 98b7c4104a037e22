"""MDF 1 under the paths of MDF 2: a header written anew, and data that stay where they are.

Source: MDF specification 0.1 (https://github.com/MagneticParticleImaging/MDF, ``specification/MDF_v01.tex``), and for what it
leaves open MPIFiles.jl: all phases are pi/2, a calibration has lost its background.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import array, count, dataset, find, is_group, number, open_hdf5, small_value, text, value, walk
from mpijax.io.mdf.fields import ASSUMED, GRADIENT, OFFSET, PHASE, STRENGTH, WAVEFORM
from mpijax.io.mdf.store import write_fields

REMARK = "MDF 1 states no phases and no waveform: pi/2 and sine, as the reference reader takes them, and not compared"
PHASE_OF_ALL = np.pi / 2
_ALIKE = (
    "/version",
    "/uuid",
    "/study/name",
    *(f"/tracer/{name}" for name in ("name", "batch", "vendor", "volume", "concentration")),
    *(f"/scanner/{name}" for name in ("facility", "operator", "manufacturer", "topology")),
    *(f"/acquisition/drivefield/{name}" for name in ("baseFrequency", "divider", "numChannels")),
    *(
        f"/acquisition/receiver/{name}"
        for name in ("bandwidth", "numChannels", "numSamplingPoints", "transferFunction")
    ),
    *(
        f"/calibration/{name}"
        for name in ("deltaSampleSize", "fieldOfView", "fieldOfViewCenter", "order", "positions", "size")
    ),
    *(f"/reconstruction/{name}" for name in ("fieldOfView", "fieldOfViewCenter", "order", "positions", "size")),
)
_RENAMED = {
    "/time": "/date",
    "/experiment/description": "/study/description",
    "/experiment/subject": "/study/subject",
    "/experiment/isSimulation": "/study/simulation",
    "/tracer/injectionTime": "/tracer/time",
    "/scanner/name": "/scanner/model",
    "/acquisition/startTime": "/acquisition/time",
    "/acquisition/numAverages": "/acquisition/drivefield/averages",
    "/acquisition/drivefield/cycle": "/acquisition/drivefield/period",
    "/calibration/snr": "/calibration/snrFD",
}
_SPECTRA, _SAMPLES = ("/calibration/dataFD", "/measurement/dataFD"), ("/calibration/dataTD", "/measurement/dataTD")


def generation(path: Path) -> int:
    """1 or 2 of an MDF file, 0 of anything else, and of what cannot be opened."""
    try:
        if not h5py.is_hdf5(path):
            return 0
        with h5py.File(path, "r") as file:
            if any(name in file for name in (*_SPECTRA, *_SAMPLES)):
                return 1
            if not (is_group(file, "/measurement") or is_group(file, "/acquisition")):
                return 0
            old = (text(file, "/version") or "").startswith(("0", "1"))
            return 1 if old and "/measurement/data" not in file else 2
    except Exception:  # of a damaged file anything; whoever opens it says what is wrong
        return 0


def write_second(path: Path, target: Path) -> None:
    """Write the fields of an MDF 1 file as MDF 2, with data that are virtual: they are read from the first file.

    Args:
        path: an MDF 1 file.
        target: where to.

    Raises:
        MDFError: data of another shape than MDF 1 has, or frequencies that no period of so many samples has.
        OSError: the file cannot be written.
    """
    with open_hdf5(path) as file:
        data = _data(file, path)
        fields = _header(file) | ({} if data is None else _data_fields(file, path, *data))
        with h5py.File(target, "w") as second:
            write_fields(second, fields)
            if data is not None:
                _virtual(second, "/measurement/data", data[0], path, data[1])
            images = dataset(file, "/reconstruction/data")
            if images is not None:
                shape = images.shape if images.ndim != 2 else (*images.shape, 1)
                _virtual(second, "/reconstruction/data", images, path, shape)


def _header(file: h5py.File) -> dict[str, Any]:
    places = {name: name for name in _ALIKE} | _RENAMED | {name: name for name in walk(file) if "/_" in name}
    fields = {name: value(file, place) for name, place in places.items() if dataset(file, place) is not None}
    if is_group(file, "/tracer"):
        fields["/tracer/solute"] = "Fe"  # concentrations are in mol(Fe)/L
    experiment = small_value(file, "/study/experiment")
    if isinstance(experiment, int) or str(experiment).strip().isdecimal():
        fields["/experiment/number"] = int(experiment)
    gradient, offset, strength = (array(file, name) for name in (GRADIENT, OFFSET, STRENGTH))
    if gradient is not None and gradient.shape[-1:] == (3,) and gradient.ndim < 3:
        fields[GRADIENT] = (gradient.reshape(-1, 1, 3, 1) * np.eye(3)).reshape(-1, 1, 3, 3)
    if offset is not None and offset.shape[-1:] == (3,):
        fields[OFFSET] = offset.reshape(-1, 1, 3)
    if strength is not None:
        drives = strength.shape[-1] if strength.ndim else 1
        fields[STRENGTH] = strength.reshape(-1, drives, 1)
        fields |= {PHASE: np.full((1, drives, 1), PHASE_OF_ALL), WAVEFORM: "sine", ASSUMED: (PHASE, WAVEFORM)}
    return fields


def _data(file: h5py.File, path: Path) -> tuple[h5py.Dataset, tuple[int, ...]] | None:
    """The data, and their shape with an axis of periods; None of a file of images."""
    for name in (_SPECTRA[0], _SAMPLES[0], _SAMPLES[1], _SPECTRA[1]):
        found, why = find(file, name)
        if why:
            raise MDFError(f"{path}: {why}.")
        if found is None:
            continue
        pairs = found.shape[-1:] if name.endswith("FD") and found.dtype.kind in "iuf" else ()
        axes = found.shape[: found.ndim - len(pairs)]
        if pairs not in ((), (2,)) or len(axes) not in (3, 4):
            raise MDFError(
                f"{path}: {name} has shape {found.shape}; three axes, or four with one of patches, are expected"
                + (", and a last one of real and imaginary part." if name.endswith("FD") else ".")
            )
        periods = () if len(axes) == 4 else (1,)
        split = 0 if name.startswith("/calibration") else 1
        return found, (*axes[:split], *periods, *axes[split:], *pairs)
    return None


def _data_fields(file: h5py.File, path: Path, data: h5py.Dataset, shape: tuple[int, ...]) -> dict[str, Any]:
    calibration, transformed = (data.name.startswith("/calibration"), data.name.endswith("FD"))
    frames = shape[3] if calibration else shape[0]
    fields: dict[str, Any] = {
        "/measurement/isBackgroundCorrected": int(calibration),
        "/measurement/isBackgroundFrame": np.zeros(frames, np.int8),
        "/measurement/isFastFrameAxis": int(calibration),
        "/measurement/isFourierTransformed": int(transformed),
    }
    if calibration:
        fields["/calibration/method"] = text(file, "/calibration/method") or "unknown"
    bins = _selected(file, path, shape[2] if calibration else shape[3]) if transformed else None
    if bins is not None:
        fields |= {"/measurement/isFrequencySelection": 1, "/measurement/frequencySelection": bins + 1}
    return fields


def _selected(file: h5py.File, path: Path, stored: int) -> np.ndarray | None:
    """The rfft bins of the stored frequencies, by /acquisition/receiver/frequencies, where they are fewer than a period has."""
    samples = count(file, "/acquisition/receiver/numSamplingPoints", low=1)
    frequencies, name = array(file, "/acquisition/receiver/frequencies"), "/acquisition/receiver/frequencies"
    bandwidth = number(file, "/acquisition/receiver/bandwidth", low=1e-9)
    if samples is None or stored == samples // 2 + 1:
        return None
    if frequencies is None or bandwidth is None or frequencies.shape != (stored,):
        raise MDFError(
            f"{path}: the data have {stored} frequencies, {samples} samples per period have {samples // 2 + 1}; {name} and "
            "bandwidth, which would tell which they are, are missing or of another length."
        )
    place = frequencies * samples / (2 * bandwidth)
    bins = np.rint(place).astype(np.int64)
    if np.abs(place - bins).max() > 0.1:
        raise MDFError(
            f"{path}: {name} are no multiples of 2 bandwidth / numSamplingPoints = {2 * bandwidth / samples:g} Hz."
        )
    return bins


def _virtual(second: h5py.File, name: str, data: h5py.Dataset, path: Path, shape: tuple[int, ...]) -> None:
    layout = h5py.VirtualLayout(shape, data.dtype)
    layout[...] = h5py.VirtualSource(str(path.absolute()), data.name, data.shape, data.dtype)
    second.create_virtual_dataset(name, layout)
