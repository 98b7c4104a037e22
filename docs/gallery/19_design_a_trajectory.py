"""
Designing a drive field by gradient
===================================
How should a limited drive be split between two axes? Descent on the error of the images themselves answers.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A checkerboard of iron, long in x. The squared amplitudes of both axes together are limited, say by heating: one angle says how
# they are split. Images are Tikhonov's, their data come from voxels three times finer, the noise is fixed in volts.
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import mpijax as mj

limit = 14e-3  # T, sqrt(Ax^2 + Ay^2)
scanner = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0), receive_coils=np.eye(3)[:2])  # T/m
particle, bins = mj.Particle.create(25e-9), np.arange(20, 100)
grid = mj.Grid.create((10, 10, 1), (24e-3, 24e-3, 1e-3))  # m
fine = grid.refine((3, 3, 1))
x, y, _ = np.asarray(fine.positions).T
blocks = np.sin(2 * np.pi * x / 8e-3) * np.sin(2 * np.pi * (y + 1e-3) / 8e-3) > 0
phantom = 50.0 * ((np.abs(x) < 10e-3) & (np.abs(y) < 4e-3) & blocks)  # mmol(Fe)/L
truth = phantom.reshape(10, 3, 10, 3).mean((1, 3)).ravel()
noise = mj.physics.complex_normal((8, 2 * len(bins)), 1.4e-7, key=jax.random.key(0))  # V, eight frames


def rows(split, grid):
    amplitude = limit * jnp.array([jnp.cos(split), jnp.sin(split), 0.0])
    sequence = mj.LissajousSequence.create(amplitude, n_samples=400, active=(True, True, False))
    return mj.simulate_system_matrix(scanner, sequence, particle, grid, bins).rows()  # V


def images(split):
    matrix, data = 1e9 * rows(split, grid), 1e9 * (rows(split, fine) @ phantom + noise)  # nV
    return mj.reconstruction.tikhonov(matrix, data, 100.0, constraint="real").value  # mmol(Fe)/L


def error(split):
    return jnp.linalg.norm(images(split) - truth) / jnp.linalg.norm(jnp.broadcast_to(truth, (8, truth.size)))


# %%
# The derivative goes through both simulations and the solver. The curve of all splits tells whether descent finds the best one.
with jax.enable_x64(True):
    descend = jax.jit(jax.value_and_grad(error))
    split, path = 1.3, []
    for _ in range(16):
        value, slope = descend(split)
        path.append((float(split), float(value)))
        split = split - 0.3 * slope
    splits = np.linspace(0.1, 1.5, 13)
    curve = np.array([descend(s)[0] for s in splits])
    pictures = {"truth": truth, "at the start": images(path[0][0])[0], "found": images(path[-1][0])[0]}
for name, angle in {"start": path[0][0], "found": path[-1][0], "best of the curve": splits[np.argmin(curve)]}.items():
    print(f"{name}: Ax = {1e3 * limit * np.cos(angle):.1f} mT, Ay = {1e3 * limit * np.sin(angle):.1f} mT")

# %%
# Split: 0 degrees is a drive along x alone, 90 degrees along y alone. Images of one frame each, in model but for the voxels.
figure = Figure(figsize=(10, 2.9), layout="constrained")
left, *others = figure.subplots(1, 4, width_ratios=(1.5, 1, 1, 1))
left.plot(np.rad2deg(splits), 100 * curve, color="gray", label="all splits")
left.plot(*(np.array(path).T * [[180 / np.pi], [100]]), "o-", markersize=3, label="descent")
left.set(xlabel="split of the drive / degrees", ylabel="nRMSE / %")
left.legend()
for axes, (title, image) in zip(others, pictures.items(), strict=True):
    drawn = axes.imshow(image.reshape(10, 10), origin="lower", extent=(-12, 12, -12, 12), vmin=0, vmax=50)
    axes.set(title=title, xlabel="x / mm", ylabel="y / mm")
figure.colorbar(drawn, ax=others, label="mmol(Fe)/L", extend="both", shrink=0.8)
mj.viz.save(figure, "designed_trajectory.png")
figure
