"""The version is that of the code that runs, not of another one that is installed."""

from importlib.metadata import PackageNotFoundError

import pytest

import mpijax as mj
from mpijax.core import version
from tests.test_package import PROJECT


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setattr(version, "version", lambda name: "1.0")
    return tmp_path / "mpijax"


def test_of_this_checkout():
    assert mj.__version__ == version.VERSION == PROJECT["project"]["version"]


def test_a_checkout_says_its_own(package):
    (package.parent / "pyproject.toml").write_text('[project]\nname = "mpijax"\nversion = "9.1"\n')
    assert version.version_of(package) == "9.1"


@pytest.mark.parametrize("text", ['[project]\nname = "other"\nversion = "9.1"\n', "[tool.ruff]\n", "[", None])
def test_beside_another_project_or_none_what_is_installed_counts(package, text):
    if text is not None:
        (package.parent / "pyproject.toml").write_text(text)
    assert version.version_of(package) == "1.0"


def test_a_copy_that_is_not_installed(package, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(version, "version", missing)
    assert version.version_of(package) == "0+unknown"
