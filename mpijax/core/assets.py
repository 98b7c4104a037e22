"""Files that ship with the package: ``mpijax/_data`` in an installation, ``data`` in a checkout."""

from pathlib import Path

import mpijax.core

_PACKAGE = Path(mpijax.core.__file__).resolve().parent.parent


def asset_path(name: str) -> Path:
    """Path of a shipped file.

    Args:
        name: relative to the ``data`` folder.

    Raises:
        FileNotFoundError: there is no such file.
    """
    for root in (_PACKAGE / "_data", _PACKAGE.parent / "data"):
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(f"mpijax ships no file {name!r}; it must be one of those in the project's data folder.")
