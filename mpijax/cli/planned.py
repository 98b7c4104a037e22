"""Plans on the command line: ``--plan`` stands for options that are not given, ``mpijax plan`` reads one out of an image."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from mpijax.cli.paths import check_outputs
from mpijax.plans import ReconstructPlan
from mpijax.plans.plan import KINDS, Plan

OPTION = "--plan"


def plan(image: Positional[Path], output: Annotated[Path | None, arg(aliases=["-o"])] = None) -> None:
    """Say by which plan an image was made; mpijax reconstruct --plan takes it for other measurements.

    Args:
        image: an MDF file with a reconstruction.
        output: TOML file to write; not given = the plan is printed.
    """
    found = ReconstructPlan.of_image(image)
    if output is None:
        print(found.text(Path.cwd()), end="")
        return
    check_outputs([output], [image])
    found.save(output)
    print(f"wrote {output}: the plan of {image}")


def planned(words: list[str]) -> Plan | None:
    """The plan that is named behind a command; None where none is.

    Raises:
        FileNotFoundError, ValueError: there is none of this name, or it is no plan of this command.
    """
    places = [i for i, word in enumerate(words[:-1]) if word == OPTION]
    names = [words[i + 1] for i in places] + [w.partition("=")[2] for w in words if w.startswith(f"{OPTION}=")]
    if words[0] not in KINDS or not names:
        return None
    found = Plan.load(names[-1])
    if found.kind != words[0]:
        raise ValueError(f'{names[-1]} is a plan of the kind "{found.kind}"; give it to mpijax {found.kind}.')
    return found


def defaults(found: Plan | None) -> dict[str, Any]:
    """The choices of a plan by name; none where there is no plan."""
    return {} if found is None else {field.name: getattr(found, field.name) for field in fields(found)}


def with_defaults(command: Callable[..., None], values: Mapping[str, Any], **kinds: Any) -> Callable[..., None]:
    """The command with other defaults of some of its arguments, and other types."""

    @functools.wraps(command)
    def typed(*args: Any, **options: Any) -> None:
        command(*args, **options)

    parts = []
    for part in inspect.signature(command).parameters.values():
        if part.name in kinds:
            part = part.replace(annotation=kinds[part.name])
        elif part.name in values:
            part = part.replace(default=values[part.name])
        parts.append(part)
    required = [part for part in parts if part.default is inspect.Parameter.empty]
    parts = required + [part for part in parts if part not in required]
    typed.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
    typed.__annotations__ = command.__annotations__ | kinds
    del typed.__wrapped__  # whose annotation would be taken
    return typed
