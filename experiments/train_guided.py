"""Train the network that corrects what fitted rows say of a matrix, on a bank of fitted matrices.

Command:  python -m experiments.train_guided [--bank runs/guided_bank] [--seed 0] [--run-dir runs/guided_2d]

The bank is made by ``python -m experiments.guided_bank``. A tenth of its matrices is held out; the weights of the best PSNR on
them are kept. Rows are turned by a random phase, mirrored and transposed. One network learns to denoise and to fill, in which
case the loss counts missing voxels ``MISSING_WEIGHT`` times. A run directory that holds an unfinished run is continued.
Expected time: 15 minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.support.run import parse, run_main, write_record
from mpijax import models
from mpijax.restoration.card import KEY, to_card
from mpijax.rows.scaling import complex_to_channels
from mpijax.rows.tasks import Complete, Denoise, Inpaint, Trained, Upsample
from mpijax.training import Result, TrainConfig, fit

GUIDED = Trained((Denoise(), Inpaint(), Complete(2), Upsample(2, "stride")), noise_limit=0.3, members=2)
"""What the network is trained for."""

MISSING_WEIGHT = 3.0
"""Of missing voxels in the loss; known ones weigh one."""

HELD_OUT = 10
"""Every tenth matrix of a family is held out."""


@dataclass(frozen=True)
class Config:
    """What is trained on what.

    Attributes:
        bank: folder of fitted matrices.
        features: width of each level, the finest first.
        steps: of training.
        batch_size: rows per step.
        learning_rate: of the first step; it falls as a cosine.
        validate_every: steps between two validations.
        seed: of weights and batches.
        run_dir: receives weights, metrics and checkpoints.
    """

    bank: Path = Path("runs/guided_bank")
    features: tuple[int, ...] = (48, 72, 96)
    steps: int = 8000
    batch_size: int = 16
    learning_rate: float = 1e-3
    validate_every: int = 1000
    seed: int = 0
    run_dir: Path = Path("runs/guided_2d")


PRESETS = {
    "standard": Config(),
    "smoke": Config(features=(8,), steps=2, batch_size=2, validate_every=2, run_dir=Path("runs/guided_smoke")),
}

Bank = dict[str, np.ndarray]


def main(config: Config) -> Result:
    """Train; returns the finished run."""
    training, held_out = read_bank(config.bank)
    config.run_dir.mkdir(parents=True, exist_ok=True)
    write_record(config.run_dir, "train_guided", config)
    recipe = TrainConfig(
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        final_learning_rate=2e-6,
        schedule="cosine",
        clip_norm=0.5,
        loss="l1",
        monitor="-psnr",
        validate_every=config.validate_every,
        checkpoint_every=config.validate_every,
        seed=config.seed,
    )
    network = models.create("guided_unet", features=config.features, rngs=config.seed)
    batches = jax.tree_util.Partial(partial(batch, config.batch_size), training)
    facts = {KEY: to_card(GUIDED), "rows": len(training["x"]), "held_out": len(held_out["x"])}
    return fit(network, batches, recipe, run_dir=config.run_dir, validate=validation(held_out), metadata=facts)


def read_bank(folder: Path) -> tuple[Bank, Bank]:
    """Examples to train on, and of the matrices that are held out.

    Raises:
        FileNotFoundError: there is no bank.
    """
    paths = sorted(folder.glob("*-*.npz"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no fitted matrices; make them with python -m experiments.guided_bank.")
    parts: tuple[list[Bank], list[Bank]] = ([], [])
    for path in paths:
        with np.load(path, allow_pickle=False) as data:
            found = dict(data)
        if len(found["x"]):
            parts[int(path.stem.rsplit("-", 1)[1]) % HELD_OUT == HELD_OUT - 1].append(found)
    whole = [{key: np.concatenate([each[key] for each in part]) for key in part[0]} for part in parts if part]
    return whole[0], whole[-1]


def batch(size: int, bank: Bank, key: jax.Array) -> dict[str, Any]:
    """Random rows of the bank, turned, mirrored and transposed."""
    which, phases, flips = jax.random.split(key, 3)
    index = jax.random.randint(which, (size,), 0, len(bank["x"]))
    rows = {name: jnp.asarray(values)[index] for name, values in bank.items()}
    turn = jnp.exp(2j * jnp.pi * jax.random.uniform(phases, (size, 1, 1)))
    rows["x"], rows["target"] = rows["x"] * turn, rows["target"] * turn
    told = rows["guides"]
    pairs = [complex_to_channels((told[..., i] + 1j * told[..., i + 1]) * turn) for i in (0, 2)]
    rows["guides"] = jnp.concatenate([*pairs, told[..., 4:]], -1)
    mirror = jax.random.bernoulli(flips, shape=(3, size))
    changes: tuple[Callable[[jax.Array], jax.Array], ...] = (
        partial(jnp.flip, axis=1),
        partial(jnp.flip, axis=2),
        lambda values: jnp.swapaxes(values, 1, 2),
    )

    def moved(values: jax.Array) -> jax.Array:
        if values.ndim < 3:
            return values
        shape = (size, *(1,) * (values.ndim - 1))
        for chosen, change in zip(mirror, changes, strict=True):
            values = jnp.where(chosen.reshape(shape), change(values), values)
        return values

    return inputs({name: moved(values) for name, values in rows.items()})


def inputs(rows: dict[str, Any]) -> dict[str, Any]:
    """Examples as the training step takes them."""
    known, inside = (jnp.asarray(rows[name])[..., None].astype(jnp.float32) for name in ("known", "inside"))
    return {
        "input": complex_to_channels(jnp.where(rows["known"], rows["x"], 0)),
        "target": complex_to_channels(rows["target"]),
        "weight": inside * jnp.where(known > 0, 1.0, MISSING_WEIGHT),
        "mask": jnp.concatenate([known, inside], -1),
        "noise_level": jnp.asarray(rows["level"]),
        "auxiliary": {"guides": jnp.asarray(rows["guides"])},
    }


def validation(bank: Bank) -> Callable[[Any], dict[str, float]]:
    """Mean PSNR [dB] of the network and of the estimate that it corrects, at missing voxels of rows that have some."""
    count = bank["inside"] & (~bank["known"] | (bank["known"] == bank["inside"]).all(axis=(1, 2), keepdims=True))
    given, target = inputs(bank), bank["target"]
    peak = np.max(np.abs(target), axis=(1, 2))

    def psnr(restored: np.ndarray) -> float:
        error = np.sum(np.abs(restored - target) ** 2 * count, axis=(1, 2)) / np.sum(count, axis=(1, 2))
        return float(np.mean(-10 * np.log10(error / peak**2)))

    def validate(apply: Callable[..., jax.Array]) -> dict[str, float]:
        out = np.asarray(
            apply(given["input"], mask=given["mask"], noise_level=given["noise_level"], **given["auxiliary"])
        )
        estimate = bank["guides"][..., 0] + 1j * bank["guides"][..., 1]
        return {"psnr": psnr(out[..., 0] + 1j * out[..., 1]), "estimate": psnr(estimate)}

    return validate


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
