"""
Three dimensions
================
A volume is simulated, measured and reconstructed by the same calls as a plane, and looked at in three slices.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# Drive fields along x, y and z: a period of 53,856 samples, of which the frequencies of mixing order up to 10 are kept.
# The gradient is twice as strong along z, so the field of view is half as high there.
import jax
import numpy as np

import mpijax as mj
from mpijax.datasets import Preset, noise_for_peak_snr, simulate_measurement

scan = Preset(
    "3-D",
    amplitude=(12e-3, 12e-3, 12e-3),
    core_diameter=30e-9,
    shape=(11, 11, 7),
    fov=(22e-3, 22e-3, 10.5e-3),
    max_order=10,
)
matrix = scan.simulate()
sigma = noise_for_peak_snr(matrix, 1000.0)  # V, complex standard deviation
matrix = mj.io.add_snr(mj.add_noise(matrix, sigma, key=jax.random.key(0), background_frames=20))
matrix = matrix.select(snr_threshold=5.0, min_frequency=80e3)
print(f"{len(matrix.rows())} rows of {matrix.grid.size} voxels")

# %%
# Three tubes, one along each axis, start at a bead of twice their concentration. They are measured on voxels three times
# finer along every axis.
fine = scan.grid.refine((3, 3, 3))
x, y, z = 1e3 * np.asarray(fine.positions).T  # mm
thick_x, thick_y, thick_z = np.abs(x + 5) < 2, np.abs(y + 5) < 2, np.abs(z + 2.25) < 1.5
along_x, along_y, along_z = np.abs(x) < 7, np.abs(y) < 7, np.abs(z) < 3.75
tubes = (along_x & thick_y & thick_z) | (thick_x & along_y & thick_z) | (thick_x & thick_y & along_z)
phantom = 50.0 * tubes + 50.0 * (thick_x & thick_y & thick_z)  # mmol(Fe)/L
data = simulate_measurement(scan, phantom, fine, key=jax.random.key(1), sigma=sigma)

# %%
# Three orthogonal slices through the largest value of the first volume, here the bead; cross hairs show where they lie.
# Each slice holds two of the tubes, and the image the scanner's blur along all three axes.
solution = mj.reconstruction.reconstruct(matrix, data, regularization=1e-4, sweeps=20)
truth = fine.to_image(phantom).reshape(7, 3, 11, 3, 11, 3).mean((1, 3, 5))
print(f"nRMSE {float(mj.metrics.nrmse(solution.value[0], truth)):.2f}")
figure = mj.viz.plot_slices({"truth": truth, "Kaczmarz": solution.value[0]}, matrix.grid)
mj.viz.save(figure, "volume.png")
figure
