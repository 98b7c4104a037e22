"""Methods of upsampling as functions of coarse rows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mpijax.core.typing import Array, Complex, Float
from mpijax.restoration.choose import find_method
from mpijax.rows.tasks import Upsample

Upsampler = Callable[..., Array]
"""``upsampler(coarse, sigma=None) -> fine``: coarse rows (b, h, w) and the complex standard deviation of their noise (b,), None =
not known, to fine rows (b, h S, w S) in the same unit."""


def load_upsampler(method: str | Path, scale: int, sampling: str = "box") -> Upsampler:
    """An upsampler by the name of a classical method, or from a run directory or weights file.

    Raises:
        ValueError: weights for another task, scale or sampling.
        FileNotFoundError: there is neither a method nor a file of this name.
    """
    apply = find_method(Upsample(scale, sampling), 2, method)[0].apply

    def upsample(coarse: Complex[Array, "b h w"], sigma: Float[Array, " b"] | None = None) -> Complex[Array, "b y x"]:
        known = np.ones(coarse.shape[1:], bool)
        return apply(coarse, known, known, sigma)

    return upsample
