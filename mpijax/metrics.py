"""Image and system-matrix metrics.

All take complex or real arrays (never two-channel ones), return fractions (never percent), and select entries with
``mask`` (True = counted). ``axis`` names the axes to reduce: None gives one number for the whole stack, ``(-2, -1)``
one per image. ``reference`` and ``mask`` broadcast against ``estimate``. An empty selection gives NaN.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count, check_range
from mpijax.core.typing import Array, Bool, Float, Inexact, Num, Shaped

Axis = int | tuple[int, ...] | None
Mask = Bool[Array, "..."] | None


def nrmse(
    estimate: Num[Array, "..."], reference: Num[Array, "..."], *, mask: Mask = None, axis: Axis = None
) -> Float[jax.Array, "..."]:
    r"""Relative error in the Frobenius norm.

    .. math:: \text{nRMSE} = \|e - r\|_F / \|r\|_F

    with estimate e and reference r. Zero where both vanish, infinite where only the reference does; the
    gradient at an exact estimate is zero.

    Args:
        estimate: Recovered values, any shape.
        reference: True values in the same unit.
        mask: True where entries count.
        axis: Axes to reduce.

    Returns:
        Ratio, a fraction.

    Source: A. Gungor et al., IEEE TMI 41(12):3562 (2022), TranSMS.
    """
    estimate, reference = _pair(estimate, reference)
    error = _sqrt(_mean(_abs2(estimate - reference), mask, axis))
    norm = _sqrt(_mean(_abs2(reference), mask, axis))
    return _ratio(error, norm, at_zero=jnp.where(error > 0, jnp.inf, error))


def nrmse_range(
    estimate: Num[Array, "..."], reference: Num[Array, "..."], *, mask: Mask = None, axis: Axis = None
) -> Float[jax.Array, "..."]:
    r"""Root mean square error over the range of the reference.

    .. math:: \frac{\sqrt{\text{mean}\, (e - r)^2}}{\max r - \min r}

    with estimate e and reference r; the real and imaginary parts of complex values count as separate entries of
    one population. Zero where the error vanishes, infinite for a wrong estimate of a constant reference.

    Args:
        estimate: Recovered values, any shape.
        reference: True values in the same unit.
        mask: True where entries count.
        axis: Axes to reduce.

    Returns:
        Ratio, a fraction.

    Source: VRF-Net, eq. 11.
    """
    estimate, reference = _pair(estimate, reference)
    axes = _axes(axis, estimate.ndim)
    if jnp.iscomplexobj(estimate):
        estimate, reference = (jnp.stack([x.real, x.imag], -1) for x in (estimate, reference))
        mask = None if mask is None else jnp.asarray(mask)[..., None]
        axes = (*axes, estimate.ndim - 1)
    error = _sqrt(_mean((estimate - reference) ** 2, mask, axes))
    where = True if mask is None else jnp.broadcast_to(mask, reference.shape)
    span = jnp.max(reference, axes, where=where, initial=-jnp.inf) - jnp.min(
        reference, axes, where=where, initial=jnp.inf
    )
    return _ratio(error, span, at_zero=jnp.where(error > 0, jnp.inf, error))


def psnr(
    estimate: Num[Array, "..."],
    reference: Num[Array, "..."],
    peak: float | Float[Array, "..."] | None = None,
    *,
    mask: Mask = None,
    axis: Axis = None,
) -> Float[jax.Array, "..."]:
    r"""Peak signal-to-noise ratio.

    .. math:: 10 \log_{10} \frac{\text{peak}^2}{\text{mean}\, |e - r|^2}

    with estimate e and reference r; complex errors are counted once. Infinite for an exact estimate.

    Args:
        estimate: Recovered values, any shape.
        reference: True values in the same unit.
        peak: Peak value in the same unit; default max |reference| over the selected entries.
        mask: True where entries count.
        axis: Axes to reduce.

    Returns:
        Ratio [dB].

    Source: A. Gungor et al., IEEE TMI 41(12):3562 (2022), eq. 26.
    """
    estimate, reference = _pair(estimate, reference)
    if peak is None:
        where = True if mask is None else jnp.broadcast_to(mask, reference.shape)
        power = jnp.max(_abs2(reference), _axes(axis, reference.ndim), where=where, initial=0.0)
    else:
        power = jnp.asarray(peak) ** 2
    error = _mean(_abs2(estimate - reference), mask, axis)
    safe = jnp.where(error == 0, 1.0, error)
    return jnp.where(error == 0, jnp.inf, 10.0 * jnp.log10(power / safe))


def ssim(
    estimate: Num[Array, "*batch y x"],
    reference: Num[Array, "*other y x"],
    data_range: float | Float[Array, "..."],
    *,
    mask: Mask = None,
    axis: Axis = None,
    window: int = 11,
) -> Float[jax.Array, "..."]:
    r"""Structural similarity with a Gaussian window, sigma 1.5 px.

    .. math:: \frac{(2 m_x m_y + c_1)(2 s_{xy} + c_2)}{(m_x^2 + m_y^2 + c_1)(s_x^2 + s_y^2 + c_2)}, \qquad
        c_1 = (0.01 R)^2, \quad c_2 = (0.03 R)^2

    mean over the pixels whose whole window lies inside the image. Complex images: the mean over real and imaginary parts.

    On an axis shorter than the window, the window shrinks to the largest odd size that fits (sigma stays), so that
    small grids are still scored; such values do not compare with those of larger grids.

    Args:
        estimate: Recovered images (..., y, x).
        reference: True images in the same unit.
        data_range: R, the range of values in the same unit, one number or one per image (...).
        mask: True where the pixel at the window's center counts.
        axis: Axes to average over; None averages over all images too, (-2, -1) gives one value per image.
        window: Odd width of the window [px].

    Returns:
        Similarity, at most one.

    Raises:
        ValueError: The window is even or smaller than one.

    Source: Z. Wang et al., IEEE TIP 13(4):600 (2004), eq. 13.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window = {window}; it must be an odd number of pixels, 11 by default.")
    estimate, reference = _pair(estimate, reference)
    if jnp.iscomplexobj(estimate):
        parts = [
            ssim(part(estimate), part(reference), data_range, mask=mask, axis=axis, window=window)
            for part in (jnp.real, jnp.imag)
        ]
        return (parts[0] + parts[1]) / 2.0
    blur = [_gaussian_matrix(n, window) for n in estimate.shape[-2:]]

    def smooth(image: jax.Array) -> jax.Array:
        rows, columns = (jnp.asarray(matrix, image.dtype) for matrix in blur)
        return jnp.einsum("ij,...jk,lk->...il", rows, image, columns, precision="highest")

    mean_x, mean_y = smooth(estimate), smooth(reference)
    var_x = smooth(estimate**2) - mean_x**2
    var_y = smooth(reference**2) - mean_y**2
    cov = smooth(estimate * reference) - mean_x * mean_y
    span = jnp.asarray(data_range)
    span = span[..., None, None] if span.ndim else span
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    similarity = luminance * (2.0 * cov + c2) / (var_x + var_y + c2)
    if mask is not None:
        py, px = ((n - m) // 2 for n, m in zip(estimate.shape[-2:], similarity.shape[-2:], strict=True))
        mask = jnp.broadcast_to(mask, estimate.shape)[
            ..., py : py + similarity.shape[-2], px : px + similarity.shape[-1]
        ]
    return _mean(similarity, mask, axis)


def best_scale(
    estimate: Num[Array, "..."], reference: Num[Array, "..."], *, mask: Mask = None, axis: Axis = None
) -> Inexact[jax.Array, "..."]:
    r"""The scalar s that minimizes |s * estimate - reference|.

    .. math:: s = \langle e, r \rangle / \langle e, e \rangle

    with estimate e and reference r, complex for complex values and real for real ones; zero for a zero estimate.

    Args:
        estimate: Recovered values, any shape.
        reference: True values.
        mask: True where entries count.
        axis: Axes to reduce.

    Returns:
        Factor in units of reference / estimate.
    """
    estimate, reference = _pair(estimate, reference)
    inner = _mean(jnp.conj(estimate) * reference, mask, axis)
    power = _mean(_abs2(estimate), mask, axis)
    return _ratio(inner, power, at_zero=jnp.zeros_like(inner))


def bootstrap_mean(
    values: Shaped[Array, "..."],
    groups: Shaped[Array, "..."],
    *,
    key: jax.Array,
    resamples: int = 10_000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """The mean over all values with its bootstrap interval over groups: whole groups are drawn with replacement.

    Rows of one system matrix share its particles and its scanner and are no independent samples; resampling matrices, not
    rows, keeps the interval honest. Host side, float64.

    Args:
        values: one figure per row (n,).
        groups: label of each row's matrix (n,).
        key: random key.
        resamples: number of draws.
        level: probability that the interval holds, between the quantiles (1 - level)/2 and (1 + level)/2.

    Returns:
        Mean, lower and upper end. One group has no interval: both ends are NaN. No values: all three are.

    Raises:
        ValueError: values and groups of different lengths, or a level outside (0, 1).

    Source: A. C. Davison and D. V. Hinkley, Bootstrap Methods (1997), section 3.8 (clustered data).
    """
    check_count("resamples", resamples)
    check_range("level", level, 1e-9, 1 - 1e-9, "")
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or values.shape != np.shape(groups):
        raise ValueError(
            f"values has shape {values.shape} and groups {np.shape(groups)}; give one label per value, (n,) both."
        )
    if not values.size:
        return np.nan, np.nan, np.nan
    labels, group = np.unique(np.asarray(groups), return_inverse=True)
    mean = float(np.mean(values))
    if len(labels) == 1:
        return mean, np.nan, np.nan
    totals, counts = np.bincount(group, values), np.bincount(group)
    chosen = np.asarray(jax.random.randint(key, (resamples, len(labels)), 0, len(labels)))
    means = totals[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return mean, float(low), float(high)


def _pair(estimate: Array, reference: Array) -> tuple[jax.Array, jax.Array]:
    estimate, reference = jnp.asarray(estimate), jnp.asarray(reference)
    dtype = jnp.result_type(estimate, reference, float)  # integers become real numbers
    shape = jnp.broadcast_shapes(estimate.shape, reference.shape)
    return jnp.broadcast_to(estimate.astype(dtype), shape), jnp.broadcast_to(reference.astype(dtype), shape)


def _abs2(x: jax.Array) -> jax.Array:
    return x.real**2 + x.imag**2 if jnp.iscomplexobj(x) else x**2


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in ((axis,) if isinstance(axis, int) else axis))


def _mean(x: jax.Array, mask: Mask, axis: Axis) -> jax.Array:
    return jnp.mean(x, _axes(axis, x.ndim), where=None if mask is None else jnp.broadcast_to(mask, x.shape))


def _sqrt(x: jax.Array) -> jax.Array:
    return jnp.where(x == 0, 0.0, jnp.sqrt(jnp.where(x == 0, 1.0, x)))


def _ratio(numerator: jax.Array, denominator: jax.Array, at_zero: jax.Array) -> jax.Array:
    return jnp.where(denominator == 0, at_zero, numerator / jnp.where(denominator == 0, 1.0, denominator))


def _gaussian_matrix(n: int, window: int, sigma: float = 1.5) -> Float[np.ndarray, "out n"]:
    radius = min(window - 1, (n - 1) // 2 * 2) // 2
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((n - 2 * radius, n))
    centers = np.arange(n - 2 * radius) + radius
    matrix[np.arange(n - 2 * radius)[:, None], centers[:, None] + offsets] = weights / weights.sum()
    return matrix
