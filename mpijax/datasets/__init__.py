"""Data for training and testing: priors, phantoms, resampling, degradation, normalization, batches made on the fly."""

from typing import TYPE_CHECKING

from mpijax.core.moved import forward
from mpijax.datasets.buckets import Bucket as Bucket
from mpijax.datasets.buckets import BucketSchedule as BucketSchedule
from mpijax.datasets.buckets import Prior as Prior
from mpijax.datasets.buckets import nested_buckets as nested_buckets
from mpijax.datasets.calibrations import Calibrations as Calibrations
from mpijax.datasets.coarse import CoarseMeasurement as CoarseMeasurement
from mpijax.datasets.corruption import Corruption as Corruption
from mpijax.datasets.corruption import Placement as Placement
from mpijax.datasets.corruption import RandomCorruption as RandomCorruption
from mpijax.datasets.corruption import decode as decode
from mpijax.datasets.corruption import encode as encode
from mpijax.datasets.fixed_sets import FIXED_SETS as FIXED_SETS
from mpijax.datasets.fixed_sets import FixedRows as FixedRows
from mpijax.datasets.fixed_sets import FixedSet as FixedSet
from mpijax.datasets.fixed_sets import read_set as read_set
from mpijax.datasets.fixed_sets import write_set as write_set
from mpijax.datasets.harmonic_images import FFLMPIData as FFLMPIData
from mpijax.datasets.harmonic_images import FFLMPISample as FFLMPISample
from mpijax.datasets.harmonic_images import MixPS as MixPS
from mpijax.datasets.harmonic_images import MixPSSample as MixPSSample
from mpijax.datasets.imperfections import Imperfections as Imperfections
from mpijax.datasets.measured import frequency_ranks as frequency_ranks
from mpijax.datasets.measured import measured_images as measured_images
from mpijax.datasets.measured import split_rows as split_rows
from mpijax.datasets.measurements import phantom_on as phantom_on
from mpijax.datasets.measurements import simulate_measurement as simulate_measurement
from mpijax.datasets.mixture import MatrixPool as MatrixPool
from mpijax.datasets.mixture import Mixture as Mixture
from mpijax.datasets.mpi_mnist import MPIMNIST as MPIMNIST
from mpijax.datasets.open_mpi import OPEN_MPI_PROTOCOLS as OPEN_MPI_PROTOCOLS
from mpijax.datasets.open_mpi import OpenMPIPool as OpenMPIPool
from mpijax.datasets.open_mpi import WhitenedCalibration as WhitenedCalibration
from mpijax.datasets.open_mpi import open_mpi_pool as open_mpi_pool
from mpijax.datasets.open_mpi import open_mpi_source as open_mpi_source
from mpijax.datasets.pairs import Pairs as Pairs
from mpijax.datasets.pairs import Rows as Rows
from mpijax.datasets.presets import PRESETS as PRESETS
from mpijax.datasets.presets import Preset as Preset
from mpijax.datasets.presets import preset as preset
from mpijax.datasets.priors import LissajousPrior as LissajousPrior
from mpijax.datasets.reservoir import MatrixRows as MatrixRows
from mpijax.datasets.reservoir import RowStream as RowStream
from mpijax.datasets.samplers import FieldFreeLineItem as FieldFreeLineItem
from mpijax.datasets.samplers import FieldFreeLineSet as FieldFreeLineSet
from mpijax.datasets.samplers import InHouseItem as InHouseItem
from mpijax.datasets.samplers import InHouseSet as InHouseSet
from mpijax.datasets.samplers import MixedParticle as MixedParticle
from mpijax.datasets.samplers import RestorationPrior as RestorationPrior
from mpijax.datasets.samplers import SameScanner as SameScanner
from mpijax.datasets.samplers import ScannerPrior as ScannerPrior
from mpijax.datasets.samplers import SuperResolutionPrior as SuperResolutionPrior
from mpijax.datasets.samplers import describe as describe
from mpijax.datasets.samplers import z_slice as z_slice
from mpijax.datasets.sources import SIMULATED as SIMULATED
from mpijax.datasets.sources import Source as Source
from mpijax.datasets.sources import TrainingRows as TrainingRows
from mpijax.datasets.sources import fine_sigma as fine_sigma
from mpijax.datasets.sources import simulated_source as simulated_source
from mpijax.datasets.sources import whitened_images as whitened_images
from mpijax.datasets.stream import RowPool as RowPool
from mpijax.datasets.stream import SimulatedRows as SimulatedRows
from mpijax.datasets.stream import noise_for_peak_snr as noise_for_peak_snr
from mpijax.datasets.stream import usable_rows as usable_rows
from mpijax.datasets.xspace_pairs import PhantomPool as PhantomPool
from mpijax.datasets.xspace_pairs import PlaneScan as PlaneScan
from mpijax.datasets.xspace_pairs import XSpacePrior as XSpacePrior
from mpijax.datasets.xspace_pairs import XSpaceTask as XSpaceTask
from mpijax.datasets.xspace_pairs import deconvolved as deconvolved
from mpijax.datasets.xspace_pairs import xspace_batches as xspace_batches

if not TYPE_CHECKING:
    __getattr__ = forward(
        __name__,
        {
            "apply_linear_filter": "mpijax.rows",
            "bicubic": "mpijax.rows",
            "bilinear": "mpijax.rows",
            "block_mask": "mpijax.rows",
            "channels_to_complex": "mpijax.rows",
            "complex_to_channels": "mpijax.rows",
            "consistent_bicubic": "mpijax.rows",
            "degrade": "mpijax.rows",
            "degraded_noise_std": "mpijax.rows",
            "denormalize": "mpijax.rows",
            "fit_linear_filter": "mpijax.rows",
            "missing_block": "mpijax.rows",
            "normalize": "mpijax.rows",
            "present_rows": "mpijax.rows",
            "stride_mask": "mpijax.rows",
            "RecoverySource": "mpijax.datasets:TrainingRows",
            "RecoveryTask": "mpijax.datasets:CoarseMeasurement",
            "RestorationTask": "mpijax.datasets.former",
        },
        {
            "recovery_batches": "TrainingRows(...).batches(pairs, batch_size, key)",
        },
    )
