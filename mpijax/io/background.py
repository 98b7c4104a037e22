"""The background at the time of each frame, from the background frames around it."""

from dataclasses import dataclass

import numpy as np

from mpijax.core.checks import check_choice
from mpijax.io.errors import MDFError
from mpijax.io.mdf.info import MDFInfo

METHODS = ("none", "mean", "interpolate")


@dataclass(frozen=True)
class BackgroundModel:
    """The background of a frame as a mixture of two means over runs of background frames.

    Attributes:
        order: the background frames in the order of acquisition (e,).
        starts: where each run begins in that order (r,).
        left, right: the runs before and after each frame (o,).
        weight: of the right one (o,).
    """

    order: np.ndarray
    starts: np.ndarray
    left: np.ndarray
    right: np.ndarray
    weight: np.ndarray

    def evaluate(self, background: np.ndarray) -> np.ndarray:
        """The background (.., o) at each frame, or (.., 1) if all have the same, from background frames (.., e)."""
        counts = np.diff(self.starts, append=len(self.order))
        means = np.add.reduceat(background[..., self.order].astype(np.complex128), self.starts, axis=-1) / counts
        means = means.astype(background.dtype)
        if len(self.starts) == 1:
            return means
        weight = self.weight.astype(means.real.dtype)
        return means[..., self.left] * (1 - weight) + means[..., self.right] * weight

    def weights(self) -> np.ndarray:
        """Share of each background frame in the background of each frame, (o, e)."""
        counts = np.diff(self.starts, append=len(self.order))
        runs = np.empty(len(self.order), int)
        runs[self.order] = np.repeat(np.arange(len(counts)), counts)
        share = np.zeros((len(self.left), len(counts)))
        rows = np.arange(len(self.left))
        share[rows, self.left] += 1 - self.weight
        share[rows, self.right] += self.weight
        return (share / counts)[:, runs]


def background_model(
    info: MDFInfo, frames: np.ndarray, background_frames: np.ndarray, method: str
) -> BackgroundModel | None:
    """How to find the background of ``frames`` from ``background_frames`` (stored positions of both).

    "mean" is the mean of all. "interpolate" groups the background frames into runs of consecutive acquisition, averages
    each run, and interpolates linearly over the acquisition index between the runs' centers, constant before the first
    and after the last. Where single background frames are equally spaced from the first to the last acquisition this is
    the reference's formula alpha = (index - 1)/(N - 1) (K - 1) + 1; elsewhere it does not assume equal spacing.

    Returns:
        The model, or None where nothing is to be subtracted ("none", or the file says that it has been).

    Raises:
        ValueError: another method.
        MDFError: no background frames, or the order of acquisition is not known.
    """
    check_choice("background", method, METHODS)
    if method == "none" or info.flags["isBackgroundCorrected"]:
        return None
    if not len(background_frames):
        raise MDFError(f"{info.path} has no background frames; use background='none'" + _or_empty_scan(info))
    if method == "mean":
        zeros = np.zeros(len(frames), int)
        return BackgroundModel(np.arange(len(background_frames)), zeros[:1], zeros, zeros, zeros)
    if info.acquisition_index is None:
        raise MDFError(f"{info.path} does not tell when each frame was measured; use background='mean'.")
    measured = info.acquisition_index[background_frames]
    order = np.argsort(measured)
    measured = measured[order]
    starts = np.flatnonzero(np.diff(measured, prepend=measured[0] - 2) > 1)
    centers = np.add.reduceat(measured, starts) / np.diff(starts, append=len(order))
    position = np.interp(info.acquisition_index[frames], centers, np.arange(len(starts)))
    left = np.minimum(position.astype(int), max(len(starts) - 2, 0))
    return BackgroundModel(order, starts, left, np.minimum(left + 1, len(starts) - 1), position - left)


def _or_empty_scan(info: MDFInfo) -> str:
    return "." if info.is_calibration else ", or empty_scan= with the path of an empty scan."
