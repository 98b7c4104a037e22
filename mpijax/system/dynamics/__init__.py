"""How moments follow the field: Neel's rotation inside the core, Brown's of the whole particle."""

from mpijax.system.dynamics.brown import Brown as Brown
from mpijax.system.dynamics.neel import Neel as Neel
from mpijax.system.dynamics.protocol import Dynamics as Dynamics
from mpijax.system.dynamics.protocol import warn_of_memory as warn_of_memory
