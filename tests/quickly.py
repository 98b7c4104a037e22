"""Compilation without optimization, for tests whose time goes into compiling training steps."""

import jax
import pytest

from mpijax.training import loop

QUICKLY = {"xla_backend_optimization_level": 0}


def compile_steps_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `mpijax.training.fit` compile its steps so."""
    compiled = loop._compiled_step
    monkeypatch.setattr(loop, "_compiled_step", lambda *recipe: jax.jit(compiled(*recipe), compiler_options=QUICKLY))
