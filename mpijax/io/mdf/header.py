"""Parsing the header of an MDF file, the spellings and gaps of files in the wild included."""

import math
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from mpijax.core.mapping import FrozenMapping
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import (
    MOST,
    array,
    count,
    dataset,
    find,
    flag,
    is_group,
    number,
    text,
    texts,
)
from mpijax.io.mdf.fields import (
    ACQUIRED,
    ANGLES,
    ASSUMED,
    CALIBRATION_OPTIONAL,
    CHANNELS,
    CONDITIONAL,
    FREQUENCIES,
    MANDATORY,
    MANDATORY_IN_GROUP,
    OLD_SPELLINGS,
    OPTIONAL,
    PERIODS,
    ROW_MASK,
)
from mpijax.io.mdf.first import REMARK as FIRST
from mpijax.io.mdf.groups import read_calibration, read_group, read_reconstruction_info, read_tracer
from mpijax.io.mdf.info import CalibrationInfo, MDFInfo
from mpijax.io.mdf.opened import open_mdf
from mpijax.io.mdf.shapes import (
    by_period,
    drive,
    gradients_by_period,
    known_snr,
    offsets_by_period,
    per_channel,
    snr_by_period,
)
from mpijax.io.numbers import Numbers, numbers
from mpijax.system.facts.identity import check_numbers

DATA = "/measurement/data"
SELECTION = "/measurement/frequencySelection"
LARGEST_RATE = 1e15
"""Largest bandwidth or base frequency [Hz] and longest cycle [s] taken for a number somebody meant."""
FLAGS = tuple(
    name for name in MANDATORY_IN_GROUP["/measurement"] if name.startswith("is") and name != "isBackgroundFrame"
)


def read_info(path: str | Path) -> MDFInfo:
    """Read the header of an MDF file, or of what another format holds; the data stay on disk.

    Missing flags of /measurement count as 0, numAverages as 1, a missing isBackgroundFrame as no background frame, and
    counts are taken from the shape of the data where their field is missing.

    Args:
        path: an MDF file with a measurement or a calibration.

    Returns:
        The header.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: not HDF5, not MDF, or a header that contradicts the data.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    with open_mdf(path) as file:
        return parse_info(file, Path(path))


def parse_info(file: h5py.File, path: Path) -> MDFInfo:
    """The header of an open file; see :func:`read_info`."""
    version = _version(file, path)
    remarks = [FIRST] if version.startswith(("0", "1")) and ASSUMED in file else []
    flags = {name: flag(file, *_spellings(f"/measurement/{name}")) for name in FLAGS}
    data = _data(file, path, flags, remarks)
    shape = () if data is None else data.shape
    if flags["isFastFrameAxis"]:
        periods, channels, bins, frames = shape if shape else (None,) * 4
    else:
        frames, periods, channels, bins = shape if shape else (None,) * 4
    n_periods = _count(file, path, "/acquisition/numPeriodsPerFrame", periods, 1, shape, flags)
    n_channels = _count(file, path, "/acquisition/receiver/numChannels", channels, 0, shape, flags)
    n_samples, bandwidth, indices, frequencies = _spectrum(file, path, flags, bins, remarks)
    calibration = read_calibration(file, path)
    is_background, acquisition = _frames(file, path, flags, frames, calibration, remarks)
    gradients = by_period(path, "gradient", gradients_by_period(path, array(file, "/acquisition/gradient")), n_periods)
    if gradients is not None and not gradients.any():
        remarks.append("the gradient is zero: an excitation without a selection field, or a field nobody filled in")
    offsets = offsets_by_period(path, array(file, "/acquisition/offsetField"))
    tracer = read_tracer(file, path)
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
    lacks = _lacks(file, flags, calibration, remarks)
    info = MDFInfo(
        path=path,
        version=version,
        uuid=text(file, "/uuid"),
        study=read_group(file, "/study"),
        experiment=read_group(file, "/experiment"),
        tracer=tracer,
        scanner=read_group(file, "/scanner"),
        n_averages=count(file, "/acquisition/numAverages", low=1) or 1,
        start_time=text(file, "/acquisition/startTime"),
        n_periods=n_periods,
        gradients=gradients,
        offset_fields=by_period(path, "offsetField", offsets, n_periods),
        base_frequency=number(file, "/acquisition/drivefield/baseFrequency", low=0, high=LARGEST_RATE, unknown=True),
        cycle=number(file, "/acquisition/drivefield/cycle", low=0, high=LARGEST_RATE, unknown=True),
        divider=divider,
        strengths=strengths,
        phases=phases,
        waveform=tuple(name.lower() for name in texts(file, "/acquisition/drivefield/waveform") or ("sine",)),
        n_channels=n_channels,
        n_samples=n_samples,
        bandwidth=bandwidth,
        unit=text(file, "/acquisition/receiver/unit"),
        frequencies=frequencies,
        frequency_indices=indices,
        data_conversion_factor=per_channel(file, path, "dataConversionFactor", (n_channels, 2)),
        induction_factor=per_channel(file, path, "inductionFactor", (n_channels,), finite=False),
        has_transfer_function=dataset(file, "/acquisition/receiver/transferFunction") is not None,
        data_shape=shape,
        data_dtype=None if data is None else data.precision,
        flags=FrozenMapping(flags),
        is_background_frame=is_background,
        acquisition_index=acquisition,
        calibration=calibration,
        reconstruction=read_reconstruction_info(file, path),
        snrs=known_snr(snrs),
        row_mask=row_mask,
        angles=angles,
        channel_numbers=channel_numbers,
        period_numbers=period_numbers,
        lacks=lacks,
        remarks=tuple(remarks),
    )
    return replace(info, remarks=info.remarks + _position_remarks(info))


def _data(file: h5py.File, path: Path, flags: dict[str, bool], remarks: list[str]) -> Numbers | None:
    """The data, which are complex as spectra and real as time samples."""
    data = numbers(file, DATA, 4, partly=True)
    if data is not None and data.is_complex != flags["isFourierTransformed"]:
        stored, is_called, expected = (
            ("complex numbers", "the samples of a time signal (isFourierTransformed = 0, or missing)", "real")
            if data.is_complex
            else ("real numbers", "a spectrum (isFourierTransformed = 1)", "complex")
        )
        raise MDFError(
            f"{path}: /measurement/data holds {stored}, but is called {is_called}, which is {expected}. The other part was lost, "
            "or the flag is wrong."
        )
    if data is not None and not data.complete:
        remarks.append(f"{find(file, DATA)[1]}; what lies in them is not read")
    return data


def _position_remarks(info: MDFInfo) -> tuple[str, ...]:
    """What /calibration/positions says against the rest of the header."""
    if info.calibration is None or info.calibration.positions is None or not info.data_shape:
        return ()
    try:
        moved = info.sorted_by_positions
    except MDFError as error:
        return (str(error),)
    return ("the voxels are sorted by /calibration/positions, which is not in the order of the grid",) if moved else ()


def _numbers(file: h5py.File, path: Path, name: str, count: int) -> tuple[int, ...] | None:
    """The numbers of receivers or periods, where the file gives them."""
    stored = dataset(file, name)
    if stored is not None and stored.dtype.kind not in "iu":
        raise MDFError(f"{path}: {name} has type {stored.dtype}; whole numbers are expected.")
    found = array(file, name, dtype=np.int64)
    try:
        return check_numbers(name, None if found is None else found.ravel().tolist(), count)
    except ValueError as error:
        raise MDFError(f"{path}: {error}") from None


def _spellings(path: str) -> tuple[str, ...]:
    return (path, OLD_SPELLINGS[path]) if path in OLD_SPELLINGS else (path,)


def _version(file: h5py.File, path: Path) -> str:
    version = text(file, "/version")
    if not (is_group(file, "/measurement") or is_group(file, "/acquisition")):
        raise MDFError(f"{path} is HDF5 but not MDF: it has neither /measurement nor /acquisition.")
    return version or "unknown"


def _count(
    file: h5py.File,
    path: Path,
    name: str,
    found: int | None,
    default: int,
    shape: tuple[int, ...],
    flags: dict[str, bool],
) -> int:
    stated = count(file, *_spellings(name))
    if found is None:
        return default if stated is None else stated
    if stated is not None and stated != found:
        layout = "[J, C, K, N]" if flags["isFastFrameAxis"] else "[N, J, C, K]"
        raise MDFError(f"{path}: {name} is {stated}, but the data, of shape {shape} read as {layout}, have {found}.")
    return int(found)


def _spectrum(
    file: h5py.File, path: Path, flags: dict[str, bool], stored: int | None, remarks: list[str]
) -> tuple[int, float, np.ndarray, np.ndarray]:
    """Samples per period, bandwidth, rfft bins and frequencies f_k = k 2 bandwidth / V of the stored rows."""
    bandwidth = number(file, "/acquisition/receiver/bandwidth", low=1e-9, high=LARGEST_RATE, unknown=True)
    n_samples = count(file, "/acquisition/receiver/numSamplingPoints", low=1)
    transformed, selected = flags["isFourierTransformed"], flags["isFrequencySelection"]
    given = array(file, FREQUENCIES, finite=False)
    if n_samples is None and stored is not None and not (transformed and selected):
        n_samples = 2 * (stored - 1) if transformed else stored
    if n_samples is None:
        raise MDFError(f"{path} lacks /acquisition/receiver/numSamplingPoints, and the data do not tell it.")
    n_bins = n_samples // 2 + 1
    if not transformed and stored is not None and stored != n_samples:
        raise MDFError(f"{path}: the data have {stored} samples per period, but numSamplingPoints is {n_samples}.")
    if transformed and not selected and stored is not None and stored != n_bins:
        raise MDFError(
            f"{path}: the data have {stored} frequencies, but {n_samples} samples per period have {n_bins}: numSamplingPoints "
            "is wrong, or frequencySelection is missing."
        )
    if n_samples > MOST and (selected or stored is None):
        raise MDFError(
            f"{path}: numSamplingPoints is {n_samples}; without data of that length at most {MOST} are read."
        )
    if selected:
        selection, why = array(file, SELECTION, dtype=np.int64), find(file, SELECTION)[1]
        if selection is None:
            raise MDFError(f"{path}: isFrequencySelection is 1, but {why or f'{SELECTION} is missing'}.")
        indices = _zero_based(selection.ravel(), remarks)
        outside = (indices < 0) | (indices >= n_bins)
        if transformed and given is not None and given.shape == indices.shape:
            outside &= (
                (indices < 0) | (indices >= MOST) | ~np.isnan(given)
            )  # rows of unknown frequency are only numbered
        if outside.any():
            raise MDFError(
                f"{path}: frequencySelection reaches bin {indices[outside].max()}; {n_samples} samples have {n_bins}."
            )
    else:
        indices = np.arange(n_bins)
    if transformed and stored is not None and stored != len(indices):
        raise MDFError(f"{path}: the data have {stored} frequencies, but frequencySelection names {len(indices)}.")
    if len(np.unique(indices)) < len(indices):
        raise MDFError(f"{path}: frequencySelection names a bin twice.")
    bandwidth = np.nan if bandwidth is None else float(bandwidth)
    frequencies = bin_frequencies(indices, bandwidth, n_samples) if given is None else given
    if frequencies.shape != indices.shape:
        raise MDFError(f"{path}: {FREQUENCIES} has {frequencies.size} frequencies, but the data have {len(indices)}.")
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
    stated = count(file, "/acquisition/numFrames")
    n = (stated or 0) if stored is None else stored
    if n > MOST and stored is None:
        raise MDFError(f"{path}: numFrames is {n}; without data of that length at most {MOST} are read.")
    if stated is not None and stated != n and not flags["isSparsityTransformed"]:
        raise MDFError(f"{path}: numFrames is {stated}, but the data have {n} frames.")
    mask = array(file, "/measurement/isBackgroundFrame", dtype=bool)
    mask = np.zeros(n, bool) if mask is None else mask.ravel()
    if flags["isSparsityTransformed"]:
        if calibration is None or calibration.size is None:
            raise MDFError(f"{path} is compressed but lacks /calibration/size, without which it cannot be expanded.")
        kept = dataset(file, "/measurement/subsamplingIndices")
        voxels = math.prod(calibration.size)
        if kept is not None and (kept.ndim != 4 or not 0 < kept.shape[-1] <= n) or voxels > MOST:
            raise MDFError(
                f"{path}: subsamplingIndices of shape {None if kept is None else kept.shape}, {n} stored frames and "
                f"{voxels} voxels do not belong together."
            )
        background = int(np.count_nonzero(mask)) if kept is None else n - kept.shape[-1]
        mask = np.arange(voxels + background) >= voxels
    elif len(mask) != n:
        raise MDFError(f"{path}: isBackgroundFrame has {len(mask)} entries, but the data have {n} frames.")
    permutation = array(file, "/measurement/framePermutation", dtype=np.int64) if flags["isFramePermutation"] else None
    if permutation is not None:
        permutation = permutation.ravel() - (0 if np.any(permutation == 0) else 1)
        acquisition = permutation if len(permutation) == len(mask) == len(np.unique(permutation)) else None
    else:
        known = not (flags["isFramePermutation"] or flags["isSparsityTransformed"])
        acquisition = np.arange(len(mask)) if known else None
    acquired = array(file, ACQUIRED, dtype=np.int64)
    if acquired is not None and acquired.shape == mask.shape and len(np.unique(acquired)) == len(mask):
        acquisition = acquired
    if acquisition is None:
        remarks.append("when each frame was measured is not known, so the background cannot be interpolated")
    return mask, acquisition


def _lacks(
    file: h5py.File, flags: dict[str, bool], calibration: CalibrationInfo | None, remarks: list[str]
) -> tuple[str, ...]:
    """Fields that are missing; a remark for each that is named in the file but holds no values."""
    wanted = list(MANDATORY)
    lacks = []
    for group, names in MANDATORY_IN_GROUP.items():
        if is_group(file, group) and (group != "/calibration" or calibration is not None):
            wanted += [f"{group}/{name}" for name in names]
        elif group == "/tracer":
            lacks.append(group)
    for name, paths in CONDITIONAL.items():
        wanted += paths if flags[name] else ()
    wanted += OPTIONAL + (CALIBRATION_OPTIONAL if calibration is not None else ())
    for path in wanted:
        found, why = find(file, *_spellings(path), partly=path == DATA)
        if found is None:
            lacks.append(path)
        if why:
            remarks.append(f"{why}; it counts as missing")
    return tuple(lacks)
