"""
Several patches
===============
The drive field reaches a few millimeters. Move the field-free point, and one image comes from all patches together.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# Two patches of 12 mm, 10 mm apart, and one calibration, around the center, for both. It covers more than a patch:
# tracer beyond the drive field's reach gives signal, too.
import jax
import numpy as np

import mpijax as mj

scanner = mj.Scanner.create((-2.0, -2.0, 4.0), receive_coils=np.eye(3)[:2])  # T/m
sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0.0), n_samples=400)  # T
particle, bins = mj.Particle.create(30e-9), np.arange(45, 175)
positions = np.array([[-5e-3, 0.0, 0.0], [5e-3, 0.0, 0.0]])  # of the field-free point, m
calibrated = mj.Grid.create((30, 12, 1), (30e-3, 12e-3, 1e-3))  # m
matrix = mj.simulate_system_matrix(scanner, sequence, particle, calibrated, bins, concentration=20.0)

# %%
# A bar across the border and a dot beside it. Every frame has two periods: the first with the field-free point at the
# left, the second at the right. The object lies on voxels three times finer.
whole = mj.Grid.create((40, 12, 1), (40e-3, 12e-3, 1e-3))  # m
fine = whole.refine((3, 3, 1))
x, y, _ = 1e3 * np.asarray(fine.positions).T  # mm
bar = (np.abs(x) < 8) & (np.abs(y - 1) < 1.5)
dot = (np.abs(x - 2) < 1.5) & (np.abs(y + 3) < 1)
phantom = 10.0 * bar + 5.0 * dot  # mmol(Fe)/L
periods = [
    mj.simulate_system_matrix(scanner.at(position), sequence, particle, fine, bins).measure(phantom).values[:, 0]
    for position in positions
]
signal = np.stack(periods, axis=1)  # (frames, periods, channels, frequencies)
sigma = 3e-3 * float(np.abs(signal).max())  # V, complex standard deviation
noise = mj.physics.complex_normal(signal.shape, sigma, key=jax.random.key(0), dtype=signal.dtype)
data = mj.Measurement.create(
    signal + noise, matrix.frequencies, frequency_indices=bins, n_samples=400, bandwidth=matrix.bandwidth
)

# %%
# Together, and each patch by itself with the halves put side by side afterwards. By itself, a patch leaves more behind at the
# far end, beyond the reach of its drive field:
settings = {"regularization": 0.1, "sweeps": 50}
joint = mj.reconstruction.reconstruct_patches(matrix, data, positions=positions, **settings)
left, right = (mj.reconstruction.reconstruct(matrix, data, period=p, **settings).value[0, 0] for p in (0, 1))
stitched = np.concatenate([left[:, :20], right[:, 10:]], axis=1)
truth = phantom.reshape(12, 3, 40, 3).mean((1, 3))
images = {"together": joint.value[0, 0], "side by side": stitched}
figure = mj.viz.plot_reconstructions(images, truth, extent=(-20, 20, -6, 6))
mj.viz.save(figure, "patches.png")
figure
