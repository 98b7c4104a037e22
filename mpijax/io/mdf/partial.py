"""A reconstruction that is written block by block, and goes on where it was stopped."""

import errno
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.checks import check_finite
from mpijax.core.files import write_text
from mpijax.core.pytree import FrozenMapping
from mpijax.io.mdf.reconstruction import DATA, Reconstruction, reconstruction_fields, stored
from mpijax.io.mdf.write import check_readable, write_fields


class PartialReconstruction:
    """An MDF file of images beside its later name, OUTPUT.partial, and a record of what it belongs to, OUTPUT.partial.json.

    The file has its full size and its header from the start; a process that is killed leaves the frames of all blocks that the
    record counts. Make it with :meth:`begin`, or with :meth:`found` where one was left; :meth:`finish` gives it its name.

    Attributes:
        output: the later name.
        path: the present one.
        total: frames in the end.
    """

    def __init__(self, output: Path, record: Mapping[str, Any], file: h5py.File | None = None):
        self.output, self.path, self._record_path = _names(output)
        self._record = dict(record)
        self._file = _opened(self.path) if file is None else file
        self._data = self._file[DATA]
        self.total = len(self._data)

    @staticmethod
    def begin(
        output: str | Path, first: Reconstruction, total: int, settings: Mapping[str, Any]
    ) -> "PartialReconstruction":
        """Begin a file of ``total`` frames with no frame in it.

        Args:
            output: the later name.
            first: some of the frames, for their shape, type and header.
            total: frames in the end.
            settings: what the images depend on, by name: texts, numbers, truth values, lists and dictionaries of them.

        Raises:
            OSError: no room on the disk, or no file can be written.
        """
        output, path, record_path = _names(output)
        path.parent.mkdir(parents=True, exist_ok=True)
        one = stored(np.asarray(first.images[:1]), first.grid.size)
        if shutil.disk_usage(path.parent).free < 1.01 * total * one.nbytes:
            raise OSError(errno.ENOSPC, f"the disk has no room for {total} frames; nothing was written", str(output))
        header = FrozenMapping({**first.metadata, "/acquisition/numFrames": total})
        allocated = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        allocated.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        allocated.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        if path.exists() and not record_path.exists():
            _remove_rest(path)
        record = {"settings": settings, "done": 0, "said": {}}
        file = _opened(path, "x")
        try:
            write_fields(file, reconstruction_fields(replace(first, metadata=header)))
            file.create_dataset(DATA, (total, *one.shape[1:]), one.dtype, dcpl=allocated)
            check_readable(file, output)
            file.flush()
            write_text(record_path, json.dumps(record))
        except BaseException:
            file.close()
            path.unlink(missing_ok=True)
            raise
        return PartialReconstruction(output, record, file)

    @staticmethod
    def found(output: str | Path, settings: Mapping[str, Any]) -> "PartialReconstruction | None":
        """What an earlier process left, or None.

        Raises:
            ValueError: it belongs to other settings, or its record is damaged.
            OSError: another process is writing it, or it is damaged.
        """
        output, path, record_path = _names(output)
        if not (path.exists() and record_path.exists()):
            return None
        try:
            record = json.loads(record_path.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"{record_path} cannot be read; delete it to start {output} anew.") from None
        differing = _differing(record["settings"], json.loads(json.dumps(settings)))
        if differing:
            raise ValueError(
                f"{path}, {record['done']} frames of an earlier run, belongs to other settings: {'; '.join(differing)}. Delete it "
                "to start anew, or repeat the command that began it."
            )
        return PartialReconstruction(output, record)

    @property
    def done(self) -> int:
        """Frames written."""
        return int(self._record["done"])

    @property
    def said(self) -> dict[str, Any]:
        """What was told with the last block."""
        return dict(self._record["said"])

    def write(self, images: np.ndarray, said: Mapping[str, Any]) -> None:
        """Append frames.

        Args:
            images: as those of a :class:`Reconstruction`.
            said: what is to be remembered of the frames so far, by name.

        Raises:
            ValueError: NaN.
        """
        check_finite("images", images)
        self._data[self.done : self.done + len(images)] = stored(images, self._data.shape[1])
        self._file.flush()
        self._record |= {"done": self.done + len(images), "said": dict(said)}
        write_text(self._record_path, json.dumps(self._record))

    def values(self, frame: int) -> np.ndarray:
        """A frame that was written (contrasts, voxels)."""
        return np.ascontiguousarray(self._data[frame].T)

    def finish(self) -> None:
        """Give the file its name; an existing one is replaced."""
        self.close()
        with open(self.path, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(self.path, self.output)
        self._record_path.unlink()

    def close(self) -> None:
        """Leave the file as it is, for a later process."""
        self._file.close()


def _opened(path: Path, mode: str = "r+") -> h5py.File:
    """A partial file, which stays locked while it is open: a second process must not touch it."""
    try:
        return h5py.File(path, mode)
    except (BlockingIOError, FileExistsError):
        raise OSError(errno.EAGAIN, "is being written by another process", str(path)) from None
    except OSError as error:
        raise OSError(errno.EIO, f"cannot be opened ({error}); delete it to start anew", str(path)) from None


def _remove_rest(path: Path) -> None:
    """Remove what a process left that was killed before there was a record; raise where one is at work on it."""
    try:
        _opened(path).close()
    except OSError as error:
        if error.errno == errno.EAGAIN:
            raise
    path.unlink(missing_ok=True)


def partial_path(output: Path) -> Path:
    """Where a reconstruction lies while it is not complete."""
    return output.with_name(f"{output.name}.partial")


def _names(output: str | Path) -> tuple[Path, Path, Path]:
    output, path = Path(output), partial_path(Path(output))
    return output, path, path.with_name(f"{path.name}.json")


def _differing(old: Any, new: Any, name: str = "") -> list[str]:
    """Where two trees of settings differ, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        return [text for key in keys for text in _differing(old.get(key), new.get(key), f"{name} {key}".strip())]
    return [] if old == new else [f"{name} {old}, now {new}"]
