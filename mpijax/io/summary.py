"""An MDF header as text, in the units of the lab: mT, mm, kHz."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from mpijax.io.mdf.info import MDFInfo, ReconstructionInfo


def describe(info: MDFInfo) -> str:
    """What a file holds and lacks, line by line.

    Args:
        info: from :func:`read_info`.

    Returns:
        Text of several lines: file, study, sequence, receiver, data, calibration, what is missing, remarks.
    """
    only_images = info.reconstruction is not None and not info.data_shape
    kind = "system matrix" if info.is_calibration else "reconstruction" if only_images else "measurement"
    lines = [f"{info.path}", f"{kind}, MDF {info.version}"]
    lines += _section("study", _texts(info.study, ("name", "number", "description")))
    lines += _section("experiment", _texts(info.experiment, ("name", "number", "subject", "description")))
    lines += _section("scanner", _texts(info.scanner, ("name", "manufacturer", "facility", "topology")))
    lines += _section("tracer", _tracer(info))
    lines += _section("sequence", _sequence(info))
    lines += _section("receiver", _receiver(info))
    if not only_images:
        lines += _section("data", _data(info))
    if info.is_calibration:
        lines += _section("calibration", _calibration(info))
    if info.reconstruction is not None:
        lines += _section("reconstruction", _reconstruction(info.reconstruction))
    lines += _section("cannot, for what it lacks", [f"{what}: {without}" for what, without in _without(info)])
    lines += _section("lacks", info.lacks or ("nothing",))
    lines += _section("remarks", info.remarks)
    return "\n".join(lines)


def _without(info: MDFInfo) -> Iterator[tuple[str, str]]:
    """What a file lacks of a scan, in words, and what cannot be done without it."""
    if info.reconstruction is not None and not info.data_shape:
        return
    if info.gradient is None or not np.any(info.gradient):
        yield (
            "no gradient",
            "no particle is identified, nothing simulated like it (fit and train --like take --gradient)",
        )
    if info.divider is None or info.base_frequency is None:
        yield "no drive frequencies", "rows have no mixing orders, no particle is identified"
    if not info.driven:
        yield (
            "no drive amplitudes",
            "no particle is identified, nothing simulated like it (train --like takes --amplitude)",
        )
    few = info.n_background_frames < 2
    if info.is_calibration:
        if few and info.snr is None:
            yield (
                "no SNR, no background frames",
                "rows are not chosen by SNR, and restore guesses the noise from the rows",
            )
        if _has_no_grid(info):
            yield "no grid (voxels, field of view)", "nothing is reconstructed, restored or drawn of it"
        if info.tracer_concentration is None:
            yield "no concentration of the sample", "images are in units of the sample, not in mmol(Fe)/L"
    elif few:
        yield (
            "no background frames",
            "nothing is subtracted and the noise not known, unless an empty scan is given (--empty)",
        )


def _has_no_grid(info: MDFInfo) -> bool:
    calibration = info.calibration
    assert calibration is not None
    return calibration.positions is None and (calibration.size is None or calibration.fov is None)


def _section(title: str, lines: Iterable[str]) -> list[str]:
    entries = [f"  {line}" for line in lines]
    return [f"{title}:", *entries] if entries else []


def _texts(group: object, names: tuple[str, ...]) -> list[str]:
    assert hasattr(group, "get")
    return [f"{name} {group.get(name)}" for name in names if group.get(name) not in (None, "")]


def _tracer(info: MDFInfo) -> list[str]:
    lines = []
    names = info.tracer.get("name", ())
    for i, name in enumerate(names):
        parts = [str(name)]
        for field, scale, unit in (("concentration", 1e3, "mmol/L"), ("volume", 1e6, "uL")):
            values = info.tracer.get(field, ())
            if i < len(values) and isinstance(values[i], int | float) and values[i] > 0:  # 0 stands for unknown
                parts.append(f"{field} {values[i] * scale:.4g} {unit}")
        lines.append(", ".join(parts))
    return lines


def _sequence(info: MDFInfo) -> list[str]:
    lines = []
    if info.gradient is not None:
        diagonal = np.diagonal(info.gradient)
        off = np.abs(info.gradient - np.diag(diagonal)).max() > 1e-9
        lines.append(f"gradient {_vector(diagonal)} T/m" + (" (diagonal of a full matrix)" if off else ""))
    if info.offset_field is not None:
        lines.append(f"offset field {_vector(info.offset_field * 1e3)} mT")
    if info.divider is not None and info.base_frequency is not None:
        for d, row in enumerate(info.divider):
            tones = ", ".join(f"{info.base_frequency / n / 1e3:.6g} kHz" for n in row if n)
            strength = "unknown strength" if info.strength is None else f"{_vector(info.strength[d] * 1e3)} mT"
            lines.append(f"drive channel {d}: {tones}, {strength}")
    if info.cycle is not None:
        lines.append(f"cycle {info.cycle * 1e3:.6g} ms, waveform {', '.join(dict.fromkeys(info.waveform))}")
    if info.n_periods > 1:
        lines.append(f"{info.n_periods} periods per frame (the first is described)")
    return lines


def _receiver(info: MDFInfo) -> list[str]:
    corrected = info.flags["isTransferFunctionCorrected"]
    transfer = "present" if info.has_transfer_function else "absent"
    return [
        f"{info.n_channels} channels, {info.n_samples} samples per period, bandwidth {info.bandwidth / 1e3:.6g} kHz",
        f"transfer function {transfer}, {'already' if corrected else 'not'} applied",
    ]


def _data(info: MDFInfo) -> list[str]:
    if not info.data_shape:
        return ["none"]
    k = len(info.frequencies)
    known = info.frequencies[~np.isnan(info.frequencies)]
    span = f" from {known.min() / 1e3:.6g} to {known.max() / 1e3:.6g} kHz" if len(known) else " of unknown frequency"
    frames = f"{info.n_foreground_frames} foreground and {info.n_background_frames} background frames"
    flags = [name[2:] for name, on in info.flags.items() if on]
    return [
        f"{info.data_dtype} {info.data_shape}",
        f"{frames}, {info.n_averages} averages",
        f"{k} frequencies{span}",
        f"state: {', '.join(flags) or 'raw'}",
    ]


def _calibration(info: MDFInfo) -> list[str]:
    calibration = info.calibration
    assert calibration is not None
    lines = [f"method {calibration.method}"]
    if calibration.size is not None:
        lines.append("grid " + " x ".join(str(n) for n in calibration.size) + f", order {calibration.order}")
    for name, values in (
        ("field of view", calibration.fov),
        ("center", calibration.center),
        ("sample", calibration.delta_sample_size),
    ):
        if values is not None:
            lines.append(f"{name} {_vector(values * 1e3)} mm")
    if info.snr is not None:
        snr = info.snr
        lines.append(
            f"SNR up to {np.nanmax(snr, initial=0):.4g}; {np.count_nonzero(snr >= 5)} of {snr.size} rows reach 5"
        )
    elif info.n_background_frames:
        lines.append("no SNR stored; it is computed from the background frames when the matrix is read")
    else:
        lines.append("no SNR, and no background frames to compute it from")
    return lines


def _reconstruction(images: ReconstructionInfo) -> list[str]:
    frames, voxels, contrasts = (*images.shape, 1, 1)[:3]
    lines = [f"{frames} frames of {voxels} voxels" + (f", {contrasts} contrasts" if contrasts > 1 else "")]
    if images.size is not None:
        lines.append("grid " + " x ".join(str(n) for n in images.size) + f", order {images.order}")
    for name, values in (("field of view", images.fov), ("center", images.center)):
        if values is not None:
            lines.append(f"{name} {_vector(values * 1e3)} mm")
    return lines + [f"{name} {_one_line(item)}" for name, item in images.parameters.items()]


def _one_line(item: Any) -> Any:
    """A parameter, of a longer text how long it is."""
    return f"of {len(item.splitlines())} lines" if isinstance(item, str) and "\n" in item else item


def _vector(values: np.ndarray) -> str:
    return " x ".join(f"{value:.4g}" for value in np.asarray(values).ravel() + 0.0)
