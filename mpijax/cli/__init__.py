"""Commands: ``mpijax info | inspect | view | convert | simulate | measure | reconstruct | plan | fit | spectrum | train | restore | doctor``

Units of the lab are used here and only here: mT, mm, nm, kHz.
"""  # noqa: E501  (the first line lists every command)

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import mpijax
from mpijax.cli import failures
from mpijax.cli.cache import use_cache
from mpijax.cli.parser import check_command, parse

COMMANDS = {
    "info": ("look", "Say what an MDF file holds and what it lacks."),
    "inspect": (
        "look",
        "Draw the first look at a calibration: SNR over frequency and mixing order, strongest rows, background drift.",
    ),
    "view": (
        "view",
        "Look at a calibration and at measurements in the browser, and reconstruct while a slider moves.",
    ),
    "convert": (
        "convert",
        "Write a file of any known format, or a part of it, as MDF 2.1 or in another format that is written.",
    ),
    "simulate": ("simulated", "Simulate a calibration and write it as MDF; what is not given is the preset's."),
    "measure": (
        "simulated",
        "Simulate the measurement of a phantom and write it as MDF, on a grid three times finer than the calibration's.",
    ),
    "reconstruct": (
        "images",
        "Reconstruct a measurement; write the images [mmol(Fe)/L] and a picture of them.",
    ),
    "plan": (
        "planned",
        "Say by which plan a file was made; reconstruct, restore or simulate takes it with --plan.",
    ),
    "fit": (
        "fit",
        "Fit particles, selection field and receive chain to a calibration; write the fitted simulation on any grid.",
    ),
    "spectrum": (
        "spectrum",
        "Say what the harmonics of a point sample are, its hysteresis loop and point-spread function; draw them.",
    ),
    "train": (
        "train",
        "Train a network to restore calibrations, on calibrations of yours or simulated ones; started again, it continues.",
    ),
    "restore": (
        "restore",
        "Restore a calibration and write it as MDF: remove noise, fill missing positions, or make the grid finer.",
    ),
    "doctor": (
        "doctor",
        "Say which versions, devices and settings are in use, and test what is computed against golden values.",
    ),
}
"""Name -> module of the command, and the first line of its docstring: the help names all and imports none."""

PLANNED = ("simulate", "reconstruct", "restore")
"""Commands that take a plan."""


def main() -> None:
    """Entry point; every expected failure, and every warning, is one line on standard error."""
    try:
        with failures.warned():
            warnings.simplefilter("always", UserWarning)
            # deprecations in other packages are no concern of a user; those of pyparsing are user warnings as well
            warnings.simplefilter("ignore", DeprecationWarning)
            if sys.argv[1:] == ["--version"]:
                print(f"mpijax {mpijax.__version__}")
                return
            check_command(sys.argv[1:], tuple(COMMANDS))
            commands, words = _commands(sys.argv[1:])
            parse(commands, f"{(__doc__ or '').splitlines()[0]}, or mpijax --version", words)()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except failures.EXPECTED as error:
        print(f"error: {failures.text(error)}", file=sys.stderr)
        sys.exit(2)


def _commands(words: list[str]) -> tuple[list[Callable[..., None]], list[str]]:
    """All commands, of which only the one that is asked for is imported, and the words that are left to parse."""
    asked = next((word for word in words if word in COMMANDS), None)
    commands = {name: _named(name, says) for name, (_, says) in COMMANDS.items()}
    if asked is not None:
        use_cache()
        commands[asked] = getattr(importlib.import_module(f"mpijax.cli.{COMMANDS[asked][0]}"), asked)
    if asked in PLANNED:
        from mpijax.cli import planned

        ours = words[0] == asked
        plan = planned.planned(words) if ours else None
        kinds: dict[str, Any] = {}
        if asked == "reconstruct":
            from mpijax.cli.solvers import choose

            words, kinds["solver"] = choose(words, getattr(plan, "solver", None)) if ours else (words, choose(())[1])
        commands[asked] = planned.with_defaults(commands[asked], planned.defaults(plan), **kinds)
    return list(commands.values()), words


def _named(name: str, says: str) -> Callable[..., None]:
    """What the help needs of a command."""

    def command() -> None: ...

    command.__name__, command.__doc__ = name, says
    return command
