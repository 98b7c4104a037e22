"""Excitation sequences: exact sample phases and mixing orders of Lissajous trajectories."""

from functools import lru_cache

import numpy as np


def phase_table(n_samples: int, cycles: int, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of 2 pi cycles (j + offset)/n_samples for j = 0 .. n_samples - 1.

    The product j * cycles is reduced modulo n_samples in integers first: it reaches 3e7 for a 3-D sequence, beyond what a
    float32 phase resolves.

    Returns:
        Two float64 arrays (n_samples,).
    """
    angle = 2 * np.pi / n_samples * (np.arange(n_samples, dtype=np.int64) * cycles % n_samples + cycles * offset)
    return np.cos(angle), np.sin(angle)


UNREACHED = 2**31 - 1
"""Entry of a mixing order table for a frequency that no combination within the order limit reaches."""


@lru_cache(maxsize=16)
def mixing_orders(cycles: tuple[int, ...], n_frequencies: int, max_order: int | None = None) -> np.ndarray:
    r"""Mixing orders (n_1, .., n_d) of least sum |n_i| with :math:`\sum_i n_i m_i = k`, for every bin k.

    Args:
        cycles: m_i, cycles of each drive axis per period; 0 for an inactive axis (its order is 0).
        n_frequencies: number of bins, k = 0 .. n_frequencies - 1.
        max_order: largest sum |n_i| tried; None raises it until every bin that can be reached has been.

    Returns:
        int64 (n_frequencies, d), read-only, kept for the next call; rows that are not reached hold ``UNREACHED``. Of equally
        small orders the one with the larger n_1 (then n_2) is taken.

    Source: the convention of MPIFiles (smallest sum |n_i|).
    """
    active = [i for i, m in enumerate(cycles) if m]
    if not active:
        raise ValueError(f"cycles = {cycles}: no axis is active; at least one drive amplitude must exceed 1e-7 T.")
    if max_order is None:
        step = int(np.gcd.reduce([cycles[i] for i in active]))
        limit = 8
        while True:
            table = mixing_orders(cycles, n_frequencies, limit)
            if np.all(table[::step, 0] != UNREACHED) or limit >= 2 * n_frequencies:
                return table
            limit *= 2
    span = np.arange(-max_order, max_order + 1)
    orders = np.zeros((1, 0), np.int64)
    for axis in range(len(cycles)):
        choices = span if axis in active else span[max_order : max_order + 1]
        orders = np.concatenate([np.repeat(orders, len(choices), 0), np.tile(choices, len(orders))[:, None]], axis=1)
        orders = orders[np.abs(orders).sum(1) <= max_order]
    bins = orders @ np.asarray(cycles, np.int64)
    keep = (bins >= 0) & (bins < n_frequencies)
    orders, bins = orders[keep], bins[keep]
    preference = np.lexsort((*(-orders[:, ::-1].T), np.abs(orders).sum(1), bins))
    bins, first = np.unique(bins[preference], return_index=True)
    table = np.full((n_frequencies, len(cycles)), UNREACHED, np.int64)
    table[bins] = orders[preference][first]
    table.flags.writeable = False
    return table
