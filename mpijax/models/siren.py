"""SIREN: a fully connected network with sine activations, from coordinates to values."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_count, check_range
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import uniform
from mpijax.models.blocks.layers import Network


class Siren(Network):
    """A sine network phi(p) = W_L h_L + b_L with h_1 = sin(omega (W_0 p + b_0)), h_{i+1} = sin(omega (W_i h_i + b_i)).

    It is a function of one point: it knows no grid, so ``scale`` and ``input_shape`` stay None and ``channels`` are the
    values per point.

    Args:
        channels: Values per point.
        scale: None.
        input_shape: None; a point has ``dimensions`` coordinates, whatever grid the points lie on.
        dimensions: Coordinates of a point, 1 to 3, usually in [-1, 1].
        width: Width of the sine layers.
        depth: Sine layers after the first one.
        omega: Factor in front of every sine's argument.
        nonnegative: Whether the output passes through softplus, log(1 + exp(x)).
        rngs: Random streams of the initial weights: W_0 ~ U(+-1/in), other W ~ U(+-sqrt(6/in)/omega), biases
            U(+-1/sqrt(in)).

    Raises:
        ValueError: A value is out of range.

    Source: Sitzmann et al., NeurIPS 2020, sections 3.1-3.2 and supplement 1.5; the biases are PyTorch's default, as there.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        width: int = 256,
        depth: int = 3,
        omega: float = 30.0,
        nonnegative: bool = False,
        rngs: nnx.Rngs,
    ):
        if scale is not None or input_shape is not None:
            raise ValueError(
                f"scale = {scale}, input_shape = {input_shape}; siren takes points, not images: leave both out and give "
                "dimensions, the number of coordinates of a point."
            )
        for name, count in (("channels", channels), ("width", width)):
            check_count(name, count)
        check_count("depth", depth, 0)
        check_range("dimensions", dimensions, 1, 3, "")
        check_range("omega", omega, 1e-3, 1e4, "")
        options = dict(dimensions=dimensions, width=width, depth=depth, omega=omega, nonnegative=nonnegative)
        super().__init__(name="siren", channels=channels, **options)
        self.omega = omega
        self.nonnegative = nonnegative
        inner = math.sqrt(6 / width) / omega
        self.first = _linear(dimensions, width, 1 / dimensions, rngs)
        self.hidden = nnx.List([_linear(width, width, inner, rngs) for _ in range(depth)])
        self.last = _linear(width, channels, inner, rngs)

    def forward(self, x: Float[Array, "*b d"]) -> Float[Array, "*b c"]:
        """Points (..., dimensions) to values (..., channels)."""
        out = sine(self.omega * self.first(jnp.asarray(x)))
        for layer in self.hidden:
            out = sine(self.omega * layer(out))
        out = self.last(out)
        return nnx.softplus(out) if self.nonnegative else out


@dataclasses.dataclass(frozen=True)
class PureSiren:
    """`Siren` as two pure functions, ``init`` and ``apply``; hashable, so that it can be a static argument.

    The attributes are the arguments of `Siren`.
    """

    channels: int = 1
    dimensions: int = 2
    width: int = 256
    depth: int = 3
    omega: float = 30.0
    nonnegative: bool = False

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Initial weights as nested dicts; the same key gives those of ``models.create("siren", rngs=Rngs(key))``."""
        return nnx.to_pure_dict(nnx.state(self._module(key), nnx.Param))

    def apply(self, params: dict[str, Any], points: Float[Array, "*b d"]) -> Float[Array, "*b c"]:
        """Values (..., channels) at points (..., dimensions)."""
        return nnx.merge(_graph(self), params)(points)

    def _module(self, key: jax.Array) -> Siren:
        return Siren(**dataclasses.asdict(self), rngs=nnx.Rngs(key))


@functools.cache
def _graph(network: PureSiren) -> nnx.GraphDef:
    return nnx.graphdef(nnx.eval_shape(lambda: network._module(jax.random.key(0))))


@jax.custom_jvp
def sine(x: Float[Array, "*s"]) -> Float[jax.Array, "*s"]:
    """sin(x), and cos(x) as its derivative from the same reduction of the argument.

    Error below 1e-6 for |x| < 8192 in float32; float64 goes to ``jnp.sin``. On a CPU ``jnp.sin`` and ``jnp.cos`` take
    longer than the matrix products of the network (``python -m benchmarks.bench_neural``).
    """
    return _sine_cosine(jnp.asarray(x))[0]


@sine.defjvp
def _sine_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    value, slope = _sine_cosine(jnp.asarray(primals[0]))
    return value, slope * tangents[0]


def _sine_cosine(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Minimax polynomials (Cephes, sinf and cosf) on [-pi/4, pi/4] after a reduction by quarter turns."""
    if x.dtype != jnp.float32:
        return jnp.sin(x), jnp.cos(x)
    turns = jnp.round(x * (2 / math.pi))
    r = ((x - turns * 1.5703125) - turns * 4.837512969970703e-4) - turns * 7.549789948768648e-8  # three parts of pi/2
    z = r * r
    odd = r + r * z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4))
    even = 1 - 0.5 * z + z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5))
    quarter = turns.astype(jnp.int32)
    swapped = (quarter & 1) == 1
    value, slope = jnp.where(swapped, even, odd), jnp.where(swapped, odd, even)
    return jnp.where((quarter & 2) == 2, -value, value), jnp.where(((quarter + 1) & 2) == 2, -slope, slope)


def _linear(n_in: int, n_out: int, bound: float, rngs: nnx.Rngs) -> nnx.Linear:
    """A linear layer with uniform weights; full precision, because omega multiplies every rounding error."""
    return nnx.Linear(
        n_in,
        n_out,
        kernel_init=uniform(-bound, bound),
        bias_init=uniform(-1 / math.sqrt(n_in), 1 / math.sqrt(n_in)),
        precision="highest",
        rngs=rngs,
    )
