"""Containers (frozen pytrees) for particles, scanners, sequences, grids, system matrices and measurements; the simulators."""

from mpijax.system.coils import LoopCoil as LoopCoil
from mpijax.system.coils import PolylineCoil as PolylineCoil
from mpijax.system.coils import SeriesCoil as SeriesCoil
from mpijax.system.coils import coil_sensitivities as coil_sensitivities
from mpijax.system.field_free_line import line_angles as line_angles
from mpijax.system.field_free_line import simulate_field_free_line as simulate_field_free_line
from mpijax.system.grid import Grid as Grid
from mpijax.system.leakage import correct_leakage as correct_leakage
from mpijax.system.matrix import RowIndex as RowIndex
from mpijax.system.matrix import SystemMatrix as SystemMatrix
from mpijax.system.matrix import add_noise as add_noise
from mpijax.system.measurement import Measurement as Measurement
from mpijax.system.overscan import overscan_mask as overscan_mask
from mpijax.system.particle import Particle as Particle
from mpijax.system.scanner import Scanner as Scanner
from mpijax.system.selection import SolidHarmonicField as SolidHarmonicField
from mpijax.system.selection import fit_solid_harmonics as fit_solid_harmonics
from mpijax.system.sequence import LissajousSequence as LissajousSequence
from mpijax.system.setup import Setup as Setup
from mpijax.system.simulate import moment_spectrum as moment_spectrum
from mpijax.system.simulate import simulate_rows as simulate_rows
from mpijax.system.simulate import simulate_system_matrix as simulate_system_matrix
from mpijax.system.transfer import TransferFunction as TransferFunction
