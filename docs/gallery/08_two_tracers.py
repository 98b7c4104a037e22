"""
Two tracers at once
===================
Particles of two sizes sound different. Two calibrations, one measurement, and an image of each tracer.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# Tracer A has cores of 20 nm, tracer B of 40 nm. Each is calibrated in the same scanner with a sample of its own
# concentration.
import jax
import numpy as np

import mpijax as mj
from mpijax.datasets.phantoms import dots_phantom

scanner = mj.Scanner.create((-3.0, -3.0, 6.0), receive_coils=np.eye(3)[:2])  # T/m
sequence = mj.LissajousSequence.create((18e-3, 18e-3, 0.0), n_samples=400)  # T
grid = mj.Grid.create((12, 12, 1), (12e-3, 12e-3, 1e-3))  # m
bins = np.arange(20, 190)


def calibration(core_diameter, on, concentration=1.0):
    """System matrix of one tracer, of a sample of this concentration [mmol(Fe)/L]."""
    particle = mj.Particle.create(core_diameter)
    return mj.simulate_system_matrix(scanner, sequence, particle, on, bins, concentration=concentration)


matrices = [calibration(20e-9, grid, concentration=50.0), calibration(40e-9, grid, concentration=20.0)]

# %%
# A dot of A at the left, one of B at the right, measured on voxels three times finer. The coils hear the sum.
fine = grid.refine((3, 3, 1))
small = dots_phantom(fine, positions=[(-3e-3, 1e-3)], concentration=(100.0,))  # mmol(Fe)/L
large = dots_phantom(fine, positions=[(3e-3, -1e-3)], concentration=(30.0,))
signal = calibration(20e-9, fine).measure(small).values + calibration(40e-9, fine).measure(large).values
sigma = 1e-4 * float(np.abs(signal).max())  # V, complex standard deviation
noise = mj.physics.complex_normal(signal.shape, sigma, key=jax.random.key(0), dtype=signal.dtype)
data = matrices[0].as_measurement(signal + noise)

# %%
# Both matrices side by side make one system of equations; every tracer comes in the unit of its own calibration. With
# the matrix of one tracer alone, the other one's signal is taken for its own.
settings = {"regularization": 1e-5, "sweeps": 200}
both = mj.reconstruction.reconstruct_contrasts(matrices, data, **settings).value[0, :, 0]  # (tracers, y, x)
alone = [mj.reconstruction.reconstruct(matrix, data, **settings).value[0, 0] for matrix in matrices]
truth = [image.reshape(12, 3, 12, 3).mean((1, 3)) for image in (small, large)]
names = ("tracer A, 20 nm", "tracer B, 40 nm")
rows = {name: [truth[i], both[i], alone[i]] for i, name in enumerate(names)}
dots = np.array(truth) > 0
leaks = [float(both[i][dots[1 - i]].mean() / both[i][dots[i]].mean()) for i in (0, 1)]
print("of its own dot, a tracer's image shows in the other's place: " + ", ".join(f"{leak:.0%}" for leak in leaks))
figure = mj.viz.plot_image_table(
    rows, ["truth", "with both matrices", "with its own alone"], width=12.0, scale_bar=5.0, limit=100.0
)
mj.viz.save(figure, "tracers.png")
figure
