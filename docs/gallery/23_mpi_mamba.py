"""
MPI-Mamba on x-space images
===========================
Round images from a scan along one axis: a deconvolution that knows the kernel, and a network that learns to do without it.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A phantom, a field-free line and a particle are drawn for each pair while the network trains. The input is the scan along x with
# noise of 15 to 20 dB, the target the mean of a scan along x and one along z, without noise, whose blur is round. Both are over the
# maximum of the input, and are made on the pixels of the images.
import tempfile

import jax
import numpy as np

import mpijax as mj
from mpijax.datasets import XSpacePrior, XSpaceTask, xspace_batches
from mpijax.datasets.phantoms import PlanarPhantoms
from mpijax.reconstruction import richardson_lucy
from mpijax.system import convolve_linear, sampled_kernel

prior = XSpacePrior(16, gradient=(1.9, 2.8), core_diameter=(19e-9, 21e-9), pixels_per_width=2.0)  # T/m, m; 30 mm wide
phantoms = PlanarPhantoms.create(("vessels", "characters"), 16)
drawn = xspace_batches(XSpaceTask.create(crop=None), prior, phantoms, 4)
judged = xspace_batches(XSpaceTask.create(crop=None, augment=False, extras=True), prior, phantoms, 16)
batch = jax.jit(judged)(jax.random.key(1))
scan, target = batch["input"][..., 0], np.asarray(batch["target"][..., 0])


# %%
# Richardson and Lucy's iteration is told the kernel of each scan; the mean of both scans is then simulated from what it finds. The
# kernel is exact here (in model).
@jax.jit
@jax.vmap
def lucy(scan, pixel_xi):
    found = richardson_lucy(scan, sampled_kernel(scan.shape, pixel_xi, 1), iterations=320)
    return convolve_linear(found, sampled_kernel(scan.shape, pixel_xi, (0, 1)))


# %%
# A tiny MPI-Mamba: selective scans over rows and columns make a change of the input; ``stage=0`` leaves out the latent tokens. It
# sees 400 pairs, and is judged on others of the same kind (in model). It learns much of the way from scan to target, but its images
# are still grainy, and stretched as the scans are; the deconvolution, which is told the kernel, stays ahead. ``python -m
# experiments.mpi_mamba_simulation`` trains for minutes, and the page on x-space images trains both stages.
sizes = dict(stage=0, features=6, blocks=(1, 1), heads=(1, 1), refinement=0, states=2, embed=4)
network = mj.models.create("mpi_mamba", channels=1, rngs=0, **sizes)
config = mj.training.TrainConfig(100, 4, 8e-3, 2e-4, schedule="cosine", loss="l1", ema_decay=0.95)
with tempfile.TemporaryDirectory() as folder:
    mj.training.fit(network, drawn, config, run_dir=folder, progress=False)
    predict = mj.training.make_predict(*mj.training.load_weights(f"{folder}/weights.npz"))
images = {
    "scan along x": scan,
    "Richardson-Lucy": lucy(scan, batch["pixel_xi"]),
    "MPI-Mamba": predict(batch["input"])[..., 0],
}
print(f"{mj.training.count_parameters(network)} weights")
for name, stack in images.items():
    print(f"{name}: mean nRMSE {np.mean(mj.metrics.nrmse(np.asarray(stack), target, axis=(1, 2))):.1%}")
images["target"] = target
shown = {f"{name}, {i + 1}": (stack[i], (-15, 15, -15, 15), "xz") for i in (0, 1) for name, stack in images.items()}
figure = mj.viz.plot_gallery(shown, columns=4, unit="over the input's maximum")
mj.viz.save(figure, "mpi_mamba.png")
figure
