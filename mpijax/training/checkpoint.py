"""Checkpoints of the training state."""

import errno
import os
import shutil
from pathlib import Path
from types import TracebackType

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from mpijax.training.state import TrainState, by_path


class CheckpointError(OSError):
    """A checkpoint could not be written; the previous one is intact."""


class Checkpoints:
    """The last two states of a run in one directory, each complete or absent: a write ends with a rename."""

    def __init__(self, directory: str | Path):
        self.directory = Path(directory).absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self._manager.latest_step()

    def describe_latest(self) -> str:
        """The newest complete checkpoint in words."""
        return "none" if self.latest is None else f"step {self.latest} in {self.directory}"

    def save(self, step: int, state: TrainState) -> None:
        """Write the state after ``step``.

        Raises:
            CheckpointError: It could not be written, e.g. because the disk is full.
        """
        previous = self.describe_latest()
        needed = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(state)) + 2**20
        try:
            if shutil.disk_usage(self.directory).free < needed:  # orbax would meet it in its own threads
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._manager.save(step, args=ocp.args.StandardSave(by_path(state)))
        except Exception as error:  # a full disk is an OSError or a ValueError, depending on the layer that met it
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.directory} ({_first_line(error)}). "
                f"The previous one is intact: {previous}. Free some space and start the same run again: it continues "
                "from there."
            ) from error

    def restore(self, like: TrainState) -> TrainState:
        """The newest state; ``like`` gives its structure, shapes and types."""
        shapes = {
            path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
            for path, leaf in by_path(like).items()
        }
        try:
            leaves = self._manager.restore(self.latest, args=ocp.args.StandardRestore(shapes))
        except Exception as error:  # orbax and tensorstore raise many types for damaged files
            raise ValueError(
                f"the checkpoint {self.directory / str(self.latest)} is damaged ({_first_line(error)[:120]}). Delete that "
                "folder to continue from the checkpoint before it, or choose another run directory."
            ) from error
        restored = jax.tree.unflatten(jax.tree.structure(like), [leaves[path] for path in shapes])
        return jax.tree.map(_as_free_as, restored, like)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.close()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _as_free_as(leaf: jax.Array, like: jax.Array) -> jax.Array:
    """The restored array, bound to its device only if ``like`` is: a step compiles once more for bound ones."""
    return leaf if like.committed else jnp.asarray(np.asarray(leaf))
