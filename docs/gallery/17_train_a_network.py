"""
A network of your own, trained on the fly
=========================================
A denoiser for rows of system matrices that learns from matrices which are simulated while it trains.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A network is a ``flax.nnx`` module that tells its name and options. In this one three convolutions guess the noise in the real
# and the imaginary part of a row; ``mask`` says which voxels are measured and inside the grid.
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx  # noqa: TID251

import mpijax as mj
from mpijax.datasets import Calibrations, RandomCorruption, RestorationPrior
from mpijax.models.blocks.layers import Network


class SmallDenoiser(Network):
    def __init__(self, *, channels=2, scale=1, input_shape=None, rngs, features=16):
        super().__init__(name="small", channels=channels, scale=scale, input_shape=input_shape, features=features)
        self.first = nnx.Conv(channels + 2, features, (5, 5), rngs=rngs)
        self.second = nnx.Conv(features, features, (5, 5), rngs=rngs)
        self.last = nnx.Conv(features, channels, (5, 5), kernel_init=nnx.initializers.zeros, rngs=rngs)

    def forward(self, x, *, mask):
        hidden = nnx.relu(self.first(jnp.concatenate([x, mask], -1)))
        return x - self.last(nnx.relu(self.second(hidden)))


mj.models.register_network("small", SmallDenoiser)  # weights are read again by this name

# %%
# Scanners, particles and grids are drawn and simulated while it trains; rows get noise of 0.05 to 0.3 of their maximum.
pairs = RandomCorruption((mj.Denoise(),), noise_range=(0.05, 0.3))
drawn = Calibrations(
    RestorationPrior(2, size_range=(8, 16)), boxes=(16,), slots=16, reuse=20, validation=0, imperfections=None
)
config = mj.training.TrainConfig(200, batch_size=32, learning_rate=4e-3, final_learning_rate=2e-4, ema_decay=0.9)

# %%
# It is tried on a scanner of our own, which is never drawn exactly, with noise of the kind that was trained on (in model), beside a
# filter without training, which so small a network need not beat. Training writes a run directory, from which a stopped run goes
# on; ``mj.restore`` takes it as ``method``. Rows with more noise than in training stay as they are; judged are the strongest ones.
scanner, sequence = mj.Scanner.create((-1.0, -1.0, 2.0)), mj.LissajousSequence.create((12e-3, 12e-3, 0.0))  # T/m, T
grid = mj.Grid.create((16, 16, 1), (24e-3, 24e-3, 1e-3))  # m
matrix = mj.simulate_system_matrix(scanner, sequence, mj.Particle.create(20e-9), grid)
matrix = matrix.select(min_frequency=60e3, max_mixing_order=8, channels=[0, 1])
sigma = 0.05 * float(np.abs(matrix.rows()).max())  # V
noisy = mj.add_noise(matrix, sigma, key=jax.random.key(0), background_frames=20)
matrices = {"clean": matrix, "noisy": noisy}
with tempfile.TemporaryDirectory() as folder:
    network = SmallDenoiser(rngs=nnx.Rngs(0))
    mj.restoration.train(pairs, drawn, network, config, run_dir=folder, progress=False)
    for name, method in {"small network": folder, "local Wiener": "wiener"}.items():
        matrices[name] = mj.restore(noisy, mj.Denoise(), method=method, identify=False, trust=False).value
print(f"the network has {mj.training.count_parameters(network)} weights; the 40 strongest rows:")
strongest = np.argsort(-np.abs(matrix.rows()).max(1))[:40]
rows = {name: np.asarray(matrix.rows())[strongest].reshape(-1, 16, 16) for name, matrix in matrices.items()}
for name in ("noisy", "small network", "local Wiener"):
    print(f"{name}: nRMSE {mj.metrics.nrmse(rows[name], rows['clean']):.1%}")
figure = mj.viz.plot_rows({name: stack[::12] for name, stack in rows.items()}, extent=(-12, 12, -12, 12))
mj.viz.save(figure, "trained_network.png")
figure
