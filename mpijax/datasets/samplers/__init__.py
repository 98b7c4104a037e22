"""Random calibrations: the parameter distributions of the papers, reproducible from a key."""

from mpijax.datasets.samplers.field_free_line import FieldFreeLineItem as FieldFreeLineItem
from mpijax.datasets.samplers.field_free_line import FieldFreeLineSet as FieldFreeLineSet
from mpijax.datasets.samplers.in_house import InHouseItem as InHouseItem
from mpijax.datasets.samplers.in_house import InHouseSet as InHouseSet
from mpijax.datasets.samplers.restoration import RestorationPrior as RestorationPrior
from mpijax.datasets.samplers.same_scanner import SameScanner as SameScanner
from mpijax.datasets.samplers.scanner import ScannerPrior as ScannerPrior
from mpijax.datasets.samplers.super_resolution import ScaledLoop as ScaledLoop
from mpijax.datasets.samplers.super_resolution import SuperResolutionPrior as SuperResolutionPrior
from mpijax.datasets.samplers.super_resolution import z_slice as z_slice
from mpijax.datasets.samplers.words import describe as describe
from mpijax.system.mixed_particle import MixedParticle as MixedParticle
