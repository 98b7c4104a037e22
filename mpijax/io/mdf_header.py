"""Parsing the header of an MDF file, the spellings and gaps of files in the wild included."""

import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.pytree import FrozenMapping
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import array, dataset, number, open_hdf5, text, texts, value
from mpijax.io.mdf_fields import (
    ANGLES,
    CALIBRATION_OPTIONAL,
    CHANNELS,
    CONDITIONAL,
    FREQUENCIES,
    MANDATORY,
    MANDATORY_IN_GROUP,
    OLD_SPELLINGS,
    OPTIONAL,
    PARAMETERS,
    PERIODS,
    ROW_MASK,
)
from mpijax.io.mdf_info import CalibrationInfo, MDFInfo, ReconstructionInfo
from mpijax.io.mdf_shapes import by_period, drive, gradients_by_period, per_channel, snr_by_period
from mpijax.io.snr import known_snr
from mpijax.system.acquisition import nested
from mpijax.system.identity import check_numbers

FLAGS = tuple(
    name for name in MANDATORY_IN_GROUP["/measurement"] if name.startswith("is") and name != "isBackgroundFrame"
)


def read_info(path: str | Path) -> MDFInfo:
    """Read the header of an MDF 2 file; the data stay on disk.

    Missing flags of /measurement count as 0, numAverages as 1, a missing isBackgroundFrame as no background frame, and
    counts are taken from the shape of the data where their field is missing.

    Args:
        path: an MDF file with a measurement or a calibration.

    Returns:
        The header.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: not HDF5, not MDF, MDF 1, or a header that contradicts the data.
    """
    with open_hdf5(path) as file:
        return parse_info(file, Path(path))


def parse_info(file: h5py.File, path: Path) -> MDFInfo:
    """The header of an open file; see :func:`read_info`."""
    version = _version(file, path)
    remarks: list[str] = []
    data = dataset(file, "/measurement/data")
    shape = () if data is None else data.shape
    flags = {name: bool(number(file, *_spellings(f"/measurement/{name}")) or 0) for name in FLAGS}
    if data is not None and len(shape) != 4:
        raise MDFError(f"{path}: /measurement/data has shape {shape}; MDF stores four axes.")
    if flags["isFastFrameAxis"]:
        periods, channels, bins, frames = shape if shape else (None,) * 4
    else:
        frames, periods, channels, bins = shape if shape else (None,) * 4
    n_periods = _count(file, path, "/acquisition/numPeriodsPerFrame", periods, 1)
    n_channels = _count(file, path, "/acquisition/receiver/numChannels", channels, 0)
    n_samples, bandwidth, indices, frequencies = _spectrum(file, path, flags, bins, remarks)
    calibration = _calibration(file, path)
    is_background, acquisition = _frames(file, path, flags, frames, calibration, remarks)
    gradients = by_period(path, "gradient", gradients_by_period(path, array(file, "/acquisition/gradient")), n_periods)
    if gradients is not None and not gradients.any():
        remarks.append("the gradient is zero: an excitation without a selection field, or a field nobody filled in")
    offsets = array(file, "/acquisition/offsetField")
    if offsets is not None:
        offsets = offsets.reshape(1, 1, 3) if offsets.ndim == 1 else offsets.reshape(len(offsets), -1, 3)
    tracer = _tracer(file)
    if calibration is not None and not any(tracer.get("concentration", ())):
        remarks.append("the sample's concentration is zero or missing and counts as 1 mmol/L")
    divider, strengths, phases = drive(file, path, n_periods)
    angles = array(file, ANGLES)
    if angles is not None and angles.shape != (n_channels,):
        raise MDFError(f"{path}: {ANGLES} has shape {angles.shape}; expected one angle per channel, ({n_channels},).")
    channel_numbers, period_numbers = (
        _numbers(file, path, name, count) for name, count in ((CHANNELS, n_channels), (PERIODS, n_periods))
    )
    snrs = by_period(path, "snr", snr_by_period(file, path, n_channels, n_samples, indices), n_periods)
    if snrs is not None and known_snr(snrs) is None:
        instead = "it is computed again" if is_background.any() else "there is none"
        warnings.warn(f"{path} stores an SNR of zero or NaN in every row, which says nothing; {instead}.", stacklevel=2)
    row_mask = array(file, ROW_MASK, dtype=bool)
    if row_mask is not None and row_mask.shape != (n_channels, len(indices)):
        raise MDFError(f"{path}: {ROW_MASK} has shape {row_mask.shape}; expected ({n_channels}, {len(indices)}).")
    return MDFInfo(
        path=path,
        version=version,
        uuid=text(file, "/uuid"),
        study=_group(file, "/study"),
        experiment=_group(file, "/experiment"),
        tracer=tracer,
        scanner=_group(file, "/scanner"),
        n_averages=int(number(file, "/acquisition/numAverages") or 1),
        start_time=text(file, "/acquisition/startTime"),
        n_periods=n_periods,
        gradients=gradients,
        offset_fields=by_period(path, "offsetField", offsets, n_periods),
        base_frequency=number(file, "/acquisition/drivefield/baseFrequency"),
        cycle=number(file, "/acquisition/drivefield/cycle"),
        divider=divider,
        strengths=strengths,
        phases=phases,
        waveform=texts(file, "/acquisition/drivefield/waveform") or ("sine",),
        n_channels=n_channels,
        n_samples=n_samples,
        bandwidth=bandwidth,
        unit=text(file, "/acquisition/receiver/unit"),
        frequencies=frequencies,
        frequency_indices=indices,
        data_conversion_factor=per_channel(file, path, "dataConversionFactor", (n_channels, 2)),
        induction_factor=per_channel(file, path, "inductionFactor", (n_channels,)),
        has_transfer_function=dataset(file, "/acquisition/receiver/transferFunction") is not None,
        data_shape=shape,
        data_dtype=None if data is None else data.dtype,
        flags=FrozenMapping(flags),
        is_background_frame=is_background,
        acquisition_index=acquisition,
        calibration=calibration,
        reconstruction=_reconstruction(file, path),
        snrs=known_snr(snrs),
        row_mask=row_mask,
        angles=angles,
        channel_numbers=channel_numbers,
        period_numbers=period_numbers,
        lacks=_lacks(file, flags, calibration),
        remarks=tuple(remarks),
    )


def _numbers(file: h5py.File, path: Path, name: str, count: int) -> tuple[int, ...] | None:
    """The numbers of receivers or periods, where the file gives them."""
    found = array(file, name, dtype=np.int64)
    try:
        return check_numbers(name, None if found is None else found.ravel().tolist(), count)
    except ValueError as error:
        raise MDFError(f"{path}: {error}") from None


def _spellings(path: str) -> tuple[str, ...]:
    return (path, OLD_SPELLINGS[path]) if path in OLD_SPELLINGS else (path,)


def _version(file: h5py.File, path: Path) -> str:
    version = text(file, "/version")
    old = any(name in file for name in ("/measurement/dataFD", "/measurement/dataTD", "/calibration/dataFD"))
    if (version or "2").strip().startswith(("1", "0")) or old:
        raise MDFError(
            f"{path} is an MDF 1 file ({version or 'no version'}), which is not read; convert it to MDF 2.1 first."
        )
    if "/measurement" not in file and "/acquisition" not in file:
        raise MDFError(f"{path} is HDF5 but not MDF: it has neither /measurement nor /acquisition.")
    return version or "unknown"


def _count(file: h5py.File, path: Path, name: str, found: int | None, default: int) -> int:
    stated = number(file, *_spellings(name))
    if found is None:
        return default if stated is None else int(stated)
    if stated is not None and int(stated) != found:
        raise MDFError(f"{path}: {name} is {stated}, but the data, {_layout(file)}, have {found}.")
    return int(found)


def _layout(file: h5py.File) -> str:
    fast = bool(number(file, *_spellings("/measurement/isFastFrameAxis")))
    return f"of shape {file['/measurement/data'].shape} read as {'[J, C, K, N]' if fast else '[N, J, C, K]'}"


def _spectrum(
    file: h5py.File, path: Path, flags: dict[str, bool], stored: int | None, remarks: list[str]
) -> tuple[int, float, np.ndarray, np.ndarray]:
    """Samples per period, bandwidth, rfft bins and frequencies f_k = k 2 bandwidth / V of the stored rows."""
    bandwidth = number(file, "/acquisition/receiver/bandwidth")
    n_samples = number(file, "/acquisition/receiver/numSamplingPoints")
    transformed, selected = flags["isFourierTransformed"], flags["isFrequencySelection"]
    given = array(file, FREQUENCIES)
    if n_samples is None and stored is not None and not (transformed and selected):
        n_samples = 2 * (stored - 1) if transformed else stored
    if n_samples is None:
        raise MDFError(f"{path} lacks /acquisition/receiver/numSamplingPoints, and the data do not tell it.")
    n_samples = int(n_samples)
    n_bins = n_samples // 2 + 1
    if not transformed and stored is not None and stored != n_samples:
        raise MDFError(f"{path}: the data have {stored} samples per period, but numSamplingPoints is {n_samples}.")
    if selected:
        selection = array(file, "/measurement/frequencySelection", dtype=np.int64)
        if selection is None:
            raise MDFError(f"{path}: isFrequencySelection is 1, but /measurement/frequencySelection is missing.")
        indices = _zero_based(selection.ravel(), remarks)
        if given is None and (indices.min(initial=0) < 0 or indices.max(initial=0) >= n_bins):
            raise MDFError(
                f"{path}: frequencySelection reaches bin {indices.max(initial=0)}; {n_samples} samples have {n_bins}."
            )
    else:
        indices = np.arange(n_bins)
    if transformed and stored is not None and stored != len(indices):
        raise MDFError(
            f"{path}: the data have {stored} frequencies, but "
            + (
                f"frequencySelection names {len(indices)}."
                if selected
                else f"{n_samples} samples per period have {n_bins}."
            )
        )
    if len(np.unique(indices)) < len(indices):
        raise MDFError(f"{path}: frequencySelection names a bin twice.")
    bandwidth = np.nan if bandwidth is None else float(bandwidth)
    frequencies = bin_frequencies(indices, bandwidth, n_samples) if given is None else given
    if frequencies.shape != indices.shape:
        raise MDFError(f"{path}: {FREQUENCIES} has {len(frequencies)} frequencies, but the data have {len(indices)}.")
    if np.isnan(frequencies).any():
        remarks.append("the frequencies of the rows are not known")
    return n_samples, bandwidth, indices, frequencies


def bin_frequencies(indices: np.ndarray, bandwidth: float, n_samples: int) -> np.ndarray:
    """f_k = k 2 bandwidth / V [Hz]."""
    return np.asarray(indices) * (2 * bandwidth / n_samples)


def _zero_based(stored: np.ndarray, remarks: list[str]) -> np.ndarray:
    """Indices as MDF writers store them, counted from 1; a file in which a 0 occurs counts from 0."""
    if np.any(stored == 0):
        remarks.append("frequencySelection holds a 0 and is taken as counted from 0")
        return stored
    return stored - 1


def _frames(
    file: h5py.File,
    path: Path,
    flags: dict[str, bool],
    stored: int | None,
    calibration: CalibrationInfo | None,
    remarks: list[str],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Which frames are background, and when each was measured."""
    n = int(number(file, "/acquisition/numFrames") or 0) if stored is None else stored
    mask = array(file, "/measurement/isBackgroundFrame", dtype=bool)
    mask = np.zeros(n, bool) if mask is None else mask.ravel()
    if flags["isSparsityTransformed"]:
        if calibration is None or calibration.size is None:
            raise MDFError(f"{path} is compressed but lacks /calibration/size, without which it cannot be expanded.")
        kept = dataset(file, "/measurement/subsamplingIndices")
        background = np.count_nonzero(mask) if kept is None else n - kept.shape[-1]
        mask = np.arange(np.prod(calibration.size) + background) >= np.prod(calibration.size)
    elif len(mask) != n:
        raise MDFError(f"{path}: isBackgroundFrame has {len(mask)} entries, but the data have {n} frames.")
    permutation = array(file, "/measurement/framePermutation", dtype=np.int64) if flags["isFramePermutation"] else None
    if permutation is not None:
        permutation = permutation.ravel() - (0 if np.any(permutation == 0) else 1)
        acquisition = permutation if len(permutation) == len(mask) else None
    else:
        known = not (flags["isFramePermutation"] or flags["isSparsityTransformed"])
        acquisition = np.arange(len(mask)) if known else None
    if acquisition is None:
        remarks.append("when each frame was measured is not known, so the background cannot be interpolated")
    return mask, acquisition


def _calibration(file: h5py.File, path: Path) -> CalibrationInfo | None:
    method, size = text(file, "/calibration/method"), _size(file, path, "/calibration")
    if method is None and size is None:  # a measurement file may hold /calibration/deltaSampleSize alone
        return None
    positions = array(file, "/calibration/positions")
    return CalibrationInfo(
        method=method or "unknown",
        size=size,
        fov=_vector(file, path, "/calibration/fieldOfView"),
        center=_vector(file, path, "/calibration/fieldOfViewCenter"),
        order=_order(file, path, "/calibration"),
        delta_sample_size=_vector(file, path, "/calibration/deltaSampleSize"),
        positions=positions if positions is not None and positions.ndim == 2 and positions.shape[1] == 3 else None,
        meandering=bool(number(file, "/calibration/isMeanderingGrid") or 0),
    )


def _reconstruction(file: h5py.File, path: Path) -> ReconstructionInfo | None:
    group = "/reconstruction"
    data = dataset(file, f"{group}/data")
    if data is None:
        return None
    return ReconstructionInfo(
        path=path,
        shape=data.shape,
        size=_size(file, path, group),
        fov=_vector(file, path, f"{group}/fieldOfView"),
        center=_vector(file, path, f"{group}/fieldOfViewCenter"),
        order=_order(file, path, group),
        parameters=_group(file, PARAMETERS),
    )


def _size(file: h5py.File, path: Path, group: str) -> tuple[int, int, int] | None:
    size = array(file, f"{group}/size", dtype=np.int64)
    if size is None:
        return None
    if size.size > 3 or np.any(size < 1):
        raise MDFError(f"{path}: {group}/size is {size.tolist()}; three positive voxel counts are expected.")
    return tuple(np.pad(size.ravel(), (0, 3 - size.size), constant_values=1).tolist())


def _order(file: h5py.File, path: Path, group: str) -> str:
    order = (text(file, f"{group}/order") or "xyz").lower()
    if sorted(order) != ["x", "y", "z"]:
        raise MDFError(f"{path}: {group}/order is {order!r}; a permutation of xyz is expected.")
    return order


def _vector(file: h5py.File, path: Path, name: str) -> np.ndarray | None:
    found = array(file, name)
    if found is not None and found.size != 3:
        raise MDFError(f"{path}: {name} has {found.size} entries; three are expected.")
    return None if found is None else found.ravel()


def _group(file: h5py.File, group: str) -> FrozenMapping:
    found = {name: value(file, f"{group}/{name}") for name in file.get(group, {})}
    return FrozenMapping({name: nested(item) for name, item in found.items() if item is not None})


def _tracer(file: h5py.File) -> FrozenMapping:
    """Every field as a tuple with one entry per tracer (MDF 2.0 files hold scalars)."""
    found: dict[str, Any] = {}
    for name, item in _group(file, "/tracer").items():
        found[name] = item if isinstance(item, tuple) else (item,)
    return FrozenMapping(found)


def _lacks(file: h5py.File, flags: dict[str, bool], calibration: CalibrationInfo | None) -> tuple[str, ...]:
    wanted = list(MANDATORY)
    for group, names in MANDATORY_IN_GROUP.items():
        if group in file and (group != "/calibration" or calibration is not None):
            wanted += [f"{group}/{name}" for name in names]
        elif group == "/tracer":
            wanted.append(group)
    for flag, paths in CONDITIONAL.items():
        wanted += paths if flags[flag] else ()
    wanted += OPTIONAL + (CALIBRATION_OPTIONAL if calibration is not None else ())
    return tuple(path for path in wanted if not any(name in file for name in _spellings(path)))
