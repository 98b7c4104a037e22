"""Checkpoints of the training state."""

import errno
import json
import os
import re
import shutil
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from mpijax.core.files import write_text
from mpijax.training import processes
from mpijax.training.manifest import MANIFEST, DamagedError, check_manifest, read_object, write_manifest
from mpijax.training.state import TrainState, by_path

KEPT = 2
"""Checkpoints that a run keeps."""

_STEP = "0|[1-9][0-9]*"


class CheckpointError(OSError):
    """A checkpoint could not be written; the previous one is intact."""


class Checkpoints:
    """The last two states of a run, each complete or absent: a write ends with the rename of its folder.

    ``checkpoints/STEP`` of the run directory is a folder of orbax with a manifest of checksums; ``checkpoints.json`` names the
    steps that are kept, so that one that disappears is missed.
    """

    def __init__(self, run_dir: str | Path):
        self.directory = Path(run_dir).absolute() / "checkpoints"
        processes.on_first(lambda: self.directory.mkdir(parents=True, exist_ok=True))
        self._index = self.directory.with_suffix(".json")
        self._orbax = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
        self._intact: list[int] = []

    @property
    def latest(self) -> int | None:
        """Step of the newest checkpoint that was read or written here."""
        return self._intact[-1] if self._intact else None

    def describe_latest(self) -> str:
        """The newest checkpoint that was read or written here, in words."""
        return "none" if self.latest is None else f"step {self.latest} in {self.directory}"

    def save(self, step: int, state: TrainState) -> None:
        """Write the state after ``step``; a damaged checkpoint of this step is replaced.

        Raises:
            CheckpointError: It could not be written, e.g. because the disk is full.
        """
        part = self.directory / f".{step}.part"
        kept = [*self._intact, step][-KEPT:]
        try:
            processes.on_first(lambda: self._make_room(state))
            leaves = ocp.args.StandardSave(by_path(state))
            self._orbax.save(part, args=ocp.args.Composite(default=leaves), force=True)
            processes.on_first(lambda: self._complete(part, step, kept))
        except Exception as error:  # a failing disk is an OSError or a ValueError, depending on the layer that met it
            done = (
                f"The previous one is intact: {self.describe_latest()}" if self._intact else "There is none before it"
            )
            cure = "Free some space" if _is_full(error) else "Remove the cause"
            begin = "it continues from there" if self._intact else "it starts at step 0"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.directory} ({_first_line(error)}). {done}. "
                f"{cure} and start the same run again: {begin}."
            ) from error
        finally:
            self._delete(r"\..*\.part.*")
        self._intact = kept
        self._delete(_STEP, *map(str, kept))

    def _make_room(self, state: TrainState) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        _check_space(self.directory, 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(state)) + 2**20)

    def _complete(self, part: Path, step: int, kept: list[int]) -> None:
        write_manifest(part, step)
        folder = self.directory / str(step)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
        write_text(self._index, json.dumps({"steps": kept}) + "\n")

    def restore(self, like: TrainState) -> tuple[int, TrainState] | None:
        """The newest checkpoint that is whole, its step and state; None where the run has written none.

        A damaged one leads to the one before it, with a warning.

        Args:
            like: A state of the same structure, shapes, types and devices.

        Raises:
            ValueError: All checkpoints are damaged, or one is whole but this version does not read it.
            OSError: The system refuses to read one.
        """
        damaged = []
        for step, listed in processes.on_first(self._steps):
            try:
                state = self._read(step, like, listed=listed)
            except DamagedError as error:
                damaged.append(f"the checkpoint of step {step} is damaged ({error})")
                continue
            for problem in damaged if processes.is_first() else ():
                warnings.warn(f"{problem}; the run continues from step {step} in {self.directory}", stacklevel=2)
            self._intact = [step]
            return step, state
        if damaged:
            raise ValueError(
                f"{', '.join(damaged)}; there is no other one in {self.directory}. Choose another run directory, or delete "
                "this one to start again."
            )
        return None

    def _steps(self) -> list[tuple[int, bool]]:
        """Steps of the checkpoints that there are or should be, the newest first, and whether each should."""
        listed = self._listed()
        present = {int(entry.name) for entry in self.directory.glob("*") if re.fullmatch(_STEP, entry.name)}
        return [(step, step in listed) for step in sorted(listed | present, reverse=True)]

    def _examine(self, step: int, listed: bool) -> dict[str, Any]:
        """Whether the checkpoint has checksums, and how it differs from them."""
        folder = self.directory / str(step)
        if not listed and folder.is_dir() and not (folder / MANIFEST).exists():
            warnings.warn(f"{folder} is a checkpoint of an older version, without checksums", stacklevel=3)
            return {"checked": False, "damage": None}
        try:
            check_manifest(folder, step)
        except DamagedError as error:
            return {"checked": True, "damage": str(error)}
        return {"checked": True, "damage": None}

    def _read(self, step: int, like: TrainState, *, listed: bool) -> TrainState:
        folder = self.directory / str(step)
        found = processes.on_first(lambda: self._examine(step, listed))
        if found["damage"]:
            raise DamagedError(found["damage"])
        shapes = {
            path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
            for path, leaf in by_path(like).items()
        }
        args = ocp.args.Composite(default=ocp.args.StandardRestore(shapes))
        try:
            leaves = self._orbax.restore(folder, args=args)["default"]
        except Exception as error:  # orbax and tensorstore raise many types for damaged files
            if not found["checked"]:
                raise DamagedError(_first_line(error)[:120]) from error
            raise ValueError(
                f"{folder} is a whole checkpoint, but this version does not read it ({_first_line(error)}). Continue with "
                "the versions of the run's config.json, or choose another run directory."
            ) from error
        restored = jax.tree.unflatten(jax.tree.structure(like), [leaves[path] for path in shapes])
        return jax.tree.map(_as_free_as, restored, like)

    def _listed(self) -> set[int]:
        """Steps that were kept when the newest checkpoint was written."""
        if not self._index.exists():
            return set()
        try:
            steps = read_object(self._index).get("steps")
            if not isinstance(steps, list) or not all(type(step) is int for step in steps):
                raise DamagedError("it holds no list of steps")
        except DamagedError as error:
            warnings.warn(f"{self._index} is damaged ({error}); the folders in checkpoints are used", stacklevel=3)
            return set()
        return set(steps)

    def _delete(self, pattern: str, *kept: str) -> None:
        if not processes.is_first():
            return
        for entry in self.directory.glob("*"):
            if re.fullmatch(pattern, entry.name) and entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._orbax.close()


def _check_space(directory: Path, needed: int) -> None:
    """Meet a full disk here: orbax would meet it in its own threads."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        reason = os.strerror(errno.ENOSPC)
        raise OSError(errno.ENOSPC, f"{reason}: {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")


def _is_full(error: BaseException) -> bool:
    """Whether the disk or the user's share of it is full; orbax' own errors say so in their text."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    words = [word for code in codes for word in (errno.errorcode[code], os.strerror(code))]
    return getattr(error, "errno", None) in codes or any(word in str(error) for word in words)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _as_free_as(leaf: jax.Array, like: jax.Array) -> jax.Array:
    """The restored array, bound to its device only if ``like`` is: a step compiles once more for bound ones."""
    return leaf if like.committed else jnp.asarray(np.asarray(leaf))
