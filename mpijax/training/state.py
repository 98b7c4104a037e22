"""Between modules and pure functions: the only place of training that splits and merges flax.nnx modules."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from mpijax import models
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.layers import Network


@pytree
class Weights:
    """What a network learns, as nested dicts: ``params`` by gradients, ``batch_stats`` by running averages."""

    params: dict[str, Any]
    batch_stats: dict[str, Any]


@pytree
class TrainState:
    """Everything that changes while training; a checkpoint is exactly this.

    ``ema`` is the running mean of ``weights`` (batch statistics included), ``loss_sum`` and ``loss_count`` make the
    mean loss since the last logged step. ``step`` counts the steps taken; ``bad_step`` is its value after the first
    step whose loss or gradient was not finite, 0 while there is none.
    """

    weights: Weights
    ema: Weights
    opt_state: Any
    step: jax.Array
    loss_sum: jax.Array
    loss_count: jax.Array
    bad_step: jax.Array


@dataclasses.dataclass(frozen=True)
class PureNetwork:
    """A network without its weights: pure functions, for training and for evaluation.

    ``takes`` are the inputs that it uses beside the rows, see `mpijax.models.blocks.layers.Network`.
    """

    train_graph: nnx.GraphDef
    eval_graph: nnx.GraphDef
    takes: tuple[str, ...]

    def told(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs without the noise level where the network has no use for it: a blind network restores rows of known noise, too.

        Nothing else is left out: a mask says what the rows are, so that a network that cannot use it refuses it.
        """
        return {name: value for name, value in inputs.items() if name != "noise_level" or name in self.takes}

    def train(self, weights: Weights, x: Float[Array, "..."], **inputs: Any) -> tuple[jax.Array, dict[str, Any]]:
        """Output with the statistics of this batch, and the updated running statistics."""
        module = nnx.merge(self.train_graph, weights.params, weights.batch_stats, copy=True)
        out = module(x, **inputs)
        return out, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    def learn(
        self, weights: Weights, x: Float[Array, "..."], *, target: Float[Array, "..."], key: jax.Array, **inputs: Any
    ) -> tuple[jax.Array, jax.Array, dict[str, Any]]:
        """`Network.learn`: output as in `train`, what is added to its pixel loss, and the updated running statistics."""
        module = nnx.merge(self.train_graph, weights.params, weights.batch_stats, copy=True)
        out, addition = module.learn(x, target=target, key=key, **inputs)
        return out, addition, nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    def call(self, method: str, weights: Weights, *arguments: Any) -> Any:
        """What a method of the network by this name says in evaluation mode."""
        return getattr(nnx.merge(self.eval_graph, weights.params, weights.batch_stats, copy=True), method)(*arguments)

    def evaluate(self, weights: Weights, x: Float[Array, "..."], **inputs: Any) -> jax.Array:
        """Output with the running statistics."""
        return nnx.merge(self.eval_graph, weights.params, weights.batch_stats, copy=True)(x, **inputs)


def split(model: Network) -> tuple[PureNetwork, Weights]:
    """Take a module apart; the module stays as it is.

    Args:
        model: A network whose variables are parameters and batch statistics only.

    Returns:
        The network's pure functions and its weights.

    Raises:
        TypeError: The module holds other variables, e.g. random streams.
    """
    graph, state = nnx.split(model)
    params, batch_stats, rest = nnx.split_state(state, nnx.Param, nnx.BatchStat, ...)
    others = sorted({type(variable).__name__ for variable in jax.tree.leaves(rest, is_leaf=_is_variable)})
    if others:
        raise TypeError(
            f"the module holds variables of type {', '.join(others)}; training supports Param and BatchStat only. "
            "Pass randomness through the batch instead of keeping streams on the module."
        )
    module = nnx.merge(graph, params, batch_stats, copy=True)
    module.train()
    train_graph = nnx.graphdef(module)
    module.eval()
    weights = Weights(nnx.to_pure_dict(params), nnx.to_pure_dict(batch_stats))
    return PureNetwork(train_graph, nnx.graphdef(module), model.takes), weights


def abstract(model_config: dict[str, Any]) -> tuple[PureNetwork, Weights]:
    """`split` of the model that a configuration describes, with shapes in place of weights; nothing is computed."""
    return split(nnx.eval_shape(lambda: models.create(**model_config, rngs=0)))


def module_of(model_config: dict[str, Any], weights: Weights) -> Network:
    """A module with the given weights; undoes `split`."""
    graph = abstract(model_config)[0].train_graph
    module: Network = nnx.merge(graph, weights.params, weights.batch_stats, copy=True)
    return module


def init_state(weights: Weights, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step; it holds copies, because a train step takes its state's memory.

    Their types are strong, as a step's results are: a weak one would compile the step twice.
    """
    weights, ema = (jax.tree.map(lambda leaf: jnp.array(leaf, leaf.dtype), weights) for _ in range(2))
    return TrainState(
        weights=weights,
        ema=ema,
        opt_state=optimizer.init(weights.params),
        step=jnp.zeros((), jnp.int32),
        loss_sum=jnp.zeros(()),
        loss_count=jnp.zeros((), jnp.int32),
        bad_step=jnp.zeros((), jnp.int32),
    )


def by_path(tree: Any) -> dict[str, Any]:
    """Leaves of a tree by their path, e.g. ``params/blocks/0/conv1/kernel``, in the tree's order."""
    return {
        jax.tree_util.keystr(where, simple=True, separator="/"): leaf
        for where, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def all_finite(tree: Any) -> jax.Array:
    """Whether every floating-point number of a tree is finite."""
    floating = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in floating]))


def count_parameters(model: nnx.Module) -> int:
    """Number of trainable scalars of a module (batch statistics are not trained)."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def _is_variable(node: Any) -> bool:
    return isinstance(node, nnx.Variable)
