"""Removing noise."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax

from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.rows.filters import dct_filter
from mpijax.rows.inpainting import wiener_inpaint
from mpijax.rows.tasks.task import RowMethod, Task


@dataclasses.dataclass(frozen=True)
class Denoise(Task):
    """Remove the noise of complete rows. Rows that cannot be believed are left as measured, bit for bit.

    Source: restoration paper, section 3.2 (denoising).
    """

    name = "denoise"
    verb = "denoised"
    action = "denoising"
    rivals = ("wiener",)

    def classical(self) -> Mapping[str, RowMethod]:
        """Filters of the cosine transform."""
        rules = ("soft", "hard", "garrote")
        return {f"dct-{rule}": functools.partial(_shrunk, rule) for rule in rules} | {"wiener": filled_by_wiener}


def _shrunk(rule: str, rows: Complex[Array, " b *s"], known: Any, inside: Any, sigma: Float[Array, " b"]) -> jax.Array:
    return dct_filter(rows, sigma, rule=rule)


def filled_by_wiener(
    rows: Complex[Array, " b *s"], known: Bool[Array, " *s"], inside: Any, sigma: Float[Array, " b"]
) -> jax.Array:
    """:func:`mpijax.rows.wiener_inpaint` as a method of rows."""
    return wiener_inpaint(rows, known, sigma)
