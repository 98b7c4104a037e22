"""Plans as TOML: a header, then every choice with what it means and its unit."""

import os
import pkgutil
import re
import textwrap
import tomllib
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_type_hints

from mpijax.core.files import write_text
from mpijax.plans.fields import NOT_GIVEN, checked, comments, nearest, shown, text_fields

P = TypeVar("P", bound="Plan")

VERSION = 1
WIDTH = 120
"""Of a line of a comment."""

KINDS = {
    "reconstruct": "mpijax.plans.reconstruct:ReconstructPlan",
    "restore": "mpijax.plans.restore:RestorePlan",
    "simulate": "mpijax.plans.simulate:SimulatePlan",
}
"""Name -> "module:class" of the plans that there are."""


@dataclass(frozen=True)
class Plan:
    """Everything but the files that decides a result. Its numbers have the units of the command line, which its comments name."""

    kind: ClassVar[str]

    def save(self, path: str | Path) -> None:
        """Write the plan as TOML; files that it names, such as an empty scan, are named from the folder of the plan.

        Args:
            path: where to; an existing file is replaced only once the new one is complete.

        Raises:
            OSError, ValueError: it cannot be written.
        """
        write_text(path, self.text(Path(path).absolute().parent))

    @classmethod
    def load(cls: type[P], path: str | Path) -> P:
        """Read a plan of this kind; :func:`mpijax.plans.load` reads one of any kind.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no plan, of another kind or version, or holds what a plan cannot; one sentence.
        """
        path = Path(path)
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the name of a plan.")
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; --save-plan {path.name} writes a plan.")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is no plan: it is no text in UTF-8.") from None
        return cls.parse(text, str(path), path.absolute().parent)

    @classmethod
    def parse(cls: type[P], text: str, name: str, folder: Path) -> P:
        """A plan from its text.

        Args:
            text: as :meth:`text` gives it.
            name: of the file, for what is said of it.
            folder: from which files are named.

        Raises:
            ValueError: see :meth:`load`.
        """
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{name} cannot be read as TOML: {error}.") from None
        try:
            kind = _class_of(content.pop("kind", None))
            if not issubclass(kind, cls):
                raise ValueError(
                    f'this is a plan of the kind "{kind.kind}", and one of the kind "{cls.kind}" is expected; give it to mpijax '
                    f"{kind.kind}."
                )
            _check_version(content.pop("version", None))
            plan = kind._made(content, folder)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: {in_toml(error)}") from None
        try:
            plan.check()
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: {plan.table_of(str(error)) or ''}{in_toml(error)}") from None
        return plan

    def table_of(self, said: str, chosen: "Plan | None" = None) -> str | None:
        """Where the choice stands whose name a message begins with, such as ``channels = (7,); ..``, or whose file it names.

        Args:
            said: the message.
            chosen: what was asked for in the end; None = the plan as it is.

        Returns:
            "[rows] ", "" outside of tables, "[data] empty: " for a file, or None where it begins with no choice, or with one that
            the plan did not make.
        """
        chosen, key = self if chosen is None else chosen, re.split(r"\W", said, maxsplit=1)[0]
        tables = {f"[{f.name}] ": f.name for f in fields(self) if is_dataclass(getattr(self, f.name))}
        places = {"": (self, chosen)} | {t: (getattr(self, n), getattr(chosen, n, None)) for t, n in tables.items()}
        for table, (mine, theirs) in places.items():
            for name in text_fields(type(mine)):
                value = getattr(mine, name)
                if not _same(value, getattr(theirs, name, None)):
                    continue
                if name == key:
                    return table
                if isinstance(value, Path) and str(value) in said:
                    return f"{table}{name}: "
        return None

    def text(self, folder: Path | None = None) -> str:
        """The plan as TOML.

        Args:
            folder: from which files are named, with comments for readers; None = by their whole paths and without comments, as a
                result records it.
        """
        head = [f"kind = {_value(self.kind)}", f"version = {VERSION}"]
        if folder is not None:
            head.insert(
                0, f"# A plan of mpijax {self.kind}, which takes it with --plan. What stands behind # does not count."
            )
        plain = [f for f in fields(self) if not is_dataclass(getattr(self, f.name))]
        tables = [f for f in fields(self) if is_dataclass(getattr(self, f.name))]
        parts = ["\n".join(head), self._lines(self, [f.name for f in plain], folder)]
        for table in tables:
            item = getattr(self, table.name)
            parts.append("\n".join([f"[{table.name}]", *self._name(table.name), self._lines(item, None, folder)]))
        return ("\n\n" if folder else "\n").join(part for part in parts if part) + "\n"

    def check(self) -> None:
        """Raise ValueError for choices that cannot be, as far as that can be told without files."""

    def _name(self, table: str) -> list[str]:
        """What stands first in a table: the name of a value that can be of several classes."""
        return []

    @classmethod
    def _class(cls, table: str, content: dict[str, Any]) -> tuple[type, frozenset[str]]:
        """The class of a table's value, and fields that are no choices; what :meth:`_name` wrote is taken out of ``content``."""
        return get_type_hints(cls)[table], frozenset()

    def _hidden(self, value: Any) -> frozenset[str]:
        """Fields that are no choices."""
        return frozenset()

    def _is_file(self, name: str, value: str) -> bool:
        """Whether a text is the name of a file."""
        return False

    def _lines(self, item: Any, names: list[str] | None, folder: Path | None) -> str:
        says, lines = comments(type(item)), []
        known = [name for name in text_fields(type(item)) if names is None or name in names]
        for name in known:
            if name in self._hidden(item):
                continue
            value, default = getattr(item, name), item.__dataclass_fields__[name].default
            if isinstance(value, Path) or isinstance(value, str) and self._is_file(name, value):
                value = _named(Path(value), folder)
            if folder is not None and name in says:
                lines += textwrap.wrap(f"{name}: {says[name]}", WIDTH, initial_indent="# ", subsequent_indent="#   ")
            if value is not None or default is not None:
                lines.append(f"{name} = {_value(NOT_GIVEN if value is None else value)}")
            elif folder is not None:
                lines.append(f"# {name} =")
        return "\n".join(lines)

    @classmethod
    def _made(cls: type[P], content: dict[str, Any], folder: Path) -> P:
        tables = {f.name for f in fields(cls)} - text_fields(cls).keys()
        values = _checked(cls, {k: v for k, v in content.items() if k not in tables}, "", folder, also=tables)
        for name in tables & content.keys():
            table = content[name]
            if not isinstance(table, dict):
                raise ValueError(f"{name} = {shown(table)}; expected a table, [{name}].")
            kind, hidden = cls._class(name, table)
            values[name] = kind(**_checked(kind, table, f"[{name}] ", folder, without=hidden))
        return cls(**values)


def in_toml(said: object) -> str:
    """A message in the words of TOML, which has no None."""
    return re.sub(r"\bNone\b", f'"{NOT_GIVEN}"', str(said))


def load(path: str | Path) -> Plan:
    """Read a plan of any kind.

    Raises:
        FileNotFoundError, ValueError: see :meth:`Plan.load`.
    """
    return Plan.load(path)


def _same(one: Any, other: Any) -> bool:
    """Whether two choices are equal; NaN is itself."""
    return bool(one == other or one != one and other != other)


def _class_of(kind: Any) -> type[Plan]:
    if not isinstance(kind, str):
        raise ValueError(
            f'no kind is given; a plan begins with kind = "reconstruct" (or {", ".join(KINDS)}), version = 1.'
        )
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r} is not known; {nearest(kind, KINDS)}")
    found: type[Plan] = pkgutil.resolve_name(KINDS[kind])
    return found


def _check_version(version: Any) -> None:
    if version is None:
        raise ValueError(f"no version is given; a plan begins with kind and version = {VERSION}.")
    if type(version) is not int or version != VERSION:
        raise ValueError(
            f"version = {shown(version)}; this mpijax reads plans of version {VERSION}. Write it anew with --save-plan."
        )


def _checked(
    cls: Any,
    content: dict[str, Any],
    where: str,
    folder: Path,
    also: set[str] | frozenset[str] = frozenset(),
    without: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The values of a table, each of a type that its field allows."""
    known = {name: kinds for name, kinds in text_fields(cls).items() if name not in without}
    found = {}
    for name, value in content.items():
        if name not in known:
            raise ValueError(f"{where}{_key(name)} is not known; {nearest(name, [*known, *sorted(also)])}")
        item = checked(f"{where}{name}", value, known[name])
        if isinstance(item, Path) or isinstance(item, str) and item.startswith(("./", "../")):
            item = type(item)(_found(folder, str(item)))
        found[name] = item
    for field in fields(cls):
        if field.name in known and field.name not in found and field.default is MISSING is field.default_factory:
            raise ValueError(f"{where}{field.name} is not given, and has no default.")
    return found


def _key(name: str) -> str:
    """A key as it stands in the file: within quotes where they are needed, and what cannot be seen, or looks alike, by number."""
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else ascii(name)


def _named(path: Path, folder: Path | None) -> str:
    """A file as a plan names it: from a folder, or by its whole path."""
    whole = path.absolute()
    if folder is None:
        return whole.as_posix()
    try:
        name = Path(os.path.relpath(whole, folder)).as_posix()
    except ValueError:  # another drive
        return whole.as_posix()
    return name if name.startswith("../") else f"./{name}"


def _found(folder: Path, name: str) -> str:
    return os.path.normpath(folder / name)


def _value(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return f'"{"".join(map(_character, value))}"'
    return float.__repr__(value) if isinstance(value, float) else str(int(value))


def _character(one: str) -> str:
    if one in '"\\':
        return f"\\{one}"
    return f"\\u{ord(one):04x}" if ord(one) < 32 or ord(one) == 127 else one
