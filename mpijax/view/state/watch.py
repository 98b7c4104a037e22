"""Files that must stay what they were when the viewer opened them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mpijax.core.files import identity


class Watch:
    """What the files were when they were opened.

    Args:
        paths: of the files.
    """

    def __init__(self, paths: Iterable[Path]):
        self._seen: dict[Path, dict[str, Any]] = {path: identity(path) for path in paths if path.exists()}

    def check(self, *paths: Path | None) -> None:
        """Raise ValueError where one of these files is another one now; whoever reads a missing one says so better."""
        for path in paths:
            if path is not None and path.exists() and self._seen.get(path) != identity(path):
                raise ValueError(f"{path.name} has changed since it was opened; open the viewer anew.")
