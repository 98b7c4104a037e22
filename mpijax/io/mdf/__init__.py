"""The Magnetic Particle Imaging Data Format (MDF): reading, writing, and what its fields mean."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
