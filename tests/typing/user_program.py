"""A user's program: a type checker reads it against the installed wheel (.ci/run); nothing here is executed."""

from typing import Any, assert_type

import jax
import numpy as np

import mpijax as mj
from mpijax.reconstruction import Admm, Kaczmarz, SolverStats, Tikhonov

particle = mj.Particle.create(core_diameter=25e-9, anisotropy_constant=2e3, easy_axis=(0.0, 0.0, 1.0))
scanner = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0), receive_coils=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
sequence = mj.LissajousSequence.create(amplitude=(0.012, 0.012, 0.0), n_samples=1632)
grid = mj.Grid.create(shape=(16, 16, 1), fov=(0.02, 0.02, 0.001))
assert_type(particle, mj.Particle)
assert_type(particle.is_langevin, bool)
assert_type(grid.size, int)
assert_type(sequence.frequencies, np.ndarray)

matrix = mj.simulate_system_matrix(scanner, sequence, particle, grid, np.arange(10, 200))
assert_type(matrix, mj.SystemMatrix)
measurement = matrix.measure(np.ones(grid.size), sigma=1e-12, frames=3, key=jax.random.key(0))
assert_type(measurement, mj.Measurement)

for solver in (Kaczmarz(regularization=0.05), Tikhonov(), Admm(l1=0.5)):
    solution = mj.reconstruction.reconstruct(matrix, measurement, solver=solver)
    assert_type(solution, mj.Solution[SolverStats, jax.Array])
assert_type(mj.reconstruction.kaczmarz(matrix.rows(), np.ones(matrix.rows().shape[0]), 1e-3).stats, dict[str, Any])

plan = mj.plans.ReconstructPlan(rows=mj.plans.RowOptions(max_order=12), solver=Kaczmarz(sweeps=3))
assert_type(mj.plans.ReconstructPlan.load("plan.toml"), mj.plans.ReconstructPlan)
assert_type(mj.plans.load("plan.toml"), mj.plans.Plan)
assert_type(plan.inputs("sm.mdf", "m.mdf").problem(), mj.reconstruction.Problem)

fitted = mj.fit(matrix, free=("core_diameter",))
assert_type(fitted.particle, mj.Particle)
assert_type(fitted.values, dict[str, float])
assert_type(fitted.system_matrix(grid), mj.SystemMatrix)

restored = mj.restore(matrix, mj.Denoise())
assert_type(restored.stats, mj.restoration.Restored)
