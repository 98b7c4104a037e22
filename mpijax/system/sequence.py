"""Lissajous drive-field sequences."""

import math
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_choice, check_range, check_shape, is_concrete
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, DType, Float, Numbers, Vector3
from mpijax.physics.sequences import mixing_orders, phase_table
from mpijax.system.leaves import as_leaf

AMPLITUDE_FLOOR = 1e-7
"""Drive amplitudes below this [T] count as inactive axes (the rule of MPIFiles)."""


@pytree
class LissajousSequence:
    """Sinusoidal drive fields on up to three axes. Make it with :meth:`create`.

    Attributes:
        amplitude: A [T], (3,).
        phase: (3,) [rad] in the convention A sin(2 pi f t + phase), or None: the waveform decides.
        dividers, base_frequency, waveform: f_i = base_frequency/divider_i; static.
        active: which axes are driven, static.
        ticks: period in cycles of the base frequency, static.
        n_samples: samples per period, static.

    Source: T. Knopp et al., Trajectory analysis for magnetic particle imaging, Phys. Med. Biol. 54, 385 (2009).
    """

    amplitude: Vector3
    phase: Vector3 | None
    dividers: tuple[int, int, int] = static()
    base_frequency: float = static()
    waveform: str = static()
    active: tuple[bool, bool, bool] = static()
    ticks: int = static()
    n_samples: int = static()

    @staticmethod
    def create(
        amplitude: Numbers,
        dividers: tuple[int, ...] = (102, 96, 99),
        base_frequency: float = 2.5e6,
        waveform: str = "cosine",
        phase: Numbers | None = None,
        oversample: int = 1,
        n_samples: int | None = None,
        active: tuple[bool, bool, bool] | None = None,
    ) -> "LissajousSequence":
        """Check and build a sequence.

        The period is the least common multiple of the active dividers in cycles of the base frequency.

        Args:
            amplitude: A [T] along x, y, z, (3,); an axis below 1e-7 T is inactive.
            dividers: f_i = base_frequency/divider_i.
            base_frequency: [Hz].
            waveform: "cosine" (A cos 2 pi f t) or "sine".
            phase: (3,) [rad] within +-2 pi, A sin(2 pi f t + phase), MDF's convention; overrides ``waveform``.
            oversample: samples per cycle of the base frequency.
            n_samples: samples per period if not base_frequency * period * oversample.
            active: the driven axes, needed where amplitudes are traced (their values are unknown then).

        Raises:
            ValueError: an amplitude that is not a field in tesla, phases in degrees, no active axis or one too few, or counts that
                are not positive.
        """
        amplitude = as_leaf(amplitude)
        check_shape("amplitude", amplitude, (3,))
        check_range("amplitude", amplitude, 0.0, 1.0, "T", "Amplitudes are in tesla: 12 mT is 12e-3.")
        check_choice("waveform", waveform, ("cosine", "sine"))
        if len(dividers) != 3 or any(int(d) != d or d < 1 for d in dividers):
            raise ValueError(f"dividers = {dividers}; expected three positive integers.")
        check_range("base_frequency", base_frequency, 1.0, 1e12, "Hz")
        if int(oversample) != oversample or oversample < 1:
            raise ValueError(f"oversample = {oversample}; expected a positive integer.")
        if n_samples is not None and (n_samples < 2 or int(n_samples) != n_samples):
            raise ValueError(
                f"n_samples = {n_samples}; a period must hold a whole number of samples, at least 2. Choose a sampling rate that "
                "is a multiple of 1/period, or leave n_samples out."
            )
        if active is None:
            if not is_concrete(amplitude):
                raise ValueError(
                    "amplitude is traced, so the driven axes are unknown; give active=(True, True, False) or the like."
                )
            active = tuple(bool(a > AMPLITUDE_FLOOR) for a in amplitude)  # type: ignore[assignment]
        assert active is not None
        if len(active) != 3 or any(not isinstance(on, bool | np.bool_) for on in active):
            raise ValueError(f"active = {active}; expected three of True and False, for x, y and z.")
        if is_concrete(amplitude):
            idle = [
                axis for axis, a, on in zip("xyz", amplitude, active, strict=True) if a > AMPLITUDE_FLOOR and not on
            ]
            if idle:
                raise ValueError(
                    f"active = {active} leaves out {', '.join(idle)}, but amplitude = {amplitude} T drives it; set the amplitude "
                    "of an inactive axis to 0, or leave active out."
                )
        if not any(active):
            raise ValueError(
                f"amplitude = {amplitude} T drives no axis; at least one must exceed {AMPLITUDE_FLOOR:g} T."
            )
        dividers = (int(dividers[0]), int(dividers[1]), int(dividers[2]))
        ticks = math.lcm(*(d for d, on in zip(dividers, active, strict=True) if on))
        if phase is not None:
            phase = as_leaf(phase)
            check_shape("phase", phase, (3,))
            check_range("phase", phase, -2 * math.pi, 2 * math.pi, "rad", "Phases are in radians: 90 degrees is pi/2.")
        samples = ticks * int(oversample) if n_samples is None else int(n_samples)
        return LissajousSequence(amplitude, phase, dividers, float(base_frequency), waveform, active, ticks, samples)

    @staticmethod
    def from_mdf(info: Any) -> "LissajousSequence":
        """The sequence that an MDF file describes (its first period).

        Args:
            info: with ``base_frequency`` [Hz], ``cycle`` [s] or None, ``divider`` (D, F), ``strength`` (D, F) [T], ``phase``
                (D, F) [rad], ``waveform`` (tuple of str), ``n_samples``.

        Raises:
            ValueError: several frequencies on one axis, or a waveform that is not a sine.
        """
        divider, strength, phase = (np.asarray(a) for a in (info.divider, info.strength, info.phase))
        if divider.shape[1] != 1:
            raise ValueError(
                f"the file drives one axis at {divider.shape[1]} frequencies; a Lissajous sequence has one per axis."
            )
        foreign = [w for w in info.waveform if w not in ("sine", "cosine")]
        if foreign:
            raise ValueError(f"the file's waveform is {foreign[0]!r}; only sine can be simulated.")
        pad = [0, 3 - divider.shape[0]]
        amplitude = np.pad(strength[:, 0], pad)
        # MDF says sin(2 pi f t + phase); a file that calls its waveform cosine is a quarter period ahead
        quarter = np.array([math.pi / 2 if w == "cosine" else 0.0 for w in info.waveform])
        sequence = LissajousSequence.create(
            amplitude=amplitude,
            dividers=tuple(int(d) for d in np.pad(divider[:, 0], pad, constant_values=1)),
            base_frequency=info.base_frequency,
            phase=np.pad(np.fmod(phase[:, 0] + np.broadcast_to(quarter, phase[:, 0].shape), 2 * math.pi), pad),
            n_samples=info.n_samples,
        )
        cycle = info.cycle and round(info.cycle * info.base_frequency)
        # a file's period may hold several periods of the driven axes
        return replace(sequence, ticks=cycle) if cycle and cycle % sequence.ticks == 0 else sequence

    @property
    def period(self) -> float:
        """Duration of one period [s]."""
        return self.ticks / self.base_frequency

    @property
    def bandwidth(self) -> float:
        """Half the sampling rate [Hz]."""
        return self.n_samples / self.period / 2

    @property
    def cycles(self) -> tuple[int, int, int]:
        """m_i, cycles of each axis per period; 0 for an inactive axis. Bin k holds the frequency sum n_i m_i = k."""
        x, y, z = (self.ticks // d if on else 0 for d, on in zip(self.dividers, self.active, strict=True))
        return x, y, z

    @property
    def frequencies(self) -> np.ndarray:
        """Frequencies of the rfft bins [Hz], (n_samples // 2 + 1,)."""
        return np.arange(self.n_samples // 2 + 1) / self.period

    def mixing_orders(self, max_order: int | None = None) -> np.ndarray:
        """Mixing orders of least sum |n_i| per bin, (f, 3); see :func:`mpijax.physics.mixing_orders`."""
        return mixing_orders(self.cycles, self.n_samples // 2 + 1, max_order)

    def drive_field(self, dtype: DType | None = None, offset: float = 0.0) -> Float[Array, "3 t"]:
        """Drive field H_D [T] of one period, (3, t), at the samples or ``offset`` of the interval between them later."""
        return self._wave(dtype, offset, 0)

    def drive_rate(self, dtype: DType | None = None, offset: float = 0.0) -> Float[Array, "3 t"]:
        """dH_D/dt [T/s], (3, t), at the times of :meth:`drive_field`."""
        return self._wave(dtype, offset, 1)

    def _wave(self, dtype: DType | None, offset: float, derivative: int) -> Float[Array, "3 t"]:
        dtype = jnp.result_type(float) if dtype is None else dtype
        rows = []
        for axis, cycles in enumerate(self.cycles):
            if not cycles:
                rows.append(jnp.zeros(self.n_samples, dtype))
                continue
            cos, sin = phase_table(self.n_samples, cycles, offset)
            if derivative:
                angular = 2 * math.pi * cycles / self.period
                cos, sin = -angular * sin, angular * cos
            if self.phase is None:
                wave = jnp.asarray(cos if self.waveform == "cosine" else sin, dtype)
            else:
                phase = jnp.asarray(self.phase[axis], dtype)
                wave = jnp.asarray(sin, dtype) * jnp.cos(phase) + jnp.asarray(cos, dtype) * jnp.sin(phase)
            rows.append(jnp.asarray(self.amplitude[axis], dtype) * wave)
        return jnp.stack(rows)
