"""Frames of a measurement: time signal, spectrum, and the spectrogram over frames."""

from collections import OrderedDict
from pathlib import Path

import numpy as np

from mpijax.core.typing import Complex, Float
from mpijax.io import MDFError, MDFInfo, read_info, read_measurement
from mpijax.view.state.watch import Watch

MOST_FRAMES, MOST_BINS = 64, 400
"""Frames and groups of bins of a spectrogram."""

KEPT = 128
"""Frames kept in memory."""


class MeasurementView:
    """One measurement; its frames are read when they are shown.

    Args:
        path: an MDF file with a measurement.
        empty: an empty scan, the mean of whose frames is the background; None = the background frames of the file itself.
        info: the file's header, where it has been read; watch: what the files were then.

    Attributes:
        frame, period, channel: what is shown; background: whether the background is subtracted.

    Raises:
        FileNotFoundError, MDFError: no measurement that can be opened, or one without foreground frames.
    """

    def __init__(
        self, path: str | Path, empty: str | Path | None = None, info: MDFInfo | None = None, watch: Watch | None = None
    ):
        self.path, self.empty = Path(path), None if empty is None else Path(empty)
        self.watch = watch or Watch(path for path in (self.path, self.empty) if path is not None)
        self.info = read_info(self.path) if info is None else info
        if self.info.is_calibration:
            raise MDFError(f"{path} is a calibration; a measurement is expected.")
        self.frame, self.period, self.channel = 0, 0, 0
        self.background = self.can_subtract
        self._frames: OrderedDict[tuple[int, int, bool], np.ndarray] = OrderedDict()
        self.channels = list("xyz") if self.info.n_channels == 3 else list(map(str, range(self.info.n_channels)))

    @property
    def frames(self) -> int:
        """Number of foreground frames."""
        return self.info.n_foreground_frames

    @property
    def can_subtract(self) -> bool:
        """Whether there is a background that has not been subtracted."""
        own = self.info.n_background_frames > 0
        return (own or self.empty is not None) and not self.info.flags["isBackgroundCorrected"]

    @property
    def frequencies(self) -> Float[np.ndarray, " f"]:
        """Frequencies [kHz], or the bins where they are not known."""
        known = np.isfinite(self.info.frequencies).all()
        return self.info.frequencies / 1e3 if known else np.asarray(self.info.frequency_indices, float)

    def spectrum(self) -> Complex[np.ndarray, " f"]:
        """Values of the frame, channel and period that are shown.

        Raises:
            FileNotFoundError, OSError, MDFError, ValueError: the file is gone or cannot be read, an empty scan does not fit.
        """
        return self._spectra([self.frame])[0]

    def signal(self) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
        """Times [ms] and voltages of one period, from the bins that the file holds.

        Raises:
            FileNotFoundError, OSError, MDFError, ValueError: see :meth:`spectrum`.
        """
        values = self.spectrum()
        n = self.info.n_samples
        whole = np.zeros(n // 2 + 1, np.complex128)
        whole[np.asarray(self.info.frequency_indices)] = values
        time = np.arange(n) / (2 * self.info.bandwidth) * 1e3 if self.info.bandwidth > 0 else np.arange(n, dtype=float)
        return time, np.fft.irfft(whole, n)

    def spectrogram(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frame numbers (k,), frequencies [kHz] (b,) and the largest modulus in each group of bins [dB of the largest], (k, b).

        Raises:
            FileNotFoundError, OSError, MDFError, ValueError: see :meth:`spectrum`.
        """
        chosen = np.unique(np.linspace(0, self.frames - 1, min(self.frames, MOST_FRAMES)).astype(int))
        order = np.argsort(self.frequencies)
        starts = np.unique(np.linspace(0, len(order) - 1, min(len(order), MOST_BINS)).astype(int))
        moduli = np.abs(self._spectra(chosen.tolist()))[:, order]
        table = np.maximum.reduceat(moduli, starts, axis=1)
        peak = float(table.max()) or 1.0
        return chosen, self.frequencies[order][starts], 20 * np.log10(np.maximum(table / peak, 1e-9))

    def _spectra(self, frames: list[int]) -> Complex[np.ndarray, "frames f"]:
        """Spectra of the channel that is shown; those that are not in memory are read together."""
        subtracted = self.background and self.can_subtract
        keys = [(frame, self.period, subtracted) for frame in frames]
        missing = [frame for frame, key in zip(frames, keys, strict=True) if key not in self._frames]
        if missing:
            empty = self.empty if subtracted else None
            self.watch.check(self.path, empty)
            found = read_measurement(
                self.path,
                background="mean" if subtracted and empty is None else "none",
                empty_scan=empty,
                frames=missing,
                periods=[self.period],
                apply_transfer_function=False,
            )
            for frame, values in zip(missing, np.asarray(found.values)[:, 0], strict=True):
                self._frames[frame, self.period, subtracted] = values
        spectra = np.stack([self._frames[key][self.channel] for key in keys])
        while len(self._frames) > KEPT:
            self._frames.popitem(last=False)
        return spectra
