"""``mpijax doctor``: what is installed, on what it computes, and whether it computes what it should."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement

import mpijax as mj

OPTIONAL = ("dynamics", "nifti", "view", "xarray")
"""Extras that add to what mpijax can do."""


def doctor() -> None:
    """Say which versions, devices and settings are in use, and test what is computed against golden values.

    The exit status is 1 where a test fails, or a package is missing or of a version that is not allowed.
    """
    well = True
    for line, right in _versions():
        print(line, flush=True)
        well &= right
    try:
        for line in _settings():
            print(line, flush=True)
        from mpijax.cli import selftest

        for outcome in selftest.run():
            print(_row("PASS" if outcome.passed else "FAIL", outcome.name, outcome.says), flush=True)
            well &= outcome.passed
    except Exception as error:  # a missing package, or no device: whatever it is, the report ends in what failed
        platforms = os.environ.get("JAX_PLATFORMS")
        where = "" if platforms is None else f" (JAX_PLATFORMS={platforms})"
        print(
            _row("FAIL", "self-test", f"{type(error).__name__}: {str(error).partition(chr(10))[0]}{where}"), flush=True
        )
        well = False
    if not well:
        sys.exit(1)


def _versions() -> Iterator[tuple[str, bool]]:
    """Lines on Python, mpijax and what it needs, then on what is optional, and whether they are as they should be."""
    yield _row("mpijax", mj.__version__, f"on {platform.system()} {platform.machine()}"), True
    try:
        needed = [Requirement(text) for text in requires("mpijax") or ()]
        python = metadata("mpijax")["Requires-Python"]
    except PackageNotFoundError:
        yield _row("", "", "not installed but run from a folder: which versions it needs is not known"), True
        return
    yield _compared(Requirement(f"Python{python}"), platform.python_version())
    for requirement in needed:
        if requirement.marker is None:
            yield _compared(requirement, _installed(requirement.name))
    for extra in OPTIONAL:
        for requirement in needed:
            if requirement.marker is not None and requirement.marker.evaluate({"extra": extra}):
                found = _installed(requirement.name)
                if found is None:
                    yield _row(requirement.name, "-", f"{requirement.specifier}, optional: mpijax[{extra}]"), True
                else:
                    yield _compared(requirement, found)


def _compared(requirement: Requirement, found: str | None) -> tuple[str, bool]:
    """Line: name, version that is here, those that are allowed, and what to do where it is none of them."""
    allowed = str(requirement.specifier)
    if found is not None and requirement.specifier.contains(found, prereleases=True):
        return _row(requirement.name, found, allowed), True
    says = "missing" if found is None else "not allowed"
    return _row(requirement.name, found or "-", f"{allowed}, {says}: install '{requirement.name}{allowed}'"), False


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _settings() -> Iterator[str]:
    """Lines on devices, precision and where compiled programs are kept."""
    import jax

    from mpijax.cli.cache import VARIABLE

    kinds = [f"{device.platform}, {device.device_kind}" for device in jax.devices()]
    for kind in dict.fromkeys(kinds):
        yield _row("devices", str(kinds.count(kind)), kind)
    double = jax.config.read("jax_enable_x64")
    yield _row("precision", "double" if double else "single", "of what is asked for without a type")
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    yield _row(
        "compile cache", "none" if folder is None else "kept", folder or f"{VARIABLE}=FOLDER keeps what is compiled"
    )


def _row(name: str, value: str, says: str) -> str:
    return f"{name:<22}{value:<16}{says}".rstrip()
