"""The known word that a misspelled one may stand for. Nothing but the standard library is loaded for it."""

import difflib
from collections.abc import Iterable
from typing import Any


def meant(value: Any, known: Iterable[Any]) -> str:
    """ " Did you mean 'X'?", X the nearest of the known words; nothing where none is near."""
    if not isinstance(value, str):
        return ""
    found = difflib.get_close_matches(value, [word for word in known if isinstance(word, str)], 1)
    return f" Did you mean {found[0]!r}?" if found else ""
