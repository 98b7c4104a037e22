"""Calibration by simulation: particle, scanner and receive chain fitted to a measured system matrix."""

from mpijax.calibration.fit import fit as fit
from mpijax.calibration.result import Fit as Fit
