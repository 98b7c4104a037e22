"""
Viscosity in the spectrum
=========================
Brownian rotation: the thicker the fluid, the weaker the harmonics of a sample and the later its moment follows the field.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A magnetic particle spectrometer: a homogeneous field of 20 mT at 10 kHz, and one voxel. Cores of 25 nm in a shell that
# makes them 40 nm thick turn as a whole in their fluid; ``collinear`` says that all fields lie along one axis, which is fast.
import numpy as np
from matplotlib.figure import Figure

import mpijax as mj

frequency, amplitude, samples = 10e3, 20e-3, 512  # Hz, T, per period
sequence = mj.LissajousSequence.create((amplitude, 0.0, 0.0), (1, 1, 1), frequency, "sine", n_samples=samples)
place = mj.Grid.create((1, 1, 1), (1e-3, 1e-3, 1e-3))  # m
viscosities = (0.5, 1.0, 2.0, 4.0)  # mPa s; water at 20 degrees C has 1.0
models = {"equilibrium": None}  # no Brownian rotation: the moment follows at once
for viscosity in viscosities:
    models[f"{viscosity:g} mPa s"] = mj.Brown(hydrodynamic_diameter=40e-9, viscosity=1e-3 * viscosity, collinear=True)

# %%
# The moment of a period is a sum of ``a_k sin(k w t - lag_k)``, in units of the saturated moment. In equilibrium all lags
# of odd harmonics are zero. Divided by ``2 pi f``, the lag of the first one is the delay of the moment behind the field.
odd = np.arange(1, 22, 2)
harmonics, moments, labels = {}, {}, {}
for name, dynamics in models.items():
    particle = mj.Particle.create(25e-9, dynamics=dynamics)
    spectrum = np.asarray(mj.moment_spectrum(mj.Scanner.spectrometer(), sequence, particle, place))[0, :, 0]
    harmonics[name] = 2j * spectrum[odd]
    moments[name] = np.fft.irfft(spectrum * samples, samples)
    delay = -np.angle(harmonics[name][0]) / (2 * np.pi * frequency)
    strength = abs(harmonics[name][1])
    labels[name] = f"{name}: {1e6 * delay:z.1f} µs"
    print(f"{name:12}  third harmonic {strength:.4f}, delay of the first {1e6 * delay:z5.2f} us")

# %%
# Left, the harmonics: a thick fluid leaves fewer of them above a noise floor, which costs resolution. Right, the moment
# over the field: what was a curve becomes a loop, whose area is the heat that a period leaves in the fluid.
field = 1e3 * amplitude * np.sin(2 * np.pi * np.arange(samples + 1) / samples)  # mT
figure = Figure(figsize=(9, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
for name in models:
    style = {"color": "black", "linestyle": "--"} if name == "equilibrium" else {}
    left.semilogy(odd, np.abs(harmonics[name]), marker="o", markersize=3, label=labels[name], **style)
    right.plot(field, np.append(moments[name], moments[name][0]), **style)
left.set(xlabel="harmonic k", ylabel="$a_k$ / saturated moment", title="Harmonics of the moment", xticks=odd[::2])
left.set_ylim(1e-5, 2)
figure.legend(
    *left.get_legend_handles_labels(), title="viscosity: delay of the\nfirst harmonic", loc="outside right center"
)
right.set(
    xlabel="field / mT", ylabel="moment / saturated moment", title="Moment over the field", xticks=range(-20, 21, 10)
)
mj.viz.save(figure, "relaxation_and_viscosity.png")
figure
