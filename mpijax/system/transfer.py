"""Transfer functions: what the receive chain makes of each frequency."""

from collections.abc import Sequence
from typing import Any, overload

import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_finite, is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Complex, Matrix, Numbers, Values, Vector
from mpijax.system.facts.identity import matched_positions
from mpijax.system.leaves import as_array


@pytree
class TransferFunction:
    """A measured receive chain: one complex factor per channel and frequency. Make it with :meth:`create`.

    Attributes:
        frequencies: (k,) [Hz], ascending.
        values: complex (c, k), induced voltage to recorded voltage.
    """

    frequencies: Vector
    values: Matrix

    @staticmethod
    def create(frequencies: Numbers, values: Numbers) -> "TransferFunction":
        """Check and build a transfer function.

        Args:
            frequencies: (k,) [Hz], ascending, k >= 2.
            values: complex (c, k), or (k,) of one channel.

        Raises:
            ValueError: shapes that do not agree, NaN, frequencies that do not ascend.
        """
        frequencies, values = as_array(frequencies), as_array(values)
        if np.ndim(values) == 1:
            values = values[None]
        if np.ndim(values) != 2 or np.shape(frequencies) != np.shape(values)[1:] or len(frequencies) < 2:
            raise ValueError(
                f"values has shape {np.shape(values)} and frequencies {np.shape(frequencies)}; expected (channels, k) and (k,), "
                "k >= 2."
            )
        check_finite("values", values)
        check_finite("frequencies", frequencies)
        if is_concrete(frequencies) and not np.all(np.diff(frequencies) > 0):
            raise ValueError("frequencies must ascend, each once; sort the samples first.")
        return TransferFunction(frequencies, values)

    def at(self, frequencies: Numbers, *, outside: complex | None = None) -> Complex[Array, "c f"]:
        """The transfer function at frequencies, between its samples a_0 (a_1/a_0)^t.

        That is linear in log-magnitude and in phase along the shorter arc: a delay and the flanks of a resonance keep their
        magnitude, where linear interpolation of real and imaginary part cuts the corner. Beside a zero it is linear.

        Args:
            frequencies: (f,) [Hz].
            outside: the value beyond the measured band, such as 0 for bins that are never received; None = an error there.

        Returns:
            complex (c, f); NumPy where all is known on the host.

        Raises:
            ValueError: a (concrete) frequency beyond the measured band, and no ``outside``.
        """
        host = is_concrete((self, frequencies)) and not isinstance(self.values, jnp.ndarray)
        xp: Any = np if host else jnp
        frequencies, known, values = (xp.asarray(array) for array in (frequencies, self.frequencies, self.values))
        rounding = 1e-9 * known[-1]
        beyond = (frequencies < known[0] - rounding) | (frequencies > known[-1] + rounding)
        if outside is None and is_concrete(beyond) and np.any(beyond):
            raise ValueError(
                f"{np.count_nonzero(beyond)} of {beyond.size} frequencies lie beyond the measured band {known[0]:g} to "
                f"{known[-1]:g} Hz; leave them out, or give outside= (0 = not received)."
            )
        upper = xp.clip(xp.searchsorted(known, frequencies), 1, len(known) - 1)
        t = (frequencies - known[upper - 1]) / (known[upper] - known[upper - 1])
        first, second = values[:, upper - 1], values[:, upper]
        zero = (first == 0) | (second == 0)
        ratio = xp.where(zero, 1, second) / xp.where(zero, 1, first)
        between = xp.where(zero, first + t * (second - first), first * xp.exp(t * xp.log(ratio)))
        return xp.where(beyond, 0 if outside is None else outside, between)


def chain_factors(
    transfer_function: TransferFunction | Numbers, frequencies: Vector, channels: Sequence[int]
) -> Values:
    """Factors (c, f) of the rows: a :class:`TransferFunction` at their frequencies, or an array (c, f) as it is.

    One channel serves all; of a transfer function's several those with the numbers of the rows' channels are taken.

    Raises:
        ValueError: channels that it does not have, another number of frequencies.
    """
    if isinstance(transfer_function, TransferFunction):
        factors = transfer_function.at(frequencies)
        if len(factors) > 1:
            present = range(len(factors))
            places = matched_positions(
                "channel", channels, channels, present, numbered=False, other="the transfer function"
            )
            factors = factors[places]
        transfer_function = factors
    factors, shape = as_array(transfer_function), (len(channels), len(frequencies))
    if np.shape(factors) not in (shape, (1, shape[1])):
        raise ValueError(
            f"transfer_function has shape {np.shape(factors)}; expected (channels, frequencies) = {shape}."
        )
    check_finite("transfer_function", factors)
    return (np if isinstance(factors, np.ndarray) else jnp).broadcast_to(factors, shape)


@overload
def scale_rows(rows: None, factors: Values) -> None: ...
@overload
def scale_rows(rows: Values, factors: Values) -> Values: ...
def scale_rows(rows: Values | None, factors: Values) -> Values | None:
    """Rows (.., c, f) times factors (c, f), in the rows' own precision."""
    return None if rows is None else rows * factors.astype(rows.dtype)


def inverse_factors(factors: Values) -> tuple[Array, Array]:
    """1/factors and where that exists; 0 where a factor is zero or not finite."""
    xp = np if isinstance(factors, np.ndarray) else jnp
    usable = xp.isfinite(factors) & (factors != 0)
    return xp.where(usable, 1 / xp.where(usable, factors, 1), 0), usable
