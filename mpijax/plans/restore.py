"""What decides the restoration of a calibration."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mpijax.core.checks import check_choice, check_range
from mpijax.core.solution import Solution
from mpijax.identification.per_matrix.identify import DYNAMICS
from mpijax.plans.one_patch import one_patch
from mpijax.plans.options import BACKGROUNDS
from mpijax.plans.plan import Plan
from mpijax.plans.quiet_background import background_advice
from mpijax.restoration import restore
from mpijax.restoration.record import Restored
from mpijax.restoration.whole import WHOLE
from mpijax.rows.tasks import TASKS, Task, task_of
from mpijax.system import SystemMatrix
from mpijax.system.facts.header import stating


@dataclass(frozen=True)
class RestorePlan(Plan):
    """Everything but the file that decides a restoration.

    Attributes:
        task: denoise, inpaint, complete or upsample, or one that an installed package brings.
        method: run directory or weights file, from the folder of the plan if it begins with ./ or ../, or a classical method; not
            given = the weights that ship with mpijax.
        scale: fine voxels per coarse voxel and axis; not given = 2.
        sampling: of upsample: box or stride; not given = what the model is made for.
        missing: positions to fill: auto (found), or a file with them, from the folder of the plan if it begins with ./ or ../
        noise_std: complex standard deviation of the noise in the unit of the file; not given = from background frames or rows.
        background: subtracted first: auto (mean of the background frames, unless done before), none, mean or interpolate.
        snr_threshold: leave out rows below this SNR (0 = keep all).
        min_frequency: leave out rows below this frequency [kHz].
        trust: check every row; without it all rows above the noise are restored by the method.
        identify: fit one particle, and what is wrong with the file, to all rows first; its rows compete with the network's.
        dynamics: of that particle: auto (equilibrium; Neel rotation where that fails), equilibrium or neel.
    """

    kind = "restore"

    task: str
    method: str | None = None
    scale: int | None = None
    sampling: str | None = None
    missing: str | None = None
    noise_std: float | None = None
    background: str = "auto"
    snr_threshold: float = 0.0
    min_frequency: float = 0.0
    trust: bool = True
    identify: bool = True
    dynamics: str = "auto"

    def check(self) -> None:
        """Raise ValueError for choices that cannot be, as far as that can be told without files."""
        check_range("snr_threshold", self.snr_threshold, 0, float("inf"), "")
        check_choice("background", self.background, BACKGROUNDS)
        check_choice("dynamics", self.dynamics, DYNAMICS)
        if self.dynamics != "auto" and not self.identify:
            raise ValueError(
                f"--dynamics {self.dynamics} asks for an identification, and --no-identify leaves it out; drop one."
            )

    def chosen(self) -> Task:
        """The task as a value, its file of positions read.

        Raises:
            FileNotFoundError, ValueError: no such task, or a file that cannot be read.
        """
        return task_of(self.task, scale=self.scale, sampling=self.sampling, missing=_positions(self.missing))

    def matrix(self, file: str | Path) -> SystemMatrix:
        """The rows of a calibration that are restored, its background subtracted.

        Raises:
            FileNotFoundError, MDFError, ValueError: no calibration of one period, or no rows.
        """
        source, background = one_patch(file), self.background
        if background == "auto":
            background = "mean" if source.info.n_background_frames else "none"
        return source.select(
            snr_threshold=self.snr_threshold or None, min_frequency=self.min_frequency * 1e3 or None
        ).read(background=background)

    def advice(self, file: str | Path) -> list[str]:
        """A line where the background that is subtracted is no more than noise."""
        if self.background == "none":
            return []
        return background_advice(one_patch(file).select(min_frequency=self.min_frequency * 1e3 or None))

    def restore(self, matrix: SystemMatrix, *, progress: bool = False) -> Solution[Restored, SystemMatrix]:
        """Restore the rows that :meth:`matrix` gives, see :func:`mpijax.restore`; the header of the result records the plan."""
        self.check()
        identify: bool | str = self.dynamics if self.identify and self.dynamics != "auto" else self.identify
        found = restore(
            matrix,
            self.chosen(),
            method=self.method,
            noise_std=self.noise_std,
            trust=self.trust,
            progress=progress,
            identify=identify,
        )
        metadata = stating(found.value.metadata, plan=self.text())
        return Solution(replace(found.value, metadata=metadata), found.stats)

    def _is_file(self, name: str, value: str) -> bool:
        words = {
            "auto",
            *(name for _, name in WHOLE),
            *(name for task in TASKS.values() for name in task().classical()),
        }
        return name in ("method", "missing") and value not in words and Path(value).exists()


def _positions(missing: str | None) -> Any:
    """What ``--missing`` names: None, "auto", or the content of a file."""
    if missing in (None, "auto"):
        return missing
    path = Path(str(missing))
    if not path.is_file():
        raise FileNotFoundError(f"missing = {path}: there is no such file; it is auto or a file with positions.")
    try:
        return np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, np.int64, ndmin=1)
    except (ValueError, EOFError, UnicodeDecodeError):
        raise ValueError(
            f"{path} cannot be read; --missing takes a .npy file with a mask or voxel numbers, or a text file with one voxel "
            "number per line."
        ) from None
