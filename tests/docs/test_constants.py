"""Constants of the reference: those that a package makes public, as the string below them says."""

import importlib
import types

import constants
import generated_pages as pages
import pytest


def test_every_public_constant_is_explained():
    found = {name: constants.constants(importlib.import_module(name)) for name in pages.PACKAGES}
    assert set(found["mpijax.datasets"]) == {"FIXED_SETS", "OPEN_MPI_PROTOCOLS", "PRESETS", "SIMULATED"}
    assert "NEURAL_PRESETS" in found["mpijax.reconstruction"] and not found["mpijax.viz"]
    assert all(
        said and "\n" not in said and ":class:" not in said for lines in found.values() for said in lines.values()
    )


def test_a_section():
    text = constants.section(importlib.import_module("mpijax.rows"))
    assert text == "\nConstants:\n\n- `mpijax.rows.TASKS`: Name -> class of the tasks that are known.\n"
    assert constants.section(types.ModuleType("empty")) == ""


def test_a_constant_without_words_is_refused():
    package = types.ModuleType("mpijax.bare")
    package.LIMIT = 7.25
    with pytest.raises(ValueError, match="the public constant LIMIT is not explained"):
        constants.constants(package)
