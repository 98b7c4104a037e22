"""Frames, or rows, shared out over devices: four devices make the images that one makes. They need a process of their own."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import mpijax as mj
from mpijax.reconstruction import PreparedSolver, Problem, reconstruct, solve

ROOT = Path(__file__).parents[2]
FRAMES = 7


def setting():
    """A small matrix, and frames of very different strength with background frames."""
    grid = mj.Grid.create((6, 5, 1), (18e-3, 15e-3, 1e-3))
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=400)
    scanner, bins = mj.Scanner.create((-1.0, -1.0, 2.0), receive_coils=np.eye(3)[:2]), np.arange(2, 60)
    matrix = mj.simulate_system_matrix(scanner, sequence, mj.Particle.create(25e-9), grid, bins, concentration=50.0)
    rng = np.random.default_rng(0)
    images = rng.random((FRAMES, grid.size)) * 10.0 ** -np.arange(FRAMES)[:, None]
    signal = np.einsum("cfn,kn->kcf", np.asarray(matrix.values), images)[:, None]

    def noise(frames):
        level = 1e-3 * np.abs(signal).max()
        return level * (rng.normal(size=(frames, 1, 2, 58)) + 1j * rng.normal(size=(frames, 1, 2, 58)))

    facts = {"frequency_indices": bins, "n_samples": 400, "bandwidth": matrix.bandwidth}
    return matrix, mj.Measurement.create(signal + noise(FRAMES), matrix.frequencies, background=noise(20), **facts)


CASES = {
    "kaczmarz": {},
    "kaczmarz with a tolerance": {"tolerance": 1e-2},
    "kaczmarz beside a drift": {"drift_components": 2, "constraint": None, "row_weights": "whitening"},
    "tikhonov": {"row_weights": "row_norm"},
    "admm": {"iterations": 40},
}

SCRIPT = """
import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from mpijax.reconstruction import reconstruct
from tests.reconstruction.test_sharding import CASES, setting

assert len(jax.devices()) == 4
matrix, data = setting()
for name, options in CASES.items():
    one = reconstruct(matrix, data, solver=name.split()[0], **options)
    several = reconstruct(matrix, data, solver=name.split()[0], sharding="all", **options)
    scale = np.abs(one.value).max(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(several.value / scale, one.value / scale, atol=1e-5, err_msg=name)
    for key, said in one.stats.items():
        if hasattr(said, "shape"):
            assert np.shape(several.stats[key]) == said.shape, (name, key)
    np.testing.assert_allclose(several.stats["residual"], one.stats["residual"], rtol=1e-4, err_msg=name)
    print("equal:", name)
explicit = NamedSharding(jax.make_mesh((2,), ("own",), devices=jax.devices()[:2]), PartitionSpec("own"))
own = reconstruct(matrix, data, sharding=explicit)
np.testing.assert_allclose(own.value, reconstruct(matrix, data).value, rtol=1e-4)
"""


ROW_CASES = {
    "tikhonov": {},
    "tikhonov of complex images": {"constraint": None, "row_weights": "row_norm"},
    "tikhonov beside a drift": {"drift_components": 2, "row_weights": "whitening"},
    "admm": {"iterations": 40, "row_weights": "row_norm"},
}


def uneven():
    """114 rows, which four devices do not share evenly, on the host."""
    matrix, data = setting()
    matrix = replace(matrix, values=np.asarray(matrix.values))
    return matrix.select(max_frequency=float(np.asarray(matrix.frequencies)[-2])), data


ROW_SCRIPT = """
from dataclasses import replace

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from mpijax.reconstruction import PreparedSolver, Problem, reconstruct, solve
from mpijax.reconstruction.solvers.tikhonov import minimizer as tikhonov
from tests.reconstruction.test_sharding import ROW_CASES, uneven

matrix, data = uneven()
problem = Problem.create(matrix, data, row_weights="row_norm")
assert isinstance(problem.matrix, np.ndarray) and problem.matrix.shape == (114, 30)
explicit = NamedSharding(jax.make_mesh((4,), ("own",)), PartitionSpec(None, "own"))
prepared = PreparedSolver.create(problem, "tikhonov", sharding=explicit)
sizes = {shard.data.shape for array in jax.live_arrays() for shard in array.addressable_shards}
assert (29, 30) in sizes and (58, 30) in sizes and max(map(np.prod, sizes)) == 2 * 29 * 30, sizes
_, factors = prepared.prepared
assert [shard.data.shape for shard in factors.stacked.addressable_shards] == [(58, 30)] * 4
frames = jax.device_put(np.ones((2, 116), np.complex64), prepared.sharding)
solving = tikhonov._solve.lower(factors, frames, 1e-6, 100).compile().as_text()
gathered = [line for line in solving.splitlines() if "all-gather(" in line]
assert "all-reduce(" in solving and not any("30]" in line.split("all-gather(")[0] for line in gathered), gathered
_, factors = PreparedSolver.create(problem, "admm", sharding=explicit).prepared
assert [shard.data.shape for shard in factors.parts.addressable_shards] == [(58, 30)] * 4
np.testing.assert_array_equal(prepared(problem).value, prepared(Problem.create(matrix, data, row_weights="row_norm")).value)
print("shared out")
for name, options in ROW_CASES.items():
    one = reconstruct(matrix, data, solver=name.split()[0], **options)
    several = reconstruct(matrix, data, solver=name.split()[0], sharding="rows", **options)
    scale = np.maximum(np.abs(one.value).max(axis=(1, 2, 3), keepdims=True), 1e-20)
    np.testing.assert_allclose(several.value / scale, one.value / scale, atol=1e-5, err_msg=name)
    for key, said in one.stats.items():
        if hasattr(said, "shape"):
            # sums over devices round in another order, which can decide whether one more iteration is made
            near = {"atol": 1} if key == "iterations" else {"rtol": 1e-3, "atol": 1e-4}
            np.testing.assert_allclose(several.stats[key], said, **near, err_msg=f"{name}: {key}")
    print("equal:", name)
problem = Problem.create(matrix, data)
order = np.random.default_rng(1).permutation(len(problem.matrix))
permuted = replace(problem, matrix=np.asarray(problem.matrix)[order], data=np.asarray(problem.data)[:, order])
one, again = (np.asarray(solve(each, "admm", iterations=300).value) for each in (problem, permuted))
several = np.asarray(solve(problem, "admm", iterations=300, sharding="rows").value)
moved, differing = (np.max(np.abs(x - one)) for x in (again, several))
assert 0 < differing < 4 * moved, (differing, moved)
print("ADMM at its default strengths:", differing, "and", moved)
try:
    reconstruct(matrix, data, solver="tikhonov", method="dual", sharding="rows")
except ValueError as error:
    print("refused:", error)
"""


def on_four_devices(script):
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    made = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return made.stdout


def test_four_devices_make_the_images_of_one():
    assert on_four_devices(SCRIPT).count("equal:") == len(CASES)


def test_four_devices_hold_a_quarter_of_the_rows_each():
    said = on_four_devices(ROW_SCRIPT)
    assert "shared out" in said and said.count("equal:") == len(ROW_CASES)
    assert "method = 'dual' needs products of all rows" in said


@dataclass(frozen=True)
class Together:
    """A solver that does not say whether its frames are problems of their own."""

    def prepare(self, equations):
        return None

    def solve(self, prepared, data):
        return mj.Solution(np.zeros((len(data), 30)), {})


@pytest.mark.parametrize("solver", [mj.reconstruction.NeuralImplicit(key=jax.random.key(0)), Together()])
def test_solvers_of_all_frames_together_are_refused(solver):
    matrix, data = setting()
    with pytest.raises(ValueError, match=r"by_frame = True.*leave out sharding"):
        reconstruct(matrix, data, solver=solver, sharding="all")


def test_solvers_that_go_row_by_row_are_refused():
    matrix, data = setting()
    for solver in ("kaczmarz", Together()):
        with pytest.raises(ValueError, match=r"row_sums = True.*choose Tikhonov or Admm, or share out the frames"):
            reconstruct(matrix, data, solver=solver, sharding="rows")


def test_one_device_holds_all_rows():
    matrix, data = uneven()
    expected = reconstruct(matrix, data, solver="tikhonov").value
    found = reconstruct(matrix, data, solver="tikhonov", sharding="rows").value
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.max(expected))


def test_real_images_of_fewer_rows_than_voxels():
    """The inverse is that of the rows, whose two parts are unknowns of one frame."""
    matrix, data = setting()
    matrix = matrix.select(max_frequency=float(np.asarray(matrix.frequencies)[5]))
    assert 2 * len(matrix.rows()) < matrix.grid.size
    found = reconstruct(matrix, data, solver="tikhonov").value
    expected = reconstruct(matrix, data, solver="tikhonov", method="primal").value
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.max(expected))


@pytest.mark.parametrize("spec", [(), ("data", "more"), (None, None, "data")])
def test_either_frames_or_rows_are_split(spec):
    matrix, data = setting()
    sharding = NamedSharding(jax.make_mesh((1, 1), ("data", "more")), PartitionSpec(*spec))
    with pytest.raises(
        ValueError, match="splits the leading axis of the data, the frames, or the second one, the rows"
    ):
        reconstruct(matrix, data, sharding=sharding)
    with pytest.raises(TypeError, match="expected 'all' .* or a jax"):
        reconstruct(matrix, data, sharding="some")


def test_a_prepared_solver_takes_further_frames_of_its_matrix_only():
    matrix, data = setting()
    problem = Problem.create(matrix, data)
    prepared = PreparedSolver.create(problem, "kaczmarz", sweeps=3)
    again = Problem.create(matrix, data.average(frames=FRAMES))
    np.testing.assert_allclose(prepared(again).value, solve(again, "kaczmarz", sweeps=3).value, rtol=1e-4)
    other = Problem.create(matrix.select(channels=[0]), data)
    with pytest.raises(ValueError, match="the problem has another"):
        prepared(other)


def test_a_relative_penalty_over_blocks_is_that_of_all_frames():
    matrix, data = setting()
    whole = Problem.create(matrix, data)
    parts = [replace_data(whole, slice(0, 3)), replace_data(whole, slice(3, 7))]
    solver = mj.reconstruction.Admm(iterations=20, tolerance=None)
    fixed = solver.over_blocks(part.equations() for part in reversed(parts))
    assert not fixed.relative
    expected = np.asarray(solve(whole, solver).value)
    found = np.concatenate([solve(part, fixed).value for part in parts])
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
    bounded = mj.reconstruction.Admm(epsilon=1.0)
    assert bounded.over_blocks(iter(())) is bounded


def replace_data(problem, frames):
    return Problem(
        **{**{name: getattr(problem, name) for name in problem.__dataclass_fields__}, "data": problem.data[frames]}
    )
