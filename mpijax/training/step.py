"""One training step as a compiled pure function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding

from mpijax.core.sharding import share_rows
from mpijax.training.losses import pixel_loss
from mpijax.training.state import PureNetwork, TrainState, Weights, all_finite

BatchFunction = Callable[[jax.Array], dict[str, Any]]
"""Key -> {"input": (b, h, w, c), "target": (b, H, W, c), and optionally "weight", "mask", "noise_level", "auxiliary"}.

"auxiliary" is a dictionary of what else the network takes in training, by name. A noise level is told to the networks that take
one; anything else that the network has no use for is refused.

It is traced into the step. A plain function's arrays become constants of the compiled step; large ones go in as
``jax.tree_util.Partial(function, arrays)``, whose arrays are arguments of the step."""

TrainStep = Callable[[TrainState, jax.Array, jax.tree_util.Partial], tuple[TrainState, jax.Array]]
"""(state, key, batch function) -> (new state, loss)."""


NETWORK = 0x6E657477
"""Folded into the key of a step for what the network itself draws; batch functions count from zero."""


@runtime_checkable
class BatchStream(Protocol):
    """Batches whose function changes from step to step, such as `mpijax.datasets.RowStream`.

    ``sharding`` says where the rows of a batch lie, None = on one device; ``facts`` are plain values that define the run.
    """

    sharding: jax.sharding.NamedSharding | None
    facts: dict[str, Any]

    def at(self, step: int) -> jax.tree_util.Partial:
        """Batch function of a step (0, 1, ..), a pure function of the step; it does not wait for the device."""
        ...

    def examples(self) -> Sequence[jax.tree_util.Partial]:
        """One batch function for each compiled step, with arrays or their shapes as leaves."""
        ...

    def report(self, steps_per_second: float | None) -> dict[str, Any]:
        """Figures for the metrics; it may wait for the device."""
        ...


@dataclass
class Unchanging:
    """The stream that gives the same batch function at every step."""

    batches: jax.tree_util.Partial
    sharding: jax.sharding.NamedSharding | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def at(self, step: int) -> jax.tree_util.Partial:
        """The batch function."""
        return self.batches

    def examples(self) -> Sequence[jax.tree_util.Partial]:
        """The batch function."""
        return (self.batches,)

    def report(self, steps_per_second: float | None) -> dict[str, Any]:
        """Nothing."""
        return {}


def as_stream(batches: BatchFunction | BatchStream, sharding: NamedSharding | None = None) -> BatchStream:
    """A stream as it is; a batch function as an unchanging one, whose rows are shared out if a sharding is given.

    Raises:
        ValueError: A stream is not shared out like that.
    """
    if isinstance(batches, BatchStream):
        if sharding is not None and batches.sharding != sharding:
            raise ValueError(
                f"sharding is given, but the stream was made with {batches.sharding}; make the stream with the same one."
            )
        return batches
    if sharding is None:
        return Unchanging(as_partial(batches))
    return Unchanging(share_rows(as_partial(batches), sharding), sharding)


def as_partial(batch_fn: BatchFunction) -> jax.tree_util.Partial:
    """A batch function as a pytree whose leaves are the arrays it carries."""
    return batch_fn if isinstance(batch_fn, jax.tree_util.Partial) else jax.tree_util.Partial(batch_fn)


def learn(
    network: PureNetwork, weights: Weights, batch: dict[str, Any], key: jax.Array
) -> tuple[jax.Array, jax.Array, dict[str, Any]]:
    """Output of a network for a batch, what it adds to the pixel loss, and its running statistics."""
    inputs = {name: batch[name] for name in ("mask", "noise_level") if name in batch} | batch.get("auxiliary", {})
    return network.learn(weights, batch["input"], target=batch["target"], key=key, **network.told(inputs))


def make_train_step(
    network: PureNetwork,
    optimizer: optax.GradientTransformation,
    *,
    loss: str = "mse",
    ema_decay: float = 0.999,
) -> TrainStep:
    """Compile ``step(state, key, batch_fn) -> (state, loss)``; the state passed in is donated, i.e. gone afterwards.

    Step t draws its batch from ``fold_in(key, t)``, so that it depends on key and step alone, whatever happened before. The
    loss is that of the pixels and what the network adds (`mpijax.models.blocks.layers.Network.learn`).
    The running mean of the weights decays by min(ema_decay, (1 + t) / (10 + t)), which lets go of the initial weights.

    Args:
        network: Pure functions of the network.
        optimizer: Gradient transformation.
        loss: "mse" or "l1".
        ema_decay: Decay of the running mean of the weights.

    Returns:
        The compiled step; ``batch_fn`` is made by `as_partial`.
    """

    def step(state: TrainState, key: jax.Array, batch_fn: jax.tree_util.Partial) -> tuple[TrainState, jax.Array]:
        step_key = jax.random.fold_in(key, state.step)
        batch = batch_fn(step_key)
        network_key = jax.random.fold_in(step_key, NETWORK)

        def objective(params: dict[str, Any]) -> tuple[jax.Array, dict[str, Any]]:
            weights = Weights(params, state.weights.batch_stats)
            out, addition, batch_stats = learn(network, weights, batch, network_key)
            return pixel_loss(out, batch["target"], batch.get("weight"), kind=loss) + addition, batch_stats

        (value, batch_stats), gradient = jax.value_and_grad(objective, has_aux=True)(state.weights.params)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.weights.params)
        weights = Weights(optax.apply_updates(state.weights.params, updates), batch_stats)

        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema = jax.tree.map(lambda mean, new: decay * mean + (1.0 - decay) * new, state.ema, weights)
        finite = all_finite((value, gradient))
        new = TrainState(
            weights=weights,
            ema=ema,
            opt_state=opt_state,
            step=state.step + 1,
            loss_sum=state.loss_sum + value,
            loss_count=state.loss_count + 1,
            bad_step=jnp.where((state.bad_step == 0) & ~finite, state.step + 1, state.bad_step),
        )
        return new, value

    return jax.jit(step, donate_argnums=0)
