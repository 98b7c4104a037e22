"""Writing system matrices and measurements as MDF 2.1.0."""

import errno
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.checks import check_finite
from mpijax.core.files import atomic_path
from mpijax.io.errors import MDFError
from mpijax.io.mdf.compress import INDICES, KIND, TRANSFORM, compressed, kept_coefficients
from mpijax.io.mdf.fields import (
    ANGLES,
    BY_PERIOD,
    CHANNELS,
    DRIVE,
    FREQUENCIES,
    FREQUENCIES_UNKNOWN,
    HEADER,
    PERIODS,
    PHASE,
    ROW_MASK,
    STRENGTH,
)
from mpijax.io.mdf.header import FLAGS, bin_frequencies, parse_info
from mpijax.io.mdf.metadata import check_metadata
from mpijax.io.mdf.store import write_fields as write_fields
from mpijax.io.snr import add_snr
from mpijax.system.facts import acquisition
from mpijax.system.matrix import SystemMatrix
from mpijax.system.measurement import Measurement
from mpijax.system.sequence import LissajousSequence

VERSION = "2.1.0"
UNKNOWN = "n.a."
IN_MEMORY_BYTES = 2**30
_TRACER_TEXTS = ("batch", "name", "solute", "vendor", "injectionTime")


def write_system_matrix(path: str | Path, system_matrix: SystemMatrix, *, compress: float | None = None) -> None:
    """Write a system matrix as an MDF 2.1.0 calibration; :func:`read_system_matrix` returns every value bit for bit.

    Rows are stored in the fast-frame layout [1, C, K, N], foreground in voxel order (x fastest), then background. A
    matrix with background frames but no SNR gets its SNR computed (:func:`add_snr`). Entries of ``metadata`` whose key
    is an MDF path, or a path with a user name (``"/calibration/_restoration"``), are written there; other entries are
    not written. The row mask, and frequencies that are not the bins' own, go into user fields. Receive coils and the
    particle model have no place in MDF.

    Args:
        path: where to; an existing file is replaced only once the new one is complete.
        system_matrix: the matrix, on a host or a device.
        compress: fraction of the coefficients of each row's cosine transform that is kept, the largest ones: 0.01 makes a file of
            a hundredth, whose rows are read back with an error (:func:`mpijax.io.mdf.compress.compressed`). None = every value.

    Raises:
        ValueError: metadata under a path that MDF does not have or of a type it cannot hold, NaN in background frames, or
            anything else that reading the file would refuse. NaN in ``values`` is allowed: a position that failed.
        OSError: the file cannot be written, for instance because the disk is full; nothing is left behind.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    matrix = system_matrix
    check_finite("system_matrix.background", 0.0 if matrix.background is None else matrix.background)
    if matrix.snr is None and matrix.background is not None:
        matrix = add_snr(matrix)
    fields = header_fields(matrix, n_periods=1)
    grid = matrix.grid
    fields["/calibration/size"] = np.asarray(grid.shape, np.int64)
    fields["/calibration/fieldOfView"] = np.asarray(grid.fov, np.float64)
    fields["/calibration/fieldOfViewCenter"] = np.asarray(grid.center, np.float64)
    fields["/calibration/order"] = "xyz"
    fields.setdefault("/calibration/method", UNKNOWN)
    volume = float(matrix.sample_volume)
    edges = fields.get("/calibration/deltaSampleSize")
    if edges is not None and not np.isclose(np.prod(np.asarray(edges)), volume, rtol=1e-6, atol=0):
        del fields["/calibration/deltaSampleSize"]
    tracers = np.size(np.asarray(fields["/tracer/name"], object))
    fields["/tracer/concentration"] = np.full(tracers, float(matrix.sample_concentration) * 1e-3)
    fields["/tracer/volume"] = np.full(tracers, volume * 1e3)
    if matrix.scanner is not None:
        fields |= _spelled(acquisition.selection_facts(matrix.scanner))
    if matrix.snr is not None:
        fields["/calibration/snr"] = np.asarray(matrix.snr, np.float64)[None]
    fields |= _identity_fields(matrix, None if matrix.patch is None else (matrix.patch,))
    if matrix.transfer_function is not None:
        fields["/acquisition/receiver/transferFunction"] = np.asarray(matrix.transfer_function, np.complex128)
    n, e = grid.size, 0 if matrix.background is None else matrix.background.shape[0]
    fields |= _frame_fields(n, e)
    fields["/measurement/isFastFrameAxis"] = 1
    c, f, _ = matrix.values.shape
    kept = n if compress is None else kept_coefficients(compress, n)
    with writing(path, matrix.values.dtype.itemsize * c * f * (kept + e)) as file:
        write_fields(file, fields)
        rows = RowWriter(file, (1, c, f), (n, e), grid.shape, matrix.values.dtype, compress)
        for channel in range(c):
            empty = None if matrix.background is None else np.asarray(matrix.background[:, channel]).T
            rows.write((0, channel, slice(0, f)), np.asarray(matrix.values[channel]), empty)
        check_readable(file, path)


def write_measurement(path: str | Path, measurement: Measurement) -> None:
    """Write a measurement as MDF 2.1.0; :func:`read_measurement` returns every value bit for bit.

    Spectra are stored as [N, J, C, K], foreground frames first, then background. For ``metadata`` see
    :func:`write_system_matrix`.

    Args:
        path: where to; an existing file is replaced only once the new one is complete.
        measurement: the measurement.

    Raises:
        ValueError: NaN in the data or the background frames, metadata that MDF cannot hold, or anything else that reading the
            file would refuse.
        OSError: the file cannot be written, for instance because the disk is full; nothing is left behind.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    check_finite("measurement.values", measurement.values)
    check_finite("measurement.background", 0.0 if measurement.background is None else measurement.background)
    frames, periods, _, _ = measurement.values.shape
    e = 0 if measurement.background is None else measurement.background.shape[0]
    fields = header_fields(measurement, n_periods=periods)
    fields |= _frame_fields(frames, e)
    for name in ("concentration", "volume"):
        fields[f"/tracer/{name}"] = np.zeros(np.size(np.asarray(fields["/tracer/name"], object)))
    fields["/measurement/isBackgroundCorrected"] = int(measurement.background_corrected)
    fields |= _identity_fields(measurement, measurement.period_numbers)
    with writing(path, measurement.values.nbytes * (frames + e) // max(frames, 1)) as file:
        write_fields(file, fields)
        data = file.create_dataset(
            "/measurement/data", (frames + e, *measurement.values.shape[1:]), measurement.values.dtype
        )
        data[:frames] = np.asarray(measurement.values)
        if e:
            data[frames:] = np.asarray(measurement.background)
        check_readable(file, path)


class RowWriter:
    """The data of a calibration that is being written, [J, C, K, N], row by row, foreground before background.

    Args:
        file: where to, its fields written.
        rows: periods, channels and frequencies.
        frames: voxels and background frames.
        size: of the grid, (nx, ny, nz).
        dtype: complex.
        compress: as for :func:`write_system_matrix`.

    Attributes:
        errors: of the rows by compression, relative to the norm of each, in the order of writing.
    """

    def __init__(
        self,
        file: h5py.File,
        rows: tuple[int, int, int],
        frames: tuple[int, int],
        size: tuple[int, int, int],
        dtype: Any,
        compress: float | None = None,
    ):
        self.errors: list[np.ndarray] = []
        self._shape = size[::-1]
        self._kept, empty = frames[0], frames[1]
        self._indices = None
        if compress is not None:
            self._kept = kept_coefficients(compress, frames[0])
            for name in ("/measurement/isSparsityTransformed", "/measurement/isBackgroundFrame"):
                del file[name]
            mask = np.arange(self._kept + empty) >= self._kept
            flags = {"/measurement/isSparsityTransformed": 1, "/measurement/isBackgroundFrame": mask, KIND: TRANSFORM}
            write_fields(file, flags)
            self._indices = file.create_dataset(INDICES, (*rows, self._kept), np.int32)
        self._data = file.create_dataset("/measurement/data", (*rows, self._kept + empty), dtype)

    def write(self, place: tuple[int, int, slice], values: np.ndarray, background: np.ndarray | None) -> None:
        """Write rows of one period and channel: values (f, n), background frames (f, e)."""
        if self._indices is not None:
            values, self._indices[place], errors = compressed(values, self._shape, self._kept)
            self.errors.append(errors)
        self._data[(*place, slice(0, self._kept))] = values
        if background is not None and background.shape[-1]:
            self._data[(*place, slice(self._kept, None))] = background


def identity_fields() -> dict[str, Any]:
    """Version, a fresh identifier and the time of writing."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "")
    return {"/version": VERSION, "/uuid": str(uuid.uuid4()), "/time": now}


def header_fields(source: SystemMatrix | Measurement, n_periods: int) -> dict[str, Any]:
    """Every mandatory field but those of the frames, the source's own metadata above the defaults."""
    bandwidth = float(source.bandwidth)
    unknown = np.isnan(bandwidth) and np.isnan(source.frequencies).all()
    if not unknown and not 0 < bandwidth < np.inf:
        raise MDFError(
            f"the bandwidth is {bandwidth} Hz; a positive number is expected, NaN only where no frequency is known."
        )
    identity = identity_fields()
    fields: dict[str, Any] = {
        **{f"/study/{name}": UNKNOWN for name in ("description", "name")},
        "/study/number": 0,
        "/study/uuid": str(uuid.uuid4()),
        **{f"/experiment/{name}": UNKNOWN for name in ("description", "name", "subject")},
        "/experiment/number": 0,
        "/experiment/uuid": str(uuid.uuid4()),
        "/experiment/isSimulation": 0,
        **{f"/scanner/{name}": UNKNOWN for name in ("facility", "manufacturer", "name", "operator")},
        "/scanner/topology": "FFP",
        "/acquisition/numAverages": 1,
        "/acquisition/startTime": identity["/time"],
        "/acquisition/receiver/unit": "V",
        **{f"/measurement/{name}": 0 for name in FLAGS},
    }
    sequence = source.sequence if isinstance(source, SystemMatrix) else None
    fields |= _drive_fields(sequence, source) | {
        f"/tracer/{name}": UNKNOWN for name in ("batch", "name", "solute", "vendor")
    }
    stated = check_metadata(source.metadata)
    fields |= stated
    shape = np.shape(fields[f"{DRIVE}/divider"])
    if sequence is None and f"{DRIVE}/divider" in stated:  # a real drive field, of which something is not known
        fields |= {path: np.zeros((1, *shape)) for path in (STRENGTH, PHASE) if path not in stated}
        fields |= {path: np.nan for path in (f"{DRIVE}/baseFrequency",) if path not in stated}
    waveform = np.asarray(fields["/acquisition/drivefield/waveform"], object)
    fields["/acquisition/drivefield/waveform"] = np.broadcast_to(waveform, shape)
    for path in BY_PERIOD:
        if path in fields:
            given = np.asarray(fields[path])
            if len(given) not in (1, n_periods):
                raise MDFError(f"metadata gives {path} for {len(given)} periods, but there are {n_periods}.")
            fields[path] = np.broadcast_to(given, (n_periods, *given.shape[1:]))
    for name in _TRACER_TEXTS:
        if isinstance(fields.get(f"/tracer/{name}"), str):
            fields[f"/tracer/{name}"] = (fields[f"/tracer/{name}"],)
    fields |= identity | {
        "/acquisition/numPeriodsPerFrame": n_periods,
        "/acquisition/receiver/bandwidth": float(source.bandwidth),
        "/acquisition/receiver/numChannels": source.values.shape[-3 if isinstance(source, SystemMatrix) else -2],
        "/acquisition/receiver/numSamplingPoints": int(source.n_samples),
        "/measurement/isFourierTransformed": 1,
        "/measurement/isTransferFunctionCorrected": int(source.transfer_function_corrected),
    }
    return fields | frequency_fields(source)


def acquisition_metadata(matrix: SystemMatrix) -> dict[str, Any]:
    """Drive field and selection field of a matrix, as metadata of a measurement made with the same scanner."""
    return acquisition.acquisition_metadata(matrix.sequence, matrix.scanner)


def _spelled(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {HEADER[name]: item for name, item in facts.items()}


def _identity_fields(source: SystemMatrix | Measurement, periods: tuple[int, ...] | None) -> dict[str, Any]:
    """Numbers of receivers and periods, angles, and which rows are kept, where they are known: MDF has no fields for them."""
    known: dict[str, Any] = {CHANNELS: source.channel_numbers, PERIODS: periods, ANGLES: source.angles}
    if source.row_mask is not None:
        known[ROW_MASK] = np.asarray(source.row_mask).astype(np.int8)
    return {path: np.asarray(item) for path, item in known.items() if item is not None}


def frequency_fields(source: Any) -> dict[str, Any]:
    """The selection, counted from 1, and the frequencies where they are not k 2 bandwidth / V to the last bit."""
    fields: dict[str, Any] = {}
    indices = np.asarray(source.frequency_indices).astype(np.int64)
    if not np.array_equal(indices, np.arange(int(source.n_samples) // 2 + 1)):
        fields["/measurement/isFrequencySelection"] = 1
        fields["/measurement/frequencySelection"] = indices + 1
    frequencies = np.asarray(source.frequencies, np.float64)
    if not np.array_equal(frequencies, bin_frequencies(indices, float(source.bandwidth), int(source.n_samples))):
        fields[FREQUENCIES] = frequencies
    if np.isnan(frequencies).any():
        fields[FREQUENCIES_UNKNOWN] = (
            "The frequencies of some rows are unknown: NaN in _frequencies; frequencySelection only numbers these rows."
        )
    return fields


def _drive_fields(sequence: LissajousSequence | None, source: SystemMatrix | Measurement) -> dict[str, Any]:
    """The drive field; without a sequence one idle channel whose cycle is the sampled period."""
    if sequence is not None:
        return _spelled(acquisition.drive_facts(sequence))
    rate = 2 * float(source.bandwidth)
    return {
        f"{DRIVE}/baseFrequency": rate,
        f"{DRIVE}/cycle": source.n_samples / rate,
        f"{DRIVE}/numChannels": 1,
        f"{DRIVE}/divider": np.full((1, 1), source.n_samples),
        f"{DRIVE}/strength": np.zeros((1, 1, 1)),
        f"{DRIVE}/phase": np.zeros((1, 1, 1)),
        f"{DRIVE}/waveform": "sine",
    }


def _frame_fields(foreground: int, background: int) -> dict[str, Any]:
    mask = np.arange(foreground + background) >= foreground
    return {"/acquisition/numFrames": foreground + background, "/measurement/isBackgroundFrame": mask.astype(np.int8)}


@contextmanager
def writing(path: str | Path, n_bytes: int) -> Iterator[h5py.File]:
    """A new file that appears under ``path`` only once it is complete.

    HDF5 that meets a full disk cannot close its file and brings the process down when it ends. So a file of moderate size is
    made in memory and written in one piece, and a large one is begun only where the disk has room for it.
    """
    in_memory = n_bytes < IN_MEMORY_BYTES
    options: dict[str, Any] = {"driver": "core", "backing_store": False} if in_memory else {}
    try:
        with atomic_path(path) as temporary:
            if not in_memory and shutil.disk_usage(temporary.parent).free < 1.01 * n_bytes:
                raise OSError(errno.ENOSPC, "No space left on device")
            with h5py.File(temporary, "w", **options) as file:
                yield file
                file.flush()
                image = file.id.get_file_image() if in_memory else b""
            if in_memory:
                temporary.write_bytes(image)
    except (OSError, RuntimeError) as error:  # HDF5 reports a failed flush as RuntimeError
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise OSError(errno.ENOSPC, "the disk is full; nothing was written", str(path)) from None
        code = getattr(error, "errno", None) or errno.EIO
        raise OSError(code, f"cannot be written ({error}); nothing was written", str(path)) from None


def check_readable(file: h5py.File, path: str | Path) -> None:
    """Refuse to write what reading would refuse.

    Raises:
        MDFError: with the reader's words.
    """
    try:
        info = parse_info(file, Path(path))
        for part in (info if info.is_calibration else None, info.reconstruction):
            if part is not None:
                part.grid  # noqa: B018
    except MDFError as error:
        said = str(error).replace(file.filename, "it").replace(str(path), "it")
        raise MDFError(f"{path} is not written, for it could not be read again: {said}") from None
