"""The SNR of all rows, and how many a threshold keeps."""

from dataclasses import dataclass

import numpy as np

from mpijax.physics.sequences import UNREACHED
from mpijax.view.state.matrix import MatrixView

MOST_POINTS = 12_000
"""Rows drawn: the strongest."""


@dataclass(frozen=True)
class Points:
    """Rows of one channel: position, frequency [kHz] or bin, strength, |mx| + |my| + |mz| (NaN = unknown)."""

    channel: int
    position: np.ndarray
    frequency: np.ndarray
    strength: np.ndarray
    order: np.ndarray


class SnrState:
    """Points to draw, and a threshold.

    Args:
        matrix: whose rows they are.

    Attributes:
        threshold: least SNR of a row.
    """

    def __init__(self, matrix: MatrixView):
        self.matrix = matrix
        self.threshold = 2.0

    def points(self) -> list[Points]:
        """The strongest rows of each channel; none where nothing is known of their strength."""
        strength, view = self.matrix.strength, self.matrix
        if strength is None:
            return []
        known = np.isfinite(view.frequencies).all()
        places = view.frequencies / 1e3 if known else view.bins.astype(float)
        total = np.full(len(view.bins), np.nan)
        if view.orders is not None:
            reached = np.all(view.orders != UNREACHED, axis=1)
            total[reached] = np.abs(view.orders[reached]).sum(axis=1)
        rows = view.ranked()[:MOST_POINTS]
        rows = rows[strength[rows[:, 0], rows[:, 1]] > 0]
        found = []
        for channel in range(len(strength)):
            position = rows[rows[:, 0] == channel, 1]
            found.append(Points(channel, position, places[position], strength[channel, position], total[position]))
        return found

    def decades(self) -> tuple[float, float]:
        """log10 of the smallest and the largest strength that is drawn, rounded outward to tenths."""
        values = [p.strength for p in self.points() if len(p.strength)]
        if not values:
            return -1.0, 3.0
        low, high = (np.log10(f(np.concatenate(values))) for f in (np.min, np.max))
        return float(np.floor(10 * low) / 10), float(np.ceil(10 * high) / 10)

    def kept(self) -> dict[str, tuple[int, int]]:
        """Receive channel -> rows with at least the threshold, and all of them."""
        if self.matrix.strength is None:
            return {}
        counts = np.count_nonzero(self.matrix.strength >= self.threshold, axis=1)
        return {name: (int(n), len(self.matrix.bins)) for name, n in zip(self.matrix.channels, counts, strict=True)}
