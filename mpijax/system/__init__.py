"""Containers (frozen pytrees) for particles, scanners, sequences, grids, system matrices and measurements; the simulators."""

from typing import TYPE_CHECKING

from mpijax.core.moved import forward
from mpijax.system.coils import LoopCoil as LoopCoil
from mpijax.system.coils import PolylineCoil as PolylineCoil
from mpijax.system.coils import SeriesCoil as SeriesCoil
from mpijax.system.coils import coil_sensitivities as coil_sensitivities
from mpijax.system.dynamics import Brown as Brown
from mpijax.system.dynamics import Dynamics as Dynamics
from mpijax.system.dynamics import Neel as Neel
from mpijax.system.facts.row_index import RowIndex as RowIndex
from mpijax.system.facts.select import RowSelection as RowSelection
from mpijax.system.field_free_line import line_angles as line_angles
from mpijax.system.field_free_line import line_sequence as line_sequence
from mpijax.system.field_free_line import simulate_field_free_line as simulate_field_free_line
from mpijax.system.grid import Grid as Grid
from mpijax.system.leakage import correct_leakage as correct_leakage
from mpijax.system.matrix import SystemMatrix as SystemMatrix
from mpijax.system.measurement import Measurement as Measurement
from mpijax.system.model import Expansion as Expansion
from mpijax.system.model import ParticleModel as ParticleModel
from mpijax.system.noise import add_noise as add_noise
from mpijax.system.overscan import overscan_mask as overscan_mask
from mpijax.system.particle import Particle as Particle
from mpijax.system.scanner import Scanner as Scanner
from mpijax.system.scans.cartesian import CartesianScan as CartesianScan
from mpijax.system.scans.cartesian import image_of_voltage as image_of_voltage
from mpijax.system.scans.cartesian import scan_voltage as scan_voltage
from mpijax.system.scans.xspace import convolve_linear as convolve_linear
from mpijax.system.scans.xspace import sampled_kernel as sampled_kernel
from mpijax.system.scans.xspace import x_space_image as x_space_image
from mpijax.system.scans.xspace import x_space_voltage as x_space_voltage
from mpijax.system.selection import SolidHarmonicField as SolidHarmonicField
from mpijax.system.selection import fit_solid_harmonics as fit_solid_harmonics
from mpijax.system.sequence import LissajousSequence as LissajousSequence
from mpijax.system.setup import Setup as Setup
from mpijax.system.simulate import moment_spectrum as moment_spectrum
from mpijax.system.simulate import simulate_rows as simulate_rows
from mpijax.system.simulate import simulate_system_matrix as simulate_system_matrix
from mpijax.system.transfer import TransferFunction as TransferFunction

if not TYPE_CHECKING:
    __getattr__ = forward(__name__, {"row_index": "mpijax.system.facts", "select": "mpijax.system.facts"})
