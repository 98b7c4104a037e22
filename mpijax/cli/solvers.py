"""The solvers as words of the command line: ``mpijax reconstruct SM M -o OUT admm --l1 0.5``, every field of a solver an option.

The solver's word may stand anywhere behind ``reconstruct``, and so may its options; ``--method admm`` is the same.
"""

import re
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from typing import Annotated, Any, ClassVar

import tyro

from mpijax.plans.fields import plain_fields
from mpijax.plans.solvers import NO_CHOICES, name_of
from mpijax.reconstruction.solvers.registry import known_solvers, solver_class, solver_names

DEFAULT = "kaczmarz"
COMPARED = ("kaczmarz", "tikhonov", "admm")
ALIASES = {"regularization": "lambda", "steps": "iterations"}
OLD = {"--absolute": "--no-relative", "--no-absolute": "--relative"}


@dataclass(frozen=True)
class Asked:
    """The solvers that were asked for; what is parsed are the fields of a subclass that :func:`choose` makes."""

    classes: ClassVar[dict[str, Any]] = {}
    planned: ClassVar[Any] = None
    """The solver of a plan."""
    given: ClassVar[frozenset[str]] = frozenset()
    """Fields that are named on the command line, by ``ALIASES`` too."""

    def solvers(self) -> dict[str, Any]:
        """Solvers by name, the chosen one last, each with what was given of its fields, the planned one also with the plan's.

        Raises:
            ValueError: a value that a solver refuses, or that plays no part beside the others.
        """
        made = {}
        for name, cls in self.classes.items():
            own = {f.name for f in fields(cls)}
            values = planned_values(self.planned) if type(self.planned) is cls else {}
            values |= {known: getattr(self, known) for known in self.given & own}
            for known, alias in ALIASES.items():  # --iterations is of one solver, the steps of another
                if known in own - self.given and alias in self.given:
                    values[known] = getattr(self, alias)
            made[name] = cls(**values)
            getattr(made[name], "check", lambda: None)()
        for known in self.given:
            kept = [getattr(solver, known) for solver in made.values() if hasattr(solver, known)]
            if getattr(self, known) is not None and all(item is None for item in kept):
                others = " and ".join(sorted(self.given - {known})) or "what the plan says"
                raise ValueError(f"{ALIASES.get(known, known)} plays no part beside {others}; leave one of them out.")
        return made


def choose(words: Sequence[str], planned: Any = None) -> tuple[list[str], type[Asked]]:
    """The words of ``reconstruct`` without the solver's, and the type that the solver's options are parsed into.

    Args:
        words: of the command line, the command first.
        planned: the solver of a plan; where no other is named, its fields are those that are not given.

    Raises:
        ValueError: an unknown solver, or an option of another one.
        SystemExit: after the help on a solver.
    """
    words, names = [OLD.get(word, word) for word in words], solver_names()
    place = next((i for i in range(1, len(words)) if words[i] in names and not _is_value(words, i)), None)
    chosen = DEFAULT if planned is None else name_of(planned)
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
    asked = _options(classes, chosen, given, planned)
    if place is not None and {"-h", "--help"} & set(words[place:]):
        tyro.cli(asked, prog=f"mpijax reconstruct SYSTEM_MATRIX MEASUREMENT --output PATH {chosen}", args=["--help"])
    _check_owner(given, classes)
    return words, asked


def _options(classes: dict[str, Any], chosen: str, given: set[str], planned: Any) -> type[Asked]:
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
    facts = {"classes": classes, "given": named, "planned": planned}
    made = make_dataclass("Asked", kinds, bases=(Asked,), namespace=facts, frozen=True, kw_only=True)
    says = re.sub(r" See :func:`\w+`\.", "", classes[chosen].__doc__ or chosen)  # which no command line shows
    made.__doc__ = re.sub(r"``|:\w+:`([^`]*)`", lambda found: found[1] or "", says)
    return made


def planned_values(solver: Any) -> dict[str, Any]:
    """The fields of a plan's solver that are choices."""
    return {name: getattr(solver, name) for name in plain_fields(type(solver)) if name not in NO_CHOICES}


def _is_value(words: list[str], i: int) -> bool:
    """Whether a word belongs to the option before it."""
    before = words[i - 1]
    return before.startswith("-") and "=" not in before and before not in FLAGS and not before.startswith("--no-")


FLAGS = {"--compare", "--force", "--overwrite", "--correct-leakage", "--transfer-function"} | {
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
