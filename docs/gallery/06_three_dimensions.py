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
# The object is a helix of tracer and is measured on voxels three times finer along every axis.
fine = scan.grid.refine((3, 3, 3))
x, y, z = 1e3 * np.asarray(fine.positions).T  # mm
angle = 2 * np.pi * z / 9  # a turn in 9 mm
distance = np.hypot(x - 6 * np.cos(angle), y - 6 * np.sin(angle))
helix = np.where((distance < 2.5) & (np.abs(z) < 3.5), 50.0, 0.0)  # mmol(Fe)/L
data = simulate_measurement(scan, helix, fine, key=jax.random.key(1), sigma=sigma)

# %%
# Three orthogonal slices through the largest value of the first volume; cross hairs show where they lie.
solution = mj.reconstruction.reconstruct(matrix, data, regularization=1e-4, sweeps=20)
truth = fine.to_image(helix).reshape(7, 3, 11, 3, 11, 3).mean((1, 3, 5))
print(f"nRMSE {float(mj.metrics.nrmse(solution.value[0], truth)):.2f}")
figure = mj.viz.plot_slices({"truth": truth, "Kaczmarz": solution.value[0]}, matrix.grid)
mj.viz.save(figure, "volume.png")
figure
