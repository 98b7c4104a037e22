"""
Fill, complete, upsample
========================
Three ways in which a calibration can be incomplete, and the same function for all of them.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A simulated calibration of 19 x 19 positions, of particles of the kind that the networks that ship were trained on
# ("in model"). Every row stands for itself here; by default one particle is fitted to all of them first.
import jax
import numpy as np

import mpijax as mj

scanner = mj.Scanner.create((-1.0, -1.0, 2.0))  # T/m
sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0.0))  # T
particle = mj.Particle.create(20e-9, anisotropy_constant=3500.0, spatial_modulation=0.8)
whole = mj.Grid.create((19, 19, 1), (28.5e-3, 28.5e-3, 1e-3))  # m, 1.5 mm apart
half = mj.Grid.create((10, 10, 1), (30e-3, 30e-3, 1e-3))  # m, every second of these positions


def calibration(grid):
    """The matrix without and with noise."""
    matrix = mj.simulate_system_matrix(scanner, sequence, particle, grid, sample_volume=1e-9)  # m^3
    matrix = matrix.select(min_frequency=80e3, max_mixing_order=6, channels=[0, 1])
    sigma = 0.02 * float(np.abs(matrix.rows()).max())  # V, complex standard deviation
    return matrix, mj.add_noise(matrix, sigma, key=jax.random.key(0), background_frames=40)


(truth, noisy), coarse = calibration(whole), calibration(half)[1]
chosen = np.argsort(-np.abs(truth.rows()).max(axis=1))[[0, 20]]


def show(name, restored, truth, measured):
    """The strongest row and the 21st (2, y, x): the truth, what was measured (gray: nothing), and what was made of it."""
    rows = {"truth": images(truth), "measured": measured, name: images(restored)}
    return mj.viz.plot_rows(rows, matrix=truth, chosen=chosen)


def images(matrix):
    return np.asarray(matrix.grid.to_image(matrix.rows()))[chosen, 0]


def restore(measured, task):
    """The restored matrix; says how many of its rows passed the check."""
    solution = mj.restore(measured, task, identify=False)
    print(f"{task.name}: {solution.stats.trusted.sum()} of {len(solution.stats.trusted)} rows passed the check")
    return solution.value


# %%
# A block of positions that failed. They are filled, and the noise at the others is removed.
failed = np.zeros((19, 19), bool)
failed[6:10, 8:12] = True
broken = noisy.with_rows(np.where(failed.ravel(), np.nan, np.asarray(noisy.rows())))
figure = show("inpainted", restore(broken, mj.Inpaint()), truth, images(broken))
mj.viz.save(figure, "inpainted.png")
figure

# %%
# Every second position measured with a small sample, 10 per axis: the whole grid has 19.
spread = np.full((2, 20, 20), np.nan, complex)
spread[:, ::2, ::2] = images(coarse)
figure = show("completed", restore(coarse, mj.Complete(2)), truth, spread[:, :19, :19])
mj.viz.save(figure, "completed.png")
figure

# %%
# The same positions, with every voxel split in two per axis: 20 voxels. The network is tried one level coarser first,
# and gives way to interpolation where that is better.
finer = restore(coarse, mj.Upsample(2, sampling="stride"))
figure = show("upsampled", finer, calibration(finer.grid)[0], spread)
mj.viz.save(figure, "upsampled.png")
figure
