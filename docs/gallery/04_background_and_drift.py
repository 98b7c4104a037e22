"""
Background and drift
====================
Coils pick up signals that no particle sent. Subtract them where they stay, fit them where they move.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A phantom measured on voxels three times finer than those of the matrix, in four frames of 0.2 s.
import dataclasses

import jax
import numpy as np

import mpijax as mj
from mpijax.datasets import Preset, noise_for_peak_snr, phantom_on, simulate_measurement
from mpijax.physics import complex_normal

scan = Preset("2-D", core_diameter=25e-9, shape=(20, 20, 1), fov=(24e-3, 24e-3, 1e-3))
matrix = scan.simulate()
sigma = noise_for_peak_snr(matrix, 1000.0)  # V, complex standard deviation
matrix = mj.io.add_snr(mj.add_noise(matrix, sigma, key=jax.random.key(0), background_frames=20))
matrix = matrix.select(snr_threshold=5.0, min_frequency=80e3, channels=[0, 1])
fine = scan.grid.refine((3, 3, 1))
snake = phantom_on("snake", fine, key=jax.random.key(0))  # mmol(Fe)/L
object_key, empty_key, pattern_key = jax.random.split(jax.random.key(1), 3)
steady = simulate_measurement(scan, snake, fine, key=object_key, sigma=10 * sigma, frames=4)
nothing = simulate_measurement(scan, 0 * snake, fine, key=empty_key, sigma=10 * sigma, frames=40)
truth = snake.reshape(20, 3, 20, 3).mean((1, 3))

# %%
# What the coils pick up: two patterns over the frequencies. The first grows with time, the second comes and goes. The
# scanner is empty for 2 s, holds the phantom for 0.8 s, and is empty again for 2 s.
patterns = complex_normal((2, 1, *steady.values.shape[2:]), 100 * sigma, key=pattern_key, dtype=np.complex64)


def with_background(measurement, seconds):
    """The measurement with the background of these times added."""
    course = np.stack([0.5 + seconds / 5, np.sin(3 * seconds)], axis=1)
    return dataclasses.replace(measurement, values=measurement.values + np.tensordot(course, patterns, 1))


times = 2.1 + 0.2 * np.arange(4)  # s
empty_times = np.concatenate([np.arange(0, 2, 0.1), np.arange(2.8, 4.8, 0.1)])
data = with_background(steady, times)
empty = with_background(nothing, empty_times)

# %%
# Steady noise alone would stay at one. This background is never where it was a moment ago:
drift = mj.viz.plot_background_drift(np.asarray(empty.values)[:, 0, :2], empty.frequencies)
mj.viz.save(drift, "drift.png")
drift

# %%
# The mean of the background frames is what the background was on average. Interpolated, it follows in time. Fitted with the
# image, it needs no times: the first components of the background frames become unknowns beside the voxels.
# The last frame of the phantom:
interpolated = dataclasses.replace(data, background=empty.values)
interpolated = interpolated.subtract_background(times=times, background_times=empty_times)
settings = {"regularization": 1e-2, "sweeps": 20}
solutions = {
    "as measured": mj.reconstruction.reconstruct(matrix, data, **settings),
    "mean subtracted": mj.reconstruction.reconstruct(matrix, data, empty=empty, **settings),
    "interpolated": mj.reconstruction.reconstruct(matrix, interpolated, **settings),
    "two components": mj.reconstruction.reconstruct(matrix, data, empty=empty, drift_components=2, **settings),
}
images = {name: solution.value[3, 0] for name, solution in solutions.items()}
figure = mj.viz.plot_reconstructions(images, truth, extent=(-12, 12, -12, 12), error_limit=50.0)
mj.viz.save(figure, "background.png")
figure
