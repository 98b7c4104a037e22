"""Identification of one particle per matrix from noisy rows, with what the file says of the geometry as prior."""

from mpijax.identification.per_matrix.facts import MissingFactsError as MissingFactsError
from mpijax.identification.per_matrix.facts import Told as Told
from mpijax.identification.per_matrix.facts import facts_of as facts_of
from mpijax.identification.per_matrix.facts import told as told
from mpijax.identification.per_matrix.identified import Guides as Guides
from mpijax.identification.per_matrix.identified import Identified as Identified
from mpijax.identification.per_matrix.identify import identify_rows as identify_rows
