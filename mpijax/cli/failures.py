"""Failures that are expected, and warnings: what is said of them."""

import functools
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

EXPECTED = (ValueError, TypeError, OSError, FloatingPointError, RuntimeError, ImportError, MemoryError)


def text(error: BaseException) -> str:
    """One line."""
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); choose fewer voxels (--shape) or frequencies."
    return re.sub(r"\[Errno \d+\] ", "", str(error))


@contextmanager
def warned(of: str = "") -> Iterator[set[str]]:
    """Every warning is a line on standard error, one for each text, however often it is said.

    Args:
        of: what the lines begin with, such as a file's name and a colon.

    Returns:
        The texts so far.
    """
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.showwarning = functools.partial(_warn, said, of)
        yield said


def _warn(said: set[str], of: str, message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    if str(message) not in said:
        said.add(str(message))
        print(f"warning: {of}{message}", file=sys.stderr)
