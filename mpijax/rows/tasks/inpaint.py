"""Filling positions that failed."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from mpijax.core.checks import check_choice
from mpijax.core.masks import as_mask
from mpijax.core.typing import Bool, Complex
from mpijax.rows.inpainting import biharmonic_inpaint, compressed_sensing, inpaint_denoise
from mpijax.rows.outliers import find_outliers
from mpijax.rows.tasks.denoise import filled_by_wiener
from mpijax.rows.tasks.task import Gaps, RowMethod, Task


@dataclasses.dataclass(frozen=True, eq=False)
class Inpaint(Task):
    """Fill missing positions, and remove noise.

    Attributes:
        missing: positions that failed: a mask (n,) or (nz, ny, nx), or numbers of voxels (x fastest), see
            :func:`mpijax.core.masks.as_mask`: whatever has one value per voxel, 0 or 1 of any type, is a mask. Or "auto" to find
            them (:func:`mpijax.rows.find_outliers`). Positions with NaN or infinite values are always missing.

    Source: restoration paper, section 3.2 (inpainting).
    """

    missing: Any = None

    name: ClassVar[str] = "inpaint"
    verb: ClassVar[str] = "inpainted"
    action: ClassVar[str] = "inpainting"
    has_gaps: ClassVar[bool] = True
    rivals: ClassVar[tuple[str, ...]] = ("wiener", "biharmonic-garrote")

    def __post_init__(self) -> None:
        if isinstance(self.missing, str):
            check_choice("missing", self.missing, ("auto",))

    @property
    def stand_in(self) -> str:
        """Wiener's filling."""
        return "wiener"

    def facts(self) -> dict[str, Any]:
        """Nothing: a network fills whatever is missing."""
        return {}

    def classical(self) -> Mapping[str, RowMethod]:
        """Fillings that need no training."""
        return {
            "wiener": filled_by_wiener,
            "biharmonic": lambda rows, known, inside, sigma: biharmonic_inpaint(rows, known),
            "biharmonic-garrote": lambda rows, known, inside, sigma: inpaint_denoise(rows, known, sigma),
            "compressed-sensing": lambda rows, known, inside, sigma: compressed_sensing(rows, known, sigma),
        }

    def known(
        self, images: Complex[np.ndarray, " b *s"], finite: Bool[np.ndarray, " *s"], shape: tuple[int, int, int]
    ) -> Bool[np.ndarray, " *s"]:
        """Positions that are finite and not named, or no outliers."""
        automatic = isinstance(self.missing, str)
        if automatic:
            known = ~find_outliers(images)
        else:
            given = [] if self.missing is None else self.missing
            known = finite & ~as_mask("missing", given, shape).reshape(finite.shape)
        if known.all():
            raise ValueError(
                "no position is missing"
                + (", as far as can be seen" if automatic else "")
                + "; name positions with missing="
                + ("." if automatic else ", or look for them with missing='auto'.")
            )
        return known

    def draw_known(self, key: jax.Array, extent: Any, shape: tuple[int, int, int], gaps: Gaps) -> Bool[jax.Array, " n"]:
        """All but some failed ones."""
        return gaps(key, extent, shape)

    def how(self, missing: Bool[np.ndarray, " n"]) -> str:
        """How many positions were filled."""
        return f" at {np.count_nonzero(missing)} of {missing.size} positions"
