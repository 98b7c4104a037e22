"""Put trained weights into data/weights, with a card that says how they were made and what they reach.

Command:  python -m experiments.ship_weights --run-dir runs/denoise_2d --results runs/restore_denoise/results.json

The figures on the card are copied from the ``results.json`` of an evaluation (`experiments.restore_denoise` and its siblings);
without one the weights ship without figures. Weights are verified before they are written, and written whole or not at all.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from mpijax.training import load_weights, save_weights
from mpijax.training.weights import read_card


@dataclass(frozen=True)
class Config:
    """Which run, and what was measured with it.

    Attributes:
        run_dir: run directory of `experiments.train_restoration`; its name is the weights' name.
        results: ``results.json`` files of evaluations that used these weights.
        output: folder that ships.
    """

    run_dir: Path = Path("runs/denoise_2d")
    results: tuple[Path, ...] = ()
    output: Path = Path("data/weights")


def main(config: Config) -> Path:
    """Copy the weights with the extended card; returns their path."""
    model, weights = load_weights(config.run_dir)
    metadata = read_card(config.run_dir / "weights.npz")["metadata"]
    figures = {}
    for path in config.results:
        results = json.loads(path.read_text(encoding="utf-8"))
        if "figures" not in results:
            raise ValueError(f"{path} holds no figures; give the results.json of an evaluation of restoration.")
        figures[path.parent.name] = {key: results[key] for key in ("rows", "matrices", "figures") if key in results}
    name = config.run_dir.name
    metadata |= {"command": f"python -m experiments.train_restoration --preset {name}", "figures": figures}
    target = config.output / f"{name}.npz"
    target.parent.mkdir(parents=True, exist_ok=True)
    save_weights(target, weights, model, metadata=metadata)
    return target


if __name__ == "__main__":
    try:
        print(f"wrote {main(tyro.cli(Config, description=__doc__))} and its card")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
