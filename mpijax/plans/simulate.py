"""What decides a simulated calibration."""

from dataclasses import dataclass, replace

import jax

from mpijax.core.checks import check_range, check_seed
from mpijax.datasets import noise_for_peak_snr
from mpijax.datasets.presets import Preset
from mpijax.plans.plan import Plan
from mpijax.plans.scanner import ScannerOptions
from mpijax.system import SystemMatrix, add_noise
from mpijax.system.facts.header import stating


@dataclass(frozen=True)
class SimulatePlan(Plan):
    """Everything that decides a simulated calibration.

    Attributes:
        preset: 2d, 2d-fluid, 2d-immobilized, 2d-neel, 2d-brown, 3d, line, line-buaa, spectrometer or spectrometer-neel.
        scanner: in place of the preset's numbers.
        peak_snr: SNR of the strongest row; sets the white noise.
        background_frames: how many frames without iron to record.
        seed: of the noise.
    """

    kind = "simulate"

    preset: str
    scanner: ScannerOptions = ScannerOptions()
    peak_snr: float = 1000.0
    background_frames: int = 20
    seed: int = 0

    def check(self) -> None:
        """Raise ValueError for choices that cannot be."""
        check_seed(self.seed)
        check_range("peak_snr", self.peak_snr, 1e-3, 1e12, "")
        self.chosen()

    def chosen(self) -> Preset:
        """The preset with the given numbers in place of its own."""
        return self.scanner.preset(self.preset)

    def simulate(self) -> SystemMatrix:
        """The calibration with its noise; its header records the plan.

        Raises:
            ValueError: numbers that cannot be.
        """
        self.check()
        matrix = self.chosen().simulate()
        sigma = noise_for_peak_snr(matrix, self.peak_snr)
        noisy = add_noise(matrix, sigma, key=jax.random.key(self.seed), background_frames=self.background_frames)
        return replace(noisy, metadata=stating(noisy.metadata, plan=self.text()))
