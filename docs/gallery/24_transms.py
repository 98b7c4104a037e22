"""
A field-free line and TranSMS
=============================
A transformer that makes fine rows of coarse ones, trained here on matrices of one scanner, beside interpolation.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# One rotating field-free line, and twelve tracers of 20 to 30 nm to train on. The sample is of 4 x 4 voxels: a coarse row is the
# mean over blocks, and its noise is known. Matrices are simulated; every one is divided by its root mean square.
import tempfile
from dataclasses import replace

import jax
import numpy as np

import mpijax as mj
from mpijax.datasets import CoarseMeasurement, RowPool, TrainingRows, whitened_images

grid = mj.Grid.create((24, 24, 1), (32e-3, 32e-3, 1e-3))  # m
scanner, sequence = mj.Scanner.field_free_line(1.5), mj.line_sequence(24e-3)  # T/m, T
noise = 0.3  # of a single voxel; a sample of 16 gives 16 times the signal over the same noise


def calibration(core_diameter, angles):
    """Harmonics 2 to 9 of every angle of the line."""
    particle = mj.Particle.create(core_diameter)
    return mj.simulate_field_free_line(scanner, sequence, particle, grid, angles=mj.line_angles(angles))


known = whitened_images(calibration(diameter, 12) for diameter in np.linspace(20e-9, 30e-9, 12)).reshape(-1, 24, 24)
rows = TrainingRows(RowPool(known, np.full(len(known), noise, np.float32), measured=False), sample="large")

# %%
# A tiny TranSMS: its two paths, a convolutional transformer and residual dense convolutions, are narrower and shallower than the
# published ones. It ends in data consistency: block means of what it returns are the measured ones, up to their noise.
sizes = dict(features=8, layers=1, embed=8, heads=2, local_features=8, growth=4, blocks=1, fused_features=16)
network = mj.models.create("transms", scale=4, rngs=0, **sizes)
task = CoarseMeasurement(4, sample="large")
config = mj.training.TrainConfig(200, 16, 1e-2, 1e-4, schedule="cosine", loss="l1", ema_decay=0.98)

# %%
# It is tried on a tracer that it has not seen, of 25.4 nm, and at 30 angles, 24 of them new: in model, for scanner and kind of
# tracer are those of the training. A network of another scanner would have to be trained on that.
truth = calibration(25.4e-9, 30)
fine = np.asarray(truth.values).reshape(-1, 24, 24)
means = np.asarray(mj.rows.degrade(fine, 4)).reshape(30, 8, 36)
sigma = noise / 16 * float(np.sqrt(np.mean(np.abs(fine) ** 2)))  # V
coarse = replace(truth, values=means, grid=grid.coarsen((4, 4, 1)))
coarse = mj.add_noise(coarse, sigma=sigma, key=jax.random.key(0), background_frames=20)
found = {"simulated": fine, "coarse": np.asarray(coarse.values).reshape(-1, 6, 6)}
with tempfile.TemporaryDirectory() as folder:
    mj.restoration.train(task, rows, network, config, run_dir=folder, progress=False)
    for name, method in {"bicubic": "bicubic", "TranSMS": folder}.items():
        finer = mj.restore(coarse, mj.Upsample(4, "box"), method=method, identify=False, trust=False, progress=False)
        found[name] = np.asarray(finer.value.values).reshape(-1, 24, 24)
        print(f"{name}: nRMSE {mj.metrics.nrmse(found[name], fine):.1%} of the whole matrix")
print(f"{mj.training.count_parameters(network):,} weights; the published network has 837,850")

# %%
# Harmonics 3, 5 and 6 at 42, 84 and 126 degrees. Still ahead of both: ``method="fitted"`` of *A rotating field-free line*, which
# knows that rows are functions of the distance from the line. ``python -m experiments.transms_simulated`` trains for longer.
chosen = [8 * turn + harmonic - 2 for turn, harmonic in ((7, 3), (14, 5), (21, 6))]
figure = mj.viz.plot_rows({name: stack[chosen] for name, stack in found.items()}, matrix=truth, chosen=chosen)
mj.viz.save(figure, "transms.png")
figure
