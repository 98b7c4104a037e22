"""Mistakes that a type checker must report, each on the line that ends in ``# error``; see .ci/run."""

import mpijax as mj

mj.Particle.create(core_diameter="20 nm")  # error
mj.Particle.create(diameter=20e-9)  # error
mj.Grid.create(shape=16, fov=(0.02, 0.02, 0.001))  # error
print(mj.SystemMatrx)  # error
print(mj.reconstruction.kaczmarz_factors)  # error
