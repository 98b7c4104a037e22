"""Test-wide set-up: shape and type checks on every public call, CPU only."""

import gc
import os
from pathlib import Path

import tests.quick_compiler  # noqa: F401  (before jax; the fixture ``optimized`` is for programs that run often)

# several test processes on few cores: the threads of NumPy's BLAS wait for each other (a 0.05 s QR took 26 s)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# what takes long to compile is compiled once for all test processes, and for the next run
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "xla")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import jax
import pytest
from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  (the hook looks it up by name)

hook = install_import_hook("mpijax", "tests.typecheck.check")

MANY_MAPS = 8_000


def pytest_collection_finish():
    """What the imports made stays: the garbage collector need not look at it again, nor as often as by default."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(scope="module", autouse=True)
def _compiled_programs_are_let_go():
    """Compiled programs hold memory maps, of which Linux gives a process 65,530; XLA crashes where there are no more."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > MANY_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="module")
def optimized():
    """Programs of the module are optimized: where one runs hundreds of times, that saves more time than it costs."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def few_held_out(monkeypatch):
    """Three matrices instead of thirty held out from the set of the field-free line, each of which is simulated."""
    from mpijax.datasets.samplers import field_free_line

    monkeypatch.setattr(field_free_line, "VALIDATION_DIAMETERS", field_free_line.VALIDATION_DIAMETERS[:1])
