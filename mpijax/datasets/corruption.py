"""Training pairs for restoring rows of system matrices: a clean row, its corrupted twin, and where they count.

The order of operations for one row S: g = S / max|S|, times e^{i phi}, times a scale, the operator A (nothing, a mask, a
coarser grid), plus noise of standard deviation sigma, both divided by the largest known modulus of the corrupted row, zero
padding at a random offset, two channels. Inference runs the last steps alone (:func:`encode`) and inverts them
(:func:`decode`).

A row of extent (nx, ny[, nz]) lies in the corner of a padded box (y, x) or (z, y, x) of static shape; the extent may be
traced, and what the box holds outside is never read. Everything is for one row: use ``jax.vmap`` for a batch.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_choice, check_count, check_interval, check_range
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.datasets.pairs import Rows, Validate
from mpijax.physics.noise import background_from_frames, background_surrogate, complex_normal
from mpijax.physics.scan_order import scan_index, valid_voxels
from mpijax.rows.masks import block_mask
from mpijax.rows.scaling import channels_to_complex, complex_to_channels, row_scale
from mpijax.rows.tasks import Denoise, Task, Trained

NOISE = ("white", "surrogate", "frames")


@pytree
class Placement:
    """What :func:`decode` needs to undo :func:`encode`: row = cut(channels at offset) * scale.

    Attributes:
        offset: first voxel of the row in the patch, in the order of the image axes (d,).
        scale: factor by which the row was divided [unit of the row].
    """

    offset: Any
    scale: Any


@pytree
class Corruption:
    """The random part of a training pair.

    Attributes:
        phase: phi [rad].
        scale: of the clean row after normalization to unit maximum.
        sigma: complex standard deviation of the noise in that scale.
        noise: complex, of standard deviation one, on the box of the corrupted row.
        known: bool, the measured voxels, on the same box.
        offset: first voxel of the corrupted row in its patch, in the order of the image axes (d,).
    """

    phase: Any
    scale: Any
    sigma: Any
    noise: Any
    known: Any
    offset: Any


def encode(
    row: Complex[Array, "*box"],
    known: Bool[Array, "*box"],
    patch: tuple[int, ...],
    offset: Any,
) -> tuple[Float[jax.Array, "*patch 2"], Placement]:
    """A row as the input of a network: unknown voxels zero, largest known modulus one, at ``offset`` in a patch of zeros.

    Args:
        row: in the corner of its box (y, x) or (z, y, x).
        known: voxels that are measured and belong to the row.
        patch: shape of the result, at least that of the box.
        offset: first voxel in the patch (d,); the row must end inside the patch.

    Returns:
        Two channels (*patch, 2), and what inverts the placement. A row of zeros has scale one.

    Raises:
        ValueError: a patch smaller than the box.
    """
    row = jnp.where(known, jnp.asarray(row), 0)
    scale = row_scale(row[None])[0]
    return complex_to_channels(_place(row / scale, patch, offset)), Placement(jnp.asarray(offset), scale)


def decode(
    channels: Float[Array, "*patch 2"], placement: Placement, box: tuple[int, ...], extent: Any, *, factor: int = 1
) -> Complex[jax.Array, "*box"]:
    """The row that a network returned, in the unit of the row given to :func:`encode`.

    Args:
        channels: the network's output (*patch, 2).
        placement: of the input.
        box: shape of the result (y, x) or (z, y, x).
        extent: voxels per axis (nx, ny, nz) of the result.
        factor: by how much the output is finer than the input.

    Returns:
        Complex row in the corner of its box, zero outside the extent.
    """
    image = channels_to_complex(channels)
    axes = tuple(range(image.ndim))
    image = jnp.roll(image, -factor * placement.offset, axes)[tuple(slice(n) for n in box)]
    return jnp.where(_valid(extent, box), image * placement.scale, 0)


@dataclass(frozen=True)
class RandomCorruption:
    """Distribution of corruptions from which restoring networks learn.

    Source: restoration paper, section 3.2 (noise U(0, 0.3), scale U(0.5, 1), blocks of 2 to 20 %).

    Attributes:
        tasks: what is restored; of several that are given rows of one grid (such as denoise, inpaint, complete) every row draws
            one with equal odds.
        noise: "white", "surrogate" (:func:`mpijax.physics.background_surrogate`) or "frames" (real background frames, given to
            :meth:`pair`); the last two along a raster or, with p = 1/2, a meander, and each row scaled to its sigma.
        noise_share: of the rows that get that noise; the others get white noise. One = all.
        noise_range: sigma = low + (high - low) u^noise_power with u ~ U(0, 1), complex standard deviation where a maximum
            modulus of one is the unit.
        noise_power: above one, more rows are nearly clean.
        scale_range: the maximum modulus of the clean row ~ U.
        patch: shape of the target (y, x) or (z, y, x); None = the box of the row.
        missing_range: share of the voxels that one block of failed positions hides ~ U; max_blocks: how many there are at most.
        missing_weight: weight in the loss of voxels inside the grid that are not measured; known ones weigh one, padding zero.
    """

    tasks: tuple[Task, ...] = (Denoise(),)
    noise: str = "white"
    noise_share: float = 1.0
    noise_range: tuple[float, float] = (0.0, 0.3)
    noise_power: float = 1.0
    scale_range: tuple[float, float] = (0.5, 1.0)
    patch: tuple[int, ...] | None = None
    missing_range: tuple[float, float] = (0.02, 0.2)
    max_blocks: int = 3
    missing_weight: float = 6.0

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("tasks = (); give at least one, e.g. (Denoise(),) or (Denoise(), Inpaint()).")
        # what a task leaves open is decided here, so that the card of the weights says it
        object.__setattr__(self, "tasks", tuple(task.settled("") for task in self.tasks))
        if len({task.seen_factor for task in self.tasks}) > 1:
            names = " and ".join(task.name for task in self.tasks)
            raise ValueError(
                f"tasks {names} are given rows of different grids; one network cannot learn them together."
            )
        check_choice("noise", self.noise, NOISE)
        for name in ("noise_range", "scale_range", "missing_range"):
            check_interval(name, getattr(self, name))
        check_range("noise_range", self.noise_range, 0.0, float("inf"), "", "It is (smallest, largest) sigma.")
        check_range("scale_range", self.scale_range, 1e-6, float("inf"), "", "It is (smallest, largest) scale.")
        check_range("missing_range", self.missing_range, 0.0, 1.0, "", "It is (smallest, largest) share of the voxels.")
        check_range("noise_share", self.noise_share, 0.0, 1.0, "")
        check_count("max_blocks", self.max_blocks)
        check_range("noise_power", self.noise_power, 0.1, 10.0, "")
        check_range("missing_weight", self.missing_weight, 0.0, float("inf"), "")
        for name in ("noise_range", "scale_range", "missing_range"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = {(low, high)}; give (smallest, largest).")

    @property
    def monitor(self) -> str:
        """Peak signal-to-noise ratio."""
        return "-psnr"

    @property
    def legend(self) -> str:
        """What :meth:`validation` says, in words."""
        levels = ", ".join(f"{level:g}" for level in self._levels)
        return f"psnr: a row's maximum over the error left [dB], more is better, mean over noise of {levels} of the maximum"

    @property
    def _levels(self) -> tuple[float, ...]:
        """Noise of the validation; without noise a row with nothing missing is its own restoration, of infinite PSNR."""
        return (0.06, 0.2) if any(task.stand_in is None for task in self.tasks) else (0.0, 0.06, 0.2)

    @property
    def factor(self) -> int:
        """Fine voxels per voxel of the network's input and axis."""
        return self.tasks[0].seen_factor

    def trained(self, dimensions: int) -> Trained:
        """Rows up to the largest noise, in units of their largest modulus, of any phase."""
        return Trained(self.tasks, dimensions, "peak", self.noise_range[1], members=2)

    def facts(self) -> dict[str, Any]:
        """The attributes but the tasks, which :class:`mpijax.rows.Trained` holds."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "tasks"}

    def batch(self, key: jax.Array, rows: Rows) -> dict[str, jax.Array]:
        """Training pairs of rows, see :meth:`pair`; noise that rows carry already stays in their targets."""
        images = jnp.asarray(rows.images)
        box = images.shape[1:]
        whole = jnp.asarray([*box[::-1], 1][:3])
        extents = jnp.broadcast_to(whole if rows.extent is None else jnp.asarray(rows.extent), (len(images), 3))
        return jax.vmap(self.pair)(jax.random.split(key, len(images)), images, extents)

    def validation(self, rows: Rows, seed: int) -> Validate:
        """Mean PSNR [dB] at fixed noise levels: all voxels inside the grid, peak = largest modulus; "psnr" is their mean."""
        fixed = replace(self, scale_range=(1.0, 1.0), missing_range=(0.1, 0.1), max_blocks=1, noise_power=1.0)
        key = jax.random.key(seed)
        batches = {
            f"psnr_{level:g}": jax.jit(replace(fixed, noise_range=(level, level)).batch)(key, rows)
            for level in self._levels
        }

        def validate(apply: Any) -> dict[str, float]:
            values = {name: float(_psnr(apply, batch)) for name, batch in batches.items()}
            return {"psnr": sum(values.values()) / len(values)} | values

        return validate

    def pair(
        self,
        key: jax.Array,
        row: Complex[Array, "*box"],
        extent: Any,
        *,
        frames: Complex[Array, "e m"] | None = None,
        concentration: Float[Array, "4"] | None = None,
    ) -> dict[str, jax.Array]:
        """A training pair; see :meth:`draw` for the arguments and :meth:`apply` for the result."""
        return self.apply(self.draw(key, row.shape, extent, frames=frames, concentration=concentration), row, extent)

    def draw(
        self,
        key: jax.Array,
        box: tuple[int, ...],
        extent: Any,
        *,
        frames: Complex[Array, "e m"] | None = None,
        concentration: Float[Array, "4"] | None = None,
    ) -> Corruption:
        """Everything random about the pair of one row; a pure function of the key.

        Args:
            key: random key.
            box: shape (y, x) or (z, y, x) of the padded row, static.
            extent: voxels per axis (nx, ny) or (nx, ny, nz) of the row, may be traced.
            frames: for noise="frames" only, the background frames of m rows in the order of acquisition; one column is drawn.
                Pass the one column (e, 1) that belongs to the row's channel and frequency where there is one.
            concentration: for noise="surrogate" only, :func:`mpijax.physics.background_concentration` of the row's bin;
                None = the same for all parts.

        Raises:
            ValueError: a box that the scale does not divide, a patch it does not fit, frames that are missing, or frames or a
                concentration that would not be used.
        """
        if (self.noise == "frames") != (frames is not None):
            raise ValueError(f"noise={self.noise!r}; pass frames= with noise='frames', and only then.")
        if concentration is not None and self.noise != "surrogate":
            raise ValueError(f"noise={self.noise!r} does not use concentration=; only noise='surrogate' does.")
        _, coarse_patch, coarse_box = self._shapes(box)
        extent = _extent3(self.tasks[0].seen_extent(jnp.asarray(extent)[: len(box)]))
        uniform_key, noise_key, mask_key = jax.random.split(key, 3)
        u = jax.random.uniform(uniform_key, (3 + len(box),))
        (scale_low, scale_high), (sigma_low, sigma_high) = self.scale_range, self.noise_range
        room = jnp.asarray(coarse_patch) - extent[: len(box)][::-1]
        shape = _shape3(coarse_box)
        noise = self._noise(noise_key, extent, shape, frames, concentration)
        known = self._known(mask_key, extent, shape)
        return Corruption(
            phase=2 * jnp.pi * u[0],
            scale=scale_low + (scale_high - scale_low) * u[1],
            sigma=sigma_low + (sigma_high - sigma_low) * u[2] ** self.noise_power,
            noise=noise.reshape(coarse_box),
            known=known.reshape(coarse_box),
            offset=jnp.floor((room + 1) * u[3:]).astype(int),
        )

    def apply(self, corruption: Corruption, row: Complex[Array, "*box"], extent: Any) -> dict[str, jax.Array]:
        """The training pair that a drawn corruption makes of a row.

        Args:
            corruption: from :meth:`draw`.
            row: clean row in the corner of its box (y, x) or (z, y, x), any unit.
            extent: voxels per axis (nx, ny) or (nx, ny, nz) of the row, may be traced.

        Returns:
            "input" (*patch / scale, 2) and "target" (*patch, 2); "mask" (*patch / scale, 2), one where the input is measured and
            where it belongs to the grid; "weight" (*patch, 1) of the target in the loss, zero in the padding; "noise_level"
            (), sigma in the scale of the input.
        """
        patch, coarse_patch, coarse_box = self._shapes(row.shape)
        task, extent = self.tasks[0], jnp.asarray(extent)[: row.ndim]
        inside = _valid(task.seen_extent(extent), coarse_box)
        extent = task.target_extent(extent)
        valid = _valid(extent, row.shape)
        row = jnp.where(valid, jnp.asarray(row), 0)
        clean = row / row_scale(row[None])[0]
        clean = clean * jnp.exp(1j * corruption.phase).astype(clean.dtype) * corruption.scale
        coarse = task.seen(clean[None])[0]
        corrupted = coarse + corruption.sigma * corruption.noise.astype(coarse.dtype)
        known, offset = corruption.known, corruption.offset
        channels, placement = encode(corrupted, known, coarse_patch, offset)

        weight = valid.astype(channels.dtype)
        if known.shape == valid.shape:
            weight = jnp.where(valid & ~known, self.missing_weight, weight)
        return {
            "input": channels,
            "target": complex_to_channels(_place(clean / placement.scale, patch, self.factor * offset)),
            "mask": jnp.stack(
                [_place(m.astype(channels.dtype), coarse_patch, offset) for m in (known, inside)], axis=-1
            ),
            "weight": _place(weight, patch, self.factor * offset)[..., None],
            "noise_level": corruption.sigma / placement.scale,
        }

    def _known(self, key: jax.Array, extent: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
        """The measured voxels (n,) of the corrupted row."""
        choice_key, block_key = jax.random.split(key)
        masks = [task.draw_known(block_key, extent, shape, self._gaps) for task in self.tasks]
        return masks[0] if len(masks) == 1 else jnp.stack(masks)[jax.random.randint(choice_key, (), 0, len(masks))]

    def _gaps(self, key: jax.Array, extent: Any, shape: tuple[int, int, int]) -> jax.Array:
        return block_mask(extent, shape, key=key, ratio_range=self.missing_range, max_blocks=self.max_blocks)

    def _noise(
        self, key: jax.Array, extent: jax.Array, shape: tuple[int, int, int], frames: Any, concentration: Any
    ) -> jax.Array:
        """Noise (n,) of standard deviation one on the box."""
        n = shape[0] * shape[1] * shape[2]
        if self.noise == "white":
            return complex_normal((n,), 1.0, key=key)
        choice_key, series_key = jax.random.split(key)
        choice = jax.random.uniform(choice_key, (2,))
        index = scan_index(extent, shape, choice[0] < 0.5)
        count = jnp.prod(extent)
        if self.noise == "surrogate":
            concentration = jnp.ones(4) if concentration is None else concentration
            series = background_surrogate(n, key=series_key, concentration=concentration, count=count)
        else:
            column = jnp.floor(frames.shape[1] * choice[1]).astype(int)
            series = background_from_frames(jnp.asarray(frames)[:, column], n, key=series_key, count=count)
        values = series.at[index].get(mode="fill", fill_value=0)
        if self.noise_share == 1:
            return values
        share_key, white_key = jax.random.split(jax.random.fold_in(key, 2))
        colored = jax.random.bernoulli(share_key, self.noise_share)
        return jnp.where(colored, values, complex_normal((n,), 1.0, key=white_key))

    def _shapes(self, box: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Patch of the target, patch of the input, box of the corrupted row."""
        patch = box if self.patch is None else self.patch
        if len(patch) != len(box) or any(p < b for p, b in zip(patch, box, strict=True)):
            raise ValueError(f"patch = {patch} does not hold a row in a box of shape {box}.")
        for name, shape in (("patch", patch), ("box", box)):
            if any(n % self.factor for n in shape):
                raise ValueError(f"{name} = {shape} is not a multiple of scale = {self.factor} along every axis.")
        return patch, tuple(n // self.factor for n in patch), tuple(n // self.factor for n in box)


def _place(image: jax.Array, patch: tuple[int, ...], offset: Any) -> jax.Array:
    """An image, zero outside its extent in the corner, at ``offset`` in a patch of zeros."""
    if any(p < n for p, n in zip(patch, image.shape, strict=True)):
        raise ValueError(f"patch = {patch} does not hold a row in a box of shape {image.shape}.")
    padded = jnp.pad(image, [(0, p - n) for p, n in zip(patch, image.shape, strict=True)])
    return jnp.roll(padded, offset, tuple(range(image.ndim)))


def _shape3(box: tuple[int, ...]) -> tuple[int, int, int]:
    """Image axes (y, x) or (z, y, x) as a grid shape (nx, ny, nz)."""
    if len(box) not in (2, 3):
        raise ValueError(f"a row has the axes (y, x) or (z, y, x); got a box of shape {box}.")
    nx, ny, nz = (*box[::-1], 1)[:3]
    return nx, ny, nz


def _extent3(extent: Any) -> jax.Array:
    """Voxels per axis (nx, ny, nz) of (nx, ny) or (nx, ny, nz)."""
    extent = jnp.asarray(extent)
    return jnp.concatenate([extent, jnp.ones(3 - extent.shape[0], extent.dtype)])


def _valid(extent: Any, box: tuple[int, ...]) -> jax.Array:
    return valid_voxels(_extent3(jnp.asarray(extent)[: len(box)]), _shape3(box)).reshape(box)


def _psnr(apply: Any, batch: dict[str, jax.Array]) -> jax.Array:
    out = apply(batch["input"], mask=batch["mask"], noise_level=batch["noise_level"])
    target, inside = batch["target"], batch["weight"] > 0
    axes = tuple(range(1, out.ndim))
    peak = jnp.max(jnp.sum(target**2, -1), axis=axes[:-1])
    error = jnp.sum(jnp.where(inside, (out - target) ** 2, 0), axis=axes) / jnp.sum(inside, axis=axes)
    return jnp.mean(10 * jnp.log10(peak / error))
