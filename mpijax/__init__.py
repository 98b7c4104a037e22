"""mpijax: simulate, learn and reconstruct Magnetic Particle Imaging with JAX.

Importing it changes nothing: no precision switch, no device query. All lengths are in meters, fields in tesla.
"""

import lazy_loader

import mpijax.io.mdf.fields  # says under which keys containers keep the facts of a scan; NumPy alone  # noqa: F401
from mpijax.core.version import VERSION as __version__  # noqa: F401

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
