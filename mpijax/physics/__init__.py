"""Physics of MPI as pure array functions in SI units. Fields are in tesla (mu0 * H)."""

from mpijax.physics.coils import loop_field as loop_field
from mpijax.physics.coils import polyline_field as polyline_field
from mpijax.physics.fields import selection_field as selection_field
from mpijax.physics.langevin import langevin as langevin
from mpijax.physics.langevin import langevin_moment as langevin_moment
from mpijax.physics.langevin import langevin_ratio as langevin_ratio
from mpijax.physics.noise import complex_normal as complex_normal
from mpijax.physics.sequences import UNREACHED as UNREACHED
from mpijax.physics.sequences import mixing_orders as mixing_orders
from mpijax.physics.sequences import phase_table as phase_table
