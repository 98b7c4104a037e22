"""
Néel relaxation against equilibrium
===================================
What rows of a system matrix look like when the moment needs time to cross its anisotropy barrier, and what they lose.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# Immobilized cores of 22.5 nm with an easy axis at 45 degrees. The same particle with and without ``dynamics``: without it
# the moment follows the field at once, with it a moment inside the core turns by Brown's Fokker-Planck equation.
import numpy as np

import mpijax as mj

scanner = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0), receive_coils=np.eye(3)[:2])  # T/m; coils along x and y
sequence = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0))  # T
grid = mj.Grid.create(shape=(20, 20, 1), fov=(24e-3, 24e-3, 1e-3))  # m
matrices = {}
for name, dynamics in {"equilibrium": None, "Néel": mj.Neel(damping=0.1)}.items():
    particle = mj.Particle.create(22.5e-9, anisotropy_constant=5e3, easy_axis=(1, 1, 0), dynamics=dynamics)
    matrices[name] = mj.simulate_system_matrix(scanner, sequence, particle, grid).select(min_frequency=60e3)
barrier = float(particle.alpha)
print(f"anisotropy energy over kB T: {barrier:.1f}")

# %%
# The higher the frequency, the more of the signal is lost: root mean square of the rows of a band, Néel over equilibrium.
bands = ((60, 150), (150, 300), (300, 500), (500, 800))  # kHz
frequencies = 1e-3 * np.asarray(matrices["Néel"].row_frequencies)  # kHz
power = {name: np.mean(np.abs(matrix.rows()) ** 2, axis=1) for name, matrix in matrices.items()}
for low, high in bands:
    band = (low <= frequencies) & (frequencies < high)
    ratio = np.sqrt(power["Néel"][band].sum() / power["equilibrium"][band].sum())
    print(f"{low} to {high} kHz: {ratio:.2f}")

# %%
# Rows that are strong in both: every 50th from the strongest down, in order of the lesser of a row's two powers. Each column is
# on the scale of its Néel row; channels 0 and 1 are the coils along x and y. Hue is the phase: that of an equilibrium row is one
# color and its opposite; a moment that lags turns it, and by another angle in every voxel. Below stands the error that is made
# where equilibrium is taken for granted, over the maximum of the Néel row.
strongest = np.argsort(-np.minimum(power["equilibrium"], power["Néel"]))[:250:50]
rows = {name: np.asarray(matrices[name].rows())[strongest].reshape(-1, 20, 20) for name in ("Néel", "equilibrium")}
figure = mj.viz.plot_rows(rows, reference="Néel", matrix=matrices["Néel"], chosen=strongest)
mj.viz.save(figure, "neel_against_equilibrium.png")
figure
