"""
Receive coils and their derivatives
===================================
The sensitivity of a loop from the law of Biot and Savart, and how a row changes when the coil is moved.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A loop of 20 mm radius whose axis is parallel to x, with its center 25 mm left of the middle of the field of view, 6 mm
# above it and 4 mm out of its plane. Its sensitivity is its field at
# unit current over mu0, in 1/m; a row of the system matrix is the moment's spectrum seen through it.
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import mpijax as mj

sequence = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0))  # T
grid = mj.Grid.create(shape=(20, 20, 1), fov=(24e-3, 24e-3, 1e-3))  # m
particle = mj.Particle.create(core_diameter=25e-9)
place = np.array([-25.0, 6.0, 4.0])  # mm
bins = np.array([67])


def loop(center_mm):
    return mj.LoopCoil(radius=20e-3, center=1e-3 * center_mm, normal=jnp.array([1.0, 0.0, 0.0]))


def row(center_mm):
    """One row of the matrix [nV] with the coil at a place [mm]."""
    scanner = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0), receive_coils=(loop(center_mm),))
    return 1e9 * mj.simulate_system_matrix(scanner, sequence, particle, grid, bins).rows()[0]


sensitivity = mj.system.coil_sensitivities((loop(place),), grid.positions)[0]  # (voxels, 3), 1/m

# %%
# Everything from the coil to the row is differentiable: ``jax.grad`` of the row's power by the three coordinates of the
# coil, against central differences of 0.01 mm, in double precision.


def power(center_mm):
    return jnp.sum(jnp.abs(row(center_mm)) ** 2)


with jax.enable_x64(True):
    by_grad = np.asarray(jax.grad(power)(place))
    steps = 0.01 * np.eye(3)
    by_difference = np.array([(power(place + step) - power(place - step)) / 0.02 for step in steps])
    change = jax.jvp(row, (place,), (np.array([1.0, 0.0, 0.0]),))[1]  # nV per mm of motion along x
for axis, automatic, central in zip("xyz", by_grad, by_difference, strict=True):
    print(f"along {axis}: jax.grad {automatic:13.6e}, central difference {central:13.6e} nV^2/mm")

# %%
# The map of the sensitivity along x; a row; and its change, real and imaginary part together, when the loop moves by a
# millimeter along x, toward the sample. All three fade to the right, away from the loop.
kilohertz = 1e-3 * sequence.frequencies[bins[0]]
pictures = {
    "sensitivity along x": (sensitivity[:, 0], "1/m"),
    f"|row| at {kilohertz:.0f} kHz": (np.abs(row(place)), "nV"),
    "|d row / d x of the loop|": (np.abs(change), "nV/mm"),
}
figure = Figure(figsize=(9.5, 2.9), layout="constrained")
for axes, (title, (values, unit)) in zip(figure.subplots(1, 3), pictures.items(), strict=True):
    image = np.asarray(values).reshape(20, 20)
    drawn = axes.imshow(image, origin="lower", extent=(-12, 12, -12, 12), vmin=0)
    axes.set(xlabel="x / mm", ylabel="y / mm")
    axes.set_title(title, fontsize=10)
    figure.colorbar(drawn, ax=axes, label=unit, shrink=0.8)
mj.viz.save(figure, "coils.png")
figure
