"""What starting costs: names that are imported when they are used, and a command line that loads what its command needs."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mpijax as mj
from mpijax import cli
from mpijax.cli import cache
from tests import DATA

ROOT = Path(__file__).resolve().parent.parent
STUBS = sorted((ROOT / "mpijax").rglob("__init__.pyi"))
HEADSCANNER = DATA / "hamburg_headscanner_2018" / "systemMatrix.mdf"


def python(*arguments, **environment):
    """A fresh interpreter, and what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, env=os.environ | environment
    )
    return done.returncode, done.stdout, done.stderr


def loaded_by(*words):
    """Names of the modules that a command of the command line leaves behind."""
    code = (
        "import sys; from mpijax import cli; sys.argv = ['mpijax', *sys.argv[1:]]\n"
        "try:\n    cli.main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print('modules:', *sys.modules)"
    )
    status, out, errors = python("-c", code, *words)
    assert status == 0, errors
    return set(out.rpartition("modules:")[2].split())


def test_importing_mpijax_loads_nothing_large():
    status, out, errors = python("-c", "import sys, mpijax; print(*sys.modules)")
    assert status == 0, errors
    assert not {"jax", "h5py", "scipy", "matplotlib", "mpijax.system.matrix", "mpijax.restoration"} & set(out.split())


def test_a_simulated_matrix_needs_no_module_of_files():
    code = (
        "from mpijax.system import Grid, LissajousSequence, Particle, Scanner, simulate_system_matrix as simulate;"
        "scan = Scanner.create((-1.0, -1.0, 2.0)), LissajousSequence.create((12e-3, 12e-3, 0.0));"
        "print(simulate(*scan, Particle.create(), Grid.create((2, 2, 1), (0.02, 0.02, 0.001)), [40]).header.simulated)"
    )
    status, out, errors = python("-c", code)
    assert status == 0 and out.split() == ["1"], errors


def test_everything_can_be_imported_at_once():
    code = "import sys, mpijax; print('mpijax.reconstruction.pipeline' in sys.modules, 'mpijax.cli' in sys.modules)"
    status, out, errors = python("-W", "error::DeprecationWarning:mpijax", "-c", code, EAGER_IMPORT="1")
    assert status == 0 and out.split() == ["True", "False"], errors


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_every_name_of_a_stub_is_the_object_of_its_module(stub):
    package = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    names = []
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.name == alias.asname, f"a type checker does not see {alias.name}"
                place = f"{package.__name__}.{node.module or alias.name}"
                module = importlib.import_module(place)
                found = module if node.module is None else getattr(module, alias.name)
                assert getattr(package, alias.name) is found
                names.append(alias.name)
    assert len(names) == len(set(names)) and set(dir(package)) == set(names) == set(package.__all__)


def test_functions_that_share_their_name_with_a_module_elsewhere():
    for function in (mj.fit, mj.restore, mj.identification.fit, mj.restoration.restore, mj.io.read, mj.io.write):
        assert callable(function)
    code = """if True:
        import mpijax.cli.fit, mpijax.cli.restore, mpijax.io.mdf.read
        import mpijax as mj
        print(mj.fit.__module__, mj.restore.__module__, mj.io.read.__module__)"""
    status, out, errors = python("-c", code)
    assert status == 0, errors
    assert out.split() == ["mpijax.identification.search", "mpijax.restoration.apply", "mpijax.io.formats"]


def test_old_modules_are_found_where_nothing_has_loaded_them():
    code = "import mpijax as mj; print(mj.system.row_index.__name__, mj.io.mdf.write.__name__)"
    status, out, errors = python("-W", "always", "-c", code)
    assert status == 0 and out.split() == ["mpijax.system.facts.row_index", "mpijax.io.mdf.write"]
    assert "<string>:1: DeprecationWarning: mpijax.system.row_index is mpijax.system.facts.row_index" in errors


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="SystemMatrx"):
        _ = mj.SystemMatrx
    with pytest.raises(AttributeError, match="nothing"):
        _ = mj.system.nothing


def test_checks_need_no_jax():
    code = """if True:
        import sys
        from mpijax.core.checks import check_count, check_range, is_concrete
        assert is_concrete([1.0])
        check_range("x", 1.0, 0, 2, "m")
        check_count("n", 3, static=True)
        try:
            check_count("n", 3.0, static=True)
        except ValueError as error:
            print(error)
        assert "jax" not in sys.modules"""
    status, out, errors = python("-c", code)
    assert status == 0 and out.startswith("n = 3.0; expected a whole number of at least 1, known before tracing."), (
        errors
    )


def test_help_loads_no_command():
    found = loaded_by("--help")
    assert "tyro" in found and not {"jax", "matplotlib", "h5py", "bokeh", "mpijax.cli.look"} & found


def test_the_version_loads_nothing_large():
    assert not {"jax", "matplotlib", "h5py", "scipy", "mpijax.cli.doctor"} & loaded_by("--version")
    status, out, errors = python("-m", "mpijax.cli", "--version")
    assert (status, out, errors) == (0, f"mpijax {mj.__version__}\n", "")


def test_info_loads_neither_jax_nor_matplotlib(tmp_path):
    import h5py
    import numpy as np

    sorted_by_positions = tmp_path / "positions.mdf"
    sorted_by_positions.write_bytes(HEADSCANNER.read_bytes())
    with h5py.File(sorted_by_positions, "r+") as file:
        size = file["/calibration/size"][()]
        fov, center = (file[f"/calibration/{name}"][()] for name in ("fieldOfView", "fieldOfViewCenter"))
        x = center[0] - fov[0] / 2 + (np.arange(size[0]) + 0.5) * fov[0] / size[0]
        file["/calibration/positions"] = np.stack([x, np.full_like(x, center[1]), np.full_like(x, center[2])], -1)
    first = tmp_path / "first.mdf"
    with h5py.File(first, "w") as file:
        file["/version"], file["/acquisition/drivefield/averages"] = "1.0.5", 1
        file["/measurement/dataTD"] = np.zeros((2, 3, 16))
    for path in (HEADSCANNER, sorted_by_positions, first):
        found = loaded_by("info", path)
        assert "h5py" in found and not {"jax", "matplotlib", "scipy"} & found


def test_the_help_says_the_first_lines_of_the_docstrings():
    for name, (module, says) in cli.COMMANDS.items():
        command = getattr(importlib.import_module(f"mpijax.cli.{module}"), name)
        assert command.__doc__.splitlines()[0] == says
    assert list(cli.COMMANDS) == cli.__doc__.split("``")[1].removeprefix("mpijax ").split(" | ")


def test_compiled_programs_are_kept_where_it_is_asked_for(tmp_path):
    words = ["-m", "mpijax.cli", "simulate", "2d", "-o", tmp_path / "sm.mdf", "--shape", "3", "2", "1"]
    folder = tmp_path / "not" / "yet"
    status, _, errors = python(*words, MPIJAX_CACHE=str(folder))
    assert status == 0 and errors == "", errors
    kept = sorted(folder.glob("*-cache"))
    assert len(kept) > 3
    status, _, errors = python(*words, MPIJAX_CACHE=str(folder))
    assert status == 0 and errors == "" and sorted(folder.glob("*-cache")) == kept, errors


@pytest.mark.parametrize(("version", "level"), [("0.10.0", "3"), ("0.10.1", "3"), ("0.10.2", None)])
def test_versions_that_print_lines_for_kept_programs_are_silenced(tmp_path, monkeypatch, version, level):
    environment = {cache.VARIABLE: str(tmp_path)}
    monkeypatch.setattr(cache.os, "environ", environment)
    monkeypatch.setattr(cache, "version", lambda name: version)
    cache.use_cache()
    assert environment["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path)
    assert environment.get("TF_CPP_MIN_LOG_LEVEL") == level


def test_a_cache_that_cannot_be_written(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("")
    for folder in (taken, taken / "below"):
        words = ["-m", "mpijax.cli", "simulate", "2d", "-o", tmp_path / "sm.mdf"]
        status, out, errors = python(*words, MPIJAX_CACHE=str(folder))
        assert status == 2 and out == "" and errors.count("\n") == 1
        assert (
            errors.startswith(f"error: MPIJAX_CACHE = {folder}: nothing can be written there (")
            and "unset it." in errors
        )
    assert list(tmp_path.iterdir()) == [taken]
