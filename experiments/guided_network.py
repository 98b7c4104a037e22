"""What a network adds to the rows that one fitted particle explains: every method of the fit by itself, on the same fits.

Command:  python -m experiments.guided_network [--weights runs/guided_2d] [--half test] [--families neel coils ...] [--task denoise]

The sets of :mod:`experiments.reality_gap`, as in :mod:`experiments.restore_identified`. The network was trained on fits of
equilibria and of Neel rotation (:mod:`experiments.guided_bank`); Brownian rotation and the two families that are held out are out
of its model. Figures that the run directory holds are not computed again. Expected time: 20 s per matrix in equilibrium, a minute
where Neel rotation is tried.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments import restore_identified
from experiments.restore_identified import Measured, measured
from experiments.support.identified_report import difference, kind
from experiments.support.reality_families import BY_NAME, FAMILIES, Family
from experiments.support.reality_scores import problems
from experiments.support.reality_sets import FOLDER, read_set
from experiments.support.run import markdown_table, parse, run_main, write_record
from mpijax.core.checks import check_choice
from mpijax.core.files import write_text
from mpijax.core.typing import Array
from mpijax.restoration.card import from_card
from mpijax.restoration.guided import FITTED, FITTED_WIENER, guided
from mpijax.restoration.guides import Estimator
from mpijax.restoration.job import Job
from mpijax.restoration.method import Method
from mpijax.restoration.network import network_rows
from mpijax.rows.tasks import Trained, task_of
from mpijax.training.state import Weights
from mpijax.training.weights import load_weights, read_card

FITTED_NETWORK = "fitted + network"
NAMES = (FITTED, FITTED_WIENER, FITTED_NETWORK)

Network = tuple[dict[str, Any], Weights, Trained]
"""Configuration, weights, and what they were trained for."""


@dataclass(frozen=True)
class Config:
    """What is restored.

    Attributes:
        weights: run directory of ``python -m experiments.train_guided``.
        families: names; none = all planar ones.
        task: denoise, inpaint or complete.
        half: test or development.
        matrices: most matrices of a family; None = all of the half.
        seed: of masks, phases and noise.
        set_dir: where the sets are.
        run_dir: where results go.
    """

    weights: Path = Path("runs/guided_2d")
    families: tuple[str, ...] = ()
    task: str = "denoise"
    half: str = "test"
    matrices: int | None = 2
    seed: int = 0
    set_dir: Path = FOLDER
    run_dir: Path = Path("runs/guided_network")

    def __post_init__(self) -> None:
        check_choice("half", self.half, ("test", "development"))
        check_choice("task", self.task, ("denoise", "inpaint", "complete"))
        for name in self.families:
            check_choice("families", name, tuple(BY_NAME))


PRESETS = {"standard": Config(), "smoke": Config(families=("equilibrium",), matrices=1)}


def main(config: Config) -> dict[str, Any]:
    """Restore, compare; returns what ``results.json`` holds."""
    folder = config.run_dir / f"{config.task}-{config.half}"
    wanted = [f for f in FAMILIES if f.name in config.families or (f.dimensions == 2 and not config.families)]
    network = load(config.weights)
    results = {family.name: of_family(family, config, folder, network) for family in wanted}
    text = report(results)
    write_record(config.run_dir, "guided_network", config)
    write_text(folder / "report.md", text)
    print(text)
    return {"families": results}


def load(run_dir: Path) -> Network:
    """A trained network and what its card says."""
    weights_file = run_dir / "weights.npz"
    return *load_weights(weights_file), from_card(weights_file, read_card(weights_file))


def of_family(family: Family, config: Config, folder: Path, network: Network) -> list[dict[str, list[float]]]:
    """PSNR [dB] of the rows of every matrix by every method of its fit."""
    found, figures = read_set(family.name, config.set_dir), list[dict[str, list[float]]]()
    stored = found.of_half(found.rows, config.half)
    for numbers, problem in problems(found, config.task, "white", config.half, config.seed):
        for matrix in np.unique(numbers):
            if config.matrices is not None and len(figures) >= config.matrices:
                return figures
            path = folder / f"{family.name}-{matrix}.json"
            if not path.exists():
                rows = stored[found.rows.matrix[stored] == matrix]
                number = int(matrix) - (0 if config.half == "development" else family.half)
                where = found.rows.channel[rows], found.rows.frequency_index[rows]
                told = family.draw(config.half, number)[1].told
                given = restore_identified.given_of(restore_identified.Config(task=config.task))
                case = measured(told, *where, problem, np.flatnonzero(numbers == matrix), given)
                write_text(path, json.dumps(of_matrix(case, config.task, network), indent=1) + "\n")
            figures.append(json.loads(path.read_text(encoding="utf-8")))
            means = {name: round(float(np.mean(values)), 2) for name, values in figures[-1].items()}
            print(f"{family.name} {matrix}: {means}", file=sys.stderr, flush=True)
    return figures


def of_matrix(case: Measured, name: str, network: Network) -> dict[str, list[float]]:
    """PSNR [dB] of every row by every method; none where the matrix cannot be identified."""
    images = np.asarray(case.matrix.grid.to_image(case.matrix.rows()))[:, 0]
    task = task_of(name)
    known = np.ones(images.shape[1:], bool) if name == "complete" else case.known
    unit = np.max(np.abs(images * known), axis=(1, 2))
    images, sigma, numbers = images / unit[:, None, None], case.sigma / unit, np.arange(len(images))
    found, _ = guided(case.matrix, task, images, known, sigma, dynamics="auto", progress=lambda text: None)
    figures = {}
    for method in () if found is None else (*found.methods, corrected(found.estimator, network)):
        job = Job(task, method, known, slices=1, trust=False, progress=False, numbers=numbers)
        restored = job.apply(method.at(numbers), images, sigma)[0] * unit[:, None, None]
        figures[method.name] = case.psnr(restored[:, *(slice(n) for n in case.known.shape)]).tolist()
    return figures


def corrected(estimator: Estimator, network: Network) -> Method:
    """The estimate of a fit, corrected by a network."""
    config, weights, trained = network

    def of_rows(numbers: np.ndarray) -> Callable[..., Array]:
        def told(rows: Array, known: Array, sigma: Any) -> np.ndarray:
            values = np.asarray(rows).reshape(len(numbers), -1)
            guides = estimator.told(numbers, values, np.asarray(known).reshape(-1), np.asarray(sigma))
            return guides.reshape(*np.shape(rows), -1)

        return network_rows(config, weights, trained, guides=told)

    return Method(FITTED_NETWORK, of_rows(np.arange(0)), members=trained.members, of_rows=of_rows)


def report(results: dict[str, list[dict[str, list[float]]]]) -> str:
    """Means over rows, and the network against the better of the others, chosen by matrix."""
    table = []
    for name, matrices in results.items():
        known = [matrix for matrix in matrices if matrix]
        if not known:
            continue
        means = [np.mean([np.mean(matrix[method]) for matrix in known]) for method in NAMES]
        network = [np.array(matrix[FITTED_NETWORK]) for matrix in known]
        best = [
            np.array(max((matrix[m] for m in NAMES[:2]), key=lambda rows: float(np.mean(rows)))) for matrix in known
        ]
        gain = "{:+.2f} ({:+.2f} to {:+.2f})".format(*difference(network, best))
        row = {"family": name, "truth": kind(name), "matrices": len(known)}
        row |= {method: f"{mean:.1f}" for method, mean in zip(NAMES, means, strict=True)}
        table.append(row | {"network - the better of the others": gain})
    return markdown_table(table) + "\n"


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
