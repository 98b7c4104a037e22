"""Folders of Bruker's ParaVision: one scan of the preclinical MPI scanner, as measurement or as calibration.

Untested on real scanners: the layout is that which MPIFiles.jl reads (``src/Brukerfile.jl``), on made-up folders.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import SLAB_BYTES
from mpijax.io.jcamp import read_parameters
from mpijax.io.mdf.fields import CHANNELS, GRADIENT, OFFSET, PHASE, STRENGTH, WAVEFORM
from mpijax.io.mdf.positions import meander_order
from mpijax.io.mdf.store import write_fields

FILES = {"acqp": ("ACQ", "NA", "BYTORDA"), "method": ("PVM", "MPI"), "visu_pars": ("Visu",)}
"""The parameter files, and how the names in them begin."""
RAW, MATRIX, BACKGROUND, SNR = "rawdata.job0", "systemMatrix", "background", "snr"
BASE_FREQUENCY, DIVIDERS = 2.5e6, (102, 96, 99)
"""Of the scanner [Hz], and of its three drive channels."""
UNTESTED = (
    "is read by the documented layout of ParaVision, untested on real scanners; compare what it says with your protocol"
)


@dataclass(frozen=True)
class _Parameters:
    """The parameters of a folder by name; what is missing is named with its file."""

    path: Path
    words: dict[str, tuple[str, ...]]

    @staticmethod
    def read(path: Path) -> "_Parameters":
        words: dict[str, tuple[str, ...]] = {}
        for name in FILES:
            places = [path / name, *sorted(path.glob(f"pdata/*/{name}"))]
            place = next((place for place in places if place.is_file()), None)
            if place is not None:
                words |= read_parameters(place)
            elif name != "visu_pars":
                raise MDFError(f"{path} is a ParaVision folder without the file {name}; copy it whole.")
        return _Parameters(path, words)

    def texts(self, name: str) -> tuple[str, ...]:
        if not self.words.get(name):
            file = next(file for file, starts in FILES.items() if name.startswith(starts))
            raise MDFError(f"{self.path}: {file} lacks ##${name}; it is no scan of the MPI scanner, or is cut off.")
        return self.words[name]

    def text(self, name: str) -> str | None:
        return " ".join(self.words.get(name, ())) or None

    def numbers(self, name: str, count: int | None = None) -> np.ndarray:
        words = self.texts(name)
        try:
            found = np.array([float(word) for word in words])
        except ValueError:
            found = np.array([np.nan])
        if not np.isfinite(found).all() or (count is not None and len(found) != count):
            expected = "numbers are" if count is None else "one number is" if count == 1 else f"{count} numbers are"
            raise MDFError(f"{self.path}: ##${name} = {_short(words)}; {expected} expected.")
        return found

    def number(self, name: str, default: float | None = None) -> float:
        if default is not None and not self.words.get(name):
            return default
        return float(self.numbers(name, 1)[0])

    def count(self, name: str, default: int | None = None, low: int = 1) -> int:
        found = self.number(name, default)
        if found != int(found) or found < low:
            raise MDFError(f"{self.path}: ##${name} = {found:g}; a whole number of at least {low} is expected.")
        return int(found)


def write_as_mdf(path: Path, target: Path) -> None:
    """Write a folder as MDF 2: raw frames stay where they are, a system matrix is copied.

    The file of a scan that is driven along fewer than three axes keeps the period of all three, as the scanner does.

    Args:
        path: folder with acqp, method, rawdata.job0, of a calibration with pdata/*/systemMatrix and background and snr beside it.
        target: where to.

    Raises:
        MDFError: a file or a parameter that is missing, or data of another length than the parameters say.
        OSError: a file cannot be read or written.
    """
    warnings.warn(f"{path} {UNTESTED}.", stacklevel=2)
    found = _Parameters.read(path)
    receivers = [i for i, word in enumerate(found.texts("ACQ_ReceiverSelect")[:3]) if word == "Yes"]
    if not receivers:
        raise MDFError(f"{path}: ##$ACQ_ReceiverSelect names no receiver.")
    samples = int(found.numbers("ACQ_size")[0])
    fields = _header(found) | {
        "/acquisition/receiver/numSamplingPoints": samples,
        "/acquisition/receiver/numChannels": len(receivers),
    }
    if receivers != list(range(len(receivers))):
        fields[CHANNELS] = np.array(receivers)
    calibration = is_calibration(path)
    if calibration:
        fields |= _grid_fields(found)
    processed = sorted(path.glob(f"pdata/*/{MATRIX}")) if calibration else []
    with h5py.File(target, "w") as file:
        if processed:
            _write_matrix(file, found, processed[0], fields, len(receivers), samples // 2 + 1)
        else:
            _write_raw(file, found, fields, len(receivers), samples, calibration)


def is_calibration(path: Path) -> bool:
    """Whether a folder holds a calibration: acqp names the method, unless there is a file called ismeasurement."""
    return not (path / "ismeasurement").exists() and b"MPICalibration" in (path / "acqp").read_bytes()


def _header(found: _Parameters) -> dict[str, Any]:
    periods = found.count("MPI_NSteps", 1) * found.count("MPI_RepetitionsPerStep", 1)
    strength = found.numbers("ACQ_MPI_drive_field_strength", 3) * 1e-3
    gradient = found.number("ACQ_MPI_selection_field_gradient") * np.diag([-0.5, -0.5, 1.0])
    fields: dict[str, Any] = {
        "/version": "2.1.0",
        "/scanner/manufacturer": "Bruker",
        "/scanner/topology": "FFP",
        "/tracer/solute": ("Fe",),
        "/acquisition/numAverages": found.count("NA"),
        "/acquisition/numPeriodsPerFrame": periods,
        GRADIENT: np.broadcast_to(gradient, (1, 1, 3, 3)),
        "/acquisition/drivefield/baseFrequency": BASE_FREQUENCY,
        "/acquisition/drivefield/cycle": found.number("PVM_MPI_DriveFieldCycle") * 1e-3,
        "/acquisition/drivefield/numChannels": 3,
        "/acquisition/drivefield/divider": np.array(DIVIDERS)[:, None],
        STRENGTH: strength.reshape(1, 3, 1),
        PHASE: np.full((1, 3, 1), np.pi / 2),
        WAVEFORM: "sine",
        "/acquisition/receiver/bandwidth": found.number("PVM_MPI_Bandwidth") * 1e6,
        "/acquisition/receiver/unit": "a.u.",
    }
    texts = {
        "/study/name": found.text("VisuStudyId"),
        "/experiment/name": found.text("ACQ_scan_name"),
        "/experiment/subject": found.text("VisuSubjectId") or found.text("VisuSubjectName"),
        "/scanner/facility": found.text("ACQ_institution"),
        "/scanner/operator": found.text("ACQ_operator"),
        "/scanner/name": found.text("ACQ_station"),
        "/tracer/name": found.text("PVM_MPI_Tracer"),
        "/tracer/batch": found.text("PVM_MPI_TracerBatch"),
        "/acquisition/startTime": _time(found.text("ACQ_time")),
    }
    fields |= {name: text for name, text in texts.items() if text is not None}
    for name, parameter, factor in (
        ("/study/number", "VisuStudyNumber", 1),
        ("/experiment/number", "VisuExperimentNumber", 1),
        ("/tracer/concentration", "PVM_MPI_TracerConcentration", 1.0),
        ("/tracer/volume", "PVM_MPI_TracerVolume", 1e-6),  # microliters
    ):
        if found.words.get(parameter):
            fields[name] = type(factor)(found.number(parameter)) * factor
    focus = [f"MPI_FocusField{axis}" for axis in "XYZ"]
    if all(found.words.get(name) for name in focus):
        offset = np.stack([found.numbers(name) for name in focus], -1) * 1e-3
        if periods % len(offset):
            raise MDFError(f"{found.path}: the focus field is given for {len(offset)} steps of {periods} periods.")
        fields[OFFSET] = np.repeat(offset, periods // len(offset), axis=0)[:, None]
    return fields


def _short(words: tuple[str, ...]) -> str:
    return " ".join(" ".join(words).split())[:80]


def _time(text: str | None) -> str | None:
    """2015-01-02T03:04:05,678+0100 as the time without its zone."""
    return text and text.partition("+")[0].replace(",", ".")


def _grid_fields(found: _Parameters) -> dict[str, Any]:
    return {
        "/calibration/method": "robot",
        "/calibration/order": "xyz",
        "/calibration/size": found.numbers("PVM_Matrix", 3).astype(np.int64),
        "/calibration/fieldOfView": found.numbers("PVM_Fov", 3) * 1e-3,
        "/calibration/fieldOfViewCenter": found.numbers("PVM_MPI_FovCenter", 3) * 1e-3,
    }


def _write_raw(
    file: h5py.File, found: _Parameters, fields: dict[str, Any], channels: int, samples: int, calibration: bool
) -> None:
    """Frames of time samples, [N, J, C, V], which stay in rawdata.job0."""
    averages, periods = fields["/acquisition/numAverages"], fields["/acquisition/numPeriodsPerFrame"]
    kind = np.dtype("i2" if averages == 1 else "i4").newbyteorder(">" if found.text("BYTORDA") == "big" else "<")
    path = found.path / RAW
    if not path.is_file():
        raise MDFError(f"{found.path} is a ParaVision folder without the file {RAW}; copy it whole.")
    one, size = channels * samples * kind.itemsize, path.stat().st_size
    jobs = found.texts("ACQ_jobs")
    if len(jobs) < 8 or not jobs[7].isdecimal():
        raise MDFError(f"{found.path}: ##$ACQ_jobs = {_short(jobs)}; its eighth field is the number of scans.")
    if size != one * int(jobs[7]):
        raise MDFError(
            f"{path} has {size} bytes; {int(jobs[7])} scans of {channels} receivers and {samples} samples of {kind.itemsize} bytes "
            f"have {one * int(jobs[7])}. It is cut off, or copied in part."
        )
    frames, mask = int(jobs[7]) // periods, None
    if calibration:
        extra = found.count("PVM_MPI_NrBackgroundMeasurementCalibrationAdditionalScans", 0, low=0)
        frames = (found.count("PVM_MPI_NrCalibrationScans") - extra) // periods
        mask = _background_frames(found, frames)
        fields = fields | {"/calibration/isMeanderingGrid": 1}
    factors = np.tile([1 / averages, 0.0], (channels, 1))
    write_fields(
        file,
        fields
        | {
            "/acquisition/numFrames": frames,
            "/acquisition/receiver/dataConversionFactor": factors,
            "/measurement/isBackgroundFrame": np.zeros(frames, np.int8) if mask is None else mask.astype(np.int8),
        },
    )
    shape = (frames, periods, channels, samples)
    file.create_dataset("/measurement/data", shape, kind, external=[(str(path.absolute()), 0, size)])


def _write_matrix(
    file: h5py.File, found: _Parameters, path: Path, fields: dict[str, Any], channels: int, bins: int
) -> None:
    """A system matrix of ParaVision, complex128 (channels, bins, voxels), over the averages, and background frames behind it."""
    voxels = int(np.prod(fields["/calibration/size"]))
    blocks = [_mapped(path, (channels, bins, voxels), "<c16")]
    empty = path.with_name(BACKGROUND)
    if empty.is_file():
        frames = empty.stat().st_size // (16 * channels * bins)
        blocks.append(_mapped(empty, (channels, bins, frames), "<c16"))
    counts = [block.shape[-1] for block in blocks]
    total = sum(counts)
    fields = fields | {
        "/acquisition/numFrames": total,
        "/measurement/isBackgroundFrame": (np.arange(total) >= voxels).astype(np.int8),
        "/measurement/isFastFrameAxis": 1,
        "/measurement/isFourierTransformed": 1,
        "/measurement/isFramePermutation": 1,
    }
    measured = _acquired(found, fields["/calibration/size"], total)
    if measured is not None:
        fields["/measurement/framePermutation"] = measured + 1
    if path.with_name(SNR).is_file():
        fields["/calibration/snr"] = np.array(_mapped(path.with_name(SNR), (1, channels, bins), "<f8"))
    write_fields(file, fields)
    data = file.create_dataset("/measurement/data", (1, channels, bins, total), np.complex64)
    step = max(1, SLAB_BYTES // (16 * total))
    for channel in range(channels):
        for first in range(0, bins, step):
            part = slice(first, min(first + step, bins))
            rows = np.concatenate([block[channel, part] for block in blocks], axis=-1)
            data[0, channel, part] = rows / fields["/acquisition/numAverages"]


def _background_frames(found: _Parameters, frames: int) -> np.ndarray:
    """Which of the frames of a calibration, in the order of measurement, are background: every so many, from the first on."""
    return np.arange(frames) % (found.count("PVM_MPI_BackgroundMeasurementCalibrationIncrement") + 1) == 0


def _acquired(found: _Parameters, size: np.ndarray, frames: int) -> np.ndarray | None:
    """When each frame of a sorted matrix was measured, or None where the parameters speak of other frames."""
    empty = _background_frames(found, frames)
    places = meander_order((int(size[0]), int(size[1]), int(size[2])))
    if np.count_nonzero(~empty) != len(places):
        return None
    return np.concatenate([np.flatnonzero(~empty)[places], np.flatnonzero(empty)])


def _mapped(path: Path, shape: tuple[int, ...], kind: str) -> np.ndarray:
    expected, size = int(np.prod(shape)) * np.dtype(kind).itemsize, path.stat().st_size
    if size != expected or not size:
        raise MDFError(
            f"{path} has {size} bytes; {' x '.join(map(str, shape))} values have {expected}. It is cut off, or of another scan."
        )
    return np.memmap(path, kind, "r", shape=shape)
