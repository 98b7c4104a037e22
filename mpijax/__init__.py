"""mpijax: simulate, learn and reconstruct Magnetic Particle Imaging with JAX.

Importing it changes nothing: no precision switch, no device query. All lengths are in metres, fields in tesla.
"""

from importlib.metadata import PackageNotFoundError, version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

try:
    __version__ = version("mpijax")
except PackageNotFoundError:
    __version__ = "0+unknown"
