"""
Which rows, which lambda
========================
Two choices make an image: the rows of the system matrix that take part, and lambda, the weight of the regularization.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A calibration with noise, and a phantom that was measured on voxels three times finer, in ten times that noise.
import jax
import numpy as np

import mpijax as mj
from mpijax.datasets import Preset, noise_for_peak_snr, phantom_on, simulate_measurement

scan = Preset("2-D", core_diameter=25e-9, shape=(20, 20, 1), fov=(24e-3, 24e-3, 1e-3))
matrix = scan.simulate()
sigma = noise_for_peak_snr(matrix, 1000.0)  # V, complex standard deviation
matrix = mj.io.add_snr(mj.add_noise(matrix, sigma, key=jax.random.key(0), background_frames=50))
fine = scan.grid.refine((3, 3, 1))
snake = phantom_on("snake", fine, key=jax.random.key(0))  # mmol(Fe)/L
data = simulate_measurement(scan, snake, fine, key=jax.random.key(1), sigma=10 * sigma, background_frames=50)
truth = snake.reshape(20, 3, 20, 3).mean((1, 3))

# %%
# The SNR of a row says how far it stands above the noise of the calibration, its mixing order how many nodes it has.
# (The empty stripe comes from the usual rule for the SNR: rows above 3.5 times the noise count where they are strongest.)
figure = mj.viz.plot_snr(matrix.frequencies, matrix.snr[:2], matrix.sequence.mixing_orders(16), threshold=5.0)
mj.viz.save(figure, "snr.png")
figure

# %%
# Rows by SNR, by band and by mixing order, of the coils along x and y; that along z hears nothing of this plane.
criteria = {
    "SNR ≥ 5": {"snr_threshold": 5.0},
    "80 to 200 kHz": {"snr_threshold": 5.0, "max_frequency": 200e3},
    "orders up to 8": {"snr_threshold": 5.0, "max_mixing_order": 8},
}
images = {}
for name, criterion in criteria.items():
    rows = matrix.select(min_frequency=80e3, channels=[0, 1], **criterion)
    solution = mj.reconstruction.reconstruct(rows, data, solver="tikhonov", regularization=1e-2)
    images[f"{name}: {len(rows.rows())} rows"] = solution.value[0, 0]
figure = mj.viz.plot_reconstructions(images, truth, extent=(-12, 12, -12, 12))
mj.viz.save(figure, "rows.png")
figure

# %%
# The L-curve takes the lambda of its corner, the discrepancy principle the one at which the residual is as large as the
# noise of the measurement, known from its background frames. Beside them, a hundredth and a hundred times the first.
chosen = matrix.select(snr_threshold=5.0, min_frequency=80e3, channels=[0, 1])
problem = mj.reconstruction.Problem.create(chosen, data.subtract_background())
curve = mj.reconstruction.l_curve(problem.matrix, problem.data, constraint="real")
noise = np.linalg.norm(problem.noise_std)  # V
found = mj.reconstruction.discrepancy(problem.matrix, problem.data, noise, constraint="real")
print(f"L-curve: lambda = {curve.regularization:.2g}, discrepancy: lambda = {found.value:.2g}")
lambdas = {f"L-curve × {times}": times * curve.regularization for times in (0.01, 1, 100)}
images = {}
for name, value in {**lambdas, "discrepancy": found.value}.items():
    solution = mj.reconstruction.solve(problem, "tikhonov", regularization=value, relative=False)
    images[name] = solution.value[0, 0]
figure_of_curve = mj.viz.plot_l_curve(curve)
mj.viz.save(figure_of_curve, "l_curve.png")
figure = mj.viz.plot_reconstructions(images, truth, extent=(-12, 12, -12, 12))
mj.viz.save(figure, "lambda.png")
figure
