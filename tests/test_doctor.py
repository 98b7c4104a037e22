"""``mpijax doctor``: its golden values, and what it says of an installation that is not well."""

from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from mpijax.cli import doctor, selftest
from tests.reference import selftest as twin


@pytest.fixture
def golden():
    return selftest.golden_values()


@pytest.fixture
def untested(monkeypatch):
    monkeypatch.setattr(selftest, "CHECKS", ())


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_golden_values_are_those_of_the_double_precision_computation(golden):
    found = twin.values()
    assert golden.keys() == found.keys() == {check.name for check in selftest.CHECKS}
    for name, values in found.items():
        np.testing.assert_allclose(golden[name], values, rtol=0, atol=1e-8 * np.abs(values).max(), err_msg=name)


def test_the_row_that_is_restored_is_changed(golden):
    row = golden["simulated row"]
    distance = selftest.relative_distance(row / np.abs(row).max(), golden["restored row"])
    assert distance > 2 * next(check.allowed for check in selftest.CHECKS if check.name == "restored row")


def test_all_is_well(capsys):
    doctor.doctor()
    said = lines(capsys)
    assert [line.split()[0] for line in said[-3:]] == ["PASS"] * 3
    names = [line.split()[0] for line in said]
    assert {"mpijax", "Python", "jax", "numpy", "bokeh", "xarray", "devices", "precision", "compile"} <= set(names)
    assert "single" in next(line for line in said if line.startswith("precision"))


def test_other_values_fail(capsys, monkeypatch, golden):
    golden["image"] = golden["image"] * 1.002
    monkeypatch.setattr(selftest, "golden_values", lambda: golden)
    with pytest.raises(SystemExit) as stop:
        doctor.doctor()
    passed, failed, other = lines(capsys)[-3:]
    assert stop.value.code == 1 and passed.startswith("PASS") and other.startswith("PASS")
    assert failed.startswith("FAIL") and "2e-03 from the golden values, 1e-03 allowed" in failed


@pytest.mark.parametrize("place", [(doctor, "_settings"), (selftest, "run")])
def test_no_device_or_a_missing_package_is_a_failure_in_one_line(capsys, monkeypatch, place):
    def broken():
        raise ModuleNotFoundError("No module named 'einops'\nmore")

    monkeypatch.setattr(*place, broken)
    with pytest.raises(SystemExit) as stop:
        doctor.doctor()
    assert stop.value.code == 1
    assert lines(capsys)[-1].split(maxsplit=2)[::2] == [
        "FAIL",
        "ModuleNotFoundError: No module named 'einops' (JAX_PLATFORMS=cpu)",
    ]


def test_what_breaks_or_is_not_a_number_fails(monkeypatch):
    def missing(golden):
        raise FileNotFoundError("mpijax ships no file 'weights/denoise_2d.npz'")

    nothing = selftest.Check("image", 1e-3, lambda golden: np.full(64, np.nan))
    monkeypatch.setattr(selftest, "CHECKS", (selftest.Check("restored row", 1e-2, missing), nothing))
    broken, nan = selftest.run()
    assert not broken.passed and broken.says == "FileNotFoundError: mpijax ships no file 'weights/denoise_2d.npz'"
    assert not nan.passed and nan.says.startswith("nan from")


def test_versions_that_are_older_or_missing(capsys, monkeypatch, untested):
    here = {"jax": "0.9.9", "numpy": "2.0.0", "bokeh": "4.0"}

    def version(name):
        if name not in here:
            raise PackageNotFoundError(name)
        return here[name]

    needs = [
        "jax>=0.10",
        "numpy>=2.0",
        "optax>=0.2.5",
        "bokeh<4,>=3.9; extra == 'view'",
        "diffrax>=0.7; extra == 'dynamics'",
    ]
    monkeypatch.setattr(doctor, "requires", lambda name: needs)
    monkeypatch.setattr(doctor, "version", version)
    with pytest.raises(SystemExit) as stop:
        doctor.doctor()
    said = {line.split()[0]: " ".join(line.split()[1:]) for line in lines(capsys)}
    assert stop.value.code == 1
    assert said["jax"] == "0.9.9 >=0.10, not allowed: install 'jax>=0.10'"
    assert said["numpy"] == "2.0.0 >=2.0"
    assert said["optax"] == "- >=0.2.5, missing: install 'optax>=0.2.5'"
    assert said["bokeh"] == "4.0 <4,>=3.9, not allowed: install 'bokeh<4,>=3.9'"
    assert said["diffrax"] == "- >=0.7, optional: mpijax[dynamics]"


def test_an_optional_package_may_be_missing(monkeypatch, untested):
    monkeypatch.setattr(doctor, "requires", lambda name: ["a-package-of-nobody>=1; extra == 'view'"])
    doctor.doctor()


def test_a_folder_that_is_not_installed(capsys, monkeypatch, untested):
    def requires(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", requires)
    doctor.doctor()
    assert "not installed but run from a folder" in lines(capsys)[1]


def test_where_compiled_programs_are_kept(capsys, monkeypatch, untested):
    for folder, says in (("/kept/here", "kept /kept/here"), (None, "none MPIJAX_CACHE=FOLDER keeps what is compiled")):
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        if folder is not None:
            monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", folder)
        doctor.doctor()
        assert lines(capsys)[-1].split() == ["compile", "cache", *says.split()]
