"""Telling receive channels, or the angles of a rotating line, apart: a legend for a few, a color map for many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import FigureBase

from mpijax.core.typing import Array, Float
from mpijax.viz.style import COLORS, MARKERS

MAX_LEGEND = 6
"""More channels are colored by angle or number, with a color bar."""


@dataclass(frozen=True)
class Channels:
    """Names and looks of the channels of one file.

    Args:
        count: Number of channels c.
        labels: Names of the receive channels.
        angles: (c,) [rad] of a rotating field-free line, which name the channels instead; None = nothing rotates.
    """

    count: int
    labels: Sequence[str] = ("x", "y", "z")
    angles: Float[Array, " c"] | None = None

    @property
    def many(self) -> bool:
        """Whether there are too many channels for a legend."""
        return self.count > MAX_LEGEND

    @property
    def names(self) -> list[str]:
        """ "channel x" or "angle 36 deg"."""
        if self.angles is not None:
            names = [f"angle {angle:.4g} deg" for angle in np.degrees(self.angles)]
            seen = [names[:i].count(name) for i, name in enumerate(names)]
            return [f"{name}, coil {i}" for name, i in zip(names, seen, strict=True)] if any(seen) else names
        return [f"channel {self.labels[i] if i < len(self.labels) else i}" for i in range(self.count)]

    @property
    def looks(self) -> list[dict[str, Any]]:
        """Color and marker of each channel."""
        if self.many:
            shades, colors = self._shades()
            return [{"color": color, "marker": "o"} for color in colors.to_rgba(shades)]
        return [{"color": COLORS[i], "marker": MARKERS[i]} for i in range(self.count)]

    def draw_color_bar(self, figure: FigureBase, axes: list[Axes]) -> None:
        """The color bar of many channels, beside ``axes``."""
        figure.colorbar(self._shades()[1], ax=axes, label="receive channel" if self.angles is None else "angle / deg")

    def _shades(self) -> tuple[np.ndarray, ScalarMappable]:
        shades = np.arange(float(self.count)) if self.angles is None else np.degrees(self.angles)
        return shades, ScalarMappable(Normalize(shades.min(), shades.max()), "viridis")
