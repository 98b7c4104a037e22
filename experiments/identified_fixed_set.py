"""One particle fitted to the whole matrix, on the fixed test set of the restoration paper: an inverse crime.

Paper: A. Tsanda et al., Phys. Med. Biol. 71, 095029 (2026), Table 2.

Command:  python -m experiments.identified_fixed_set [--matrices 48] [--sigmas 0.06 0.1 0.2 0.3] [--run-dir DIR]

The rows and the noise of ``python -m experiments.restore_denoise``, 16 rows of every matrix, with the geometry that was drawn. The
truth is of the family that the fit searches, and the networks of the paper are told neither geometry nor the other rows: the
figures are not to be ranked with theirs. Where ``python -m experiments.fixed_sets`` has not written the set, its first matrices are
simulated.

Figures that are in the run directory are not computed again. Expected time: 40 minutes on one core for 48 matrices.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments import restore_identified
from experiments.support.identified_report import difference
from experiments.support.restoration_eval import batches, corrupt, fixed_task, load_set
from experiments.support.restoration_report import boxes_of
from experiments.support.run import markdown_table, parse, run_main, write_record
from mpijax.core.files import write_text
from mpijax.datasets import FIXED_SETS

NAME = "restoration_2d"


@dataclass(frozen=True)
class Config:
    """What is restored.

    Attributes:
        matrices: the first of the set.
        sigmas: noise over a row's largest modulus.
        seed: of phases and noise.
        set_dir: where the set is.
        run_dir: where results go.
    """

    matrices: int = 48
    sigmas: tuple[float, ...] = (0.06, 0.1, 0.2, 0.3)
    seed: int = 0
    set_dir: Path = Path("runs")
    run_dir: Path = Path("runs/identified_fixed_set")


PRESETS = {"quick": Config(), "smoke": Config(matrices=1, sigmas=(0.1,))}


def main(config: Config) -> dict[str, Any]:
    """Restore, compare; returns what ``results.json`` holds."""
    rows, spec = load_set(NAME, config.set_dir, config.matrices), FIXED_SETS[NAME]
    methods = restore_identified.methods_of(restore_identified.Config())
    table, results = [], {}
    for sigma in config.sigmas:
        found = []
        for number in range(config.matrices):
            path = config.run_dir / f"{sigma:g}-{number}.json"
            if not path.exists():
                members = np.flatnonzero(rows.matrix == number)
                (batch,) = batches(rows, members, boxes_of(NAME, False))
                problem = corrupt(batch, fixed_task("denoise"), sigma, jax.random.key(config.seed))
                where = rows.channel[members], rows.frequency_index[members]
                figures = restore_identified.restored_figures(
                    spec.draw(number)[1], *where, problem, np.arange(len(members)), {"task": "denoise"}, methods
                )
                write_text(path, json.dumps(figures, indent=1) + "\n")
                means = {name: round(float(np.mean(v)), 2) for name, v in figures["psnr"].items()}
                print(f"{sigma:g}, matrix {number}: {means}, {figures['seconds']:.0f} s", file=sys.stderr, flush=True)
            found.append(json.loads(path.read_text(encoding="utf-8")))
        results[f"{sigma:g}"] = found
        table.append(_line(sigma, found))
    write_record(config.run_dir, "identified_fixed_set", config)
    text = f"# Fixed set, {config.matrices} matrices, mean PSNR [dB]; in the fit's model\n\n" + markdown_table(table)
    write_text(config.run_dir / "report.md", text + "\n")
    print(text)
    return results


def _line(sigma: float, found: list[dict[str, Any]]) -> dict[str, Any]:
    psnr = {method: [np.asarray(m["psnr"][method]) for m in found] for method in found[0]["psnr"]}
    line: dict[str, Any] = {"sigma": f"{sigma:g}", "rows": sum(m["rows"] for m in found)}
    for method, values in psnr.items():
        mean, low, high = difference(values, [np.zeros(len(v)) for v in values])
        line[method] = f"{mean:.2f} ({low:.2f} to {high:.2f})"
    changed = np.concatenate([np.asarray(m["changed"], bool) for m in found])
    lost = changed & (np.concatenate(psnr["identified"]) - np.concatenate(psnr["wiener"]) < -1)
    explained = [m.get("chi2") is not None and m["chi2"] < 1.3 for m in found]
    return line | {
        "changed": f"{changed.mean():.0%}",
        "lost more than 1 dB": int(lost.sum()),
        "matrices explained": f"{sum(explained)} of {len(found)}",
    }


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
