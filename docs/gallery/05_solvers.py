"""
Four solvers side by side
=========================
The same equations, four ideas of what an image looks like: Kaczmarz, Tikhonov, ADMM and a neural field.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A phantom measured on voxels three times finer than those of the matrix, and the rows above the noise and the
# drive frequencies.
import jax

import mpijax as mj
from mpijax.datasets import Preset, noise_for_peak_snr, phantom_on, simulate_measurement

scan = Preset("2-D", core_diameter=25e-9, shape=(20, 20, 1), fov=(24e-3, 24e-3, 1e-3))
matrix = scan.simulate()
sigma = noise_for_peak_snr(matrix, 1000.0)  # V, complex standard deviation
matrix = mj.io.add_snr(mj.add_noise(matrix, sigma, key=jax.random.key(0), background_frames=20))
matrix = matrix.select(snr_threshold=20.0, min_frequency=40e3, channels=[0, 1])
fine = scan.grid.refine((3, 3, 1))
snake = phantom_on("snake", fine, key=jax.random.key(0))  # mmol(Fe)/L
data = simulate_measurement(scan, snake, fine, key=jax.random.key(1), sigma=10 * sigma)
truth = snake.reshape(20, 3, 20, 3).mean((1, 3))

# %%
# ``Problem`` makes the equations once. A solver is a value that knows its options:
#
# - Kaczmarz goes over the rows and stops early, and what is negative becomes zero at every sweep.
# - Tikhonov finds the minimizer itself, of either sign.
# - ADMM looks for few voxels (L1) and few edges (total variation).
# - The neural field is a smooth function of the coordinates, a network that is trained on this one measurement.
reconstruction = mj.reconstruction
problem = reconstruction.Problem.create(matrix, data)
solvers = {
    "Kaczmarz": reconstruction.Kaczmarz(regularization=1e-2, sweeps=20),
    "Tikhonov": reconstruction.Tikhonov(regularization=1e-2),
    "ADMM, L1 + TV": reconstruction.Admm(l1=0.2, tv=0.8, regularization=2e-3, iterations=500),
    "neural field": reconstruction.NeuralImplicit(
        key=jax.random.key(2), steps=800, width=32, omega=10.0, learning_rate=1e-3, max_factor=3
    ),
}
solutions = {name: reconstruction.solve(problem, solver) for name, solver in solvers.items()}
for name, solution in solutions.items():
    print(f"{name:14} relative residual {float(solution.stats.residual[0]):.3f}")

# %%
# One color scale, and the differences from the mean concentration of each voxel. Their options were chosen
# by hand, with an eye on this truth: another object, another noise or
# another lambda can rank them differently.
images = {name: solution.value[0, 0] for name, solution in solutions.items()}
figure = mj.viz.plot_reconstructions(images, truth, extent=(-12, 12, -12, 12))
mj.viz.save(figure, "solvers.png")
figure
