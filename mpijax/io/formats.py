"""File formats: each a class that says what it reads and writes, known here by name; other packages add theirs."""

import pkgutil
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
        """Whether a file, which need not be there yet, is of this format."""
        return str(path).lower().endswith(self.suffixes)

    def check(self, path: Path) -> None:
        """Raise, before anything is computed, what :meth:`write` would raise for lack of a package, say."""

    def read(self, path: Path) -> Any:
        """The SystemMatrix, Measurement or Reconstruction that a file holds."""
        raise NotImplementedError

    def write(self, path: Path, data: Any) -> None:
        """Write one of ``writes``; an existing file is replaced only once the new one is complete."""
        raise NotImplementedError


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
    """The format that reads a file: the first that recognizes it, else MDF, which says what is wrong with it."""
    return _first(Path(path), [kind for kind in _known(Path(path)) if kind.reads])


def writer(path: str | Path, kind: type) -> Format:
    """The format in which containers of this type are written under this name: the first that recognizes it, else MDF."""
    return _first(Path(path), [known for known in _known(Path(path)) if kind in known.writes])


def read(path: str | Path) -> Any:
    """Read a file of any known format, whatever it holds.

    Args:
        path: the file; :func:`read_system_matrix` and :func:`read_measurement` read any format too, and take options.

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


def _first(path: Path, kinds: list[type[Format]]) -> Format:
    return next((form for form in (kind() for kind in kinds) if form.recognizes(path)), FORMATS[FALLBACK]())


def _known(path: Path) -> list[type[Format]]:
    """All formats; those of installed packages are looked for only where the name of the file is of none of mpijax's own."""
    if not any(kind().recognizes(path) for kind in FORMATS.values()):
        for point in entry_points(group=GROUP):
            register_format(point.load())
    return list(FORMATS.values())
