"""A solver is a value: settings, names, a solver and a penalty from outside, and the record of what was done."""

import ast
import sys
from dataclasses import asdict, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import nnls

import mpijax as mj
from mpijax.cli.solvers import choose
from mpijax.plans.solvers import record
from mpijax.reconstruction import (
    L1,
    TV,
    Admm,
    FiniteDifference,
    Kaczmarz,
    NeuralImplicit,
    PlugAndPlay,
    Problem,
    Tikhonov,
    reconstruct,
    reconstruct_contrasts,
    register_solver,
    solve,
)
from mpijax.reconstruction.prox import group_soft_threshold, soft_threshold
from mpijax.reconstruction.solvers import registry
from tests.test_cli import run

KEY = jax.random.key(1)
GRID = mj.Grid.create((4, 3, 1), (4e-3, 3e-3, 1e-3))
SETTINGS = Path(mj.__file__).parent / "reconstruction" / "solvers"

OUTSIDE = '''
"""A solver in one file."""

from dataclasses import dataclass

import jax.numpy as jnp

import mpijax as mj


@dataclass(frozen=True)
class Landweber:
    """Gradient steps.

    Attributes:
        steps: how many.
        constraint: nonnegative or none.
    """

    steps: int = 50
    constraint: str | None = "nonnegative"

    def prepare(self, equations):
        matrix = jnp.asarray(equations.matrix)
        weights = 1 if equations.row_weights is None else jnp.asarray(equations.row_weights)[:, None]
        return weights, weights * matrix, 1 / jnp.linalg.norm(weights * matrix, 2) ** 2

    def solve(self, prepared, data):
        weights, matrix, step = prepared
        b = weights * data.T
        x = jnp.zeros((matrix.shape[1], b.shape[1]))
        for _ in range(self.steps):
            x = x + step * jnp.real(matrix.conj().T @ (b - matrix @ x))
            x = jnp.maximum(x, 0) if self.constraint else x
        return mj.Solution(x.T, {"residual": jnp.linalg.norm(matrix @ x - b, axis=0), "steps": self.steps})
'''


@pytest.fixture(scope="module")
def scan():
    rng = np.random.default_rng(0)
    facts = {"frequency_indices": np.arange(1, 31), "n_samples": 100, "bandwidth": 1e5}
    frequencies = np.arange(1, 31) * 1e3

    def values(*shape):
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)

    matrix = mj.SystemMatrix.create(values(1, 30, 12), frequencies, GRID, **facts)
    image = np.zeros(12)
    image[[2, 3, 7]] = 1.0, 2.0, 1.5
    signal = np.asarray(matrix.values)[0] @ np.stack([image, 2 * image], 1)
    data = mj.Measurement.create(signal.T[:, None, None] + 0.1 * values(2, 1, 1, 30), frequencies, **facts)
    return matrix, data


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """An installed package of one file, whose entry point is its solver."""
    (tmp_path / "outside_solver.py").write_text(OUTSIDE)
    facts = tmp_path / "outside_solver-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-solver\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[mpijax.solvers]\nlandweber = outside_solver:Landweber\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_KNOWN", dict(registry._KNOWN))
    yield "landweber"
    sys.modules.pop("outside_solver", None)


def test_a_solver_from_outside_is_found_by_its_entry_point(scan, outside):
    few, many = (reconstruct(*scan, solver=outside, steps=steps) for steps in (2, 300))
    assert many.value.shape == (2, 1, 3, 4) and many.stats["steps"] == many.stats.steps == 300
    assert np.all(many.stats.residual < few.stats.residual) and "lambda" not in many.stats
    value = registry.solver_class(outside)(300)
    np.testing.assert_array_equal(reconstruct(*scan, solver=value).value, many.value)
    rows, frames = np.asarray(scan[0].rows()), np.asarray(scan[1].values).reshape(2, -1)
    expected = [nnls(np.r_[rows.real, rows.imag], np.r_[frame.real, frame.imag])[0] for frame in frames]
    np.testing.assert_allclose(np.asarray(many.value).reshape(2, -1), expected, atol=1e-4)
    both = reconstruct_contrasts([scan[0], replace(scan[0], values=scan[0].values[:, ::-1])], scan[1], solver=outside)
    assert both.value.shape == (2, 2, 1, 3, 4)
    with pytest.raises(TypeError, match="'landweber' has no option sweep; it takes steps, beside"):
        reconstruct(*scan, solver=outside, sweep=3)


def test_a_solver_from_outside_is_a_word_of_the_command_line(capsys, scan, outside, tmp_path):
    for name, write, item in (
        ("sm.mdf", mj.io.write_system_matrix, scan[0]),
        ("m.mdf", mj.io.write_measurement, scan[1]),
    ):
        write(tmp_path / name, item)
    words = ["reconstruct", tmp_path / "sm.mdf", tmp_path / "m.mdf", "-o", tmp_path / "o.mdf", "--min-frequency", "0"]
    status, text = run(capsys, *words, outside, "--steps", "7", "--average-frames", "1")
    assert status == 0 and "landweber" in text, text
    made = mj.io.read_reconstruction(tmp_path / "o.mdf")
    np.testing.assert_allclose(made.images, reconstruct(*scan, solver=outside, steps=7).value, rtol=1e-4, atol=1e-5)
    assert {"method": "landweber", "steps": 7, "constraint": "nonnegative"}.items() <= made.parameters.items()
    status, text = run(capsys, *words, outside, "--help")
    assert status == 0 and "--steps INT" in text and "how many." in text and "--sweeps" not in text, text
    status, text = run(capsys, *words, outside, "--stepps", "7")
    assert status == 2 and "Perhaps you meant: --iterations, --steps INT." in text and text.count("\n") == 1, text


def test_names_are_registered_once(monkeypatch):
    monkeypatch.setattr(registry, "_KNOWN", dict(registry._KNOWN))
    register_solver("mine", Tikhonov)
    register_solver("mine", Tikhonov)
    assert registry.solver_class("mine") is Tikhonov and "mine" in registry.solver_names()
    with pytest.raises(ValueError, match="there is a solver 'mine' already, Tikhonov"):
        register_solver("mine", Kaczmarz)
    with pytest.raises(TypeError, match="expected a class with prepare"):
        register_solver("other", dict)


@pytest.mark.parametrize(
    "solver",
    [
        Kaczmarz(sweeps=3, constraint=None, regularization=0.1),
        Tikhonov(method="cgnr", regularization=1e-9, relative=False),
        Admm(penalties=(L1(0.3), TV(0.7))),
        Admm(epsilon="noise", tv=0.5),
        NeuralImplicit(steps=5, width=8),
    ],
)
def test_asdict_is_the_record(solver):
    assert type(solver)(**asdict(solver)) == solver
    kept = record("name", solver, 0)
    assert all(isinstance(value, bool | int | float | str | None) for value in kept.values())


def test_what_a_solver_says_of_itself():
    assert Kaczmarz() == Kaczmarz(regularization=1e-2, relative=True, sweeps=10, constraint="nonnegative")
    assert Admm(penalties=(L1(0.8), TV(0.2))) == Admm(l1=0.8, tv=0.2) == Admm()
    assert Admm(epsilon=1.0).regularization is None and "relative" in asdict(Admm())
    kept = record("admm", Admm(epsilon=1.0, constraint=None), 0)
    assert kept["relative"] is kept["regularization"] is kept["seed"] is None and kept["constraint"] == "none"
    kept = record("tikhonov", Tikhonov(method="cgnr"), 0)
    assert kept["method"] == "tikhonov" and kept["tikhonovMethod"] == "cgnr"
    assert record("neural", NeuralImplicit(steps=5, key=jax.random.key(3)), 3)["iterations"] == 5
    with pytest.raises(ValueError, match="an absolute lambda has no default"):
        Kaczmarz(relative=False)
    with pytest.raises(ValueError, match="l1 = 0.1 and 0.3 among the penalties"):
        Admm(l1=0.1, penalties=(L1(0.3),))


@pytest.mark.parametrize(
    "name, solver, options",
    [
        ("kaczmarz", Kaczmarz(sweeps=3, regularization=0.1), {"sweeps": 3, "regularization": 0.1}),
        ("kaczmarz", Kaczmarz(row_order="randomized", key=KEY), {"row_order": "randomized", "key": KEY}),
        ("tikhonov", Tikhonov(), {"sweeps": 3, "key": jax.random.key(0)}),
        ("tikhonov", Tikhonov(method="low_rank", rank=6, key=KEY), {"method": "low_rank", "rank": 6, "key": KEY}),
        ("admm", Admm(l1=0.5, iterations=50), {"l1": 0.5, "iterations": 50, "sweeps": 2}),
    ],
)  # fmt: skip
def test_a_name_is_a_shorthand(scan, name, solver, options):
    named, given = reconstruct(*scan, solver=name, **options), solve(Problem.create(*scan), solver)
    np.testing.assert_array_equal(named.value, given.value)
    assert list(named.stats) == list(given.stats)


def test_what_is_no_solver(scan):
    with pytest.raises(TypeError, match="sweeps beside the solver Kaczmarz"):
        reconstruct(*scan, solver=Kaczmarz(), sweeps=3)
    for wrong in (Kaczmarz, 3, None):
        with pytest.raises(TypeError, match="give a name .* or a solver, such as Kaczmarz"):
            reconstruct(*scan, solver=wrong)
    with pytest.raises(ValueError, match="there are 2 contrasts"):
        reconstruct_contrasts([scan[0], scan[0]], scan[1], solver=Admm())


def test_prepared_once_for_other_frames(scan):
    equations = Problem.create(*scan).equations()
    for solver in (Kaczmarz(), Tikhonov(), Admm(epsilon=3.0)):
        prepared = solver.prepare(equations)
        whole = solver.solve(prepared, equations.data).value
        np.testing.assert_allclose(solver.solve(prepared, equations.data[1:]).value, whole[1:], rtol=1e-3, atol=1e-3)
    matrix, data, weights = equations
    assert matrix is equations.matrix and data is equations.data and weights is None


class Sparse:
    """0.8 |x|_1 from outside, of images."""

    def prox(self, x, step):
        assert x.shape == (1, 3, 4)
        return soft_threshold(x, 0.8 * step)


class Variation:
    """0.2 TV(x) from outside, of differences."""

    operator = FiniteDifference((4, 3, 1))

    def prox(self, x, step):
        assert x.shape == (2, 12)
        return group_soft_threshold(x, 0.2 * step)


@pytest.mark.parametrize("constraint", ["nonnegative", "real"])
@pytest.mark.parametrize(
    "penalties, options",
    [((Sparse(),), {"l1": 0.8, "tv": 0.0}), ((Variation(), L1(0.8)), {}), ((Sparse(), Variation()), {})],
)
def test_a_penalty_from_outside_has_the_minimizer_of_the_known_one(scan, penalties, options, constraint):
    common = {"regularization": 0.05, "tolerance": 1e-6, "constraint": constraint, "iterations": 20000}
    expected = reconstruct(*scan, solver=Admm(**options, **common))
    found = reconstruct(*scan, solver=Admm(penalties=penalties, **common))
    assert np.all(found.stats.converged)
    np.testing.assert_allclose(found.value, expected.value, atol=2e-4 * np.max(expected.value))
    plain = reconstruct(*scan, solver=Admm(l1=0.0, tv=0.0, **common))
    assert np.max(np.abs(plain.value - expected.value)) > 0.01 * np.max(expected.value)


def test_a_ridge_from_outside_is_tikhonov(scan):
    class Ridge:
        def prox(self, x, step):
            return x / (1 + step)

    expected = reconstruct(*scan, solver=Tikhonov(regularization=2.0, relative=False))
    options = {"regularization": 2.0, "relative": False, "constraint": "real", "tolerance": 1e-6}
    found = reconstruct(*scan, solver=Admm(penalties=(Ridge(),), **options))
    np.testing.assert_allclose(found.value, expected.value, atol=1e-4)


@pytest.mark.parametrize(
    "penalty, error, message",
    [
        (3, TypeError, "has no prox"),
        (type("Flat", (), {"prox": lambda self, x, step: x.ravel()})(), ValueError, "the shapes must agree"),
        (type("Half", (), {"prox": lambda self, x, step: x, "operator": jnp.abs})(), TypeError, "lacks one of"),
    ],
)
def test_a_penalty_that_does_not_fit(scan, penalty, error, message):
    with pytest.raises(error, match=message):
        reconstruct(*scan, solver=Admm(penalties=(penalty,)))


def test_a_bound_takes_the_known_penalties(scan):
    with pytest.raises(ValueError, match="leave out epsilon, or the other penalties"):
        reconstruct(*scan, solver=Admm(penalties=(Sparse(),), epsilon=3.0))


def test_plug_and_play_is_a_solver(scan):
    def denoiser(image, strength):
        return soft_threshold(image, 0.8 * strength)

    found = reconstruct(*scan, solver=PlugAndPlay(denoiser, regularization=0.05, rho=0.1, iterations=500))
    expected = reconstruct(*scan, solver=Admm(l1=0.8, tv=0, regularization=0.05, constraint="real", tolerance=1e-6))
    np.testing.assert_allclose(found.value, expected.value, atol=1e-3)


def test_stats_are_a_record_and_a_mapping(scan):
    solution = reconstruct(*scan, solver=Kaczmarz())
    stats = solution.stats
    assert stats["lambda"] == stats.lambda_ and stats["history"] is stats.history and stats.get("drift") is None
    assert "residual" in stats and "drift" not in stats and {**stats}.keys() == dict(stats | {}).keys() == set(stats)
    assert len(stats) == len(list(stats)) and stats.comparison == stats["comparison"]
    with pytest.raises(AttributeError, match="has no 'objective'; it has residual, lambda"):
        _ = stats.objective
    doubled = jax.tree.map(lambda leaf: 2 * leaf, solution)
    np.testing.assert_array_equal(doubled.stats.residual, 2 * stats.residual)
    assert doubled.stats.comparison == stats.comparison


def test_settings_import_neither_jax_nor_flax():
    files = [*SETTINGS.rglob("settings.py"), SETTINGS / "registry.py", Path(mj.__file__).parent / "core" / "nearest.py"]
    assert len(files) == 7
    for path in files:
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                inside = name.startswith("mpijax.reconstruction.solvers.") and name.endswith("settings")
                inside |= name == "mpijax.core.nearest"
                assert inside or name.split(".")[0] in sys.stdlib_module_names, f"{path} imports {name}"


@pytest.mark.parametrize(
    "words, kind, given",
    [
        ("SM M -o O", Kaczmarz, {}),
        ("SM M -o O kaczmarz --sweeps 3", Kaczmarz, {"sweeps"}),
        ("admm SM M -o O --compare --l1=1", Admm, {"l1"}),
        ("SM M --compare admm -o O", Admm, set()),
        ("SM M -o O --method admm --lambda 0.1 --no-isotropic", Admm, {"regularization", "isotropic"}),
        ("SM M -o O --method=neural --iterations 5", NeuralImplicit, {"steps"}),
        ("SM M -o O tikhonov --method cgnr", Tikhonov, {"method"}),
        ("SM M -o admm --png kaczmarz --channels 0 1 tikhonov --absolute --lambda 1", Tikhonov, {"relative", "regularization"}),
    ],
)  # fmt: skip
def test_the_word_of_a_solver_may_stand_anywhere(words, kind, given):
    left, asked = choose(["reconstruct", *words.split()])
    assert list(asked.classes.values())[-1] is kind and asked.given == set(given)
    assert ("-o admm" in words) == ("admm" in left) and "tikhonov" not in left and "neural" not in left
