"""
Row weights that are learned
============================
How much each row of the matrix should count, and how strong lambda should be, learned from phantoms by gradient.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# Phantoms are measured on voxels three times finer. Some frequencies are disturbed; empty frames would tell which.
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
rows = 1e9 * mj.simulate_system_matrix(scanner, sequence, particle, grid, bins).rows()  # nV, for single precision
fine_rows = 1e9 * mj.simulate_system_matrix(scanner, sequence, particle, grid.refine((3, 3, 1)), bins).rows()

# %%
# Phantoms to train on, and others to judge by: vessels, characters and shapes.
draw = jax.jit(jax.vmap(PlanarPhantoms.create(("vessels", "characters", "shapes"), 48)))  # mmol(Fe)/L
fine = draw(jax.random.split(jax.random.key(0), 128))
truth = fine.reshape(-1, 16, 3, 16, 3).mean((2, 4)).reshape(-1, 256)
clean = jnp.matmul(fine.reshape(-1, 48 * 48), fine_rows.T, precision="highest")
disturbed = np.random.default_rng(0).uniform(size=len(rows)) < 0.2
sigma = 1e-3 * float(jnp.abs(clean).max()) * np.where(disturbed, 10.0, 1.0)
training, judged = slice(0, 96), slice(96, 128)
data = clean + complex_normal(clean.shape, sigma, key=jax.random.key(1))


def error(layer, data, truth, rows):
    return jnp.mean(mj.metrics.nrmse(jnp.maximum(layer(rows, data), 0), truth, axis=-1))


# %%
# This layer is Tikhonov's minimizer (``UnrolledKaczmarz`` is used alike). Its row weights and lambda are leaves of a pytree, which
# optimizers of optax take. Learning starts from rows over their noise (whitening) and the best lambda of a few.
def tuned(weights):
    layers = [ImplicitTikhonov.create(weights, value) for value in np.logspace(-4, 0, 5)]
    return min(layers, key=lambda layer: float(error(layer, data[training], truth[training], rows)))


optimizer = optax.adam(0.1)


@jax.jit
def step(layer, state, key, clean, truth, rows):
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
    print(f"{name}: mean nRMSE {error(layer, data[judged], truth[judged], rows):.1%} on phantoms not seen")

# %%
# Whitening does most of it: what learning adds is small. It is all in model: the phantoms to judge by are of the kinds trained
# on, and the matrix is exact up to its voxels. One phantom:
images = {name: np.maximum(layer(rows, data[101]), 0).reshape(16, 16) for name, layer in layers.items()}
figure = mj.viz.plot_reconstructions(images, np.asarray(truth[101]).reshape(16, 16), extent=(-8, 8, -8, 8))
mj.viz.save(figure, "learned_row_weights.png")
figure
