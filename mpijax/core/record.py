"""Records: frozen dataclasses that also answer as a mapping, ``record.name`` and ``record["name"]``."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any


class Record(Mapping[str, Any]):
    """Base of typed records. Decorate with ``@dataclass(frozen=True, eq=False)``: arrays have no truth value to compare by."""

    def __getitem__(self, name: str) -> Any:
        if name not in self._names():
            raise KeyError(f"{name!r}; {type(self).__name__} holds {', '.join(self._names())}")
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> tuple[str, ...]:
        return tuple(field.name for field in dataclasses.fields(self))  # type: ignore[arg-type]
