"""The solvers as words of the command line: ``mpijax reconstruct SM M -o OUT admm --l1 0.5``, every field of a solver an option.

The solver's word may stand anywhere behind ``reconstruct``, and so may its options; ``--method admm`` is the same.
"""

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, make_dataclass, replace
from types import NoneType
from typing import Annotated, Any, ClassVar, Union, get_args, get_type_hints

import jax
import tyro

from mpijax.reconstruction.solvers.registry import known_solvers, solver_class, solver_names

DEFAULT = "kaczmarz"
COMPARED = ("kaczmarz", "tikhonov", "admm")
ALIASES = {"regularization": "lambda", "steps": "iterations"}
OLD = {"--absolute": "--no-relative", "--no-absolute": "--relative"}
SCALARS = (bool, int, float, str, NoneType)


@dataclass(frozen=True)
class Asked:
    """The solvers that were asked for; what is parsed are the fields of a subclass that :func:`choose` makes."""

    classes: ClassVar[dict[str, Any]] = {}
    given: ClassVar[frozenset[str]] = frozenset()
    """Fields that are named on the command line, by ``ALIASES`` too."""

    def solvers(self, seed: int) -> dict[str, Any]:
        """Solvers by name, the chosen one last, each with what was given of its fields.

        Raises:
            ValueError: a value that a solver refuses, or that plays no part beside the others.
        """
        made = {}
        for name, cls in self.classes.items():
            own = {f.name for f in fields(cls)}
            values = {known: getattr(self, known) for known in self.given & own}
            for known, alias in ALIASES.items():  # --iterations is of one solver, the steps of another
                if known in own - values.keys() and alias in self.given:
                    values[known] = getattr(self, alias)
            made[name] = cls(**values)
            getattr(made[name], "check", lambda: None)()
            extra = {"key": jax.random.key(seed)} if "key" in own and getattr(made[name], "is_random", True) else {}
            made[name] = replace(made[name], **extra, **({"progress": True} if "progress" in own else {}))
        for known in self.given:
            kept = [getattr(solver, known) for solver in made.values() if hasattr(solver, known)]
            if getattr(self, known) is not None and all(item is None for item in kept):
                others = " and ".join(sorted(self.given - {known}))
                raise ValueError(f"{ALIASES.get(known, known)} plays no part beside {others}; leave one of them out.")
        return made


def choose(words: Sequence[str]) -> tuple[list[str], type[Asked]]:
    """The words of ``reconstruct`` without the solver's, and the type that the solver's options are parsed into.

    Args:
        words: of the command line, the command first.

    Raises:
        ValueError: an unknown solver, or an option of another one.
        SystemExit: after the help on a solver.
    """
    words, names = [OLD.get(word, word) for word in words], solver_names()
    place = next((i for i in range(1, len(words)) if words[i] in names and not _is_value(words, i)), None)
    chosen = DEFAULT
    if place is not None:
        chosen = words.pop(place)
    elif "--method" in words[:-1]:
        place = words.index("--method")
        chosen = words[place + 1]
        del words[place : place + 2]
    else:
        equal = [word for word in words if word.startswith("--method=")]
        words = [word for word in words if word not in equal]
        chosen = equal[-1].partition("=")[2] if equal else chosen
    for i, word in enumerate(words):
        if word == "none" and words[i - 1] == "--constraint":
            words[i] = "None"
    words = ["--constraint=None" if word == "--constraint=none" else word for word in words]
    compared = [name for name in COMPARED if name != chosen] if "--compare" in words else []
    classes = {name: solver_class(name) for name in (*compared, chosen)}
    given = {_name(word) for word in words if word.startswith("--")}
    asked = _options(classes, chosen, given)
    if place is not None and {"-h", "--help"} & set(words[place:]):
        tyro.cli(asked, prog=f"mpijax reconstruct SYSTEM_MATRIX MEASUREMENT --output PATH {chosen}", args=["--help"])
    _check_owner(given, classes)
    return words, asked


def with_options(command: Callable[..., None], asked: type[Asked]) -> Callable[..., None]:
    """The command with that type of its argument ``solver``."""

    @functools.wraps(command)
    def typed(*args: Any, **options: Any) -> None:
        command(*args, **options)

    known = inspect.signature(command).parameters.values()
    parts = [part.replace(annotation=asked) if part.name == "solver" else part for part in known]
    typed.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
    typed.__annotations__ = command.__annotations__ | {"solver": asked}
    del typed.__wrapped__  # whose annotation would be taken
    return typed


def record(name: str, solver: Any, seed: int) -> dict[str, Any]:
    """A solver's settings for the file that is written: text, numbers and truth values by name; None where one plays no part."""
    values, renamed = asdict(solver), {"method": f"{name}_method"} | getattr(solver, "RECORDED", {})
    values.pop("progress", None)
    if values.get("regularization", 0) is None:
        values["relative"] = None
    if "constraint" in values:
        values["constraint"] = values["constraint"] or "none"
    plain = {_camel(renamed.get(key, key)): item for key, item in values.items() if isinstance(item, SCALARS)}
    return {"method": name, **plain, "seed": seed if values.get("key") is not None else None}


def _options(classes: dict[str, Any], chosen: str, given: set[str]) -> type[Asked]:
    """The fields of the chosen class, then further ones of those that it is compared with, as far as words can hold them."""
    parts: dict[str, Any] = {}
    for cls in (classes[chosen], *classes.values()):
        for name, kind in plain_fields(cls).items():
            default = cls.__dataclass_fields__[name].default
            if name not in parts:
                parts[name] = (kind, field() if default is MISSING else field(default=default))
    aliases = {name: f"--{ALIASES[name]}" for name in ALIASES if ALIASES[name] not in parts}
    kinds = [
        (name, Annotated[kind, tyro.conf.arg(aliases=[aliases[name]])] if name in aliases else kind, default)
        for name, (kind, default) in parts.items()
    ]
    backwards = {alias: name for name, alias in ALIASES.items() if name in parts and f"--{alias}" in aliases.values()}
    named = frozenset(backwards.get(name, name) for name in given) & parts.keys()
    made = make_dataclass(
        "Asked", kinds, bases=(Asked,), namespace={"classes": classes, "given": named}, frozen=True, kw_only=True
    )
    made.__doc__ = re.sub(r"``|:\w+:`([^`]*)`", lambda found: found[1] or "", classes[chosen].__doc__ or chosen)
    return made


def plain_fields(cls: Any) -> dict[str, Any]:
    """The fields of a solver that the command line can hold, and their types without what it cannot."""
    found = {}
    for name, hint in get_type_hints(cls).items():
        kinds = [kind for kind in get_args(hint) or (hint,) if kind is not Any]
        if (
            name in cls.__dataclass_fields__
            and kinds not in ([], [NoneType])
            and all(kind in SCALARS for kind in kinds)
        ):
            found[name] = Union[tuple(kinds)]  # noqa: UP007
    return found


def _is_value(words: list[str], i: int) -> bool:
    """Whether a word belongs to the option before it."""
    before = words[i - 1]
    return before.startswith("-") and "=" not in before and before not in FLAGS and not before.startswith("--no-")


FLAGS = {"--compare", "--force", "--correct-leakage", "--transfer-function"} | {
    f"--{name.replace('_', '-')}"
    for cls in known_solvers().values()
    for name, kind in plain_fields(cls).items()
    if kind is bool
}


def _check_owner(given: set[str], classes: dict[str, Any]) -> None:
    """Raise ValueError for an option that only other solvers have."""

    def has(cls: Any, name: str) -> bool:
        return any(name in (own, ALIASES.get(own)) for own in plain_fields(cls))

    for name in sorted(given):
        if not any(has(cls, name) for cls in classes.values()):
            owners = [owner for owner, cls in known_solvers().items() if has(cls, name)]
            if owners:
                word = next((old for old, new in OLD.items() if _name(new) == name), f"--{name.replace('_', '-')}")
                raise ValueError(
                    f"{word} is an option of {' and '.join(owners)}, and {' and '.join(classes)} has none: leave it out, or choose "
                    f"another solver, mpijax reconstruct ... {owners[0]} {word}."
                )


def _name(word: str) -> str:
    return word.lstrip("-").partition("=")[0].replace("-", "_").removeprefix("no_")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
