"""Physical constants in SI units."""

import math

MU0 = 4e-7 * math.pi
"""Vacuum permeability [T m/A] (the pre-2019 exact value, as the MPI literature and the reference data use it)."""

BOLTZMANN = 1.380649e-23
"""Boltzmann constant [J/K]."""

MAGNETITE_DENSITY = 5180.0
"""Mass density of magnetite Fe3O4 [kg/m^3]."""

MAGNETITE_MOLAR_MASS = 0.23153
"""Molar mass of magnetite Fe3O4 [kg/mol]; one formula unit holds three iron atoms."""
