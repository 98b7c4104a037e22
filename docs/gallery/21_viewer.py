"""
The viewer, and the plan it saves
=================================
Files to look at, the page that ``mpijax view`` serves, and the image that a plan found there makes again.
"""

# sphinx_gallery_thumbnail_path = 'figures/view_reconstruction.png'
# %%
# A calibration with noise and background frames, and the measurement of a phantom on voxels three times finer, as MDF files.
import dataclasses
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import jax

import mpijax as mj
from mpijax.datasets import phantom_on, preset, simulate_measurement

folder = tempfile.TemporaryDirectory()
calibration, scan = Path(folder.name) / "sm.mdf", Path(folder.name) / "snake.mdf"
scanner = preset("2d", shape=(20, 20, 1), fov=(24e-3, 24e-3, 1e-3))
noise = 1e-9  # V
matrix = mj.add_noise(scanner.simulate(), sigma=noise, key=jax.random.key(0), background_frames=20)
fine = scanner.grid.refine((3, 3, 1))
phantom = phantom_on("snake", fine, key=jax.random.key(1))  # mmol(Fe)/L
options = {"sigma": 10 * noise, "frames": 2, "background_frames": 10}
mj.io.write(calibration, matrix)
mj.io.write(scan, simulate_measurement(scanner, phantom, fine, key=jax.random.key(2), **options))

# %%
# ``mpijax view sm.mdf snake.mdf`` opens the page in the browser; here it is only asked whether it is there. The address holds
# a token: who does not know it is refused. Ctrl-C ends the viewer.
command = [sys.executable, "-m", "mpijax.cli", "view", str(calibration), str(scan), "--no-browser"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewer:
    address = viewer.stdout.readline().strip()
    with urllib.request.urlopen(address) as page:
        print(f"status {page.status}, {len(page.read()) / 1e6:.1f} MB of page and scripts")
    viewer.terminate()

# %%
# In the tab *Reconstruction* the image follows the sliders:
#
# .. image:: /figures/view_reconstruction.png
#    :alt: the viewer's tab Reconstruction, with settings at the left, the image, the L-curve and the history
#
# The button *plan* writes what was found as a plan. This is such a plan; it makes the same image again, here and by
# ``mpijax reconstruct --plan plan.toml sm.mdf snake.mdf -o image.mdf``.
rows = mj.plans.RowOptions(min_frequency=80.0, snr_threshold=5.0)
solver = mj.reconstruction.Kaczmarz(regularization=1e-5, sweeps=30)
path = Path(folder.name) / "plan.toml"
plan = mj.plans.ReconstructPlan(rows=rows, solver=solver)
plan.save(path)
print("\n".join(line for line in path.read_text().splitlines() if line and not line.startswith("#")))
images = {"by the plan": mj.plans.load(path).reconstruct(calibration, scan).images[0, 0]}

# %%
# What the slider of lambda does: noise at its left end, blur at its right one.
for regularization in (1e-7, 1e-1):
    other = dataclasses.replace(plan, solver=dataclasses.replace(solver, regularization=regularization))
    images[f"lambda {regularization:g}"] = other.reconstruct(calibration, scan).images[0, 0]
folder.cleanup()
truth = phantom.reshape(20, 3, 20, 3).mean((1, 3))
figure = mj.viz.plot_reconstructions(images, truth, extent=(-12, 12, -12, 12))
mj.viz.save(figure, "viewer.png")
figure
