"""Images of many frames as a film."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.animation import FFMpegWriter, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mpijax.core.files import atomic_path
from mpijax.core.typing import Array, Float
from mpijax.system import Grid
from mpijax.viz.slices import cut_plane, planes_of, plot_slices
from mpijax.viz.style import STYLE, limits

WRITERS = {".gif": PillowWriter, ".mp4": FFMpegWriter}


def save_film(
    images: Float[Array, "frames z y x"],
    grid: Grid,
    path: str | Path,
    *,
    titles: Sequence[str] | None = None,
    unit: str = "mmol(Fe)/L",
    rate: int = 10,
) -> None:
    """Write a film of frames on one color scale, cut as :func:`plot_slices` cuts the brightest of them.

    Args:
        images: (frames, nz, ny, nx).
        grid: the voxels' grid [m].
        path: .gif, or .mp4, which needs the program ffmpeg.
        titles: of the frames.
        unit: of the values.
        rate: frames per second.

    Raises:
        ValueError: another suffix, no ffmpeg, or no frames.
    """
    path, images = Path(path), np.asarray(images)
    if path.suffix not in WRITERS:
        raise ValueError(f"{path}: a film is written as .gif or .mp4.")
    if not len(images):
        raise ValueError("images is empty; give at least one frame.")
    if path.suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError(f"{path}: writing .mp4 needs the program ffmpeg, which is not installed; .gif needs nothing.")
    names = [f"frame {i}" for i in range(len(images))] if titles is None else list(titles)
    brightest = np.where(np.isfinite(images), images, -np.inf).reshape(len(images), -1)
    leader = images[int(np.argmax(brightest.max(axis=1)))]
    high = limits(images)[1]
    with matplotlib.rc_context(STYLE), atomic_path(path) as temporary, tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / f"film{path.suffix}"
        figure = plot_slices({" ": leader}, grid, unit=unit)
        FigureCanvasAgg(figure)
        z, y, x = np.unravel_index(int(np.argmax(np.where(np.isfinite(leader), leader, -np.inf))), leader.shape)
        panels = [axes for axes in figure.axes if axes.images]
        writer = WRITERS[path.suffix](fps=rate)
        with writer.saving(figure, str(film), 100):
            for name, image in zip(names, images, strict=True):
                for axes, plane in zip(panels, planes_of(grid), strict=False):
                    axes.images[0].set_data(cut_plane(image, plane, (int(x), int(y), int(z))))
                    axes.images[0].set_clim(0, high if high > 0 else 1)
                panels[0].set_title(name)
                writer.grab_frame()
        shutil.copyfile(film, temporary)
