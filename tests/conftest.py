"""Test-wide set-up: shape and type checks on every public call, CPU only."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  (the hook looks it up by name)

hook = install_import_hook("mpijax", "tests.typecheck.check")
