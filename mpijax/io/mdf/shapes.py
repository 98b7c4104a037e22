"""The shapes in which files hold per-period and per-channel fields, brought to those of MDF 2.1."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import MOST, array


def take_kept_bins(values: np.ndarray, name: str, path: Path, n_samples: int, indices: np.ndarray) -> np.ndarray:
    """Values (.., K) of a per-frequency field, which some writers store for all V//2+1 bins of a selected file.

    Raises:
        MDFError: neither length.
    """
    if values.shape[-1] == len(indices):
        return values
    if values.shape[-1] == n_samples // 2 + 1 and indices.max(initial=0) < values.shape[-1]:
        return values[..., indices]
    raise MDFError(f"{path}: {name} has {values.shape[-1]} frequencies, but the data have {len(indices)}.")


def snr_by_period(
    file: h5py.File, path: Path, n_channels: int, n_samples: int, indices: np.ndarray
) -> np.ndarray | None:
    """/calibration/snr as (J or 1, C, K), or None."""
    snr = array(file, "/calibration/snr", finite=False)
    if snr is None:
        return None
    snr = snr[None] if snr.ndim == 2 else snr
    if snr.ndim != 3 or snr.shape[1] != n_channels:
        raise MDFError(
            f"{path}: /calibration/snr has shape {snr.shape}; expected (periods, {n_channels}, {len(indices)})."
        )
    return take_kept_bins(snr, "/calibration/snr", path, n_samples, indices)


def known_snr(snr: Any) -> Any:
    """The SNR, or None where no row has a positive one: all zero or NaN is no SNR, but the trace of a failed position."""
    return snr if snr is not None and np.any(np.asarray(snr) > 0) else None


def gradients_by_period(path: Path, stored: np.ndarray | None) -> np.ndarray | None:
    """3, (3, 3), (J, 3), (J, 3, 3) and (J, Y, 3, 3) as (J, Y, 3, 3)."""
    if stored is None:
        return None
    if stored.shape == (3, 3):
        return stored[None, None]
    if stored.ndim in (1, 2) and stored.shape[-1] == 3:
        return (stored.reshape(-1, 1, 3, 1) * np.eye(3)).reshape(-1, 1, 3, 3)
    if stored.shape[-2:] == (3, 3):
        return stored.reshape(stored.shape[0], -1, 3, 3)
    raise MDFError(f"{path}: gradient has shape {stored.shape}; expected (periods, sub-partitions, 3, 3).")


def offsets_by_period(path: Path, stored: np.ndarray | None) -> np.ndarray | None:
    """3, (J, 3) and (J, Y, 3) as (J, Y, 3)."""
    if stored is None:
        return None
    if stored.ndim not in (1, 2, 3) or stored.shape[-1] != 3:
        raise MDFError(f"{path}: offsetField has shape {stored.shape}; expected (periods, sub-partitions, 3).")
    return stored.reshape(1, 1, 3) if stored.ndim == 1 else stored.reshape(len(stored), -1, 3)


def drive(
    file: h5py.File, path: Path, n_periods: int
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Divider (D, F), strengths and phases (J or 1, D, F) of the drive field; phases default to zero."""
    divider = array(file, "/acquisition/drivefield/divider", dtype=np.int64)
    if divider is None:
        return None, None, None
    divider = divider.reshape(-1, 1) if divider.ndim < 2 else divider
    if divider.ndim != 2 or divider.min() < 0 or divider.max() > MOST:
        raise MDFError(
            f"{path}: drivefield/divider has shape {divider.shape} and entries from {divider.min()} to {divider.max()}; expected "
            f"(channels, frequencies), 0 to {MOST}."
        )

    def read(name: str) -> np.ndarray | None:
        found = array(file, f"/acquisition/drivefield/{name}")
        if found is None:
            return None
        if found.size % divider.size:
            raise MDFError(
                f"{path}: drivefield/{name} has shape {found.shape}, which does not fit divider {divider.shape}."
            )
        return by_period(path, name, found.reshape(-1, *divider.shape), n_periods)

    strengths, phases = read("strength"), read("phase")
    return divider, strengths, np.zeros((1, *divider.shape)) if phases is None else phases


def by_period(path: Path, name: str, values: np.ndarray | None, n_periods: int) -> np.ndarray | None:
    """The values, whose first axis must hold one period or all of them."""
    if values is not None and len(values) not in (1, n_periods):
        raise MDFError(f"{path}: {name} is given for {len(values)} periods, but a frame has {n_periods}.")
    return values


def per_channel(
    file: h5py.File, path: Path, name: str, shape: tuple[int, ...], finite: bool = True
) -> np.ndarray | None:
    """A receiver field with one entry per channel; a single entry counts for all."""
    found = array(file, f"/acquisition/receiver/{name}", finite=finite)
    if found is None:
        return None
    if found.size == shape[-1] and len(shape) == 2:
        found = np.broadcast_to(found.ravel(), shape)
    if found.shape != shape:
        raise MDFError(f"{path}: {name} has shape {found.shape}; expected {shape}.")
    return found
