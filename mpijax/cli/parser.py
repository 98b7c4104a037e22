"""From the words of the command line to a call, or to one line that says what is wrong with them."""

import contextlib
import functools
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import tyro
from tyro.extras import SubcommandApp

from mpijax.core.nearest import meant


def check_command(words: Sequence[str], known: Sequence[str]) -> None:
    """Raise ValueError where the first word is none of the commands, with the nearest of them."""
    if words and not words[0].startswith("-") and words[0] not in known:
        raise ValueError(
            f"no command {words[0]!r}.{meant(words[0], known)} There are {', '.join(known)}. See mpijax --help."
        )


def parse(commands: Sequence[Callable[..., None]], description: str, words: Sequence[str]) -> Callable[[], None]:
    """The call that some words ask for.

    Args:
        commands: functions whose names and arguments are those of the command line.
        description: first line of the help.
        words: of the command line.

    Raises:
        ValueError: words that ask for nothing.
        SystemExit: after the help.
    """
    app = SubcommandApp()
    for command in commands:
        app.command(_deferred(command))
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            call: Callable[[], None] = app.cli(
                prog="mpijax", args=list(words), description=description, config=(tyro.conf.OmitArgPrefixes,)
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        named = [c.__name__ for c in commands if c.__name__ in words[:1]]
        raise ValueError(f"{_condensed(said.getvalue())} See {' '.join(['mpijax', *named, '--help'])}.") from None
    return call


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """The command with its arguments bound, so that parsing ends before anything runs."""

    @functools.wraps(command)
    def bound(*args: Any, **options: Any) -> Callable[[], None]:
        return functools.partial(command, *args, **options)

    return bound


def _condensed(box: str) -> str:
    """The first paragraph of a framed message, then what it proposes first."""
    plain = re.sub(r"\x1b\[[0-9;]*m|[╭╮╰╯│─]|-{3,}", "", box)
    text = "\n".join(line.strip() for line in plain.strip().splitlines()[1:])
    text = text.replace("Error parsing", "cannot read").replace("{None}|", "")
    found, *others = (part.splitlines() for part in re.split(r"\n{2,}", text.strip()))
    proposal = next((part for part in others if part[0].startswith(("Perhaps", "Available"))), [])
    if proposal and proposal[0].startswith("Perhaps"):
        proposal = proposal[:2]
    return " ".join(f"{' '.join(part).rstrip('.')}." for part in (found, proposal) if part)
