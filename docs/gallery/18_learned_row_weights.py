"""
Row weights that are learned
============================
How much each row of the matrix should count, and how strong lambda should be, learned from phantoms by gradient.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# Phantoms are measured on voxels three times finer, 96 to train on, 32 others to judge by. A fifth of the rows is disturbed.
import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import mpijax as mj
from mpijax.datasets.phantoms import PlanarPhantoms
from mpijax.reconstruction import ImplicitTikhonov

scanner = mj.Scanner.create(gradient=(-1.5, -1.5, 3.0), receive_coils=np.eye(3)[:2])  # T/m; coils along x and y
sequence = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0), n_samples=400)  # T
particle, bins = mj.Particle.create(25e-9), np.arange(20, 100)
grid = mj.Grid.create((16, 16, 1), (16e-3, 16e-3, 1e-3))  # m
grids = grid, grid.refine((3, 3, 1))  # rows are in nV, for single precision
rows, fine_rows = (1e9 * mj.simulate_system_matrix(scanner, sequence, particle, each, bins).rows() for each in grids)

draw = jax.jit(jax.vmap(PlanarPhantoms.create(("vessels", "characters", "shapes"), 48)))  # mmol(Fe)/L
fine = draw(jax.random.split(jax.random.key(0), 128))
truth = fine.reshape(-1, 16, 3, 16, 3).mean((2, 4)).reshape(-1, 256)
clean = jnp.matmul(fine.reshape(-1, 48 * 48), fine_rows.T, precision="highest")
sigma = 1e-3 * float(jnp.abs(clean).max()) * np.where(np.random.default_rng(0).uniform(size=len(rows)) < 0.2, 10.0, 1.0)
data = clean + mj.physics.complex_normal(clean.shape, sigma, key=jax.random.key(1))


def error(layer, data, truth, rows):
    return jnp.mean(mj.metrics.nrmse(jnp.maximum(layer(rows, data), 0), truth, axis=-1))


# %%
# This layer is Tikhonov's minimizer (``UnrolledKaczmarz`` is used alike). Its row weights and lambda are leaves of a pytree, which
# optimizers of optax take. Learning starts from rows over their noise (whitening) and the best lambda of a few.
optimizer = optax.adam(0.1)


def tuned(weights):
    layers = [ImplicitTikhonov.create(weights, value) for value in np.logspace(-4, 0, 5)]
    return min(layers, key=lambda layer: float(error(layer, data[:96], truth[:96], rows)))


@jax.jit
def step(layer, state, key, clean, truth, rows):
    noisy = clean + mj.physics.complex_normal(clean.shape, sigma, key=key)
    change, state = optimizer.update(jax.grad(error)(layer, noisy, truth, rows), state)
    return optax.apply_updates(layer, change), state


layers = {"all rows alike": tuned(np.ones(len(rows))), "whitened": tuned(1 / sigma)}
learned, state = layers["whitened"], optimizer.init(layers["whitened"])
for key in jax.random.split(jax.random.key(2), 40):
    learned, state = step(learned, state, key, clean[:96], truth[:96], rows)
layers["learned"] = learned
for name, layer in layers.items():
    print(f"{name}: mean nRMSE {error(layer, data[96:], truth[96:], rows):.1%} on phantoms not seen")

# %%
# Whitening does most of it: what learning adds is small. It is all in model: the phantoms to judge by are of the kinds trained
# on, and the matrix is exact up to its voxels.
figure = Figure(figsize=(8, 3.4), layout="constrained")
axes = figure.subplots()
for name, marker in {"whitened": ".", "learned": "x"}.items():
    axes.semilogy(np.exp(layers[name].log_weights - jnp.median(layers[name].log_weights)), marker, label=name)
axes.set(xlabel="row: 80 frequencies of the coil along x, then 80 of that along y", ylabel="weight / median")
axes.legend()
mj.viz.save(figure, "learned_row_weights.png")
figure
