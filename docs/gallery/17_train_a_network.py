"""
A network of your own, trained on the fly
=========================================
A denoiser for rows of system matrices that learns from matrices which are simulated while it trains.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A network is a ``flax.nnx`` module that tells its name and options. This one sees the power of a row's cosine transform over that
# of the noise, and the place of each coefficient, and says by which factor from 0 to 1 each one is multiplied: a filter as
# Wiener's, whose rule is learned. ``mask``, which voxels are measured, is given to every denoiser; this one needs whole rows.
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx  # noqa: TID251
from jax.scipy.fft import dctn, idctn

import mpijax as mj
from mpijax.datasets import Calibrations, Preset, RandomCorruption, ScannerPrior


class SmallDenoiser(mj.models.Network):
    def __init__(self, *, channels=2, scale=1, input_shape=None, rngs, features=16):
        super().__init__(name="small", channels=channels, scale=scale, input_shape=input_shape, features=features)
        self.first = nnx.Conv(3, features, (5, 5), rngs=rngs)
        self.second = nnx.Conv(features, features, (5, 5), rngs=rngs)
        self.last = nnx.Conv(features, 1, (1, 1), rngs=rngs)

    def forward(self, x, *, mask, noise_level):
        waves = dctn(x, axes=(1, 2), norm="ortho")
        power = jnp.sum(waves**2, -1, keepdims=True) / noise_level[:, None, None, None] ** 2
        place = jnp.moveaxis(jnp.indices(x.shape[1:3]), 0, -1) / x.shape[1]
        seen = jnp.concatenate([jnp.log1p(power), jnp.broadcast_to(place, (*x.shape[:3], 2))], -1)
        hidden = nnx.relu(self.second(nnx.relu(self.first(seen))))
        return idctn(waves * nnx.sigmoid(self.last(hidden)), axes=(1, 2), norm="ortho")


mj.models.register_network("small", SmallDenoiser)  # weights are read again by this name

# %%
# One scanner and grid; particles are drawn and their matrices simulated while it trains. Rows get noise of 0.05 to 0.3 of their
# maximum. Training writes a run directory, from which a stopped run goes on; ``mj.restore`` takes it as ``method``.
scan = Preset("of our own", core_diameter=20e-9, shape=(16, 16, 1), fov=(24e-3, 24e-3, 1e-3))
pairs = RandomCorruption((mj.Denoise(),), noise_range=(0.05, 0.3))
drawn = Calibrations(ScannerPrior(scan), boxes=(16,), slots=32, reuse=20, draws=1, validation=0, imperfections=None)
config = mj.training.TrainConfig(300, 32, 4e-3, 1e-4, schedule="cosine", ema_decay=0.98)

# %%
# It is tried on a matrix of that scanner that is never drawn exactly (in model), beside a local Wiener filter, which is trained on
# nothing. The check of every row is left out. The 40 strongest rows are judged; drawn are the 1st, 13th, 25th and 37th of them.
matrices = {"clean": scan.simulate().select(min_frequency=60e3, max_mixing_order=8, channels=[0, 1])}
sigma = 0.05 * float(np.abs(matrices["clean"].rows()).max())  # V
matrices["noisy"] = mj.add_noise(matrices["clean"], sigma, key=jax.random.key(0), background_frames=20)
with tempfile.TemporaryDirectory() as folder:
    network = SmallDenoiser(rngs=nnx.Rngs(0))
    mj.restoration.train(pairs, drawn, network, config, run_dir=folder, progress=False)
    for name, method in {"local Wiener": "wiener", "small network": folder}.items():
        solution = mj.restore(matrices["noisy"], mj.Denoise(), method=method, identify=False, trust=False)
        matrices[name] = solution.value
print(f"the network has {mj.training.count_parameters(network):,} weights; the 40 strongest rows:")
strongest = np.argsort(-np.abs(matrices["clean"].rows()).max(1))[:40]
rows = {name: np.asarray(matrix.rows())[strongest].reshape(-1, 16, 16) for name, matrix in matrices.items()}
for name in ("noisy", "local Wiener", "small network"):
    print(f"{name}: nRMSE {mj.metrics.nrmse(rows[name], rows['clean']):.1%}")
figure = mj.viz.plot_rows(
    {name: stack[::12] for name, stack in rows.items()}, matrix=matrices["clean"], chosen=strongest[::12]
)
mj.viz.save(figure, "trained_network.png")
figure
