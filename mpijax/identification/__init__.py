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
