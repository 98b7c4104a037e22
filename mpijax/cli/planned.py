"""Plans on the command line: ``--plan`` stands for options that are not given, ``mpijax plan`` reads one out of a file."""

import functools
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from mpijax.cli import failures
from mpijax.cli.paths import check_outputs
from mpijax.plans.plan import KINDS, Plan, in_toml
from mpijax.plans.records import recorded

OPTION = "--plan"


def plan(file: Positional[Path], output: Annotated[Path | None, arg(aliases=["-o"])] = None) -> None:
    """Say by which plan a file was made; reconstruct, restore or simulate takes it with --plan.

    Args:
        file: an MDF file with images, or with a calibration that was simulated or restored.
        output: TOML file to write; not given = the plan is printed.
    """
    found = recorded(file)
    if output is None:
        print(found.text(Path.cwd()), end="")
        return
    check_outputs([output], [file])
    found.save(output)
    print(f"wrote {output}: the plan of {file}")


def planned(words: list[str]) -> Plan | None:
    """The plan that is named behind a command; None where none is.

    Raises:
        FileNotFoundError, ValueError: there is none of this name, or it is no plan of this command.
    """
    places = [i for i, word in enumerate(words[:-1]) if word == OPTION]
    names = [words[i + 1] for i in places] + [w.partition("=")[2] for w in words if w.startswith(f"{OPTION}=")]
    if words[0] not in KINDS or not names:
        return None
    kind: type[Plan] = pkgutil.resolve_name(KINDS[words[0]])
    return kind.load(names[-1])


@contextmanager
def naming(path: Path | None, chosen: Plan) -> Iterator[None]:
    """An error that begins with a choice of the plan in ``path`` names that file, and the choice with its table.

    Args:
        path: of the plan; None = there is none.
        chosen: what was asked for in the end: a choice beside the plan is none of it.

    Raises:
        ValueError: with the names before what was said.
    """
    try:
        yield
    except failures.EXPECTED as error:
        table = None if path is None else Plan.load(path).table_of(failures.text(error), chosen)
        if table is None:
            raise
        raise ValueError(f"{path}: {table}{in_toml(failures.text(error))}") from None


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
