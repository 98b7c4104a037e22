"""Restoring system matrices with trained networks and classical methods."""

from pathlib import Path

from mpijax.core.checks import check_choice
from mpijax.core.solution import Solution
from mpijax.restoration.recovery import train_recovery as train_recovery
from mpijax.restoration.upsample import CLASSICAL as CLASSICAL
from mpijax.restoration.upsample import load_upsampler as load_upsampler
from mpijax.restoration.upsample import network_upsampler as network_upsampler
from mpijax.restoration.upsample import upsample as upsample
from mpijax.system import SystemMatrix


def restore(
    system_matrix: SystemMatrix,
    task: str = "upsample",
    *,
    scale: int | None = None,
    sampling: str = "box",
    model: str | Path | None = None,
    progress: bool = False,
) -> Solution:
    """Restore a system matrix.

    Args:
        system_matrix: matrix, rows selected.
        task: "upsample", the one task there is so far.
        scale: fine voxels per coarse voxel and axis: 2 (default), 4 or 8.
        sampling: "box": the calibration sample fills the coarse voxel; "stride": a small sample at every scale-th position.
        model: a run directory or weights file, or "bicubic" or "consistent-bicubic".
        progress: whether to show a progress bar.

    Returns:
        Solution whose value is the restored matrix and whose stats hold one figure per row.

    Raises:
        ValueError: an unknown task, no model, or a model that does not fit scale or sampling.
    """
    check_choice("task", task, ("upsample",))
    scale = 2 if scale is None else scale
    if model is None:
        raise ValueError(f"model is not given; name a run directory, a weights file, or one of {', '.join(CLASSICAL)}.")
    upsampler = load_upsampler(model, scale, sampling)
    return upsample(system_matrix, scale, upsampler, sampling=sampling, note=f"by {model}", progress=progress)
