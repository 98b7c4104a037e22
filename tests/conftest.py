"""Test-wide set-up: shape and type checks on every public call, CPU only."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# several test processes on few cores: the threads of NumPy's BLAS wait for each other (a 0.05 s QR took 26 s)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  (the hook looks it up by name)

hook = install_import_hook("mpijax", "tests.typecheck.check")
