"""Fields of a dataclass that text can hold: of which types they are, what the docstring says of them, and values checked."""

import difflib
import inspect
import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Union, get_args, get_origin, get_type_hints

SCALARS = (bool, int, float, str, NoneType)
NOT_GIVEN = "none"
"""What stands for None where that is not the default."""
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "the name of a file"}


def plain_fields(cls: Any) -> dict[str, Any]:
    """The fields that one word of the command line can hold, and their types without what it cannot."""
    found = {name: kinds for name, kinds in _hints(cls).items() if all(kind in SCALARS for kind in kinds)}
    return {name: Union[tuple(kinds)] for name, kinds in found.items()}  # noqa: UP007


def text_fields(cls: Any) -> dict[str, tuple[Any, ...]]:
    """The fields that text can hold, files and tuples of numbers among them, and the types that each allows."""
    return {
        name: tuple(kinds)
        for name, kinds in _hints(cls).items()
        if all(kind in (*SCALARS, Path) or get_origin(kind) is tuple for kind in kinds)
    }


def comments(cls: Any) -> dict[str, str]:
    """What the section "Attributes" of a docstring says of each field."""
    found: dict[str, str] = {}
    names: list[str] = []
    _, _, section = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break
        head = re.match(r" {4}(\w+(?:, \w+)*): (.*)", line)
        if head:
            names = head[1].split(", ")
            found |= dict.fromkeys(names, head[2])
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return {name: re.sub(r"``|:\w+:`([^`]*)`", lambda m: m[1] or "", text) for name, text in found.items()}


def check_plain(name: str, value: Any) -> None:
    """Raise ValueError if a dataclass holds something that text cannot."""
    allowed = text_fields(type(value))
    for field in fields(value):
        item, default = getattr(value, field.name), field.default
        known = field.name in allowed and isinstance(item, (*SCALARS, Path, tuple))
        empty = isinstance(item, tuple) and not item
        if not (known or empty or item is default):
            raise ValueError(f"{name}.{field.name} = {item!r}; a plan holds numbers, texts and truth values alone.")


def nearest(word: str, known: Iterable[str]) -> str:
    """ "; did you mean X?" or, where nothing is near, the words that there are."""
    known = list(known)
    found = difflib.get_close_matches(word, known, 1)
    return f"did you mean {found[0]}?" if found else f"there are {', '.join(known)}."


def checked(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    """A value of TOML as one of the types; None as it is written.

    Raises:
        ValueError: it is of none of them.
    """
    if value == NOT_GIVEN and NoneType in kinds:
        return None
    for kind in kinds:
        found = _as(value, kind)
        if found is not None:
            return found
    words = [WORDS.get(kind, "") or f"a list of {_length(kind)}numbers" for kind in kinds if kind is not NoneType]
    words += [f'"{NOT_GIVEN}"'] if NoneType in kinds else []
    raise ValueError(f"{name} = {shown(value)}; expected {' or '.join(words)}.")


def shown(value: Any) -> str:
    """A value of TOML in a message, in the words of TOML."""
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _as(value: Any, kind: Any) -> Any:
    if get_origin(kind) is tuple:
        one, *more = get_args(kind)
        parts = [_as(part, one) for part in value] if isinstance(value, list) else []
        right = len(parts) == 1 + len(more) if more != [...] else True
        return tuple(parts) if isinstance(value, list) and right and None not in parts else None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Path:
        return Path(value) if isinstance(value, str) else None
    return value if type(value) is kind else None


def _length(kind: Any) -> str:
    arguments = get_args(kind)
    return "" if arguments[-1] is ... else f"{len(arguments)} "


def _hints(cls: Any) -> dict[str, list[Any]]:
    """Types of each field, without Any; fields of nothing else are left out."""
    found, names = {}, {field.name for field in fields(cls)}
    for name, hint in get_type_hints(cls).items():
        kinds = [hint] if get_origin(hint) is tuple else [kind for kind in get_args(hint) or (hint,) if kind is not Any]
        if name in names and kinds not in ([], [NoneType]):
            found[name] = kinds
    return found
