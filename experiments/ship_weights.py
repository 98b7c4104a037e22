"""Put trained weights into data/weights, with a card that says how they were made and what they reach.

Command:  python -m experiments.ship_weights --run-dir runs/denoise_2d --results runs/restore_denoise/results.json

The figures on the card are copied from the ``results.json`` of evaluations (`experiments.restore_denoise` and its siblings in the
networks' model, `experiments.reality_gap` out of it), each with its truth and its command; without one the weights ship without
figures. Weights are verified before they are written, and written whole or not at all.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from experiments.support.reality_families import BY_NAME
from experiments.support.reality_scores import NETWORKS
from mpijax.training import load_weights, save_weights
from mpijax.training.weights import read_card

LICENSE = "MIT"
PLANE = "300 simulated 2-D calibrations of the restoration paper's Table 1, equilibrium particles"
VOLUME = "15 simulated 3-D calibrations of the restoration paper's Table 1, equilibrium particles"
SETS = "python -m experiments.fixed_sets"
SAID: dict[str, dict[str, Any]] = {
    "restore_denoise": {"kind": "in model", "truth": PLANE, "command": f"{SETS}; python -m experiments.restore_denoise"},
    "restore_denoise_3d": {
        "kind": "in model", "truth": VOLUME,
        "command": f"{SETS} --name restoration_3d; python -m experiments.restore_denoise --preset 3d",
    },
    "restore_inpaint": {
        "kind": "in model", "truth": f"{VOLUME}, one block of 10 % of the positions missing",
        "command": "python -m experiments.restore_inpaint --rows-per-matrix 8",
    },
    "restore_complete": {
        "kind": "in model", "truth": f"{VOLUME}, every second position per axis measured",
        "command": "python -m experiments.restore_complete --rows-per-matrix 8",
    },
    "restore_upsample": {
        "kind": "in model", "truth": "simulated 2-D matrices on grids twice as fine as a calibration's (upsampling_2d)",
        "command": f"{SETS} --name upsampling_2d; python -m experiments.restore_upsample",
    },
    "restore_unified": {
        "kind": "in model", "truth": f"60 of {PLANE} (restoration_2d), or on grids twice as fine (upsampling_2d)",
        "command": "python -m experiments.train_restoration --preset inpaint_2d; "
        "python -m experiments.train_restoration --preset complete_2d; python -m experiments.restore_unified --matrices 60",
        "networks": ["one for all", "denoiser", "inpainter", "completer", "upsampler"],
    },
    "reality_gap": {
        "kind": "out of model", "truth": "simulated matrices of other physics than the training's, noise of 0.1 of a row's peak",
        "command": "python -m experiments.reality_gap",
    },
    "measured_networks": {
        "kind": "measured",
        "truth": "measured matrix of a gradient-free receive-coil array, 40 rows of 8 x 8 pixels with the noise they have; white "
        "noise of 0.1 of a row's peak added (denoise), blocks of 2 x 3 pixels (inpaint) or all but every second per axis "
        "(complete) hidden; the networks without the checks that refuse their rows",
        "command": "python -m experiments.measured_networks --root tests/data/sm_encoding_array_buaa",
    },
}  # fmt: skip
"""Run directory of an evaluation -> what the card says of it; of ``networks`` the first is the one that ships."""


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
    name = config.run_dir.name
    figures = {path.parent.name: evaluation(path, name) for path in config.results}
    command = f"python -m experiments.train_restoration --preset {name}"
    metadata |= {"license": LICENSE, "command": command, "figures": figures}
    target = config.output / f"{name}.npz"
    target.parent.mkdir(parents=True, exist_ok=True)
    save_weights(target, weights, model, metadata=metadata)
    return target


def evaluation(path: Path, network: str) -> dict[str, Any]:
    """What the card says of an evaluation: kind, truth, command, and of every case the methods with their figures.

    Raises:
        ValueError: the file is not one of an evaluation that `SAID` knows.
    """
    results = json.loads(path.read_text(encoding="utf-8"))
    if path.parent.name not in SAID or not {"figures", "families"} & set(results):
        raise ValueError(f"{path} holds no figures; give the results.json of {', '.join(SAID)}.")
    if "families" in results:
        results["figures"] = _by_case(results["families"], network)
    elif path.parent.name == "measured_networks":
        results["figures"] = _of_network(results["figures"], network)
    kept = {key: results[key] for key in ("rows", "matrices", "figures") if key in results}
    return {"networks": [network], **SAID[path.parent.name], **kept}


def _of_network(figures: Mapping[str, Any], network: str) -> dict[str, list[dict[str, Any]]]:
    """Cases that a network was tried in, without lines of other networks."""
    others = set(NETWORKS) - {network}
    kept = {case: [line for line in lines if line["method"] not in others] for case, lines in figures.items()}
    return {case: lines for case, lines in kept.items() if network in {line["method"] for line in lines}}


def _by_case(families: Mapping[str, Any], network: str) -> dict[str, list[dict[str, Any]]]:
    """Of the reality gap: task and noise -> of every truth the network's line and that of the best method without training."""
    cases: dict[str, list[dict[str, Any]]] = {}
    for name, found in families.items():
        told = {"truth": BY_NAME[name].truth, "in_model": BY_NAME[name].in_model}
        for case, methods in found.items():
            if network in methods:
                classical = [method for method in methods if method not in NETWORKS]
                best = max(classical, key=lambda method: methods[method]["psnr"][0])
                cases.setdefault(f"{case} noise", []).extend(
                    {**told, "method": method, "psnr": methods[method]["psnr"]} for method in (best, network)
                )
    return cases


if __name__ == "__main__":
    try:
        print(f"wrote {main(tyro.cli(Config, description=__doc__))} and its card")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
