"""Typed records that also answer as the mapping they used to be."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any


class Record(Mapping[str, Any]):
    """Base of a frozen dataclass (a pytree, for instance) whose fields can be read by name as well: ``record["residual"]``.

    Fields that are None are absent from the mapping. An underscore at the end of a field's name, as in ``lambda_``, is no part of
    its key.
    The entries of a field ``own``, where there is one, count as further fields: ``record.history`` is ``record.own["history"]``.
    """

    def __getitem__(self, key: str) -> Any:
        return self._entries()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other}

    def __getattr__(self, name: str) -> Any:
        own = {} if name == "own" or name.startswith("__") else getattr(self, "own", None) or {}
        if name not in own:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {', '.join(self)}.")
        return own[name]

    def _entries(self) -> dict[str, Any]:
        named = {field.name.rstrip("_"): getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        own = named.pop("own", None) or {}
        return {name: value for name, value in (named | own).items() if value is not None}
