"""
Denoise a calibration, and ask whether to trust it
==================================================
The networks that ship remove noise from a system matrix, row by row. Every row is checked, and the statistics say so.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A noisy calibration with 40 background frames, from which the noise is known. These particles are of the kind that the
# networks were trained on: what follows is "in model".
import jax
import numpy as np

import mpijax as mj
from mpijax.datasets import Preset, phantom_on, simulate_measurement

scan = Preset(
    "2-D, fluid", anisotropy_constant=3500.0, spatial_modulation=0.8, shape=(20, 20, 1), fov=(24e-3, 24e-3, 1e-3)
)
clean = scan.simulate().select(min_frequency=80e3, max_mixing_order=12, channels=[0, 1])
sigma = 0.05 * float(np.abs(clean.rows()).max())  # V, complex standard deviation
noisy = mj.add_noise(clean, sigma, key=jax.random.key(0), background_frames=40)

# %%
# One call. By default one particle is fitted to all rows first, and its rows compete with those of the network; left
# out here, every row stands for itself.
solution = mj.restore(noisy, mj.Denoise(), identify=False)
restored, stats = solution.value, solution.stats
print(f"{stats.trusted.sum()} of {len(stats.trusted)} rows restored, {stats.noise_source}")
for reason, count in stats.reasons().items():
    print(f"{count:4} rows: {reason}")
left = ~stats.trusted
print("rows that are not trusted are as measured:", np.array_equal(restored.rows()[left], noisy.rows()[left]))
figure = mj.viz.plot_restored(noisy, restored, stats)
mj.viz.save(figure, "restored.png")
figure

# %%
# The check estimates the error that is left from the data alone; a simulation knows it. Both in units of the noise
# power, over the restored rows:
deviation = np.asarray(restored.rows()) - np.asarray(clean.rows())
known = np.mean(np.abs(deviation) ** 2, axis=1) / stats.sigma**2
print(f"estimated {np.mean(stats.error[stats.trusted]):.2f}, true {np.mean(known[stats.trusted]):.2f}")

# %%
# What it does to an image, of a phantom measured on voxels three times finer. Rows that were noise are noise still:
# they get no weight in any of the three. (With all rows in, the restored matrix gave no better image than the measured
# one here.)
fine = scan.grid.refine((3, 3, 1))
snake = phantom_on("snake", fine, key=jax.random.key(0))  # mmol(Fe)/L
data = simulate_measurement(scan, snake, fine, key=jax.random.key(1))
images, weights = {}, stats.trusted.astype(np.float32)
for name, matrix in {"as measured": noisy, "restored": restored, "without noise": clean}.items():
    solution = mj.reconstruction.reconstruct(matrix, data, row_weights=weights, regularization=1e-2, sweeps=20)
    images[name] = solution.value[0, 0]
figure = mj.viz.plot_reconstructions(images, snake.reshape(20, 3, 20, 3).mean((1, 3)), extent=(-12, 12, -12, 12))
mj.viz.save(figure, "image.png")
figure
