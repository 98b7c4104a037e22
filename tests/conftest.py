"""Test-wide set-up: shape and type checks on every public call, CPU only."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import tests.typecheck  # noqa: F401  (the hook looks it up by name)
from jaxtyping import install_import_hook

hook = install_import_hook("mpijax", "tests.typecheck.check")
