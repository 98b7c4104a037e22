"""Files: MDF and formats that other packages add, the Open MPI data set, measured fields and transfer functions."""

import lazy_loader

from mpijax.io import nifti as nifti  # which registers its format, as the next one does
from mpijax.io.mdf.format import MDF as MDF

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
