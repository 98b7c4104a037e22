"""What a container says of itself where it is printed: a line of facts, none of its numbers."""

from typing import Any

import numpy as np

from mpijax.core.checks import is_concrete


def shown(container: Any, *, axes: tuple[str, ...], facts: tuple[str, ...]) -> str:
    """``<Kind: 2 channels x 817 frequencies x 400 voxels, complex64, 25 to 1250 kHz; ..>``.

    Args:
        container: with ``values`` and ``frequencies`` [Hz], which may be traced, or stand for arrays that are not there.
        axes: names of the axes of ``values``.
        facts: further ones; empty ones are left out.
    """
    values = container.values
    shape = getattr(values, "shape", ())
    if len(shape) != len(axes):  # a tree of something else than arrays
        return f"<{type(container).__name__} of {type(values).__name__}>"
    sizes = " x ".join(f"{size} {name}" for size, name in zip(shape, axes, strict=True))
    parts = [sizes, str(values.dtype), _band(container.frequencies), *facts]
    return f"<{type(container).__name__}: {', '.join(filter(None, parts))}>"


def frames_of(frames: Any, kind: str) -> str:
    """How many frames there are of a kind, or nothing."""
    return f"{frames.shape[0]} {kind} frames" if getattr(frames, "shape", ()) else ""


def _band(frequencies: Any) -> str:
    if not hasattr(frequencies, "dtype") or not is_concrete(frequencies):
        return ""
    known = np.asarray(frequencies)
    known = known[np.isfinite(known)] / 1e3
    return f"{known.min():.5g} to {known.max():.5g} kHz" if known.size else "unknown frequencies"
