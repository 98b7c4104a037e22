"""Parameter files of ParaVision: JCAMP-DX with records ``##$NAME=value``."""

import re
from pathlib import Path

from mpijax.io.errors import MDFError

_RECORD = re.compile(r"^##\$?([^=\s]+)[ \t]*=(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_SIZES = re.compile(r"\([\d,\s]+\)[ \t]*\n")
_REPEATED = re.compile(r"@(\d+)\*\(([^()]*)\)")


def read_parameters(path: Path) -> dict[str, tuple[str, ...]]:
    """All records of a file: name -> its words, or its texts where they stand in angle brackets, or the fields of its records.

    Raises:
        MDFError: a file without a record, or without the last one, ##END=.
        OSError: it cannot be read.
    """
    text = path.read_text(encoding="latin-1").replace("\r\n", "\n")
    text = re.sub(r"^\$\$.*\n?", "", text, flags=re.MULTILINE)
    found = {name: _words(value) for name, value in _RECORD.findall(text)}
    if not found:
        raise MDFError(f"{path} holds no JCAMP-DX records (##$NAME=value); it is damaged or of another kind.")
    if "END" not in found:
        raise MDFError(f"{path} has no ##END= at its end: it is cut off; copy it whole.")
    return found


def _words(value: str) -> tuple[str, ...]:
    value = value.strip(" \t\n") + "\n"
    sizes = _SIZES.match(value)
    body = (sizes and value[sizes.end() :].strip()) or value.strip()
    if body.startswith("<"):
        return tuple(item.strip() for item in re.findall(r"<([^>]*)>", body))
    if body.startswith("("):
        return tuple(item.strip(" \n<>") for item in body.strip("()").split(","))
    body = _REPEATED.sub(lambda match: f"{match[2]} " * int(match[1]), body)
    return tuple(body.split()) if sizes else (body,)
