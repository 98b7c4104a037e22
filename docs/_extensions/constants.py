"""Constants that packages make public: what stands below their assignment, which Python does not keep."""

import ast
import inspect
import re
import sys
from types import ModuleType
from typing import Any


def constants(package: ModuleType) -> dict[str, str]:
    """Name -> what it is, of the public names of a package in capitals that hold data; typing's TYPE_CHECKING is none.

    Raises:
        ValueError: nothing stands below the assignment of one.
    """
    names = getattr(package, "__all__", None) or dir(package)
    found = {name: getattr(package, name) for name in names if name.isupper() and not name.startswith("_")}
    kept = {name: value for name, value in found.items() if not (callable(value) or isinstance(value, bool))}
    return {name: _said(name, value) for name, value in sorted(kept.items())}


def section(package: ModuleType) -> str:
    """A list in Markdown of the constants of a package; empty where there are none."""
    lines = [f"- `{package.__name__}.{name}`: {said}" for name, said in constants(package).items()]
    return "\n".join(["", "Constants:", "", *lines, ""]) if lines else ""


def _said(name: str, value: Any) -> str:
    """What is written below the assignment, as one line of Markdown, in the module of mpijax that makes it."""
    for module in [module for key, module in sys.modules.items() if key.partition(".")[0] == "mpijax"]:
        if module.__dict__.get(name) is value and (text := _below(module, name)):
            return re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", " ".join(text.split()))
    raise ValueError(f"the public constant {name} is not explained; write a string below its assignment.")


def _below(module: ModuleType, name: str) -> str:
    body = ast.parse(inspect.getsource(module)).body
    for made, after in zip(body, body[1:], strict=False):
        targets = made.targets if isinstance(made, ast.Assign) else [getattr(made, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
    return ""
