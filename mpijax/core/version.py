"""The version of mpijax, installed or run from a checkout."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def version_of(package: Path) -> str:
    """The version of the code in a folder.

    Code beside its own ``pyproject.toml`` is a checkout, and has the version that stands there: another one may be installed, or
    none. Any other code has the version that was installed.

    Args:
        package: the folder ``mpijax`` that is imported.

    Returns:
        The version, "0+unknown" for code that was copied without its project and is not installed.
    """
    try:
        said = tomllib.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):  # none, or not one that can be read
        said = {}
    if said.get("name") == "mpijax" and "version" in said:
        return str(said["version"])
    try:
        return version("mpijax")
    except PackageNotFoundError:
        return "0+unknown"


VERSION = version_of(Path(__file__).resolve().parents[1])
"""Of this code."""
