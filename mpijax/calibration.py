"""Old name of :mod:`mpijax.identification`."""

from mpijax.core.moved import forward

__getattr__ = forward(__name__, {"fit": "mpijax.identification", "Fit": "mpijax.identification"})
