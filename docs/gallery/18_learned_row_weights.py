"""
Row weights that are learned
============================
How much each row of the matrix should count, and how strong lambda should be, learned from phantoms by gradient.
"""

# %%
# A matrix of 16 x 16 voxels, phantoms measured on voxels three times finer, and noise that is not the same in all rows: some
# frequencies are disturbed. The rows' noise is known, as it would be from empty frames.
import jax
import jax.numpy as jnp
import numpy as np
import optax

import mpijax as mj
from mpijax.datasets.phantoms import PlanarPhantoms
from mpijax.physics import complex_normal
from mpijax.reconstruction import ImplicitTikhonov

scanner = mj.Scanner.create(gradient=(-1.5, -1.5, 3.0), receive_coils=np.eye(3)[:2])  # T/m; coils along x and y
sequence = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0), n_samples=400)  # T
particle, bins = mj.Particle.create(25e-9), np.arange(20, 100)
grid = mj.Grid.create((16, 16, 1), (16e-3, 16e-3, 1e-3))  # m
rows = mj.simulate_system_matrix(scanner, sequence, particle, grid, bins).rows()
fine_rows = mj.simulate_system_matrix(scanner, sequence, particle, grid.refine((3, 3, 1)), bins).rows()
scale = jnp.abs(rows).max()  # V: numbers near one are good for single precision
rows, fine_rows = rows / scale, fine_rows / scale

# %%
# Phantoms to train on, and others to judge by: vessels, characters and shapes.
draw = jax.jit(jax.vmap(PlanarPhantoms.create(("vessels", "characters", "shapes"), 48)))
fine = draw(jax.random.split(jax.random.key(0), 128))  # mmol(Fe)/L
truth = fine.reshape(-1, 16, 3, 16, 3).mean((2, 4)).reshape(-1, 256)
clean = jnp.matmul(fine.reshape(-1, 48 * 48), fine_rows.T, precision="highest")
disturbed = np.random.default_rng(0).uniform(size=len(rows)) < 0.2
sigma = 1e-3 * float(jnp.abs(clean).max()) * np.where(disturbed, 10.0, 1.0)
training, judged = slice(0, 96), slice(96, 128)
data = clean + complex_normal(clean.shape, sigma, key=jax.random.key(1))


def error(layer, data, truth, rows):
    """Mean nRMSE of the images, cut at zero."""
    images = jnp.maximum(layer(rows, data), 0)
    return jnp.mean(mj.metrics.nrmse(images, truth, axis=-1))


# %%
# A layer holds the logarithms of row weights and lambda as leaves of a pytree, so that any optimizer of optax takes it. This
# one is Tikhonov's minimizer; ``UnrolledKaczmarz``, some sweeps of Kaczmarz, is used in the same way. Two settings by hand, all
# rows alike and each over its noise (whitening), get the best lambda of a few; learning starts from the second one.
def tuned(weights):
    """The layer with the best lambda on the phantoms to train on."""
    layers = [ImplicitTikhonov.create(weights, value) for value in np.logspace(-4, 0, 5)]
    return min(layers, key=lambda layer: float(error(layer, data[training], truth[training], rows)))


optimizer = optax.adam(0.1)


@jax.jit
def step(layer, state, key, clean, truth, rows):
    """One step of Adam, with new noise."""
    noisy = clean + complex_normal(clean.shape, sigma, key=key)
    change, state = optimizer.update(jax.grad(error)(layer, noisy, truth, rows), state)
    return optax.apply_updates(layer, change), state


layers = {"all rows alike": tuned(np.ones(len(rows))), "whitened": tuned(1 / sigma)}
learned = layers["whitened"]
state = optimizer.init(learned)
for key in jax.random.split(jax.random.key(2), 40):
    learned, state = step(learned, state, key, clean[training], truth[training], rows)
layers["learned"] = learned
for name, layer in layers.items():
    mean = float(error(layer, data[judged], truth[judged], rows))
    print(f"{name}: mean nRMSE {mean:.1%} on phantoms not seen")

# %%
# Whitening does most of it: what learning adds is small. It is all in model: the phantoms to judge by are of the kinds trained
# on, and the matrix is exact up to its voxels. One phantom:
shown = 5
images = {name: np.maximum(layer(rows, data[judged][shown]), 0).reshape(16, 16) for name, layer in layers.items()}
figure = mj.viz.plot_reconstructions(images, np.asarray(truth[judged][shown]).reshape(16, 16), extent=(-8, 8, -8, 8))
mj.viz.save(figure, "learned_row_weights.png")
figure
