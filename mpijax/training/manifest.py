"""Checksums of a folder of files: what was written is what is read."""

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

from mpijax.core.files import write_text

MANIFEST = "manifest.json"
"""In every checkpoint: its step and the SHA-256 of each of its other files."""

_DAMAGE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EIO)
"""What the system says of a damaged folder; anything else it refuses, e.g. for lack of permission, is no damage."""


class DamagedError(ValueError):
    """A file or folder is not what was written."""


def write_manifest(folder: Path, step: int) -> None:
    """Add the manifest to a folder whose files are complete."""
    write_text(folder / MANIFEST, json.dumps({"step": step, "files": _checksums(folder)}, indent=1) + "\n")


def check_manifest(folder: Path, step: int) -> None:
    """Compare a folder with its manifest, byte by byte.

    Raises:
        DamagedError: The folder or a file is missing, has changed or was added, or the manifest is of another step.
        OSError: The system refuses to read it.
    """
    try:
        manifest = read_object(folder / MANIFEST)
        found = _checksums(folder)
    except OSError as error:
        if error.errno not in _DAMAGE:
            raise
        name = Path(str(error.filename)).name if folder.is_dir() else "its folder"
        raise DamagedError(f"{name}: {error.strerror}") from error
    files = manifest.get("files")
    if not isinstance(files, dict) or manifest.get("step") != step:
        raise DamagedError(f"{MANIFEST} is not that of step {step}")
    for name in sorted(files | found):
        if files.get(name) != found.get(name):
            state = "is missing" if name not in found else "has changed" if name in files else "does not belong to it"
            raise DamagedError(f"{name} {state}")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        DamagedError: The file holds no JSON object.
        OSError: The system refuses to read it.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not JSON, or not UTF-8
        raise DamagedError(f"{path.name} does not read: {error}") from error
    if not isinstance(value, dict):
        raise DamagedError(f"{path.name} does not hold a JSON object")
    return value


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder but its manifest, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if not path.is_dir() and path != folder / MANIFEST)
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}
