"""The second stage of MPI-Mamba: its network and its batches, both from a trained network of the first."""

from pathlib import Path

import jax

from mpijax.models.blocks.layers import Network
from mpijax.models.mpi_mamba import MPIMamba, second_stage
from mpijax.training.state import PureNetwork, Weights, module_of, split
from mpijax.training.step import BatchFunction, as_partial
from mpijax.training.weights import load_weights


def begin_second_stage(
    weights_path: str | Path, batch_fn: BatchFunction, *, seed: int = 0
) -> tuple[Network, jax.tree_util.Partial]:
    """What `fit` needs for the second stage.

    Args:
        weights_path: Weights of the first stage, e.g. ``run_dir / "weights.npz"``.
        batch_fn: Batches, those of the first stage.
        seed: Of the new weights.

    Returns:
        The network of the second stage, and batches with the tokens that the first one's encoder makes of them.

    Raises:
        ValueError: The weights are not those of an MPI-Mamba of stage 1.

    Source: MPI-Mamba, training of the second phase.
    """
    config, weights = load_weights(weights_path)
    if config.get("name") != "mpi_mamba" or config.get("stage") != 1:
        raise ValueError(
            f"{weights_path} holds {config.get('name')}, stage {config.get('stage', '-')}; stage 2 starts from mpi_mamba of "
            "stage 1."
        )
    first = module_of(config, weights)
    network, weights = split(first)
    assert isinstance(first, MPIMamba)
    return second_stage(first, rngs=seed), with_latent(batch_fn, network, weights)


def with_latent(batch_fn: BatchFunction, network: PureNetwork, weights: Weights) -> jax.tree_util.Partial:
    """Batches with the latent tokens of a trained network of stage 1: batch["auxiliary"]["latent"] = encode(input, target).

    Its weights are arguments of the training step, not part of the network in training: they stay as they are.

    Args:
        batch_fn: Batches for both stages.
        network: Pure functions of the network of stage 1, whose module has a method ``encode``.
        weights: Its trained weights.

    Source: MPI-Mamba, training of the second phase.
    """

    def batch(batches: jax.tree_util.Partial, weights: Weights, key: jax.Array) -> dict[str, jax.Array]:
        drawn = batches(key)
        latent = network.call("encode", weights, drawn["input"], drawn["target"])
        return drawn | {"auxiliary": drawn.get("auxiliary", {}) | {"latent": latent}}

    return jax.tree_util.Partial(batch, as_partial(batch_fn), weights)
