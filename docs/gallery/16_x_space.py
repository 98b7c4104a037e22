"""
X-space images and their deconvolution
======================================
An image without a system matrix: the voltage over the velocity of the field-free line, and two deconvolutions of it.
"""

# sphinx_gallery_thumbnail_number = -1
# %%
# A field-free line along y is moved over the xz plane. Voltage over velocity is the concentration convolved with a kernel that
# is narrow along the excitation and wide across it. The scan comes from voxels three times finer than the image's.
import jax
import numpy as np

import mpijax as mj
from mpijax.reconstruction import richardson_lucy, wiener_deconvolution
from mpijax.system import sampled_kernel, x_space_image

scanner, particle = mj.Scanner.create((3.0, 0.0, -3.0)), mj.Particle.create(22e-9)  # T/m, m
fine = mj.Grid.create((96, 1, 96), (24e-3, 1e-3, 24e-3))  # m
phantom = np.zeros((96, 96), np.float32)  # rows z, columns x
phantom[24:75, 24:33] = phantom[24:33, 24:66] = 50.0  # mmol(Fe)/L
phantom[54:72, 54:72] = 25.0
x_width, _, z_width = 1e3 * np.asarray(mj.physics.full_widths(scanner.gradient.diagonal(), particle.beta, 0))
print(f"a scan along x blurs by {x_width:.1f} mm along x and {z_width:.1f} mm along z")


def image_of(excitation):
    """The image of a scan along these axes on 32 x 32 pixels: every third position of the line."""
    return np.asarray(x_space_image(scanner, particle, fine, phantom.ravel(), excitation))[1::3, 0, 1::3]


# %%
# Noise of 1 % of the maximum is added to the scan along x, whose kernel both deconvolutions are told: in model, a real kernel is
# not so well known. Wiener's estimate is linear and rings below zero, that of Richardson and Lucy stays positive; few
# iterations smooth, many sharpen the noise. The x-space images are brought to the phantom's maximum, the others are in its unit.
pixel = 24e-3 / 32  # m
kernel = sampled_kernel((32, 32), np.full(2, particle.beta * 3.0 * pixel, np.float32), 1)  # axis 1: the columns, x
both = image_of((0, 2))
scan_x = image_of(0) / (1e-3 * pixel**2)  # over the volume of a pixel: concentration times kernel
scan_x += 0.01 * scan_x.max() * np.asarray(jax.random.normal(jax.random.key(0), scan_x.shape))
images = {
    "scan along x": scan_x * phantom.max() / scan_x.max(),
    "x and z, no noise": both * phantom.max() / both.max(),
    "Wiener": np.asarray(wiener_deconvolution(scan_x, kernel, 1e-4)),
    "Richardson-Lucy": np.asarray(richardson_lucy(scan_x, kernel, iterations=200)),
}

# %%
# Deconvolution narrows what the scan along x has blurred along x, and does less for z. Networks can learn to do so without being
# told the kernel (``mpi_mamba``, ``nafnet``, ``restormer`` with ``mj.datasets.XSpacePrior``): *MPI-Mamba on x-space images*.
truth = phantom.reshape(32, 3, 32, 3).mean((1, 3))
figure = mj.viz.plot_reconstructions(images, truth, extent=(-12, 12, -12, 12))
for axes in figure.axes:
    axes.set_ylabel(axes.get_ylabel().replace("y / mm", "z / mm"))
mj.viz.save(figure, "x_space.png")
figure
