"""Networks that make isotropic images: sizes, recipes, and their trainings, those of two stages among them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.support.competitors import learning_curve, read_card, weights_of
from experiments.support.xspace_cases import NOISE, TRAINED, Cases, Method, prior_of
from mpijax import models
from mpijax.datasets import XSpaceTask, xspace_batches
from mpijax.datasets.phantoms import PlanarPhantoms
from mpijax.metrics import nrmse_range
from mpijax.models.mpi_mamba import ABLATIONS
from mpijax.training import TrainConfig, begin_second_stage, fit, load_weights, make_predict

SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "published": {"mpi_mamba": {}, "nafnet": {}, "restormer": {}},
    "quick": {
        "mpi_mamba": dict(
            features=8,
            blocks=(1, 1, 1, 1),
            heads=(1, 2, 4, 8),
            refinement=0,
            states=4,
            embed=16,
            encoder_blocks=2,
            denoiser_features=64,
        ),
        "nafnet": dict(features=12, encoder=(1, 1, 1), middle=4, decoder=(1, 1, 1)),
        "restormer": dict(features=8, blocks=(1, 1, 1, 1), heads=(1, 2, 4, 8), refinement=0),
    },
    "tiny": {
        "mpi_mamba": dict(
            features=4,
            blocks=(1, 1),
            heads=(1, 1),
            refinement=0,
            states=2,
            embed=4,
            encoder_blocks=0,
            side=2,
            denoiser_features=8,
            steps=2,
        ),
        "nafnet": dict(features=4, encoder=(1,), middle=0, decoder=(1,)),
        "restormer": dict(features=4, blocks=(1, 1), heads=(1, 1), refinement=0),
    },
}
"""Recipe -> registered network -> its options; "tiny" is for tests."""


RATES = {"mpi_mamba": 3e-3}
"""Learning rates of small variants that are not 6e-3. On the validation images, 600 steps, NAFNet and MPI-Mamba's stage 0 were
better with 6e-3 than with 3e-3. With 6e-3 the first stage of MPI-Mamba leans on large tokens that the second
cannot guess."""


BATCH = {"published": 32, "quick": 8, "tiny": 8}
"""Pairs per step."""

FIRST_STAGE = {"published": 1 / 2, "quick": 2 / 13, "tiny": 2 / 13}
"""Share of the steps of two stages that the first one takes. With the paper's half of 2,600 steps the small variant came to 31.94
dB on the validation images, with 400 of them to 32.09 dB."""


@dataclass(frozen=True)
class Entry:
    """A network of the comparison.

    Attributes:
        label: what reports call it.
        model: registered name.
        options: beside those of `SIZES`.
        longer: how many times as many steps it takes.
    """

    label: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    longer: int = 1

    @property
    def guided(self) -> bool:
        """Whether it corrects the deconvolved input."""
        return bool(self.options.get("guided"))

    @property
    def stages(self) -> tuple[int | None, ...]:
        """Stages of the training; None = the network has no stages."""
        if self.model != "mpi_mamba":
            return (None,)
        return (0,) if self.options.get("stage") == 0 else (1, 2)


NETWORKS = {
    "mpi_mamba": Entry("MPI-Mamba", "mpi_mamba"),
    "nafnet": Entry("NAFNet", "nafnet"),
    "restormer": Entry("Restormer", "restormer"),
    "guided": Entry("guided NAFNet", "nafnet", {"guided": True}),
    "nafnet_longer": Entry("NAFNet, 4 x as long", "nafnet", longer=4),
    "guided_longer": Entry("guided NAFNet, 4 x as long", "nafnet", {"guided": True}, longer=4),
    "backbone": Entry("backbone", "mpi_mamba", ABLATIONS["backbone"]),
    "mamba": Entry("backbone + Mamba", "mpi_mamba", ABLATIONS["mamba"]),
    "diffusion": Entry("backbone + diffusion", "mpi_mamba", ABLATIONS["diffusion"]),
}
"""Name -> network; "guided" is this project's, those "longer" take about MPI-Mamba's time on two cores, the last three are
of Table 4."""


@dataclass(frozen=True)
class Training:
    """What the trainings of a comparison have in common.

    Attributes:
        run_dir: every network has its folder there.
        label: isotropic or phantom.
        size: pixels per side.
        recipe: published, quick or tiny.
        steps: of every network, two stages together; None = the recipe's.
        textures: recorded noise, or None.
        validation: chooses the weights.
        seed: of weights and batches.
        progress: whether to show a progress bar.
    """

    run_dir: Path
    label: str
    size: int
    recipe: str
    steps: int | None
    textures: np.ndarray | None
    validation: Cases
    seed: int
    progress: bool

    def run(self, name: str, crop: int | None, folder: str = "") -> Method:
        """Train a network of `NETWORKS`, or continue, or read a finished run; the method that applies it."""
        entry = NETWORKS[name]
        task = XSpaceTask.create(self.label, textures=self.textures, noise=NOISE, crop=crop, guide=entry.guided)
        prior = prior_of("training", self.size)
        batches = xspace_batches(task, prior, PlanarPhantoms.create(TRAINED, self.size), BATCH[self.recipe])
        options = SIZES[self.recipe][entry.model] | entry.options
        facts: dict[str, Any] = {"label": self.label, "crop": crop, "kinds": TRAINED, "noise": NOISE}
        facts |= {"size": self.size, "gradient": prior.gradient, "core_diameter": prior.core_diameter}
        facts |= {"validation_images": len(self.validation.inputs)}
        facts |= {"textures": None if self.textures is None else hashlib.sha256(self.textures.tobytes()).hexdigest()}
        run_dir = self.run_dir / (folder or name)
        for stage in entry.stages:
            directory = run_dir if stage is None else run_dir / f"stage_{stage}"
            if stage == 2:
                model, batches = begin_second_stage(run_dir / "stage_1", batches, seed=self.seed)
                facts = facts | {"stage_1": read_card(run_dir / "stage_1")["sha256"]}
            else:
                staged = options if stage is None else options | {"stage": stage}
                model = models.create(entry.model, channels=1, rngs=self.seed, **staged)
            fit(
                model,
                batches,
                self.config(entry, stage),
                run_dir=directory,
                validate=self._validate(model.config),
                metadata=json.loads(json.dumps(facts)),
                progress=self.progress,
            )
        return trained(directory)

    def config(self, entry: Entry, stage: int | None) -> TrainConfig:
        """Recipe of a network's training, or of one of its two stages."""
        published = self.recipe == "published"
        total = entry.longer * (self.steps or (200_000 if published else 2600))
        first = max(round(total * FIRST_STAGE[self.recipe]), 1)
        steps = {1: first, 2: total - first}.get(stage or 0, total)
        if published:
            return TrainConfig(
                steps, BATCH[self.recipe], 2e-4, 1e-6, "half-cosine", "adamw", "l1", clip_norm=0.01,
                weight_decay=1e-4, validate_every=5000, checkpoint_every=5000, log_every=500, seed=self.seed,
            )  # fmt: skip
        every = max(steps // 4, 1)
        return TrainConfig(
            steps, BATCH[self.recipe], RATES.get(entry.model, 6e-3), 1e-5, "cosine", "adamw", "l1", clip_norm=1.0,
            weight_decay=1e-4, ema_decay=0.99, validate_every=every, checkpoint_every=every, seed=self.seed,
        )  # fmt: skip

    def _validate(self, model: dict[str, Any]) -> Callable[[Callable[..., jax.Array]], dict[str, float]]:
        cases = self.validation

        def validate(apply: Callable[..., jax.Array]) -> dict[str, float]:
            inputs = _inputs(cases, model)
            found = apply(jnp.asarray(cases.inputs[..., None]), **inputs)[..., 0]
            return {"nrmse": float(jnp.mean(nrmse_range(found, cases.targets, axis=(1, 2))))}

        return validate


def trained(run_dir: Path) -> Method:
    """The method of a finished run."""
    config, weights = load_weights(run_dir)
    predict = make_predict(config, weights, batch_size=8)
    return lambda cases: np.asarray(predict(cases.inputs[..., None], **_inputs(cases, config)))[..., 0]


def _inputs(cases: Cases, config: dict[str, Any]) -> dict[str, Any]:
    """What a network takes beside the image: the truth in stage 1, the guide."""
    if config.get("stage") == 1:
        return {"truth": jnp.asarray(cases.targets[..., None])}
    return {"guide": jnp.asarray(cases.guides[..., None])} if config.get("guided") else {}


def facts_of(run_dir: Path, stages: tuple[int | None, ...]) -> dict[str, Any]:
    """Weights, steps and seconds of a finished training, of two stages together; a stage of a single step has no speed."""
    folders = [run_dir if stage is None else run_dir / f"stage_{stage}" for stage in stages]
    curves = [learning_curve(folder) for folder in folders]
    speeds = [[r for r in curve if r.get("steps_per_second")] for curve in curves]
    return {
        "weights": weights_of(read_card(folders[-1])),
        "steps": sum(int(curve[-1]["step"]) for curve in curves),
        "seconds": sum(
            float(np.median([1 / r["steps_per_second"] for r in s])) * int(s[-1]["step"]) for s in speeds if s
        ),
    }
