"""Frozen pytree containers: thin dataclasses whose array fields are leaves and whose static fields are part of the type."""

import dataclasses
from typing import Any, TypeVar, cast, dataclass_transform

import jax

from mpijax.core.mapping import FrozenMapping as FrozenMapping

T = TypeVar("T", bound=type)


def static(**kwargs: Any) -> Any:
    """A dataclass field that is static: part of the tree structure, compared by equality, never traced."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(dataclasses.field, static))
def pytree(cls: T) -> T:
    """Class decorator: a frozen dataclass without generated equality (arrays cannot be hashed), registered as a pytree."""
    return cast(T, jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True, eq=False)(cls)))
