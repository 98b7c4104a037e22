"""Compiled programs kept in a folder, so that the next command finds them."""

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

VARIABLE = "MPIJAX_CACHE"
TALKATIVE = "0.10.0", "0.10.1"
"""Versions of jaxlib that print lines about the processor for every kept program that they load."""


def use_cache() -> None:
    """Keep every compiled program in the folder that ``MPIJAX_CACHE`` names; nothing where it is not set.

    To be called before jax is loaded, which reads its settings from the environment then.

    Raises:
        ValueError: nothing can be written there.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return
    folder = Path(name).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(prefix=".mpijax", dir=folder).cleanup()
    except OSError as error:
        raise ValueError(
            f"{VARIABLE} = {name}: nothing can be written there ({error.strerror}); name a folder that can be written, or unset it."
        ) from None
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    if version("jaxlib") in TALKATIVE:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
