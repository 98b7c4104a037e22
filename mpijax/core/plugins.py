"""What other installed packages add, by entry points."""

from collections.abc import MutableMapping
from importlib.metadata import entry_points
from typing import Any


def look_up(known: MutableMapping[str, Any], group: str, name: str) -> None:
    """Add what another package offers under a name that is not known yet; nothing where none does.

    Args:
        known: name -> object, extended in place.
        group: of entry points, "mpijax.tasks" say. In the other package's pyproject.toml:
            ``[project.entry-points."mpijax.tasks"]`` and ``name = "package.module:Object"``.
        name: that is asked for.
    """
    if name not in known:
        for entry in entry_points(group=group, name=name):
            known[name] = entry.load()
