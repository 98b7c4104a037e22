"""Training pairs for isotropic x-space images: image a phantom by a scan along one axis, add noise, crop, turn.

Everything is a pure function of the key. The image of a plane depends on the scanner and the particle only through
``pixel_xi`` = beta |G_i| times the pixel's edge: two numbers and the axis of the scan say all about the kernel.

The paper trains on digital binary images, its public code on one scanner (15 mm to each side, 0.25 mm pixels, 20 nm; the
size here too) with recorded noise at 15 to 20 dB. Here scanner, particle and concentrations vary. The paper's isotropic images
come from a scanner's second mode; here the label is the mean of two scans at right angles.

Source: MPI-Mamba paper, section "Diverse Dataset Design and Construction".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice, check_count, check_finite, check_interval, check_range, is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Float, Int
from mpijax.physics.xspace import COLLINEAR_WIDTH, TRANSVERSE_WIDTH
from mpijax.reconstruction.deconvolution import wiener_deconvolution
from mpijax.system import Particle, Scanner
from mpijax.system.scans.xspace import convolve_linear, sampled_kernel

GEOMETRIES = {"line": (1.0, 0.0, -1.0), "point": (-1.0, -1.0, 2.0)}
"""Gradient over its strength along x, y and z: a field-free line along y, or a field-free point."""

LARGEST_WIDTH = 0.5
"""Full width across the excitation, at most, as a part of the field of view: beyond it an image shows little but the kernel."""

GUIDE: dict[str, Any] = {"regularization": 1e-4, "iterations": 20}
"""Of the deconvolution that guides a network, :func:`deconvolved`."""

PhantomSource = Callable[[jax.Array], Float[Array, "y x"]]
"""Draws one phantom (size, size) from a key; pure and traceable. Rows are z, columns x."""


@pytree
class PlaneScan:
    """A scanner and a particle over the xz plane, rows z, columns x.

    Attributes:
        gradient: G, (3,) [T/m].
        core_diameter: d [m].
        pixel_xi: beta |G_i| times the pixel's edge, dimensionless, along rows and columns of the image (2,).

    Source: MPI-Mamba, simulation dataset.
    """

    gradient: Any
    core_diameter: Any
    pixel_xi: Any


@dataclass(frozen=True)
class XSpacePrior:
    """Scanners and particles: the diameter uniform, then the gradient uniform where the image makes sense.

    The kernel is at most half the field of view wide across the excitation, and at least ``pixels_per_width`` pixels along it:
    9.467/(beta G_min) <= fov/2 and 4.161/(beta G_max) >= pixels_per_width fov/size, G_min and G_max the smaller and the
    larger gradient of the plane. With 20 pixels, samples at the pixels' centers would do; the kernel is averaged over each
    pixel (:func:`mpijax.system.scans.xspace.sampled_kernel`), so that 4 are as good.

    Attributes:
        size: pixels per side.
        fov: side of the plane [m].
        gradient: range of the strength G [T/m]; the gradient is G times :data:`GEOMETRIES`.
        core_diameter: range of d [m].
        geometry: "line" (both scans together are round) or "point" (they are twice as wide along x as along z).
        saturation_magnetization: Ms [A/m].
        temperature: [K].
        pixels_per_width: least width along the excitation, in pixels; 2 or more.
    """

    size: int = 120
    fov: float = 30e-3
    gradient: tuple[float, float] = (0.5, 6.0)
    core_diameter: tuple[float, float] = (18e-9, 26e-9)
    geometry: str = "line"
    saturation_magnetization: float = 474e3
    temperature: float = 293.0
    pixels_per_width: float = 8.0

    def __post_init__(self) -> None:
        check_count("size", self.size, 8)
        check_choice("geometry", self.geometry, tuple(GEOMETRIES))
        check_range("fov", self.fov, 1e-4, 10.0, "m", "Lengths are in meters.")
        for name, low, high, unit in (("gradient", 1e-3, 100.0, "T/m"), ("core_diameter", 1e-9, 1e-6, "m")):
            check_interval(name, getattr(self, name))
            check_range(name, getattr(self, name), low, high, unit)
            if getattr(self, name)[0] > getattr(self, name)[1]:
                raise ValueError(f"{name} = {getattr(self, name)}; expected (low, high).")
        check_range("pixels_per_width", self.pixels_per_width, 2.0, np.inf, "", "A kernel needs two pixels per width.")
        for diameter in self.core_diameter:
            low, high = (float(bound) for bound in self._gradients(diameter))
            if low > high:
                raise ValueError(
                    f"no gradient of {self.gradient} T/m fits particles of {diameter * 1e9:.3g} nm: {low:.3g} T/m and more keep "
                    f"the kernel within {LARGEST_WIDTH:g} fov, {high:.3g} T/m and less leave it {self.pixels_per_width:g} pixels. "
                    "Change gradient, core_diameter, fov, size or pixels_per_width."
                )

    def draw(self, key: jax.Array) -> PlaneScan:
        """One scanner and particle; a pure function of the key that can be traced."""
        uniform = jax.random.uniform(key, (2,))
        low, high = self.core_diameter
        diameter = low + (high - low) * uniform[0]
        weakest, strongest = self._gradients(diameter)
        return self.plane_scan(weakest + (strongest - weakest) * uniform[1], diameter)

    def plane_scan(self, strength: Any, core_diameter: Any) -> PlaneScan:
        """The scan of a given strength G [T/m] and core diameter [m]."""
        gradient = jnp.asarray(GEOMETRIES[self.geometry]) * strength
        pixel_xi = self._particle(core_diameter).beta * jnp.abs(gradient[jnp.array([2, 0])]) * (self.fov / self.size)
        return PlaneScan(gradient, core_diameter, pixel_xi)

    def containers(self, scan: PlaneScan) -> tuple[Scanner, Particle]:
        """The scanner and the particle of a drawn scan, for everything else that one may simulate with them."""
        return Scanner.create(np.asarray(scan.gradient, np.float64)), self._particle(scan.core_diameter)

    def _particle(self, core_diameter: Any) -> Particle:
        return Particle.create(core_diameter, self.saturation_magnetization, self.temperature)

    def _gradients(self, core_diameter: Any) -> tuple[Any, Any]:
        """Least and largest strength [T/m] for a diameter."""
        beta = self._particle(core_diameter).beta
        x, _, z = np.abs(GEOMETRIES[self.geometry])
        wide = TRANSVERSE_WIDTH / (beta * LARGEST_WIDTH * self.fov * min(x, z))
        narrow = COLLINEAR_WIDTH / (beta * self.pixels_per_width * self.fov / self.size * max(x, z))
        xp = np if is_concrete(beta) else jnp
        return xp.maximum(self.gradient[0], wide), xp.minimum(self.gradient[1], narrow)


@pytree
class PhantomPool:
    """A fixed pool of phantoms, one of which is drawn. Make it with :meth:`create`.

    Attributes:
        images: (p, size, size) [mmol(Fe)/L] or any unit.
    """

    images: Any

    @staticmethod
    def create(images: Float[Array, "p y x"]) -> "PhantomPool":
        """Check and build a pool.

        Raises:
            ValueError: images that are not finite or negative, not square or empty.
        """
        if not images.shape[0] or images.shape[1] != images.shape[2]:
            raise ValueError(f"images has shape {images.shape}; expected (p, size, size) with at least one image.")
        check_finite("images", images)
        if np.min(images) < 0:
            raise ValueError(f"images hold {np.min(images):.3g}; concentrations are not negative.")
        return PhantomPool(images)

    def __call__(self, key: jax.Array) -> Float[Array, "y x"]:
        """Draw one phantom."""
        return jnp.asarray(self.images)[jax.random.randint(key, (), 0, self.images.shape[0])]


@pytree
class XSpaceTask:
    """How a phantom becomes a training pair. Make it with :meth:`create`.

    Attributes:
        textures: (k, h, w) background images of a scanner, or None = white noise.
        label: "isotropic" (the mean of a scan along rows and one along columns) or "phantom".
        noise: least and largest peak SNR of the input [dB]: 10 log10(max(clean)^2/mean(noise^2)), uniform.
        crop: side of the random crop, or None = the whole image.
        augment: whether the pair is turned and mirrored (eight ways).
        channels: copies of the image along the last axis.
        extras: whether a batch also says how it was made.
        guide: whether a batch brings the deconvolved input, for networks that correct it.

    Source: MPI-Mamba, simulation dataset; Goodwill & Conolly, IEEE TMI 30(9):1581 (2011), for the images.
    """

    textures: Any = None
    label: str = static(default="isotropic")
    noise: tuple[float, float] = static(default=(15.0, 20.0))
    crop: int | None = static(default=64)
    augment: bool = static(default=True)
    channels: int = static(default=1)
    extras: bool = static(default=False)
    guide: bool = static(default=False)

    @staticmethod
    def create(
        label: str = "isotropic",
        *,
        textures: Any = None,
        noise: tuple[float, float] = (15.0, 20.0),
        crop: int | None = 64,
        augment: bool = True,
        channels: int = 1,
        extras: bool = False,
        guide: bool = False,
    ) -> "XSpaceTask":
        """Check and build a task.

        Raises:
            ValueError: a label, range or count that does not exist, or textures that are not finite or constant.
        """
        check_choice("label", label, ("isotropic", "phantom"))
        check_interval("noise", noise)
        check_range("noise", noise, 0.0, 200.0, "dB")
        check_choice("channels", channels, (1, 3))
        if crop is not None:
            check_count("crop", crop)
        if textures is not None:
            textures = np.asarray(textures)
            check_finite("textures", textures)
            if np.iscomplexobj(textures):
                raise ValueError("textures are complex; give real images, e.g. their real and imaginary parts.")
            if textures.ndim != 3 or not textures.size or np.any(np.ptp(np.asarray(textures), axis=(1, 2)) == 0):
                raise ValueError(f"textures has shape {textures.shape}; expected (k, h, w), none of them constant.")
        low, high = (float(value) for value in noise)
        return XSpaceTask(textures, label, (low, high), crop, augment, channels, extras, guide)

    def pair(self, key: jax.Array, phantom: Float[Array, "y x"], pixel_xi: Float[Array, "2"]) -> dict[str, Any]:
        """One training pair, without a batch axis; see :meth:`batch`."""
        noise_key, draw_key = jax.random.split(key)
        draw = jax.random.uniform(draw_key, (4,))
        phantom = jnp.asarray(phantom)
        clean = convolve_linear(phantom, sampled_kernel(phantom.shape, pixel_xi, 1))
        both = convolve_linear(phantom, sampled_kernel(phantom.shape, pixel_xi, (0, 1)))
        low, high = self.noise
        psnr = low + (high - low) * draw[0]
        sigma = jnp.max(clean) * 10 ** (-psnr / 20)
        noisy = clean + sigma * unit_noise(self.textures, clean.shape[0], clean.shape[1], key=noise_key)
        scale = _reciprocal(jnp.max(noisy))
        target = both * scale if self.label == "isotropic" else phantom * _reciprocal(jnp.max(phantom))
        guides = [deconvolved(noisy * scale, pixel_xi, self.label)] if self.guide else []
        images = jnp.stack([noisy * scale, target, clean * scale, *guides])
        scan_axis = jnp.asarray(1)
        if self.crop is not None:
            if self.crop > min(phantom.shape):
                raise ValueError(
                    f"crop = {self.crop}; the phantoms have shape {phantom.shape}. Use crop=None for all of it."
                )
            room = jnp.array([n - self.crop + 1 for n in phantom.shape])
            corner = jnp.floor(draw[1:3] * room).astype(int)
            images = jax.lax.dynamic_slice(images, (0, corner[0], corner[1]), (len(images), self.crop, self.crop))
        if self.augment:
            way = jnp.floor(8 * draw[3]).astype(int)
            images = jnp.asarray(turn(images, way))
            scan_axis, pixel_xi = jnp.asarray(turned_axis(scan_axis, way)), turned_axes(pixel_xi, way)
        images = jnp.repeat(images[..., None], self.channels, axis=-1)
        pair: dict[str, Any] = {"input": images[0], "target": images[1]}
        if self.guide:
            pair["auxiliary"] = {"guide": images[3]}
        if self.extras:
            pair |= {"clean": images[2], "scan_axis": scan_axis, "pixel_xi": pixel_xi, "noise_level": sigma * scale}
        return pair

    def batch(self, key: jax.Array, phantoms: Float[Array, "b y x"], pixel_xi: Float[Array, "b 2"]) -> dict[str, Any]:
        """Training pairs {"input", "target"}, (b, h, w, channels) each.

        The input is a scan along the columns' axis x with noise, over its maximum. The isotropic target is over the same
        maximum, so that the network keeps the scale; the phantom is over its own, 0 to 1, as the units differ. Scaling and
        noise level are those of the whole image, also for a crop.

        With ``extras``: "clean", the input without noise; "scan_axis" (b,), 0 = rows, 1 = columns; "pixel_xi" (b, 2), with which
        :func:`mpijax.system.scans.xspace.sampled_kernel` gives the kernel of any size; "noise_level" (b,), rms in the input.

        With ``guide``: "auxiliary" {"guide"}, :func:`deconvolved` of the whole image, cropped and turned along.
        """
        return jax.vmap(self.pair)(jax.random.split(key, phantoms.shape[0]), phantoms, pixel_xi)


def deconvolved(
    image: Float[Array, "y x"], pixel_xi: Float[Array, "2"], label: str = "isotropic"
) -> Float[Array, "y x"]:
    """What the known kernel alone makes of a scan along the columns' axis: a coarse estimate of the label.

    :func:`mpijax.reconstruction.wiener_deconvolution` with the values of :data:`GUIDE`, then for "isotropic" the kernel of
    both scans, for "phantom" division by the maximum.

    Args:
        image: scan along x, over its maximum.
        pixel_xi: beta |G_i| times the pixel's edge, rows and columns.
        label: "isotropic" or "phantom".

    Source: Wiener (1949), see :func:`mpijax.reconstruction.wiener_deconvolution`.
    """
    check_choice("label", label, ("isotropic", "phantom"))
    found = wiener_deconvolution(image, sampled_kernel(image.shape, pixel_xi, 1), **GUIDE)
    if label == "isotropic":
        return convolve_linear(found, sampled_kernel(image.shape, pixel_xi, (0, 1)))
    return found * _reciprocal(jnp.max(found))


def xspace_batches(
    task: XSpaceTask, prior: XSpacePrior, phantoms: PhantomSource, batch_size: int = 32
) -> jax.tree_util.Partial:
    """The function from a key to a training batch that the training step traces; arrays of task and source are its leaves.

    Args:
        task: how pairs are made.
        prior: of scanners and particles; its ``size`` is that of the phantoms.
        phantoms: a pytree that draws one phantom from a key, e.g. ``PlanarPhantoms`` or :class:`PhantomPool`.
        batch_size: pairs per batch.

    Raises:
        ValueError: phantoms of another size than the prior's, a crop that is larger, or no pair in a batch.

    Source: MPI-Mamba, simulation dataset.
    """
    check_count("batch_size", batch_size)
    shape = jax.eval_shape(phantoms, jax.random.key(0)).shape
    if shape != (prior.size, prior.size):
        raise ValueError(f"the phantoms have shape {shape}; the prior's size is {prior.size}. Give both the same.")
    if task.crop is not None and task.crop > prior.size:
        raise ValueError(f"crop = {task.crop} is more than the {prior.size} pixels of the phantoms; use crop=None.")

    def batch(task: XSpaceTask, phantoms: PhantomSource, key: jax.Array) -> dict[str, Any]:
        draw, scan, pair = (jax.random.split(k, batch_size) for k in jax.random.split(key, 3))
        pixel_xi = jax.vmap(lambda k: prior.draw(k).pixel_xi)(scan)
        return jax.vmap(task.pair)(pair, jax.vmap(phantoms)(draw), pixel_xi)

    return jax.tree_util.Partial(batch, task, phantoms)


def unit_noise(
    textures: Float[Array, "k h w"] | None, rows: int, columns: int, *, key: jax.Array
) -> Float[Array, "y x"]:
    """Noise of zero mean and unit rms over an image: white, or cut out of a recorded background.

    A texture is drawn, continued by reflection where it is smaller than the image, begun anywhere, and turned and mirrored at
    random. No interpolation: the statistics of neighboring pixels are those of the recording.
    """
    if textures is None:
        noise = jax.random.normal(key, (rows, columns))
    else:
        textures = jnp.asarray(textures)
        pick, first, second, swap = jax.random.uniform(key, (4,))
        texture = textures[jnp.floor(pick * textures.shape[0]).astype(int)]
        along = _reflected(first, textures.shape[1], max(rows, columns))
        across = _reflected(second, textures.shape[2], max(rows, columns))
        square = texture[along][:, across]
        noise = jnp.where(swap < 0.5, square.T, square)[:rows, :columns]
    noise = noise - jnp.mean(noise)
    return noise * _reciprocal(jnp.sqrt(jnp.mean(noise**2)))


def turn(images: Float[Array, "*batch n n"], way: Any) -> Float[Array, "*batch n n"]:
    """One of the eight symmetries of the square: bit 0 mirrors rows, bit 1 columns, bit 2 then exchanges both axes.

    Imaging commutes with it if the axis of the scan and the gradients go along (:func:`turned_axis`, :func:`turned_axes`).
    """
    way = jnp.asarray(way)
    images = jnp.where(way & 1, jnp.flip(images, -2), images)
    images = jnp.where(way & 2, jnp.flip(images, -1), images)
    return jnp.where(way & 4, jnp.swapaxes(images, -1, -2), images)


def turned_axis(axis: Any, way: Any) -> Int[Array, ""]:
    """The image axis 0 or 1 along which the scan runs after :func:`turn`; its direction does not matter."""
    return jnp.where(jnp.asarray(way) & 4, 1 - jnp.asarray(axis), axis)


def turned_axes(values: Float[Array, "2"], way: Any) -> Float[Array, "2"]:
    """What belongs to the two image axes (rows, columns), after :func:`turn`."""
    return jnp.where(jnp.asarray(way) & 4, jnp.flip(values), values)


def _reflected(start: jax.Array, n: int, count: int) -> jax.Array:
    """``count`` indices into n entries that run to and fro, from a random place of the 2 n on."""
    place = (jnp.floor(start * 2 * n).astype(int) + jnp.arange(count)) % (2 * n)
    return jnp.minimum(place, 2 * n - 1 - place)


def _reciprocal(value: jax.Array) -> jax.Array:
    """1/value; 1 where there is nothing to scale."""
    return jnp.where(value > 0, 1 / jnp.where(value > 0, value, 1), 1)
