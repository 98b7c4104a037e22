"""
Designing a drive field by gradient
===================================
How should a limited drive be split between two axes? Descent on the error of the images themselves answers.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A checkerboard of 20 mm by 8 mm. The squared amplitudes of both axes are limited together, say by heating: one angle splits them.
# At 1 T/m a millitesla moves the field-free point by a millimeter. Noise is fixed in volts, data are of voxels three times finer.
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import mpijax as mj

scanner = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0), receive_coils=np.eye(3)[:2])  # T/m
limit, particle, bins = 14e-3, mj.Particle.create(25e-9), np.arange(20, 100)  # limit of sqrt(Ax^2 + Ay^2), T
grid = mj.Grid.create((12, 12, 1), (24e-3, 24e-3, 1e-3))  # m
fine = grid.refine((3, 3, 1))
x, y, _ = 1e3 * np.asarray(fine.positions).T  # mm
fields = np.cos(np.pi * x / 4) * np.sin(np.pi * y / 4) > 0  # of 4 mm
phantom = 50.0 * ((np.abs(x) < 10) & (np.abs(y) < 4) & fields)  # mmol(Fe)/L
truth = phantom.reshape(12, 3, 12, 3).mean((1, 3)).ravel()
noise = 1e9 * mj.physics.complex_normal((8, 2 * len(bins)), 1.4e-7, key=jax.random.key(0))  # nV, eight frames


def rows(split, grid):
    amplitude = limit * jnp.array([jnp.cos(split), jnp.sin(split), 0.0])
    sequence = mj.LissajousSequence.create(amplitude, n_samples=400, active=(True, True, False))
    return 1e9 * mj.simulate_system_matrix(scanner, sequence, particle, grid, bins).rows()  # nV


def images(split):
    data = rows(split, fine) @ phantom + noise
    return mj.reconstruction.tikhonov(rows(split, grid), data, 100.0, constraint="real").value  # mmol(Fe)/L


def error(split):
    return jnp.linalg.norm(images(split) - truth) / jnp.linalg.norm(jnp.broadcast_to(truth, (8, truth.size)))


# %%
# The derivative goes through both simulations and the solver. The curve of all splits tells whether descent finds the best one.
with jax.enable_x64(True):
    descend = jax.jit(jax.value_and_grad(error))
    split, path = 0.65, []
    for _ in range(12):
        value, slope = descend(split)
        path.append((float(split), float(value)))
        split = split - 0.3 * slope
    splits = np.linspace(0.1, 1.5, 22)
    curve = np.array([descend(s)[0] for s in splits])
    pictures = {"truth": truth, "at the start": images(path[0][0])[0], "found": images(path[-1][0])[0]}
for name, angle in {"start": path[0][0], "found": path[-1][0], "best of the curve": splits[np.argmin(curve)]}.items():
    print(f"{name}: reaches {1e3 * limit * np.cos(angle):.1f} mm along x, {1e3 * limit * np.sin(angle):.1f} mm along y")

# %%
# 0 degrees is a drive along x alone, 90 along y. What is found reaches a little beyond the object, whose edges lie at 10 mm and
# 4 mm. The curve has another valley; descent ends in the one that it starts in. One frame each, in model but for the voxels.
figure = Figure(figsize=(10, 2.9), layout="constrained")
left, *others = figure.subplots(1, 4, width_ratios=(1.5, 1, 1, 1))
left.plot(np.rad2deg(splits), 100 * curve, color="gray", label="all splits")
left.plot(*(np.array(path).T * [[180 / np.pi], [100]]), "o-", markersize=3, label="descent")
left.set(xlabel="split of the drive / degrees", ylabel="nRMSE / %")
left.legend()
for axes, (title, image) in zip(others, pictures.items(), strict=True):
    drawn = axes.imshow(image.reshape(12, 12), origin="lower", extent=(-12, 12, -12, 12), vmin=0, vmax=50)
    axes.set(title=title, xlabel="x / mm", ylabel="y / mm")
figure.colorbar(drawn, ax=others, label="mmol(Fe)/L", extend="both", shrink=0.8)
mj.viz.save(figure, "designed_trajectory.png")
figure
