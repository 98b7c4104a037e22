"""Tables of the slow manifold on disk: the one that ships, and those that were built here before."""

import functools
import hashlib
import os
import warnings
import zipfile
from dataclasses import astuple
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from mpijax.core.assets import asset_path
from mpijax.core.checks import check_range
from mpijax.core.files import atomic_path
from mpijax.physics.dynamics.table import Axis, Table, alpha_axis, build_table, damping_axis, field_axes

SHIPPED = "dynamics/neel.npz"
"""The table for damping 0.1, alpha 0 to 12, |xi| <= 40."""

EDITION = 1
"""Raised where the quantities of a table or their computation change: tables of other editions are built anew."""

SHIPPED_DAMPING = 0.1
LARGEST_ALPHA = 12.0
LARGEST_FIELD = 40.0
"""Damping, reduced anisotropy and field of the table that ships."""

DAMPINGS, ALPHAS, FIELDS = (0.03, 1.0), (0.0, 20.0), (0.1, 100.0)
"""Dampings, reduced anisotropies and reaches that tables are made for."""


def neel_table(
    damping: float | tuple[float, float] = SHIPPED_DAMPING,
    alpha: float | tuple[float, float] = (0.0, LARGEST_ALPHA),
    reach: float = LARGEST_FIELD,
) -> Table:
    """Table of the slow manifold of Neel rotation: shipped, from the cache, or built and cached.

    The cache is the folder ``$MPIJAX_CACHE``, else ``mpijax`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. Building takes some 5 s per
    anisotropy and damping on one core: 5 s for one of each, 2 to 3 minutes for all anisotropies, 20 for all of both.

    Args:
        damping: a, or (lowest, highest) of a table in which it can be differentiated, such as ``DAMPINGS``.
        alpha: reduced anisotropy K V/(kB T), one or (lowest, highest).
        reach: largest reduced field along and across the axis.

    Raises:
        ValueError: dampings outside 0.03 to 1, anisotropies outside 0 to 20, fields outside 0.1 to 100, or bounds the wrong
            way round.

    Source: Brown, Phys. Rev. 130, 1677 (1963), for the equation; the table is this project's.
    """
    dampings, alphas = (x if isinstance(x, tuple) else (x, x) for x in (damping, alpha))
    for label, ends, limits in (
        ("damping", dampings, DAMPINGS),
        ("alpha", alphas, ALPHAS),
        ("reach", (reach, reach), FIELDS),
    ):
        check_range(label, ends, *limits, "")
        if ends[0] > ends[1]:
            raise ValueError(f"{label} = {ends}; expected (lowest, highest).")
    return _table((damping_axis(*dampings), alpha_axis(*alphas), *field_axes(reach)))


@functools.lru_cache(maxsize=16)
def _table(axes: tuple[Axis, Axis, Axis, Axis]) -> Table:
    if axes == shipped_axes():
        return read_table(asset_path(SHIPPED), axes)
    name = hashlib.sha256(repr((EDITION, [astuple(axis) for axis in axes])).encode()).hexdigest()[:16]
    path = cache_folder() / f"neel-{name}.npz"
    if path.is_file():
        try:
            return read_table(path, axes)
        except ValueError:
            pass  # cut off or damaged: it is built anew, and written over
    table = new_table(axes)
    try:
        write_table(path, table)
    except (OSError, ValueError) as error:
        warnings.warn(
            f"the table of Neel rotation cannot be kept in {path.parent} ({error}) and will be built again; name a folder that "
            "can be written by the environment variable MPIJAX_CACHE.",
            stacklevel=2,
        )
    return table


def new_table(axes: tuple[Axis, Axis, Axis, Axis]) -> Table:
    """Build a table, with a progress bar on standard error."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        job = bar.add_task("table of Neel rotation", total=1.0)
        return build_table(axes[0], axes[1], axes[2:], progress=lambda share: bar.update(job, completed=share))


def cache_folder() -> Path:
    """Where tables are kept."""
    own, shared = os.environ.get("MPIJAX_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else (Path(shared) if shared else Path.home() / ".cache") / "mpijax"


def write_table(path: str | Path, table: Table) -> None:
    """Write a table with its axes, edition and checksum."""
    coefficients = np.asarray(table.coefficients, np.float32)
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        axes = [astuple(axis) for axis in table.axes]
        np.savez_compressed(
            stream, coefficients=coefficients, axes=axes, edition=EDITION, checksum=_checksum(coefficients)
        )


def read_table(path: str | Path, axes: tuple[Axis, Axis, Axis, Axis]) -> Table:
    """Read a table of known axes.

    Raises:
        ValueError: the file is no table, is damaged, or holds another one.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            coefficients, edition = stored["coefficients"], int(stored["edition"])
            same = np.array_equal(stored["axes"], [astuple(axis) for axis in axes])
            whole = str(stored["checksum"]) == _checksum(coefficients)
    except (OSError, KeyError, EOFError, zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is no table of Neel rotation, or a damaged one: {error}") from error
    if not (same and whole and edition == EDITION):
        raise ValueError(f"{path} holds another table of Neel rotation, or a damaged one; delete it to build it anew.")
    return Table(coefficients, axes)


def shipped_axes() -> tuple[Axis, Axis, Axis, Axis]:
    """Axes of the table that ships."""
    return damping_axis(SHIPPED_DAMPING, SHIPPED_DAMPING), alpha_axis(0.0, LARGEST_ALPHA), *field_axes(LARGEST_FIELD)


def _checksum(coefficients: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(coefficients).tobytes()).hexdigest()
