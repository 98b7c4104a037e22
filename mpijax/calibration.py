"""Old name of :mod:`mpijax.identification`."""

from typing import TYPE_CHECKING

from mpijax.core.moved import forward

if TYPE_CHECKING:
    from mpijax.identification import Fit as Fit
    from mpijax.identification import fit as fit
else:
    __getattr__ = forward(__name__, {"fit": "mpijax.identification", "Fit": "mpijax.identification"})
