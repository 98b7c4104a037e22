"""Opening HDF5 files, and one sentence for each way in which opening or reading them fails."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from mpijax.io.errors import MDFError

FOREIGN = {
    b"<": "a web page; the download failed",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with git lfs pull",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"PK\x03\x04": "a zip archive; unpack it first",
}
"""How files begin that are often taken for HDF5."""
_SYSTEM = (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT, errno.ENOTCONN)


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError, OSError: what the system refuses, a locked file included.
        MDFError: it is not HDF5, was not closed by its writer, or is damaged.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it.")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    with reading(path):
        with open(path, "rb") as stream:
            head = stream.read(64)
        hdf5 = h5py.is_hdf5(path)
    if not hdf5:
        known = next((what for start, what in FOREIGN.items() if head.lstrip().startswith(start)), "")
        raise MDFError(
            f"{path} is not an HDF5 file, so it is no MDF file" + (f": it is {known}." if known else ".")
            if head
            else f"{path} is an empty file."
        )
    with reading(path):
        file = h5py.File(path, "r")
    try:
        yield file
    finally:
        with suppress(Exception):  # of a damaged file even closing fails
            file.close()


@contextmanager
def reading(path: str | Path, name: str | None = "") -> Iterator[None]:
    """Calls of h5py alone: whatever they raise becomes one sentence that names the file, the field and the cause."""
    try:
        yield
    except MDFError:
        raise
    except Exception as error:  # h5py raises whatever it stumbles on
        raise failure(path, error, name or "") from None


def failure(path: str | Path, error: Exception, name: str = "") -> Exception:
    """What to raise for an error of h5py or of the system: OSError for what the system refuses, else MDFError."""
    said = " ".join(str(error).split())[:200]
    low, code = said.lower(), getattr(error, "errno", None)
    what = f"{path}: {name}" if name else f"{path}"
    if code == errno.EAGAIN or "lock file" in low:
        return OSError(
            f"{path} is locked: another program has it open for writing. Close it there; if none has (a file system without "
            "locks), set HDF5_USE_FILE_LOCKING=FALSE."
        )
    if "h5clear" in low or "already open for" in low or "consistency flag" in low:
        return MDFError(
            f"{path} was not closed by the program that wrote it, or is being written now. If nothing writes it any more, run "
            f"h5clear -s {path} and read it again."
        )
    if "filter" in low and ("not registered" in low or "required filter" in low):
        return MDFError(f"{what} is compressed by a filter that is missing here ({said}); pip install hdf5plugin.")
    if isinstance(error, PermissionError):
        return PermissionError(f"{path} may not be read: the system denies permission.")
    if code in _SYSTEM:
        return OSError(f"{path} cannot be read: the system reports {said}.")
    if "external raw data file" in low:
        return MDFError(f"{what} keeps its values in another file, which cannot be read ({said}).")
    if "truncated file" in low:
        return MDFError(f"{path} is cut off, so it is damaged ({said}); fetch it again.")
    if "numpy equivalent" in low or "conversion path" in low:
        return MDFError(f"{what} is stored in a type that cannot be read ({said}).")
    return MDFError(f"{what} cannot be read ({said}). The file seems to be damaged; fetch it again.")
