"""Reading measurements from MDF files, averaged on the way."""

import reprlib
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.checks import check_choice, check_count
from mpijax.io.background import METHODS, background_model
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import SLAB_BYTES, require, spans
from mpijax.io.mdf.header import read_info
from mpijax.io.mdf.info import MDFInfo
from mpijax.io.mdf.metadata import period_fields, read_metadata
from mpijax.io.mdf.opened import open_mdf
from mpijax.io.mdf.rows import complex_dtype, convert, transfer_function, wants_correction
from mpijax.io.numbers import Numbers, data_numbers
from mpijax.system.facts.acquisition import Acquisition, acquisition_of, mean_periods
from mpijax.system.facts.compare import check_alike, unlike
from mpijax.system.facts.identity import matched_positions, positions_among
from mpijax.system.leakage import windowed
from mpijax.system.measurement import Measurement


def read_measurement(
    path: str | Path,
    *,
    background: str = "none",
    empty_scan: str | Path | None = None,
    frames: Any = None,
    periods: Any = None,
    average_frames: int = 1,
    average_periods: int = 1,
    apply_transfer_function: bool | str = "auto",
    correct_leakage: bool = False,
    check: bool = True,
) -> Measurement:
    """Read the foreground frames of a measurement as spectra.

    Time-domain data are transformed by the plain rfft of each period; integer data are converted to the physical unit.
    Averages are taken while reading, so that a file of many periods needs the memory of the result only.

    Args:
        path: an MDF file.
        background: "none", "mean" (of the file's background frames) or "interpolate" (between runs of them); where the
            file says that the background has been subtracted, nothing is. The background frames returned lose their
            mean with it.
        empty_scan: an MDF file of an empty scan, the mean of whose frames is subtracted, period by period; matched by
            bin, in whatever order it holds them.
        frames: which foreground frames, counted from 0 (an index, a slice, a sequence in any order, or a boolean mask); None =
            all.
        periods: which periods of each frame, likewise.
        average_frames, average_periods: mean over this many consecutive ones of the chosen; an incomplete rest is
            left out, with a warning.
        apply_transfer_function: divide by the transfer function and the induction factor: "auto" where the file has one
            and has not been corrected, True (an error without one) or False. Rows where it is zero or not finite cannot be
            corrected: they become zero and are masked out.
        correct_leakage: suppress what does not repeat from frame to frame, by a Hann window over every frame and its
            neighbors in the order of acquisition (:func:`mpijax.system.correct_leakage`); needs time-domain data of one
            period per frame. Foreground and background frames are not mixed. A file that says it has been corrected is
            read as it is.
        check: refuse an empty scan whose fields or receiver, as far as both files state them, are others.

    Returns:
        Values complex (frames, periods, c, f), background frames beside them.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: a file that cannot be read, no background frames to subtract, or NaN in the data.
        ValueError: an argument that is not allowed, or frames that the file does not have.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    check_choice("background", background, METHODS)
    if empty_scan is not None and background != "none":
        raise ValueError(
            f"background = {background!r} and empty_scan are both given; the background is subtracted once."
        )
    info = _measurement_info(path)
    corrects = wants_correction(info, apply_transfer_function)
    foreground = np.flatnonzero(~info.is_background_frame)
    empty = np.flatnonzero(info.is_background_frame)
    if not len(foreground):
        raise MDFError(
            f"{info.path} holds background frames only ({len(empty)}), nothing measured between them; it can serve as the empty "
            "scan of another measurement: empty_scan=."
        )
    groups = _groups("frames", foreground, frames, average_frames)
    period_groups = _groups("periods", np.arange(info.n_periods), periods, average_periods)
    model = background_model(info, groups.ravel(), empty, background)
    with open_mdf(path) as file:
        values = _spectra(file, info, groups, period_groups, correct_leakage)
        noise = _spectra(file, info, empty[:, None], period_groups, correct_leakage)
        transfer = transfer_function(file, info)
        metadata = read_metadata(file, info, calibration=False)
    if model is not None:
        shares = model.weights().reshape(*groups.shape, -1).mean(1)
        for value, share in zip(values, shares, strict=True):
            value -= np.tensordot(share.astype(noise.real.dtype), noise, 1)
    if empty_scan is not None:
        noise = _empty_scan(empty_scan, info, period_groups, correct_leakage, check)
        values -= noise.mean(0)
    subtracted = model is not None or empty_scan is not None
    if subtracted:
        noise = noise - noise.mean(0)
    row_mask = info.row_mask
    if corrects and transfer is not None:
        usable = np.isfinite(transfer) & (transfer != 0)
        if not usable.all():
            row_mask = usable if row_mask is None else usable & row_mask
        factor = np.divide(1, transfer, out=np.zeros_like(transfer), where=usable)
        values, noise = (array * factor.astype(array.dtype) for array in (values, noise))
    averaged = period_groups.shape[1]
    metadata |= period_fields(info, period_groups.ravel().tolist())
    if averaged > 1:
        metadata |= mean_periods(metadata, averaged)
    if groups.shape[1] * period_groups.shape[1] > 1:
        metadata["/acquisition/numAverages"] = info.n_averages * groups.shape[1] * period_groups.shape[1]
    if correct_leakage:
        metadata["/measurement/isSpectralLeakageCorrected"] = 1
    metadata.pop("/measurement/isBackgroundCorrected", None)
    return Measurement.create(
        values,
        info.frequencies,
        frequency_indices=info.frequency_indices,
        n_samples=info.n_samples,
        bandwidth=info.bandwidth,
        background=noise if len(noise) else None,
        transfer_function_corrected=corrects or info.flags["isTransferFunctionCorrected"],
        background_corrected=subtracted or info.flags["isBackgroundCorrected"],
        metadata=metadata,
        averages=groups.shape[1],
        angles=info.angles,
        row_mask=row_mask,
        channels=info.channel_numbers,
        periods=None if averaged > 1 else info.numbers_of(period_groups[:, 0].tolist()),
    )


def _measurement_info(path: str | Path) -> MDFInfo:
    info = read_info(path)
    if not info.data_shape:
        if info.reconstruction is not None:
            raise MDFError(f"{info.path} holds images and nothing measured; give the file of a measurement.")
        with open_mdf(path) as file:
            require(file, "/measurement/data", partly=True)
    if info.flags["isSparsityTransformed"]:
        raise MDFError(f"{info.path} is a compressed calibration; read it with read_system_matrix.")
    return info


def _groups(name: str, available: np.ndarray, chosen: Any, count: int) -> np.ndarray:
    """Positions to average, (groups, count)."""
    check_count(f"average_{name}", count)
    kept = available if chosen is None else available[_index(name, chosen, len(available))]
    if len(kept) < count:
        raise ValueError(f"average_{name} = {count}, but only {len(kept)} {name} are there to average.")
    count = int(count)
    groups, rest = divmod(len(kept), count)
    if rest:
        warnings.warn(
            f"{len(kept)} {name} are averaged by {count}; the last {rest} of them are left out.", stacklevel=3
        )
    return kept[: groups * count].reshape(groups, count)


def _index(name: str, chosen: Any, length: int) -> Any:
    """Which of ``length`` things are chosen: a slice, or whole numbers in the order given; a boolean list is a mask."""
    if isinstance(chosen, slice):
        return chosen
    index = np.atleast_1d(np.asarray(chosen))
    if index.dtype.kind == "b":
        if index.shape != (length,):
            raise ValueError(f"{name} is a mask of shape {index.shape}; the file has {length} {name}, so ({length},).")
        return np.flatnonzero(index)
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise ValueError(f"{name} = {reprlib.repr(chosen)}; whole numbers, a mask or a slice are expected.")
    if np.any((index < -length) | (index >= length)):
        raise ValueError(f"{name} = {reprlib.repr(chosen)}; the file has {name} 0 to {length - 1}.")
    return index.astype(np.int64)


def _spectra(
    file: h5py.File, info: MDFInfo, frames: np.ndarray, periods: np.ndarray, correct_leakage: bool
) -> np.ndarray:
    """Spectra averaged over groups of frames (g, a) and of periods (h, b): complex (g, h, c, f)."""
    data = data_numbers(file)
    dtype = complex_dtype(info)
    adjacent = _adjacent(info) if correct_leakage and not info.flags["isSpectralLeakageCorrected"] else None
    out = np.empty((len(frames), len(periods), info.n_channels, len(info.frequency_indices)), dtype)
    budget = max(
        1, SLAB_BYTES // (16 * info.n_channels * info.n_samples)
    )  # periods in memory at once, in double precision
    period_part = min(periods.shape[1], budget)
    period_step = max(1, budget // periods.shape[1])
    taken = min(len(periods), period_step) * period_part
    frame_part = min(frames.shape[1], max(1, budget // taken))
    frame_step = max(1, budget // (taken * frames.shape[1]))
    for i in range(0, len(frames), frame_step):
        for j in range(0, len(periods), period_step):
            f, p = frames[i : i + frame_step], periods[j : j + period_step]
            parts = (
                _sum(data, info, f[:, s : s + frame_part], p[:, t : t + period_part], adjacent)
                for s in range(0, f.shape[1], frame_part)
                for t in range(0, p.shape[1], period_part)
            )
            mean = next(parts)
            for part in parts:
                mean += part
            if frames.shape[1] * periods.shape[1] > 1:  # a single value is returned to the last bit
                mean = mean / (frames.shape[1] * periods.shape[1])
            if not info.flags["isFourierTransformed"]:
                mean = np.fft.rfft(mean)[..., info.frequency_indices]
            out[i : i + frame_step, j : j + period_step] = mean
    bad = np.count_nonzero(~np.isfinite(out))
    if bad:
        raise MDFError(
            f"{info.path}: {bad} of the {out.size} spectral values read are NaN or infinite; choose other frames."
        )
    return out


def _adjacent(info: MDFInfo) -> np.ndarray:
    """The frames of the same kind measured just before and after each, itself between them, (N, 3); -1 for none."""
    if info.flags["isFourierTransformed"]:
        raise MDFError(
            f"{info.path} stores spectra; leakage is corrected on time samples, so read it with correct_leakage=False."
        )
    if info.n_periods > 1:
        raise MDFError(
            f"{info.path} has {info.n_periods} periods per frame: the same period of two frames does not follow without a "
            "gap in time, so read it with correct_leakage=False."
        )
    if info.acquisition_index is None:
        raise MDFError(f"{info.path} does not tell when each frame was measured; read it with correct_leakage=False.")
    order = np.argsort(info.acquisition_index)
    measured, kind = info.acquisition_index[order], info.is_background_frame[order]
    joined = np.flatnonzero((np.diff(measured) == 1) & (kind[1:] == kind[:-1]))
    found = np.full((info.n_frames, 3), -1)
    found[:, 1] = np.arange(info.n_frames)
    found[order[joined + 1], 0] = order[joined]
    found[order[joined], 2] = order[joined + 1]
    return found


def _sum(
    data: Numbers, info: MDFInfo, frames: np.ndarray, periods: np.ndarray, adjacent: np.ndarray | None
) -> np.ndarray:
    """Physical data summed in double precision over frames (g, a) and periods (h, b): (g, h, c, samples or bins)."""
    fast = info.flags["isFastFrameAxis"]
    wanted, frame_place = np.unique(frames, return_inverse=True)
    frame_set = wanted if adjacent is None else np.setdiff1d(adjacent[wanted], -1)
    period_set, period_place = np.unique(periods, return_inverse=True)
    rows = []
    for first, last, _ in spans(frame_set, 1, len(frame_set)):
        columns = []
        for start, stop, _ in spans(period_set, 1, len(period_set)):
            f, p = slice(first, last), slice(start, stop)
            index = (p, slice(None), slice(None), f) if fast else (f, p)
            data.check(*index)
            block = np.moveaxis(data[index], -1, 0) if fast else data[index]
            columns.append(convert(block, info, np.arange(info.n_channels), info.frequency_indices, -1))
        rows.append(np.concatenate(columns, axis=1))
    block = np.concatenate(rows)
    if adjacent is not None and len(wanted):
        places = (np.searchsorted(frame_set, near[near >= 0]) for near in adjacent[wanted])
        block = np.stack([windowed(block[place]) for place in places])
    block = block[frame_place.ravel()][:, period_place.ravel()]
    block = block.reshape(*frames.shape, *periods.shape, *block.shape[2:])
    if frames.shape[1] == periods.shape[1] == 1:
        return block[:, 0, :, 0]
    return block.sum(axis=(1, 3), dtype=np.result_type(block, np.float64))


def _empty_scan(
    path: str | Path, info: MDFInfo, period_groups: np.ndarray, correct_leakage: bool, check: bool
) -> np.ndarray:
    """All frames of an empty scan, averaged over periods as the data are: (e, periods or 1, c, f).

    Channels and frequencies are matched by their numbers.
    """
    scan = _measurement_info(path)
    if scan.n_periods not in (1, info.n_periods):
        raise MDFError(
            f"the empty scan {scan.path} has {scan.n_periods} periods per frame, but {info.path} has {info.n_periods}; it does not "
            "match."
        )
    missing = np.setdiff1d(info.frequency_indices, scan.frequency_indices)
    if len(missing):
        raise MDFError(
            f"the empty scan {scan.path} does not match {info.path}: it lacks {len(missing)} of the "
            f"{len(info.frequency_indices)} frequencies (bins {missing[:5].tolist()} ..)."
        )
    if scan.flags["isBackgroundCorrected"]:
        raise MDFError(
            f"the empty scan {scan.path} has lost its background already; nothing of it is left to subtract."
        )
    if scan.flags["isTransferFunctionCorrected"] != info.flags["isTransferFunctionCorrected"]:
        raise MDFError(
            f"of {scan.path} and {info.path} one has been corrected for its transfer function, the other not."
        )
    groups = np.zeros((1, 1), int)
    if scan.n_periods == info.n_periods:
        own, present = info.period_numbers or range(info.n_periods), scan.period_numbers or range(scan.n_periods)
        numbered = info.period_numbers is not None and scan.period_numbers is not None
        places = matched_positions(
            "period",
            own,
            own,
            present,
            numbered=numbered,
            other=f"the empty scan {scan.path}",
            asking="the measurement",
        )
        groups = places[period_groups]
    facts = _facts(info, period_groups[:, 0]), _facts(scan, groups[:, 0])
    if check or scan.n_samples != info.n_samples:
        check_alike(*facts, f"the empty scan {scan.path}")
    elif differing := unlike(*facts):
        warnings.warn(f"the empty scan {scan.path} is taken as it is: {'; '.join(differing)}.", stacklevel=3)
    numbered = info.channel_numbers is not None and scan.channel_numbers is not None
    own = info.channel_numbers or range(info.n_channels)
    present = scan.channel_numbers or range(scan.n_channels)
    channels = matched_positions(
        "channel", own, own, present, numbered=numbered, other=f"the empty scan {scan.path}", asking="the measurement"
    )
    with open_mdf(path) as file:
        found = _spectra(file, scan, np.arange(scan.n_frames)[:, None], groups, correct_leakage)
    bins = positions_among(scan.frequency_indices, info.frequency_indices)
    found = found.transpose(2, 3, 0, 1)[channels[:, None], bins].transpose(2, 3, 0, 1)
    return np.broadcast_to(found, (len(found), len(period_groups), *found.shape[2:]))


def _facts(info: MDFInfo, periods: np.ndarray) -> list[Acquisition]:
    """What a file says of its scan, of some periods."""
    with open_mdf(info.path) as file:
        fields = read_metadata(file, info, calibration=False)
    return [acquisition_of(fields | period_fields(info, [int(i)]), info.n_samples, info.bandwidth) for i in periods]
