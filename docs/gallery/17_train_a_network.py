"""
A network of your own, trained on the fly
=========================================
A denoiser for rows of system matrices that learns from matrices which are simulated while it trains.
"""

# %%
# A network is a ``flax.nnx`` module that tells its name and options. This one is a small residual network: three convolutions
# guess the noise in the real and the imaginary part of a row; ``mask`` says which voxels are measured and inside the grid.
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx  # noqa: TID251

import mpijax as mj
from mpijax.datasets import Bucket, RandomCorruption, RestorationPrior, RowStream
from mpijax.models.blocks.layers import Network
from mpijax.physics import complex_normal


class SmallDenoiser(Network):
    """Row minus what three convolutions take for noise."""

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
# A stream draws scanners, particles and grids of 8 to 16 voxels, simulates their matrices and keeps the last few. Every batch
# takes rows of all of them, in the corner of a box of 16 x 16, and adds noise of 0.05 to 0.3 of a row's maximum.
pairs = RandomCorruption((mj.Denoise(),), noise_range=(0.05, 0.3))
stream = RowStream(
    RestorationPrior(dimensions=2, size_range=(8, 16)),
    pairs.pair,
    [Bucket(shape=(16, 16, 1), low=(8, 8, 1))],
    key=jax.random.key(0),
    batch_size=32,
    slots=16,
    rows_per_matrix=16,
    reuse=20,
)

# %%
# Held out: rows of a scanner of our own, which the stream never draws exactly, with noise of 0.15 of each row's maximum. It is
# of the kind that was trained on (in model).
matrix = mj.simulate_system_matrix(
    mj.Scanner.create(gradient=(-1.0, -1.0, 2.0)),  # T/m
    mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0)),  # T
    mj.Particle.create(core_diameter=20e-9),
    mj.Grid.create((16, 16, 1), (24e-3, 24e-3, 1e-3)),  # m
)
rows = np.asarray(matrix.rows()).reshape(-1, 16, 16)
strength = np.abs(rows).max((1, 2))
clean = (rows / strength[:, None, None])[np.argsort(-strength)[:128]]
noisy = clean + np.asarray(complex_normal(clean.shape, 0.15, key=jax.random.key(1)))
given, everywhere = mj.rows.complex_to_channels(noisy), np.ones((*noisy.shape, 2), np.float32)


def validate(apply):
    """Error of the held-out rows, over the norm of the clean ones."""
    denoised = mj.rows.channels_to_complex(apply(given, mask=everywhere))
    return {"nrmse": float(mj.metrics.nrmse(np.asarray(denoised), clean))}


# %%
# Training writes a run directory with weights, metrics and checkpoints, from which a stopped run goes on.
config = mj.training.TrainConfig(
    steps=400,
    batch_size=32,
    learning_rate=4e-3,
    final_learning_rate=2e-4,
    ema_decay=0.9,
    log_every=20,
    validate_every=40,
)
network = SmallDenoiser(rngs=nnx.Rngs(0))
with tempfile.TemporaryDirectory() as folder:
    result = mj.training.fit(network, stream, config, run_dir=folder, validate=validate, progress=False)
before = float(mj.metrics.nrmse(noisy, clean))
after = min(record["validation"]["nrmse"] for record in result.metrics if "validation" in record)
print(
    f"{mj.training.count_parameters(network)} weights; nRMSE of noisy rows {before:.1%}, of denoised ones {after:.1%}"
)
figure = mj.viz.plot_learning_curve({"small": result.metrics})
mj.viz.save(figure, "learning_curve.png")
figure

# %%
# Rows before and after. ``mj.restoration.train`` does all this in one call, and ``mj.restore`` takes its run directory as
# ``method``; there the filters without training compete, which such a small network need not beat.
predict = mj.training.make_predict(network.config, result.weights)
denoised = np.asarray(mj.rows.channels_to_complex(predict(given, mask=everywhere)))
figure = mj.viz.plot_rows(
    {"clean": clean[::30], "noisy": noisy[::30], "denoised": denoised[::30]}, extent=(-12, 12, -12, 12)
)
mj.viz.save(figure, "trained_network.png")
figure
