"""Failures that are expected, and warnings: what is said of them."""

import functools
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

EXPECTED = (ValueError, TypeError, OSError, FloatingPointError, RuntimeError, ImportError, MemoryError)


def text(error: BaseException, command: Callable[..., Any] | None = None) -> str:
    """One line; an argument of the command such as ``noise_std`` is called by its option, ``--noise-std``."""
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); choose fewer voxels (--shape) or frequencies."
    said = re.sub(r"\[Errno \d+\] ", "", str(error))
    parameters = () if command is None else inspect.signature(command).parameters.values()
    for name in (p.name for p in parameters if p.default is not p.empty and "_" in p.name):
        said = re.sub(rf"(?<![\w.-]){name}\b", f"--{name.replace('_', '-')}", said)
    return said


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
