"""Physics of MPI as pure array functions in SI units. Fields are in tesla (mu0 * H)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
