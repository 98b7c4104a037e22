"""Files: MDF and formats that other packages add, the Open MPI data set, measured fields and transfer functions."""

import lazy_loader

from mpijax.io import foreign as foreign
from mpijax.io import nifti as nifti
from mpijax.io.mdf.format import MDF as MDF  # which registers its formats, as the next ones do

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
