"""mpijax: simulate, learn and reconstruct Magnetic Particle Imaging with JAX.

Importing it changes nothing: no precision switch, no device query. All lengths are in metres, fields in tesla.
"""

from importlib.metadata import PackageNotFoundError, version

from mpijax import calibration as calibration
from mpijax import datasets as datasets
from mpijax import identification as identification
from mpijax import io as io
from mpijax import metrics as metrics
from mpijax import models as models
from mpijax import physics as physics
from mpijax import reconstruction as reconstruction
from mpijax import restoration as restoration
from mpijax import rows as rows
from mpijax import training as training
from mpijax.core.solution import Solution as Solution
from mpijax.identification import Fit as Fit
from mpijax.identification import fit as fit
from mpijax.restoration import restore as restore
from mpijax.rows import Complete as Complete
from mpijax.rows import Denoise as Denoise
from mpijax.rows import Inpaint as Inpaint
from mpijax.rows import Upsample as Upsample
from mpijax.system import Brown as Brown
from mpijax.system import Grid as Grid
from mpijax.system import LissajousSequence as LissajousSequence
from mpijax.system import LoopCoil as LoopCoil
from mpijax.system import Measurement as Measurement
from mpijax.system import Neel as Neel
from mpijax.system import Particle as Particle
from mpijax.system import PolylineCoil as PolylineCoil
from mpijax.system import RowIndex as RowIndex
from mpijax.system import RowSelection as RowSelection
from mpijax.system import Scanner as Scanner
from mpijax.system import SeriesCoil as SeriesCoil
from mpijax.system import Setup as Setup
from mpijax.system import SolidHarmonicField as SolidHarmonicField
from mpijax.system import SystemMatrix as SystemMatrix
from mpijax.system import TransferFunction as TransferFunction
from mpijax.system import add_noise as add_noise
from mpijax.system import fit_solid_harmonics as fit_solid_harmonics
from mpijax.system import line_angles as line_angles
from mpijax.system import line_sequence as line_sequence
from mpijax.system import moment_spectrum as moment_spectrum
from mpijax.system import simulate_field_free_line as simulate_field_free_line
from mpijax.system import simulate_system_matrix as simulate_system_matrix

try:
    __version__ = version("mpijax")
except PackageNotFoundError:
    __version__ = "0+unknown"
