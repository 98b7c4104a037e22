"""Containers (frozen pytrees) for particles, scanners, sequences, grids, system matrices and measurements; the simulators."""

import lazy_loader

from mpijax.core.moved import forward

_named, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = forward(__name__, {"row_index": "mpijax.system.facts", "select": "mpijax.system.facts"}, otherwise=_named)
