"""Exact symmetries of a scan: half of the samples where the drive field is even in time, parts of the grid from the others.

Let m(r, t) be the moment at a position for the field S(r) + D(t), F a mirroring of some axes, R of all, and k a bin.

* Time reversal. D(-t) = D(t) (cosines): m(r, -t) = m(r, t) of every moment without memory; its spectrum is real.
* Shift by half a period. Axes with an odd number of cycles change sign, D(t + T/2) = F D(t). Where S(F r) = F S(r):
  mhat(F r)[k] = (-1)^k F mhat(r)[k], of moments that are mirrored with their field, with memory too.
* Both reversals. D(-t) = -D(t) (sines) and S(-r) = -S(r): mhat(-r)[k] = -conj(mhat(r)[k]) without memory, and with the shift
  mhat(-F r)[k] = -(-1)^k F conj(mhat(r)[k]).
* A component is zero where neither drive nor selection field has it, of moments without memory that are mirrored with their field.

What holds is decided on the host from concrete arguments; where something is traced only what is static is used.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import is_concrete
from mpijax.core.typing import Array, Float, HostArray, Inexact, IntVector
from mpijax.system.grid import Grid
from mpijax.system.model import ParticleModel
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence

Flips = tuple[bool, bool, bool]

TABLE_ENTRIES = 2**20
"""Cosines up to which bins of an even moment are a matrix product: they are constants of the compiled program. Beyond, a Fourier
transform of the whole period is taken."""


@dataclass(frozen=True)
class Mirror:
    """How rows at one half of the grid follow from those at the other.

    mhat_i(F r)[k] = signs_i (-1)^k mhat_i(r)[k], (-1)^k where ``alternates``, conjugated where ``reverses``.

    Attributes:
        flips: axes that F mirrors.
        axis: of them the one of whose voxels the second half is left out.
    """

    flips: Flips
    axis: int
    signs: tuple[int, int, int]
    alternates: bool
    reverses: bool


@dataclass(frozen=True)
class Symmetry:
    """What of a scan need not be simulated; static.

    Attributes:
        even: whether the moment is even in time.
        mirrors: of the grid, in the order in which parts of it are left out.
        silent: components of the moment that are zero.
    """

    even: bool = False
    mirrors: tuple[Mirror, ...] = ()
    silent: Flips = (False, False, False)

    def simulated(self, points: Float[Array, "n 3"], shape: tuple[int, int, int]) -> Float[Array, "u 3"]:
        """The positions to simulate, of those of a grid of ``shape``."""
        cut = tuple(slice(n) for n in reversed(self.sizes(shape)))
        return points.reshape(*reversed(shape), 3)[cut].reshape(-1, 3) if self.mirrors else points

    def sizes(self, shape: tuple[int, int, int]) -> list[int]:
        """Voxels along x, y and z of the part that is simulated."""
        halved = {mirror.axis for mirror in self.mirrors}
        return [-(-n // 2) if i in halved else n for i, n in enumerate(shape)]

    def whole(
        self, spectra: Inexact[Array, "3 f u"], shape: tuple[int, int, int], bins: IntVector
    ) -> Inexact[Array, "3 f n"]:
        """Moments' spectra at all positions of the grid from those at :meth:`simulated` ones."""
        if not self.mirrors:
            return spectra
        spectra = spectra.reshape(*spectra.shape[:2], *reversed(self.sizes(shape)))
        odd = jnp.asarray(bins) % 2
        for mirror in reversed(self.mirrors):
            axis, size = 4 - mirror.axis, shape[mirror.axis]
            part = jax.lax.slice_in_dim(spectra, 0, size // 2, axis=axis)
            part = jnp.flip(part, [4 - i for i in range(3) if mirror.flips[i]])
            sign = jnp.asarray(mirror.signs, spectra.real.dtype)[:, None] * jnp.where(odd & mirror.alternates, -1, 1)
            part = jnp.conj(part) if mirror.reverses else part
            spectra = jnp.concatenate([spectra, part * sign[..., None, None, None].astype(spectra.real.dtype)], axis)
        return spectra.reshape(*spectra.shape[:2], -1)


def symmetry_of(
    scanner: Scanner, sequence: LissajousSequence, particle: ParticleModel, grid: Grid, dtype: jnp.dtype
) -> Symmetry:
    """What symmetries a scan has, up to the rounding of its precision."""
    even = even_in_time(sequence, particle, dtype)
    if scanner.selection_field is not None or not is_concrete((scanner, grid)):
        return Symmetry(even)
    field = _Field(scanner, grid, _tolerance(dtype))
    drives = [bool(cycles) for cycles in sequence.cycles]
    silent = _flips(
        not (drives[i] or particle.has_memory)  # whose moment is NaN as a whole where it has not settled
        and grid.shape[i] == 1
        and field.mirrored(_only(i))
        and particle.mirrors_with(_only(i))
        for i in range(3)
    )
    mirrors: list[Mirror] = []
    odd = _flips(cycles % 2 == 1 for cycles in sequence.cycles)
    shifted: Flips | None = None
    if any(odd) and sequence.n_samples % 2 == 0:
        # axes without a drive may be mirrored as well: precession wants an even number of mirrorings
        extra = [_flips(o or i == j for i, o in enumerate(odd)) for j in range(3) if not drives[j]]
        shifted = next((f for f in (odd, *extra) if field.mirrored(f) and particle.mirrors_with(f)), None)
    if shifted is not None:
        _append(mirrors, shifted, grid, signs=_signs(shifted), alternates=True, reverses=False)
    if not particle.has_memory and parity(sequence, dtype) == -1:
        both, rest = (True, True, True), None if shifted is None else _flips(not f for f in shifted)
        whole = field.mirrored(both) and particle.mirrors_with(both)
        if whole and rest is not None and any(rest) and mirrors:
            _append(mirrors, rest, grid, signs=_signs(rest), alternates=True, reverses=True)
        elif whole and not mirrors:
            _append(mirrors, both, grid, signs=_signs(both), alternates=False, reverses=True)
    return Symmetry(even, tuple(mirrors), silent)


def even_in_time(sequence: LissajousSequence, particle: ParticleModel, dtype: jnp.dtype) -> bool:
    """Whether the moment is known to be even in time, wherever it is."""
    return not particle.has_memory and parity(sequence, dtype) == 1


def parity(sequence: LissajousSequence, dtype: jnp.dtype) -> int:
    """1 where the drive field is even in time, -1 where it is odd, 0 where it is neither or not known."""
    if sequence.phase is None:
        return 1 if sequence.waveform == "cosine" else -1
    if not is_concrete(sequence.phase):
        return 0
    phase, tolerance = np.asarray(sequence.phase, float)[list(sequence.active)], _tolerance(dtype)
    if np.all(np.abs(np.cos(phase)) < tolerance):
        return 1
    return -1 if np.all(np.abs(np.sin(phase)) < tolerance) else 0


def even_samples(n_samples: int) -> int:
    """Samples of a period from which an even moment is known: t = 0 up to half of it."""
    return n_samples // 2 + 1


def even_spectrum(moment: Float[Array, "n j"], n_samples: int, indices: IntVector | None) -> Float[Array, "f n"]:
    """rfft/N of moments that are even in time, from their first :func:`even_samples`.

    X_k = (1/N) sum_j w_j m_j cos(2 pi k j/N), w_j = 2 where j and N - j are two samples. With N = 2 M,
    cos(2 pi k (M - j)/N) = (-1)^k cos(2 pi k j/N): sums and differences of j and M - j give even and odd bins, each by a product
    with a quarter of the cosines.
    """
    half, count = n_samples // 2, even_samples(n_samples)
    bins = np.arange(count) if indices is None else indices
    quarter = half // 2 + 1
    if n_samples % 2 or not is_concrete(bins) or len(bins) * quarter > TABLE_ENTRIES:
        back = moment[:, 1 : (n_samples + 1) // 2][:, ::-1]
        spectrum = jnp.fft.rfft(jnp.concatenate([moment, back], axis=1) * (1 / n_samples)).real
        return (spectrum if indices is None else spectrum[:, indices]).T
    first, last = moment[:, :quarter], moment[:, ::-1][:, :quarter]
    kind = np.asarray(bins) % 2
    products = [
        jnp.einsum(
            "nj,fj->fn", folded, _cosines(n_samples, np.asarray(bins)[kind == which], moment.dtype), precision="highest"
        )
        for which, folded in ((0, first + last), (1, first - last))
    ]
    if indices is None:
        even, odd = products
        odd = jnp.concatenate([odd, jnp.zeros((len(even) - len(odd), odd.shape[1]), odd.dtype)])
        return jnp.stack([even, odd], axis=1).reshape(-1, even.shape[1])[:count]
    return jnp.concatenate(products)[np.argsort(np.argsort(kind, kind="stable"), kind="stable")]


def _cosines(n_samples: int, bins: HostArray, dtype: jnp.dtype) -> HostArray:
    """w_j cos(2 pi k j/N)/N of the samples up to a quarter of the period; the middle one, which is folded on itself, by half."""
    half = n_samples // 2
    sample = np.arange(half // 2 + 1)
    weight = np.where(sample == 0, 1.0, 2.0) / n_samples
    if half % 2 == 0:
        weight[-1] /= 2
    return (weight * np.cos(2 * np.pi * (bins[:, None] * sample % n_samples) / n_samples)).astype(dtype)


def _tolerance(dtype: jnp.dtype) -> float:
    """Of phases and relative fields: what is smaller is rounding."""
    return 4 * float(jnp.finfo(dtype).eps)


class _Field:
    """Selection field G (r - r0) + S(r0) about the grid's center r0."""

    def __init__(self, scanner: Scanner, grid: Grid, tolerance: float):
        self.gradient, center = np.asarray(scanner.gradient, float), np.asarray(grid.center, float)
        self.middle = self.gradient @ center + np.asarray(scanner.offset_field, float)
        size = np.abs(self.gradient).max() * (np.asarray(grid.fov, float).max() + np.abs(center).max())
        self.least, self.coupling = tolerance * size, tolerance * np.abs(self.gradient).max()

    def mirrored(self, flips: Flips) -> bool:
        """Whether S(F r) = F S(r) about the center."""
        flipped = np.array(flips)
        crossed = np.abs(self.gradient[flipped[:, None] != flipped[None, :]])
        return bool(np.all(np.abs(self.middle[flipped]) <= self.least) and np.all(crossed <= self.coupling))


def _append(
    mirrors: list[Mirror], flips: Flips, grid: Grid, *, signs: tuple[int, int, int], alternates: bool, reverses: bool
) -> None:
    """The mirror, if it leaves out voxels; those of the slowest axis, whose parts lie together."""
    axes = [i for i in (2, 1, 0) if flips[i] and grid.shape[i] > 1]
    if axes:
        mirrors.append(Mirror(flips, axes[0], signs, alternates, reverses))


def _signs(flips: Flips) -> tuple[int, int, int]:
    x, y, z = (-1 if f else 1 for f in flips)
    return x, y, z


def _only(axis: int) -> Flips:
    return _flips(i == axis for i in range(3))


def _flips(values: Iterable[bool]) -> Flips:
    x, y, z = values
    return x, y, z
