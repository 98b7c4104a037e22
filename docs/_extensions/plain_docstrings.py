"""Docstrings as they are written here: plain text with ``literals``, :roles: and formulas, whose stars and bars mean themselves."""

import re
from typing import Any

KEPT = re.compile(r"(``.+?``|:[a-z:]+:`[^`]+`|`[^`]+`_?)")
MARKS = re.compile(r"([*|\\])|(?<=\w)(_)(?!\w)")


def escape(lines: list[str]) -> list[str]:
    """The lines with what reStructuredText would take for markup escaped, but for literals, roles, fields, formulas and code."""
    found: list[str] = []
    literal, formula = False, -1  # the formula's directive stands at this column
    for line in lines:
        column = len(line) - len(line.lstrip())
        if line.strip() and column <= formula:
            formula = -1
        if literal and line.strip() and not line.startswith(" "):
            literal = False
        if line.lstrip().startswith(".. math::"):
            formula = column
        if literal or formula >= 0 or line.lstrip().startswith((".. ", ">>>")):
            found.append(line)
            continue
        literal = line.rstrip().endswith("::")
        field = re.match(r"^(\s*:[a-z]+ ?[^:]*:)(.*)$", line)
        head, text = field.groups() if field else ("", line)
        parts = KEPT.split(text)
        parts[::2] = [MARKS.sub(lambda m: "\\" + m[0], part) for part in parts[::2]]
        found.append(head + "".join(parts))
    return found


def escape_before_napoleon(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape before sections are read: of the result some stars are markup."""
    lines[:] = escape(lines)


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", escape_before_napoleon, priority=100)
    return {"parallel_read_safe": True}
