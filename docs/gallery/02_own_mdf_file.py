"""
A file of your own
==================
From MDF files to an image: read a calibration and a measurement, look at them, choose rows, reconstruct.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# Two simulated files stand in for yours: a calibration with background frames, and a phantom that was measured on voxels
# three times finer. With files of your own leave this block out and set the two paths.
import tempfile
from pathlib import Path

import jax

import mpijax as mj
from mpijax.datasets import Preset, noise_for_peak_snr, phantom_on, simulate_measurement

folder = tempfile.TemporaryDirectory()
calibration_path, scan_path = Path(folder.name) / "calibration.mdf", Path(folder.name) / "scan.mdf"

scan = Preset("2-D", core_diameter=25e-9, shape=(20, 20, 1), fov=(24e-3, 24e-3, 1e-3))
calibration_key, scan_key = jax.random.split(jax.random.key(0))
clean = scan.simulate()
sigma = noise_for_peak_snr(clean, 1000.0)  # V, complex standard deviation
fine = scan.grid.refine((3, 3, 1))
snake = phantom_on("snake", fine, key=jax.random.key(0))  # mmol(Fe)/L
data = simulate_measurement(scan, snake, fine, key=scan_key, sigma=sigma, frames=10, background_frames=20)
mj.io.write(calibration_path, mj.add_noise(clean, sigma, key=calibration_key, background_frames=20))
mj.io.write(scan_path, data)

# %%
# What is in the file, and what it lacks:
print(mj.io.describe(mj.io.read_info(calibration_path)).replace(f"{folder.name}/", ""))

# %%
# SNR over frequency and mixing order, the strongest rows, and the background over the scan, which is steady here. The SNR
# is computed by the usual rule: rows above 3.5 times the noise count where they are strongest, which lifts them off
# the others and leaves the empty stripe.
overview = mj.viz.inspect_figure(calibration_path)
mj.viz.save(overview, "overview.png")
overview

# %%
# ``mj.io.read`` takes a file of any known format whole; ``read_system_matrix`` and ``read_measurement`` read and correct
# only what is asked for. Rows below the noise, and those near the drive frequencies, are left in the file; frames are
# averaged once their background is gone.
matrix = mj.io.read_system_matrix(calibration_path, background="mean", snr_threshold=3.0, min_frequency=80e3)
measured = mj.io.read_measurement(scan_path, background="mean", average_frames=10)
solution = mj.reconstruction.reconstruct(matrix, measured, regularization=1e-2, sweeps=20)
print(f"{len(matrix.rows())} rows, image {solution.value.shape}, relative residual {solution.stats.residual[0]:.3f}")

figure = mj.viz.plot_slices({"Kaczmarz, 20 sweeps": solution.value[0]}, matrix.grid)
mj.viz.save(figure, "own_file.png")
figure
