"""
Several devices
===============
Frames, or rows of the matrix, shared out over devices, which a machine with one processor can try as well.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# XLA makes several devices of a processor if it is told so before JAX starts. In a program of your own that is
# ``os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"`` above all imports; here another process does the
# work, because JAX may be running already. On GPUs none of this is needed: ``jax.devices()`` are those there are.
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import mpijax as mj

work = """
import numpy as np, mpijax as mj

scanner = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0), receive_coils=np.eye(3)[:2])  # T/m
sequence = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0), n_samples=400)  # T
particle, bins = mj.Particle.create(25e-9), np.arange(20, 100)
grid = mj.Grid.create((20, 20, 1), (24e-3, 24e-3, 1e-3))  # m
matrix = mj.simulate_system_matrix(scanner, sequence, particle, grid, bins)
fine = grid.refine((3, 3, 1))
finer = mj.simulate_system_matrix(scanner, sequence, particle, fine, bins)
x, y, _ = 1e3 * np.asarray(fine.positions).T  # mm
turns = 2 * np.pi * np.arange(8) / 8
dots = [50.0 * (np.hypot(x - 7 * np.cos(t), y - 7 * np.sin(t)) < 2.5) for t in turns]  # mmol(Fe)/L
data = matrix.as_measurement(np.stack([np.asarray(finer.values) @ dot for dot in dots])[:, None])

settings = dict(solver="tikhonov", regularization=1e-3)
whole = mj.reconstruction.reconstruct(matrix, data, **settings).value
frames = mj.reconstruction.reconstruct(matrix, data, **settings, sharding="all").value
rows = mj.reconstruction.reconstruct(matrix, data, **settings, sharding="rows").value
device = [part.device.id for part in frames.addressable_shards for _ in part.data]
np.savez("images.npz", one=whole, all=frames, rows=rows, device=device)
"""

# %%
# ``sharding="all"`` shares out the frames and leaves the matrix whole on each device, ``sharding="rows"`` shares out the rows of a
# matrix that may be larger than one device.
settings = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, "-c", work], check=True, cwd=folder, env=settings)
    with np.load(Path(folder) / "images.npz") as stored:
        found = dict(stored)
for split in ("all", "rows"):
    difference = np.abs(found[split] - found["one"]).max() / found["one"].max()
    print(f'sharding="{split}": images differ by {difference:.0e} of the peak from those of one device')

# %%
# A dot on a circle, eight frames, and the device that made each image. The matrix is simulated, its data come from voxels
# three times finer. Nothing keeps a Tikhonov solution positive: values below zero are drawn as zero.
print(f"the lowest value is {found['all'].min() / found['all'].max():.0%} of the peak")
figure = mj.viz.plot_gallery(
    {
        f"frame {i}, device {device}": (image[0], (-12, 12, -12, 12), "xy")
        for i, (image, device) in enumerate(zip(found["all"], found["device"], strict=True))
    },
    columns=4,
)
mj.viz.save(figure, "several_devices.png")
figure
