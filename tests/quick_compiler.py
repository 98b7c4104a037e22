"""Imported before jax: programs run once, on small arrays, so that their time is the compiler's, and these settings shorten it.

Processes that are started afterwards inherit them.
"""

import os
from importlib.metadata import version

from packaging.version import Version

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
os.environ["XLA_FLAGS"] = " ".join(
    (
        # XLA ends the process at a flag that it no longer knows
        "--xla_cpu_use_fusion_emitters=false" if Version(version("jaxlib")) < Version("0.11") else "",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_parallel_codegen_split_count=1",  # several processes on few cores
        os.environ.get("XLA_FLAGS", ""),
    )
)
