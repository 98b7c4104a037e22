"""Identification: particle, scanner and receive chain of a simulator fitted to a measured system matrix."""

from mpijax.identification.line import LineFit as LineFit
from mpijax.identification.line import fit_field_free_line as fit_field_free_line
from mpijax.identification.line import fitted_matrix as fitted_matrix
from mpijax.identification.line_rows import FittedRows as FittedRows
from mpijax.identification.line_rows import fitted_rows as fitted_rows
from mpijax.identification.per_matrix import Identified as Identified
from mpijax.identification.per_matrix import identify_rows as identify_rows
from mpijax.identification.result import Fit as Fit
from mpijax.identification.search import fit as fit
from mpijax.identification.spectroscopy import Candidate as Candidate
from mpijax.identification.spectroscopy import Loop as Loop
from mpijax.identification.spectroscopy import Spectrum as Spectrum
from mpijax.identification.spectroscopy import SpectrumFit as SpectrumFit
from mpijax.identification.spectroscopy import describe_spectrum as describe_spectrum
from mpijax.identification.spectroscopy import fit_spectrum as fit_spectrum
from mpijax.identification.spectroscopy import particle_candidates as particle_candidates
from mpijax.identification.spectroscopy import spectrum as spectrum
from mpijax.identification.spectroscopy import spectrum_csv as spectrum_csv
