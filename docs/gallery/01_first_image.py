"""
First matrix, first image
=========================
Simulate a system matrix, measure a phantom with it, reconstruct the image.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A scanner with a field-free point, a 2-D Lissajous curve, 25 nm particles, and the grid a sample would be moved over.
# Every row of the matrix is the complex pattern of one receive channel at one frequency.
import jax
import numpy as np

import mpijax as mj
from mpijax.datasets.phantoms import snake_phantom

scanner = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0))  # T/m
sequence = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0))  # T
grid = mj.Grid.create(shape=(24, 24, 1), fov=(24e-3, 24e-3, 1e-3))  # m
matrix = mj.simulate_system_matrix(scanner, sequence, mj.Particle.create(core_diameter=25e-9), grid)
matrix = mj.add_noise(matrix, sigma=1e-11, key=jax.random.key(0), background_frames=20)  # V
strong = mj.io.add_snr(matrix).select(snr_threshold=5.0, min_frequency=80e3)
print(
    f"{len(strong.rows())} of {len(matrix.rows())} rows: above 80 kHz, where no drive field leaks in, and above the noise"
)

# %%
# Every 40th of them, from the strongest down: the more nodes, the higher the mixing orders (mx, my).
images = np.asarray(strong.rows()).reshape(-1, 24, 24)
chosen = np.argsort(-np.abs(images).max((1, 2)))[:200:40]
figure = mj.viz.plot_rows({"simulated": images[chosen]}, matrix=strong, chosen=chosen)
mj.viz.save(figure, "rows.png")
figure

# %%
# A measurement is the matrix times the concentration, and noise. Kaczmarz sweeps over its rows; lambda weighs the noise
# against sharpness. (The phantom lies on the matrix's own voxels here, which is kinder than a real scan.)
phantom = snake_phantom(grid)  # mmol(Fe)/L
data = strong.measure(phantom, sigma=1e-11, key=jax.random.key(1))
solution = mj.reconstruction.reconstruct(strong, data, regularization=1e-3, sweeps=20)
figure = mj.viz.plot_reconstructions(
    {"Kaczmarz": solution.value[0, 0]}, phantom.reshape(24, 24), extent=(-12, 12, -12, 12)
)
mj.viz.save(figure, "first_image.png")
figure
