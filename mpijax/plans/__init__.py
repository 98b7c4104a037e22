"""What decides a reconstruction, a restoration or a simulation: shared by the command line and the viewer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
