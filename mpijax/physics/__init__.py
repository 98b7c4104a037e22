"""Physics of MPI as pure array functions in SI units. Fields are in tesla (mu0 * H)."""

from mpijax.physics.anisotropy import anisotropic_moment as anisotropic_moment
from mpijax.physics.anisotropy import axial_moment as axial_moment
from mpijax.physics.coils import loop_field as loop_field
from mpijax.physics.coils import polyline_field as polyline_field
from mpijax.physics.coils import segments_field as segments_field
from mpijax.physics.fields import selection_field as selection_field
from mpijax.physics.harmonics import harmonic_gradients as harmonic_gradients
from mpijax.physics.harmonics import solid_harmonics as solid_harmonics
from mpijax.physics.langevin import langevin as langevin
from mpijax.physics.langevin import langevin_moment as langevin_moment
from mpijax.physics.langevin import langevin_ratio as langevin_ratio
from mpijax.physics.noise import background_concentration as background_concentration
from mpijax.physics.noise import background_from_frames as background_from_frames
from mpijax.physics.noise import background_surrogate as background_surrogate
from mpijax.physics.noise import complex_normal as complex_normal
from mpijax.physics.scan_order import acquisition_order as acquisition_order
from mpijax.physics.scan_order import scan_index as scan_index
from mpijax.physics.scan_order import valid_voxels as valid_voxels
from mpijax.physics.sequences import UNREACHED as UNREACHED
from mpijax.physics.sequences import mixing_orders as mixing_orders
from mpijax.physics.sequences import phase_table as phase_table
