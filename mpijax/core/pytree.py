"""Frozen pytree containers: thin dataclasses whose array fields are leaves and whose static fields are part of the type."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast, dataclass_transform

import jax

T = TypeVar("T", bound=type)


def static(**kwargs: Any) -> Any:
    """A dataclass field that is static: part of the tree structure, compared by equality, never traced."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(dataclasses.field, static))
def pytree(cls: T) -> T:
    """Class decorator: a frozen dataclass without generated equality (arrays cannot be hashed), registered as a pytree."""
    return cast(T, jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True, eq=False)(cls)))


class FrozenMapping(Mapping[str, Any]):
    """An immutable, hashable mapping for metadata carried as a static field (values must be hashable)."""

    def __init__(self, items: Mapping[str, Any] | None = None):
        self._items = dict(items or {})

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenMapping) and self._items == other._items

    def __repr__(self) -> str:
        return f"FrozenMapping({self._items!r})"
