"""Which voxels lie beyond the field of view of the drive field."""

import numpy as np

from mpijax.core.checks import is_concrete
from mpijax.core.typing import Bool, Numbers
from mpijax.system.grid import Grid
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence


def overscan_mask(
    grid: Grid,
    scanner: Scanner | None = None,
    sequence: LissajousSequence | None = None,
    *,
    margin: Numbers | None = None,
) -> Bool[np.ndarray, " n"]:
    """Voxels of the overscan: where the drive field cannot cancel the selection field, or a rim of given width.

    A voxel is inside when |H_S,i(r)| <= A_i for every driven axis i. For a diagonal gradient this is the box of edges
    2 A_i/|G_ii| around the field-free point. Axes that are not driven do not count.

    Args:
        grid: voxels; their centers are judged.
        scanner, sequence: selection field and drive amplitudes, instead of ``margin``.
        margin: width of the rim [voxels], one number for every axis of more than one voxel, or (x, y, z).

    Returns:
        True in the overscan, (n,).

    Raises:
        ValueError: neither or both descriptions, or a margin that leaves no voxel.
        TypeError: traced arguments.

    Source: A. Weber et al., Artifact free reconstruction .. by overscanning, Phys. Med. Biol. 61, 475 (2016), for the use of an
        overscan.
    """
    if not is_concrete((grid, scanner, sequence)):
        raise TypeError("the overscan is found on the host; call overscan_mask() outside jit.")
    if margin is not None:
        if scanner is not None or sequence is not None:
            raise ValueError("margin is given beside scanner and sequence; give one of the two descriptions.")
        return _rim(grid, margin)
    if scanner is None or sequence is None:
        raise ValueError(
            "the drive field's extent needs the scanner's gradient and the sequence's amplitudes, which are not known; "
            "give the rim's width as margin= in voxels."
        )
    field = np.abs(np.asarray(scanner.field(grid.positions)))
    driven = np.asarray(sequence.active)
    return np.any((field > np.asarray(sequence.amplitude) * (1 + 1e-6)) & driven, axis=1)


def _rim(grid: Grid, margin: Numbers) -> np.ndarray:
    widths = np.asarray(margin)
    if widths.dtype.kind not in "iu" or widths.shape not in ((), (3,)) or np.any(widths < 0):
        raise ValueError(f"margin = {margin!r}; expected a whole number of voxels >= 0, or three of them (x, y, z).")
    widths = np.where(np.asarray(grid.shape) > 1, widths, 0) if widths.ndim == 0 else widths
    if np.any(2 * widths >= grid.shape):
        raise ValueError(f"margin = {margin!r} leaves no voxel of a grid of shape {grid.shape}.")
    rim = np.ones(grid.shape[::-1], bool)
    z, y, x = (slice(w, n - w) for w, n in zip(widths[::-1], grid.shape[::-1], strict=True))
    rim[z, y, x] = False
    return rim.reshape(-1)
