"""What is chosen of the two files of a reconstruction: which rows, which frames, which background."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpijax.core.checks import check_choice, check_count, check_range
from mpijax.io import MDFInfo
from mpijax.system import RowSelection

WEIGHTS = ("none", "row_norm", "whitening")
BACKGROUNDS = ("auto", "none", "mean", "interpolate")
SNR = 2.0
"""Least SNR of a row where the file has one and none is asked for: that of the Open MPI reference reconstructions."""


@dataclass(frozen=True)
class RowOptions:
    """Which rows of the system matrix are used.

    Attributes:
        snr_threshold: least SNR of a row; not given = 2 where the file has SNR or background frames; 0 = all rows.
        min_frequency: least frequency [kHz]; keeps out the filtered fundamental.
        max_frequency: largest frequency [kHz].
        max_order: largest mixing order.
        channels: receive channels, counted from 0; not given = all.
        weights: of the rows: none, row_norm or whitening (by the background frames).
    """

    snr_threshold: float | None = None
    min_frequency: float = 80.0
    max_frequency: float | None = None
    max_order: int | None = None
    channels: tuple[int, ...] | None = None
    weights: str = "none"

    def check(self) -> None:
        """Raise ValueError for limits that no file can meet, or weights that there are not."""
        for name, unit in (("snr_threshold", ""), ("min_frequency", "kHz"), ("max_frequency", "kHz")):
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), 0, float("inf"), unit)
        if self.max_frequency is not None and self.max_frequency < self.min_frequency:
            raise ValueError(
                f"max_frequency = {self.max_frequency:g} kHz lies below min_frequency = {self.min_frequency:g} kHz."
            )
        if self.max_order is not None:
            check_count("max_order", self.max_order, 0)
        if self.channels is not None and (not self.channels or len({*self.channels}) < len(self.channels)):
            raise ValueError(f"channels = {self.channels}; expected numbers of channels, each once.")
        check_choice("weights", self.weights, WEIGHTS)

    def selection(self, info: MDFInfo) -> RowSelection:
        """The criteria in SI units for a file, which says by itself whether it has an SNR."""
        snr = self.snr_threshold
        if snr is None:
            snr = SNR if info.snrs is not None or info.n_background_frames else 0.0
        return RowSelection(
            snr_threshold=snr,
            min_frequency=self.min_frequency * 1e3,
            max_frequency=None if self.max_frequency is None else self.max_frequency * 1e3,
            max_mixing_order=self.max_order,
            channels=self.channels,
        )


@dataclass(frozen=True)
class DataOptions:
    """Which frames of the measurement are used, and their background.

    Attributes:
        background: subtracted from matrix and measurement: auto (mean of the background frames a file has, unless it has been
            subtracted), none, mean or interpolate.
        empty: MDF file of an empty scan; the mean of all its frames is subtracted from the measurement instead.
        frames: foreground frames, counted from 0: one (5) or a range (0:100, the end left out); not given = all.
        average_frames: frames to average; 1 = an image of every frame, not given = one image of all.
        period: period to reconstruct, counted from 0, of a measurement with several per frame.
        correct_leakage: suppress what does not repeat from frame to frame (time-domain data).
        transfer_function: divide by the transfer functions that the files hold.
        force: reconstruct even if the files say that matrix and measurement are of different scans.
        drift_components: principal components of the background frames that are fitted beside the image.
    """

    background: str = "auto"
    empty: Path | None = None
    frames: str | None = None
    average_frames: int | None = None
    period: int | None = None
    correct_leakage: bool = False
    transfer_function: bool = True
    force: bool = False
    drift_components: int = 0

    @property
    def transfer(self) -> Any:
        """The same as ``transfer_function``, as the readers take it."""
        return "auto" if self.transfer_function else False

    def check(self) -> None:
        """Raise ValueError for a background that there is not, or two of them, or frames or components that cannot be."""
        check_choice("background", self.background, BACKGROUNDS)
        self.chosen_frames()
        if self.average_frames is not None:
            check_count("average_frames", self.average_frames)
        if self.period is not None:
            check_count("period", self.period, 0)
        check_count("drift_components", self.drift_components, 0)
        if self.empty is not None and self.background not in ("auto", "none"):
            raise ValueError(f"background = {self.background!r} and an empty scan are both given; choose one.")

    def chosen_frames(self) -> slice | int:
        """What ``frames`` names.

        Raises:
            ValueError: neither a frame nor a range, or a range without a frame.
        """
        if self.frames is None:
            return slice(None)
        try:
            parts = [int(part) if part else None for part in self.frames.split(":")]
        except ValueError:
            parts = []
        if all(part is None or part >= 0 for part in parts):
            if len(parts) == 2 and (parts[1] is None or (parts[0] or 0) < parts[1]):
                return slice(*parts)
            if len(parts) == 1 and parts[0] is not None:
                return parts[0]
        raise ValueError(f"frames = {self.frames!r}; give one frame (5) or a range (0:100), counted from 0.")
