"""
Particles in a spectrometer
===========================
Harmonics, hysteresis loop and point-spread function of a sample, and the particles that explain them.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A measurement that stands for a file of your own (``mj.io.read_measurement("sample.mdf", background="mean")``): a preset's
# Néel particles, with complex noise of 3 per mille of the strongest harmonic on twenty frames and on twenty empty ones.
import jax
import numpy as np

import mpijax as mj
from mpijax.datasets import preset
from mpijax.physics import complex_normal

device = preset("spectrometer-neel")
print(f"{1e3 * device.amplitude[0]:g} mT; {device.summary}")
matrix = device.simulate()
signal = np.asarray(matrix.values)[..., 0]  # V, (channels, frequencies)
sigma = 3e-3 * np.abs(signal).max()
noise = complex_normal((40, 1, *signal.shape), sigma, key=jax.random.key(1))
measurement = matrix.as_measurement(signal + noise[:20], noise[20:])

# %%
# Which particles explain harmonics and lags best? Two kinds of those that are known are fitted; chi^2 per degree of freedom is
# one where only noise is left. The truth is among them here (in model), as a sample in a real scanner never quite is.
found = mj.identification.spectrum(measurement)
kinds = mj.identification.particle_candidates(found)
print("known:", "; ".join(kinds))
chosen = {name: kinds[name] for name in ("equilibrium", "Neel, axes along the field")}
fits = mj.identification.fit_spectrum(found, chosen, starts=1)

# %%
# What was found, in words: in equilibrium the lags of odd harmonics, coercive field and remanence would be zero. The width of
# dM/dH over the gradient of an imager is the resolution of its x-space images.
print(mj.identification.describe_spectrum(found, fits, gradient=2.5))  # T/m

# %%
# Points and thick lines are measured, thin ones fitted.
figure = mj.viz.plot_spectrum(found, fits, gradient=2.5)
mj.viz.save(figure, "spectrometer.png")
figure
