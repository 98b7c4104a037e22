"""Image reconstruction from a system matrix: regularized Kaczmarz and Tikhonov. Every solver returns a ``Solution``."""

from mpijax.reconstruction.kaczmarz import kaczmarz as kaczmarz
from mpijax.reconstruction.kaczmarz import kaczmarz_rows as kaczmarz_rows
from mpijax.reconstruction.kaczmarz_blocks import KaczmarzFactors as KaczmarzFactors
from mpijax.reconstruction.kaczmarz_blocks import kaczmarz_factor as kaczmarz_factor
from mpijax.reconstruction.kaczmarz_blocks import kaczmarz_solve as kaczmarz_solve
from mpijax.reconstruction.pipeline import check_compatible as check_compatible
from mpijax.reconstruction.pipeline import reconstruct as reconstruct
from mpijax.reconstruction.tikhonov import tikhonov as tikhonov
from mpijax.reconstruction.weights import relative_lambda as relative_lambda
from mpijax.reconstruction.weights import row_norm_weights as row_norm_weights
from mpijax.reconstruction.weights import whitening_weights as whitening_weights
