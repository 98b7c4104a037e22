"""Data for training and testing: priors, phantoms, resampling, degradation, normalization, batches made on the fly."""

from mpijax.datasets.baselines import apply_linear_filter as apply_linear_filter
from mpijax.datasets.baselines import consistent_bicubic as consistent_bicubic
from mpijax.datasets.baselines import fit_linear_filter as fit_linear_filter
from mpijax.datasets.degrade import degrade as degrade
from mpijax.datasets.degrade import degraded_noise_std as degraded_noise_std
from mpijax.datasets.measured import measured_images as measured_images
from mpijax.datasets.measured import split_rows as split_rows
from mpijax.datasets.normalize import channels_to_complex as channels_to_complex
from mpijax.datasets.normalize import complex_to_channels as complex_to_channels
from mpijax.datasets.normalize import denormalize as denormalize
from mpijax.datasets.normalize import normalize as normalize
from mpijax.datasets.priors import LissajousPrior as LissajousPrior
from mpijax.datasets.resample import bicubic as bicubic
from mpijax.datasets.resample import bilinear as bilinear
from mpijax.datasets.stream import MeasuredRows as MeasuredRows
from mpijax.datasets.stream import RecoveryTask as RecoveryTask
from mpijax.datasets.stream import Rows as Rows
from mpijax.datasets.stream import SimulatedRows as SimulatedRows
from mpijax.datasets.stream import noise_for_peak_snr as noise_for_peak_snr
from mpijax.datasets.stream import recovery_batches as recovery_batches
from mpijax.datasets.stream import usable_rows as usable_rows
