"""Noise of the receive chain: white noise, a surrogate of a scanner's background, and noise drawn from real background frames.

The surrogate imitates what background measurements show (systematic drift, thermal noise, interference, abrupt changes)
along the order of acquisition. No quantitative spectrum of it is published: its parameters are this project's choice. Noise
of a given scanner comes from its own background frames, :func:`background_from_frames`.

Every series is a pure function of its key. ``count`` says how many of its n positions are in use and may be traced; the
series is standardized over these and zero behind them.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count, check_range, check_shape, is_concrete
from mpijax.core.typing import Array, Complex, Float

SURROGATE_PARTS = ("white", "drift", "periodic", "burst")
"""What :func:`background_surrogate` mixes, in the order of its weights."""

MAX_TONES = 3
MAX_BURSTS = 2
BURST_LENGTH = (5, 50)
"""Positions that one burst or step lasts, at least and at most."""


def complex_normal(
    shape: tuple[int, ...], sigma: Float[Array, "..."] | float, *, key: jax.Array, dtype: jnp.dtype | None = None
) -> Complex[jax.Array, "..."]:
    """White circular complex Gaussian noise of complex standard deviation sqrt(E|n|^2) = sigma.

    Real and imaginary part have standard deviation sigma/sqrt(2) each.

    Args:
        shape: of the result.
        sigma: complex standard deviation, broadcast against ``shape``.
        key: random key.
        dtype: complex dtype; None = the default complex precision.
    """
    dtype = jnp.dtype(jnp.result_type(complex) if dtype is None else dtype)
    parts = jax.random.normal(key, (2, *shape), jnp.finfo(dtype).dtype) * (sigma / math.sqrt(2))
    return jax.lax.complex(parts[0], parts[1])


def white_background(n: int, *, key: jax.Array, count: Any = None) -> Complex[jax.Array, " n"]:
    """White complex noise of n positions, zero mean and unit rms: the thermal part."""
    check_count("n", n)
    return _standardized(complex_normal((n,), 1.0, key=key), count)


def drift_background(
    n: int, *, key: jax.Array, exponent: float | Float[Array, ""] | None = None, count: Any = None
) -> Complex[jax.Array, " n"]:
    """Surrogate: gain and phase of a systematic background phasor drift, zero mean and unit rms.

    B(t) = e^{i theta} (u(t) + i rho v(t)) with a common phase theta ~ U(0, 2 pi), rho ~ U(0, 1) and independent real u, v of
    spectral density 1/f^g. They are cut out of a period at least twice as long, so that their ends do not meet.

    Args:
        n: positions (static).
        key: random key.
        exponent: g; None = drawn from U(1, 2).
        count: positions in use; None = n.
    """
    check_count("n", n)
    draws, series = jax.random.split(key)
    theta, rho, g = jax.random.uniform(draws, (3,)) * jnp.array([2 * jnp.pi, 1, 1]) + jnp.array([0, 0, 1])
    g = g if exponent is None else exponent
    length = 1 << (2 * n - 1).bit_length()
    f = jnp.abs(jnp.fft.fftfreq(length, 1 / length)).at[0].set(1.0)
    amplitude = jnp.exp(-g / 2 * jnp.log(f)).at[0].set(0.0)
    drift = jnp.fft.ifft(complex_normal((length,), amplitude, key=series))[:n]
    return _standardized(jax.lax.complex(drift.real, rho * drift.imag) * jnp.exp(1j * theta), count)


def periodic_background(n: int, *, key: jax.Array, count: Any = None) -> Complex[jax.Array, " n"]:
    """Surrogate: one to three tones with slow amplitude modulation, zero mean and unit rms.

    sum_j (1 + m_j cos(2 pi mu_j t/n + psi_j)) e^{i (2 pi nu_j t + phi_j)}, nu ~ U(-1/2, 1/2) cycles per position,
    m ~ U(0, 1/2), mu ~ U(0, 4) cycles per series.

    Args:
        n: positions (static).
        key: random key.
        count: positions in use; None = n.
    """
    check_count("n", n)
    u = jax.random.uniform(key, (5 * MAX_TONES + 1,))
    nu, phi, m, mu, psi = u[1:].reshape(5, MAX_TONES, 1)
    present = jnp.arange(MAX_TONES) <= MAX_TONES * u[0]
    t = jnp.arange(n)
    modulation = 1 + m / 2 * jnp.cos(2 * jnp.pi * (4 * mu * t / (n if count is None else count) + psi))
    tone = modulation * jnp.exp(2j * jnp.pi * ((nu - 0.5) * t + phi))
    return _standardized(jnp.sum(jnp.where(present[:, None], tone, 0), axis=0), count)


def burst_background(n: int, *, key: jax.Array, count: Any = None) -> Complex[jax.Array, " n"]:
    """Surrogate: abrupt disturbances, zero mean and unit rms, or zero where none happens.

    Their number is Poisson with mean one, at most two. Each begins anywhere, lasts 5 to 50 positions (at most half of the
    series), and is a step of height one and random phase or a burst of white noise of standard deviation one.

    Args:
        n: positions (static).
        key: random key.
        count: positions in use; None = n.
    """
    check_count("n", n)
    draws, values = jax.random.split(key)
    u = jax.random.uniform(draws, (4 * MAX_BURSTS + 1,))
    where, duration, kind, phase = u[1:].reshape(4, MAX_BURSTS, 1)
    happens = u[0] < jnp.array([[1 - math.exp(-1)], [1 - 2 * math.exp(-1)]])
    used = jnp.asarray(n if count is None else count)
    shortest, longest = BURST_LENGTH
    length = jnp.minimum(jnp.floor(shortest + (longest + 1 - shortest) * duration), used // 2)
    start = jnp.floor((used - length + 1) * where)
    t = jnp.arange(n)
    value = jnp.where(kind < 0.5, jnp.exp(2j * jnp.pi * phase), complex_normal((n,), 1.0, key=values))
    inside = (t >= start) & (t < start + length) & happens
    return _standardized(jnp.sum(jnp.where(inside, value, 0), axis=0), count)


def background_surrogate(
    n: int,
    sigma: float | Float[Array, ""] = 1.0,
    *,
    key: jax.Array,
    weights: Any = None,
    concentration: Any = (1.0, 1.0, 1.0, 1.0),
    count: Any = None,
) -> Complex[jax.Array, " n"]:
    """Surrogate of a scanner's background along the order of acquisition; not a measured spectrum.

    sqrt(w) white + sqrt(d) drift + sqrt(p) periodic + sqrt(b) burst, the mean subtracted, scaled to
    sqrt(mean |n|^2) = sigma over the positions in use. It is zero where no part with weight is present.

    Args:
        n: positions (static).
        sigma: complex standard deviation of the series itself.
        key: random key.
        weights: (4,) shares of the power of :data:`SURROGATE_PARTS`; None = drawn from a Dirichlet distribution.
        concentration: (4,) of that distribution, see :func:`background_concentration`.
        count: positions in use; None = n.

    Returns:
        Series (n,), zero behind the positions in use.

    Raises:
        ValueError: n below one, a negative sigma, or weights or a concentration that are not four shares.
    """
    check_range("sigma", sigma, 0.0, math.inf, "")
    for name, shares in (("weights", weights), ("concentration", concentration)):
        if shares is not None:
            check_shape(name, shares, (len(SURROGATE_PARTS),))
            check_range(name, shares, 0.0, math.inf, "", f"They are the shares of {', '.join(SURROGATE_PARTS)}.")
            if is_concrete(shares) and not np.any(np.asarray(shares)):
                raise ValueError(f"{name} = {shares}; at least one must be positive.")
    mix, *keys = jax.random.split(key, 5)
    weights = jax.random.dirichlet(mix, jnp.asarray(concentration)) if weights is None else jnp.asarray(weights)
    makers = (white_background, drift_background, periodic_background, burst_background)
    parts = jnp.stack([make(n, key=k, count=count) for make, k in zip(makers, keys, strict=True)])
    return _standardized(jnp.sum(jnp.sqrt(weights)[:, None] * parts, axis=0), count) * sigma


def background_concentration(
    frequency_indices: Any, drive_bins: tuple[int, ...] = (16, 17)
) -> Float[jax.Array, "*r 4"]:
    """Surrogate: Dirichlet concentration of the parts by rfft bin; drift and tones gather at drive harmonics and low bins.

    Args:
        frequency_indices: rfft bins k, any shape.
        drive_bins: bins of the drive frequencies; (16, 17) for the planar, (528, 544, 561) for the volume sequence.

    Returns:
        Concentration (..., 4) in the order of :data:`SURROGATE_PARTS`.
    """
    k = jnp.asarray(frequency_indices)[..., None]
    drive = jnp.asarray(drive_bins)
    distance = jnp.min(jnp.abs((k + drive // 2) % drive - drive // 2), axis=-1)
    near = jnp.exp(-0.5 * distance**2.0) + jnp.exp(-k[..., 0] / (2.0 * max(drive_bins)))
    ones = jnp.ones_like(near)
    return jnp.stack([4 * ones, 1 + 3 * near, 1 + 3 * near, 0.5 * ones], axis=-1)


def background_from_frames(
    frames: Complex[Array, " e"], n: int, sigma: float | Float[Array, ""] = 1.0, *, key: jax.Array, count: Any = None
) -> Complex[jax.Array, " n"]:
    """Noise of one row from a scanner's background frames: the real thing.

    A contiguous stretch of the recording, begun anywhere, its mean subtracted, scaled to sqrt(mean |n|^2) = sigma. A
    recording shorter than the positions in use is passed through several times; each further pass runs forwards or
    backwards and is turned by a random phase, so that no noise value returns at a fixed distance. Between two passes the
    series jumps, as it may anywhere in the recording: record at least as many background frames as there are positions.

    Args:
        frames: background frames of the row in the order of acquisition, e.g. ``matrix.background[:, c, f]``, any unit.
        n: positions (static).
        sigma: complex standard deviation of the series itself.
        key: random key.
        count: positions in use; None = n.

    Returns:
        Series (n,), zero behind the positions in use; zero for a recording without fluctuations.

    Raises:
        ValueError: fewer than two frames, or n below one.
    """
    check_count("n", n)
    e = frames.shape[0]
    if e < 2:
        raise ValueError(f"frames holds {e} background frame(s); the noise of a row needs at least two.")
    passes = (n + 2 * e - 2) // e
    u = jax.random.uniform(key, (2 * passes + 1,))
    used = jnp.asarray(n if count is None else count)
    start = jnp.floor(jnp.where(used <= e, e - used + 1, e) * u[0]).astype(int)
    turn, t = jnp.divmod(jnp.arange(n) + start, e)
    backwards = (u[1 : passes + 1] < 0.5).at[0].set(False)
    phase = (2 * jnp.pi * u[passes + 1 :]).at[0].set(0.0)
    frames = jnp.asarray(frames)
    fluctuation = frames - jnp.mean(frames)
    series = fluctuation[jnp.where(backwards[turn], e - 1 - t, t)] * jnp.exp(1j * phase)[turn]
    return _standardized(series, count) * sigma


def _standardized(series: jax.Array, count: Any) -> jax.Array:
    """Zero mean and unit rms over the first ``count`` positions, zero behind them; a constant series becomes zero."""
    n = series.shape[0]
    used = jnp.arange(n) < (n if count is None else count)
    total = jnp.maximum(jnp.sum(used), 1)
    series = jnp.where(used, series, 0)
    largest = jnp.max(jnp.abs(series))
    series = series / jnp.where(largest > 0, largest, 1)  # powers of raw receive voltages underflow in single precision
    centered = jnp.where(used, series - jnp.sum(series) / total, 0)
    power = jnp.sum(centered.real**2 + centered.imag**2) / total
    fluctuates = power > (8 * jnp.finfo(power.dtype).eps) ** 2
    return jnp.where(fluctuates, centered / jnp.sqrt(jnp.where(fluctuates, power, 1)), 0)
