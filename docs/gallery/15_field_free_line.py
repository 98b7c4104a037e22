"""
A rotating field-free line
==========================
What a line that is turned sees of a phantom, and fine rows of its system matrix from a coarse, noisy calibration.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# The line lies in the xy plane; drive field and receive coil point along z. Every angle is a "channel" with harmonics 2 to 9
# of the drive frequency. The phantom lies on a grid three times finer than that of the matrix.
from dataclasses import replace

import jax
import numpy as np
from matplotlib.figure import Figure

import mpijax as mj

gradient, amplitude = 1.5, 24e-3  # T/m, T
scanner, sequence = mj.Scanner.field_free_line(gradient), mj.line_sequence(amplitude)
particle, angles = mj.Particle.create(25e-9), mj.line_angles(30)  # m, rad
grid = mj.Grid.create((24, 24, 1), (32e-3, 32e-3, 1e-3))  # m
fine = grid.refine((3, 3, 1))
x, y, _ = np.asarray(fine.positions).T
phantom = 50.0 * (np.hypot(x - 7e-3, y - 3e-3) < 2e-3) + 50.0 * (np.hypot(x + 5e-3, y + 5e-3) < 3e-3)  # mmol(Fe)/L

# %%
# The voltage over the velocity of the line is the projection of the phantom along it, blurred by the particles: a sinogram
# with a wave for each dot. One sweep of the line shows it, without the turning points.
seen = mj.simulate_field_free_line(scanner, sequence, particle, fine, angles=angles, harmonics=range(1, 65))
spectra = np.pad(np.asarray(seen.values) @ phantom, ((0, 0), (1, 64)))  # V; harmonics 0 to 128 of every angle
voltage = np.fft.irfft(spectra, 256)
phase = 2 * np.pi * np.arange(256) / 256
position = -1e3 * amplitude / gradient * np.sin(phase)  # mm, where gradient and drive field cancel
velocity = -2 * np.pi * sequence.base_frequency * amplitude / gradient * np.cos(phase)  # m/s
figure = Figure(figsize=(5.5, 4), layout="constrained")
axes = figure.subplots()
drawn = axes.pcolormesh(position[76:181], np.rad2deg(angles), 1e9 * np.abs(voltage / velocity)[:, 76:181])
axes.set(xlabel="distance of the line from the center / mm", ylabel="angle of the line / degrees")
figure.colorbar(drawn, label="|voltage / velocity| / nV s/m")
mj.viz.save(figure, "sinogram.png")

# %%
# A sample of 4 x 4 voxels gives noisy means over blocks. ``"bicubic"`` takes each row for itself, ``"fitted"`` all of a harmonic
# as one function of the distance from the line, which they are here (in model): measured ones are harder.
matrix = mj.simulate_field_free_line(scanner, sequence, particle, grid, angles=angles)
truth = np.asarray(matrix.values).reshape(-1, 24, 24)
means = np.asarray(mj.rows.degrade(truth, 4)).reshape(30, 8, 36)
coarse = replace(matrix, values=means, grid=grid.coarsen((4, 4, 1)))
coarse = mj.add_noise(coarse, sigma=0.01 * np.abs(means).max(), key=jax.random.key(0), background_frames=20)
rows = {"simulated": truth, "coarse": np.asarray(coarse.values).reshape(-1, 6, 6)}
for method in ("bicubic", "fitted"):
    finer = mj.restore(coarse, mj.Upsample(4, "box"), method=method, progress=False).value
    rows[method] = np.asarray(finer.values).reshape(-1, 24, 24)
    print(f"{method}: nRMSE {mj.metrics.nrmse(rows[method], truth):.1%} of the whole matrix")

# %%
# Some rows: harmonics 2, 3, 4 and 6, of the line at 0, 42, 84 and 126 degrees. A row is striped along its line.
chosen = [8 * turn + harmonic - 2 for turn, harmonic in ((0, 2), (7, 3), (14, 4), (21, 6))]
figure = mj.viz.plot_rows({name: stack[chosen] for name, stack in rows.items()}, matrix=matrix, chosen=chosen)
mj.viz.save(figure, "field_free_line.png")
figure
