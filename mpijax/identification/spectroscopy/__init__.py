"""Magnetic particle spectroscopy: harmonics, loop and point-spread function of a sample, and particles fitted to them."""

from mpijax.identification.spectroscopy.fit import Candidate as Candidate
from mpijax.identification.spectroscopy.fit import SpectrumFit as SpectrumFit
from mpijax.identification.spectroscopy.fit import fit_spectrum as fit_spectrum
from mpijax.identification.spectroscopy.fit import particle_candidates as particle_candidates
from mpijax.identification.spectroscopy.harmonics import Spectrum as Spectrum
from mpijax.identification.spectroscopy.harmonics import spectrum as spectrum
from mpijax.identification.spectroscopy.loop import Loop as Loop
from mpijax.identification.spectroscopy.words import describe_spectrum as describe_spectrum
from mpijax.identification.spectroscopy.words import spectrum_csv as spectrum_csv
