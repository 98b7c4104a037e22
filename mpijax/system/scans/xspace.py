"""X-space images: the concentration convolved with the point-spread kernel of the scan.

The image over the positions x of the field-free point is (c * h)(x) = integral c(r) h(beta G (r - x)) dV. It is a linear
convolution, and h falls off only as 1/|xi| across the excitation: the kernel is needed on its full support of 2 N - 1 voxels
per axis. With a kernel cut to the N voxels of the field of view, or a circular convolution, images are wrong by tens of percent of
their peak (``tests/system/test_xspace.py`` holds one of each that is off by more than 20 %).

Geometry. A field-free line, G = diag(G, 0, -G), moves in the xz plane; its kernel does not depend on y, so that the image is that
of the projection along y. Only where |G_x| = |G_z| is the mean of an x and a z scan round: (h_x + h_z)/2 is then the
isotropic kernel. For a field-free point, G = diag(-G, -G, 2 G), the mean of both scans of the xz plane is an ellipse in the ratio
2 to 1, and round in the xy plane. The paper calls any combination of two scans isotropic; here it is what the gradient makes it.

``mpijax.system.cartesian_scan`` simulates the same images in the time domain.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import next_fast_len

from mpijax.core.checks import check_choice, check_finite, is_concrete
from mpijax.core.constants import MAGNETITE_DENSITY, MAGNETITE_MOLAR_MASS, MU0
from mpijax.core.typing import Array, Float, Num, Scalar, Vector3
from mpijax.physics.xspace import full_widths, ratio_and_slope
from mpijax.system.grid import Grid
from mpijax.system.particle import Particle
from mpijax.system.scanner import Scanner

_GAUSS_NODE = 0.5 / np.sqrt(3)  # of the two-point rule on an interval of length 1


def sampled_kernel(
    shape: tuple[int, ...], cell_xi: Num[Array, " d"], axes: int | tuple[int, ...]
) -> Float[Array, "..."]:
    """The kernel on its full support, averaged over each cell: what an image of N cells per axis is convolved with.

    h = mean over a of h_a, h_a = f(s) + 2 f'(s) xi_a^2, at offsets -(N-1) .. N-1. The mean over a cell is taken with two Gauss
    nodes per axis: of the peak, that is 3e-3 off with 2 cells per 4.161 in xi, 2e-4 with 4 and 2e-5 with 8 (the center alone:
    1e-3 with 20).

    Args:
        shape: cells per axis of the image, static; (rows, columns) of a plane or (nz, ny, nx).
        cell_xi: beta G_i times the cell's edge, dimensionless, one for each axis of the array.
        axes: array axis of the excitation, or several: the mean of their scans.

    Returns:
        (2 N - 1 per axis), the dtype of ``cell_xi``.

    Raises:
        ValueError: an axis that the shape does not have.

    Source: Goodwill & Conolly, IEEE TMI 30(9):1581 (2011), for the kernel; its means over cells are this project's.
    """
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    dimensions = len(shape)
    if not axes or not set(axes) <= set(range(dimensions)) or np.shape(cell_xi) != (dimensions,):
        raise ValueError(
            f"axes = {axes} and cell_xi of shape {np.shape(cell_xi)} for an image of shape {tuple(shape)}; expected axes from 0 to "
            f"{dimensions - 1} and one cell_xi for each."
        )
    check_finite("cell_xi", cell_xi)
    return _kernel(as_float(cell_xi), shape=tuple(shape), axes=axes)


@partial(jax.jit, static_argnames=("shape", "axes"))
def _kernel(cell_xi: jax.Array, *, shape: tuple[int, ...], axes: tuple[int, ...]) -> jax.Array:
    dimensions = len(shape)
    nodes = np.array([-_GAUSS_NODE, _GAUSS_NODE])
    squares = []
    for i, n in enumerate(shape):
        place = [1] * (2 * dimensions)
        place[2 * i : 2 * i + 2] = n, 2
        offsets = jnp.asarray((np.arange(n)[:, None] + nodes).reshape(place), cell_xi.dtype)
        squares.append((cell_xi[i] * offsets) ** 2)
    value, slope = ratio_and_slope(sum(squares[1:], squares[0]))
    kernel = value + 2 * slope * sum(squares[i] for i in axes) / len(axes)
    kernel = jnp.mean(kernel, axis=tuple(range(1, 2 * dimensions, 2)))
    for i in range(dimensions):  # h is even along every axis
        negative = jnp.flip(jax.lax.slice_in_dim(kernel, 1, None, axis=i), i)
        kernel = jnp.concatenate([negative, kernel], axis=i)
    return kernel


def convolve_linear(image: Float[Array, "..."], kernel: Float[Array, "..."]) -> Float[Array, "..."]:
    """Linear convolution with a kernel on the full support, out[i] = sum_j image[j] kernel[i - j + N - 1], by FFT.

    2 N - 1 points are enough: what wraps around falls outside the N values that are kept.

    Args:
        image: any number of axes; N cells along each.
        kernel: 2 N - 1 cells along each, zero offset in the middle.

    Returns:
        The shape of ``image``, times no cell volume.

    Raises:
        ValueError: a kernel of another support (cut or padded, it would give a wrong image), or pixels that are not finite.
    """
    support = tuple(2 * n - 1 for n in image.shape)
    if kernel.shape != support:
        raise ValueError(
            f"kernel has shape {kernel.shape}; an image of shape {image.shape} needs the full support {support}."
        )
    check_finite("image", image)
    return _convolution(jnp.asarray(image), jnp.asarray(kernel))


@jax.jit
def _convolution(image: jax.Array, kernel: jax.Array) -> jax.Array:
    length = [next_fast_len(n, real=True) for n in kernel.shape]
    product = jnp.fft.rfftn(image, length) * jnp.fft.rfftn(kernel, length)
    return jnp.fft.irfftn(product, length)[tuple(slice(n - 1, 2 * n - 1) for n in image.shape)]


def x_space_image(
    scanner: Scanner,
    particle: Particle,
    grid: Grid,
    concentration: Num[Array, " n"],
    excitation: int | np.integer | tuple[int, ...],
) -> Float[Array, "z y x"]:
    r"""The image of a scan over a grid of positions of the field-free point.

    .. math:: (c * h_e)(\mathbf x) = \sum_j c_j\, h_e(\beta \mathbf G (\mathbf r_j - \mathbf x))\, dV

    Args:
        scanner: with a diagonal gradient [T/m]: (G, 0, -G) is a field-free line along y, which sees the projection along y.
        particle: of the Langevin model and of one diameter.
        grid: voxels of the object, and positions of the field-free point.
        concentration: mean concentration of each voxel [mmol(Fe)/L], (n,), x fastest.
        excitation: 0, 1 or 2 for x, y or z; several for the mean of their scans, (0, 2) for the combined image of the xz plane.

    Returns:
        (nz, ny, nx) [mmol(Fe)/L m^3]: 1/3 of the amount at a point much smaller than the kernel.

    Raises:
        ValueError: a gradient that is not diagonal or vanishes along the excitation, another particle model, pixels that are not
            finite, a kernel wider than the field of view, or voxels larger than half its width.

    Source: Goodwill & Conolly, IEEE TMI 29(11):1851 (2010), and 30(9):1581 (2011).
    """
    axes = (int(excitation),) if isinstance(excitation, int | np.integer) else tuple(excitation)
    gradient = checked_gradient(scanner, particle, grid, axes)
    if np.shape(concentration) != (grid.size,):
        raise ValueError(f"concentration has shape {np.shape(concentration)}; the grid needs ({grid.size},).")
    check_finite("concentration", concentration)
    image = grid.to_image(as_float(concentration))
    cell_xi = jnp.asarray(particle.beta * gradient * grid.fov / np.asarray(grid.shape), image.dtype)[::-1]
    kernel = sampled_kernel(image.shape, cell_xi, tuple(2 - axis for axis in axes))
    return convolve_linear(image, kernel) * jnp.asarray(grid.voxel_volume, image.dtype)


def x_space_voltage(
    image: Float[Array, "..."],
    scanner: Scanner,
    particle: Particle,
    velocity: Scalar,
    excitation: int,
    *,
    sensitivity: Scalar = 1.0,
) -> Float[Array, "..."]:
    r"""The voltage behind an image.

    .. math:: u = \mu_0\, p\, M_s V_\text{Fe}\, \beta\, (\mathbf G \mathbf v)_e\, (c * h_e)

    with the volume V_Fe of magnetite per mole of iron: c Ms V_Fe [A/m] is the magnetization in saturation. By reciprocity
    u = -mu0 p d/dt integral c Ms V_Fe e.L(xi) dV, and xi = beta G (r - x) changes by -beta G v dt: the two signs cancel. G is
    signed, so the same motion gives voltages of opposite sign along x and z of a field-free line.

    Args:
        image: c * h_e [mmol(Fe)/L m^3] of :func:`x_space_image`, at the positions of the field-free point.
        scanner: its gradient G [T/m].
        particle: its Ms [A/m] and beta [1/T]; its m0 times the particles per mole of iron is Ms V_Fe.
        velocity: v_e [m/s] of the field-free point along the excitation axis, broadcast against ``image``.
        excitation: 0, 1 or 2 for x, y or z.
        sensitivity: p [1/m] of a homogeneous receive coil along the excitation.

    Returns:
        u [V].

    Source: Goodwill & Conolly, IEEE TMI 29(11):1851 (2010), eq. 8, and 30(9):1581 (2011), in tesla and with the sign of G.
    """
    check_choice("excitation", excitation, (0, 1, 2))
    factor = volts_per_image(scanner, particle, excitation, sensitivity)
    return jnp.asarray(factor, image.dtype) * velocity * image


def as_float(values: Num[Array, "..."]) -> Float[Array, "..."]:
    """Integers as the default float type; floats as they are."""
    values = jnp.asarray(values)
    return values if jnp.issubdtype(values.dtype, jnp.floating) else values.astype(float)


def volts_per_image(scanner: Scanner, particle: Particle, excitation: int, sensitivity: Scalar) -> Scalar:
    """mu0 p Ms (M_Fe3O4/(3 rho)) beta G_e: volts per velocity and image [V s/m / (mmol(Fe)/L m^3)]."""
    return MU0 * sensitivity * moment_density(particle) * particle.beta * scanner.gradient[excitation, excitation]


def moment_density(particle: Particle) -> Scalar:
    """Saturated magnetization per concentration, Ms M/(3 rho) [A/m per mmol(Fe)/L], of magnetite (three iron atoms each)."""
    return particle.saturation_magnetization * (MAGNETITE_MOLAR_MASS / (3 * MAGNETITE_DENSITY))


def checked_gradient(scanner: Scanner, particle: Particle, grid: Grid, axes: tuple[int, ...]) -> Vector3:
    """The diagonal of G (3,) [T/m], after the checks that every x-space image needs; see :func:`x_space_image`."""
    if not axes or not set(axes) <= {0, 1, 2} or len(set(axes)) < len(axes):
        raise ValueError(f"excitation = {axes}; allowed are 0, 1 and 2 for x, y and z, each once.")
    if not (isinstance(particle, Particle) and particle.is_langevin and particle.size_spread is None):
        raise ValueError(
            "x-space images need a Langevin particle of one diameter; create it without anisotropy and spread."
        )
    if scanner.selection_field is not None:
        raise ValueError("x-space images need a linear selection field; create the scanner with gradient=(Gx, Gy, Gz).")
    matrix = scanner.gradient
    xp = np if is_concrete(matrix) else jnp
    gradient = xp.diagonal(xp.asarray(matrix))
    if is_concrete(matrix):
        if np.any(np.asarray(matrix) != np.diag(gradient)):
            raise ValueError(f"gradient = {matrix} T/m is not diagonal; lay the axes of the scan along the field's.")
        if np.any(gradient[list(axes)] == 0):
            raise ValueError(f"gradient = {gradient} T/m vanishes along the excitation {axes}: nothing moves there.")
    if is_concrete((gradient, particle.beta, grid.fov)):
        _check_widths(gradient, particle, grid, axes)
    return gradient


def _check_widths(gradient: Vector3, particle: Particle, grid: Grid, axes: tuple[int, ...]) -> None:
    shape, fov = np.asarray(grid.shape), np.asarray(grid.fov)
    for excitation in axes:
        widths = np.asarray(full_widths(np.asarray(gradient), float(particle.beta), excitation))
        for name, width, length, n in zip("xyz", widths, fov, shape, strict=True):
            what = f"the kernel of the {'xyz'[excitation]} scan is {1e3 * width:.3g} mm wide along {name}"
            if n > 1 and np.isfinite(width) and width > length:
                raise ValueError(
                    f"{what}, more than the field of view of {1e3 * length:.3g} mm; enlarge fov, gradient or core_diameter."
                )
            if length / n > width / 2:
                raise ValueError(
                    f"{what}, less than two voxels of {1e3 * length / n:.3g} mm; use smaller voxels (a twentieth is ample)."
                )
