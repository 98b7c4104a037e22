"""What the restoration experiments share beside the scores: settings, tables, figures and the run directory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.support.restoration_eval import Method, batches, corrupt
from experiments.support.restoration_methods import find_weights, network
from experiments.support.run import environment, write_record
from mpijax.core.files import write_text
from mpijax.datasets import FIXED_SETS, FixedRows, RandomCorruption
from mpijax.viz import plot_rows, save


@dataclass(frozen=True)
class EvalConfig:
    """What is scored.

    Attributes:
        networks: names of shipped weights or of trainings under runs/, or paths of weights or run directories.
        sigmas: complex standard deviations of the noise, rows scaled to a largest modulus of one.
        matrices: how many of the set's matrices, the first; None = all.
        rows_per_matrix: how many of each one's rows; None = all.
        dimensions: of the set, 2 or 3; only denoising has both.
        members: global phases that a network's result is averaged over; `mpijax restore` takes 2, which costs twice the time.
        phantom: whether to reconstruct the phantom as well.
        smoke: stand-ins of the sets and coarse phantoms, for tests.
        set_dir: where ``experiments.fixed_sets`` wrote the sets.
        seed: of masks, phases and noise.
        run_dir: where results go.
    """

    networks: tuple[str, ...]
    sigmas: tuple[float, ...]
    run_dir: Path
    matrices: int | None = None
    rows_per_matrix: int | None = None
    dimensions: int = 2
    members: int = 1
    phantom: bool = True
    smoke: bool = False
    set_dir: Path = Path("runs")
    seed: int = 0


def load_networks(config: EvalConfig) -> dict[str, Method]:
    """The networks of a configuration by name, or by the number of their place where two share one."""
    names = [Path(name).stem for name in config.networks]
    titles = names if len(set(names)) == len(names) else [f"{name} ({i})" for i, name in enumerate(names, start=1)]
    return {t: network(find_weights(n), config.members) for t, n in zip(titles, config.networks, strict=True)}


def boxes_of(name: str, smoke: bool) -> tuple[int, ...]:
    """Sizes to which the rows of a set are padded."""
    return FIXED_SETS[name].boxes if not smoke else ((32,) if name == "upsampling_2d" else (16,))


def interval(value: Sequence[float] | None, digits: int) -> str:
    """A mean with its 95 % interval; "-" for none."""
    if value is None:
        return "-"
    mean, low, high = value
    if np.isnan(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table_row(
    sigma: float, record: Mapping[str, Any], paper: tuple[float, float] | None = None, *, regions: bool = False
) -> dict[str, Any]:
    """One line of a table from a record of `experiments.support.restoration_eval.summarize`, with the paper's figures."""
    row: dict[str, Any] = {"sigma": f"{sigma:g}"}
    if regions:
        row |= {"mean size": record["range"], "matrices": record["matrices"]}
    row |= {"method": record["method"], "PSNR [dB] (95 %)": interval(record["psnr"], 2)}
    if regions:
        row |= {
            title: interval(record.get(key), 2) for title, key in (("missing", "psnr_missing"), ("known", "psnr_known"))
        }
    row |= {"SSIM (95 %)": interval(record["ssim"], 3)}
    found = paper or ("-", "-")
    return row | {"paper's PSNR": str(found[0]), "paper's SSIM": str(found[1])}


def sized_tables(
    results: Mapping[str, Sequence[Mapping[str, Any]]], printed: Mapping[float, Any], same: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Lines of a table by noise level, range of sizes and method, followed by the paper's network.

    Args:
        results: noise level -> records.
        printed: noise level -> the paper's name of a method -> range -> (PSNR, SSIM).
        same: our name of a method -> the paper's.
    """
    lines = []
    for sigma, records in results.items():
        theirs = printed.get(float(sigma), {})
        others = [name for name in theirs if name not in same.values()]
        for title in dict.fromkeys(r["range"] for r in records):
            group = [r for r in records if r["range"] == title]
            for record in group:
                found = theirs.get(same.get(record["method"], ""), {}).get(title)
                lines.append(table_row(float(sigma), record, found, regions=True))
            for name in others:
                empty = {
                    **group[0],
                    "method": f"paper's {name}",
                    "psnr": None,
                    "ssim": None,
                    "psnr_missing": None,
                    "psnr_known": None,
                }
                lines.append(table_row(float(sigma), {**empty, "matrices": "-"}, theirs[name].get(title), regions=True))
    return lines


def rows_figure(
    path: Path,
    rows: FixedRows,
    chosen: np.ndarray,
    boxes: Sequence[int],
    task: RandomCorruption,
    sigma: float,
    methods: Mapping[str, Method],
    key: jax.Array,
) -> None:
    """Up to five rows of one of the larger matrices, spread over its rows: truth, corrupted, methods; middle slices of a volume."""
    size = rows.extents[rows.matrix[chosen]].prod(axis=1)
    matrix = rows.matrix[chosen][np.argsort(size, kind="stable")[len(size) * 3 // 4]]
    members = chosen[rows.matrix[chosen] == matrix]
    batch = next(iter(batches(rows, members[np.unique(np.arange(5) * len(members) // 5)], boxes)))
    problem = corrupt(batch, task, sigma, key)
    corrupted = np.where(problem.known, problem.images, 0)
    shown = {"truth": _cut(problem.clean, problem.fine_extents), "corrupted": _cut(corrupted, problem.extents)}
    shown |= {name: _cut(np.asarray(method(problem)), problem.fine_extents) for name, method in methods.items()}
    save(plot_rows(shown, reference="truth", channels=["xyz"[c] for c in rows.channel[batch.rows]]), path)


def _cut(images: np.ndarray, extents: np.ndarray) -> np.ndarray:
    """Rows of one grid without padding; the middle slice of a volume."""
    images = images[(slice(None), *(slice(n) for n in extents[0]))]
    return images if images.ndim == 3 else images[:, images.shape[1] // 2]


def finish(config: EvalConfig, name: str, results: Mapping[str, Any], sections: Sequence[str], seconds: float) -> None:
    """Write ``experiment.json``, ``results.json`` and ``report.md``, and print the report."""
    write_record(config.run_dir, name, config)
    write_text(
        config.run_dir / "results.json", json.dumps({**results, "seconds": seconds}, indent=2, default=float) + "\n"
    )
    closing = f"Took {seconds:.0f} s on {environment()['device']}; every setting in experiment.json, all figures in results.json."
    text = "\n\n".join([*sections, closing]) + "\n"
    write_text(config.run_dir / "report.md", text)
    print(text)
