"""File formats: each a class that says what it reads and writes, known here by name; other packages add theirs."""

import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

GROUP = "mpijax.formats"
"""Entry points of this group in other packages are formats, too: name = "package.module:Class"."""

FORMATS: dict[str, type["Format"]] = {}
"""Name -> class of the formats that are known."""

FALLBACK = "mdf"
"""What a file is taken for that no format recognizes."""


class Containers:
    """The ``writes`` of mpijax's own formats: classes that are imported when they are asked for, not where a header is read.

    Args:
        places: "module:Class" of each.
    """

    def __init__(self, *places: str):
        self._places = places

    def __get__(self, instance: object, owner: type) -> tuple[type, ...]:
        return tuple(pkgutil.resolve_name(place) for place in self._places)


class Format:
    """A kind of file. A class with a name and suffixes, which overrides what it can do.

    Attributes:
        name: a word that no other format has.
        suffixes: how its files end, in lower case.
        reads: whether :meth:`read` is there.
        writes: which of SystemMatrix, Measurement and Reconstruction :meth:`write` takes.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    reads: ClassVar[bool] = False
    writes: ClassVar[tuple[type, ...]] = ()

    def recognizes(self, path: Path) -> bool:
        """Whether a file, which need not be there yet, is of this format by its name."""
        return str(path).lower().endswith(self.suffixes)

    def holds(self, path: Path) -> bool:
        """Whether a file or folder that is there is of this format: by what it holds, or else by its name."""
        return self.recognizes(path)

    def check(self, path: Path) -> None:
        """Raise, before anything is computed, what :meth:`write` would raise for lack of a package, say."""

    def read(self, path: Path) -> Any:
        """The SystemMatrix, Measurement or Reconstruction that a file holds."""
        raise NotImplementedError

    def write(self, path: Path, data: Any) -> None:
        """Write one of ``writes``; an existing file is replaced only once the new one is complete."""
        raise NotImplementedError

    def as_mdf(self, path: Path, target: Path) -> None:
        """Write what a file holds as MDF 2, of which single rows and frames are then read; by way of :meth:`read`."""
        from mpijax.io.hdf5_open import reading  # noqa: PLC0415  (it loads h5py)

        fallback = FORMATS[FALLBACK]()
        with reading(path, f"as {self.name}"):
            data = self.read(path)
        if type(data) not in fallback.writes:
            raise TypeError(
                f"format {self.name!r} read {path} as {type(data).__name__}; a SystemMatrix, Measurement or Reconstruction is "
                "expected."
            )
        fallback.write(target, data)


def register_format(kind: Any) -> Any:
    """Make a format known, in Python and on the command line. Usable as a class decorator.

    Raises:
        TypeError: no format.
        ValueError: another format has this name.
    """
    if not (isinstance(kind, type) and issubclass(kind, Format)):
        raise TypeError(f"format = {kind!r}; expected a class derived from mpijax.io.Format.")
    if FORMATS.setdefault(kind.name, kind) is not kind:
        raise ValueError(
            f"a format {kind.name!r} is known already ({FORMATS[kind.name].__name__}); give this one another name."
        )
    return kind


def reader(path: str | Path) -> Format:
    """The format of a file or folder: the first that finds its own in it, or else recognizes its name, or else MDF.

    MDF, and a format that is right by name only, then say what is wrong with the file.

    Raises:
        ValueError: a format that is not read.
    """
    path = Path(path)
    found = (
        (_first(lambda form: form.holds(path)) or _first(lambda form: form.recognizes(path))) if path.exists() else None
    )
    found = found or FORMATS[FALLBACK]()
    if not found.reads:
        raise ValueError(f"{path} is a file of the format {found.name}, which is written and not read.")
    return found


def writer(path: str | Path, kind: type) -> Format:
    """The format in which containers of this type are written under this name: the first that recognizes it, else MDF."""
    return _first(lambda form: form.recognizes(Path(path)) and kind in form.writes) or FORMATS[FALLBACK]()


def read(path: str | Path) -> Any:
    """Read a file of any known format, whatever it holds.

    Args:
        path: the file or folder, whose format is found by what it holds; :func:`read_system_matrix` and :func:`read_measurement`
            read any format too, and take options.

    Returns:
        SystemMatrix, Measurement or Reconstruction.

    Raises:
        OSError, ValueError: the file is not there, or cannot be read.
    """
    return reader(path).read(Path(path))


def write(path: str | Path, data: Any) -> None:
    """Write a container in the format that the name of the file says; MDF where it says none.

    Args:
        path: the file to write, replaced only once the new one is complete.
        data: SystemMatrix, Measurement or Reconstruction.

    Raises:
        TypeError: something else.
        OSError, ValueError: what the format refuses.
    """
    if type(data) not in FORMATS[FALLBACK].writes:
        raise TypeError(f"data is {type(data).__name__}; a SystemMatrix, Measurement or Reconstruction is written.")
    writer(path, type(data)).write(Path(path), data)


def check_input(path: Path) -> None:
    """Raise ValueError for a folder, unless it is one that is read as a file."""
    if path.is_dir() and reader(path).name == FALLBACK:
        raise ValueError(
            f"{path} is a folder; give the name of an MDF file, or of a folder of ParaVision (acqp, method, ..)."
        )


def _first(fits: Callable[[Format], bool]) -> Format | None:
    """The first format that fits; those of installed packages are looked for only where none of mpijax's own does."""
    for outside in (False, True):
        for point in entry_points(group=GROUP) if outside else ():
            register_format(point.load())
        found = next((form for form in (kind() for kind in FORMATS.values()) if fits(form)), None)
        if found is not None:
            return found
    return None
