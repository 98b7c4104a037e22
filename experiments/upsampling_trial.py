"""Does the trial one level coarser know when the shipped upsampler is better than interpolation?

Command:  python -m experiments.upsampling_trial [--families equilibrium neel coils ...] [--run-dir DIR]

Before `mpijax restore --task upsample` uses a network it asks it for the measured voxels themselves, from every second of them
(`mpijax.restoration.trial`). Here the answer is known: development halves of the reality gap's sets, four rows of each of 8
matrices on a grid twice as fine, every second voxel of which is measured, with white noise of sigma times each row's largest
modulus. Before: the network, checked row by row at measured voxels. After: the network where it passes the trial, else the
spline. A real matrix has hundreds of rows to choose with, these have four. Expected: matrices on which the network is better keep
it. Expected time: 16 minutes on two busy cores, most of it compilation.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import mpijax as mj
from experiments.support.reality_families import BY_NAME
from experiments.support.reality_sets import FOLDER, GapSet, read_set
from experiments.support.run import markdown_table, parse, run_main, write_record
from mpijax.core.checks import check_choice
from mpijax.core.files import write_text
from mpijax.core.typing import Complex
from mpijax.restoration import Method, find_method
from mpijax.rows import Upsample


@dataclass(frozen=True)
class Config:
    """What is tried.

    Attributes:
        families: of the reality gap.
        sigmas: noise over the largest modulus of a row.
        matrices: the first of each family.
        seed: of the noise.
        set_dir: where the sets are.
        run_dir: where results go.
    """

    families: tuple[str, ...] = ("equilibrium", "neel", "coils", "sizes", "field", "brown_1", "brown_6", "together")
    sigmas: tuple[float, ...] = (1e-3, 0.02, 0.1)
    matrices: int = 8
    seed: int = 0
    set_dir: Path = field(default=FOLDER)
    run_dir: Path = Path("runs/upsampling_trial")

    def __post_init__(self) -> None:
        for name in self.families:
            check_choice("families", name, tuple(BY_NAME))


PRESETS = {"quick": Config(), "smoke": Config(families=("equilibrium",), sigmas=(0.02,), matrices=1)}


class Untried(Upsample):
    """Upsampling by every second voxel, without the trial."""

    has_trial: ClassVar[bool] = False


def psnr(matrix: mj.SystemMatrix, clean: Complex[np.ndarray, "m y x"]) -> float:
    """Mean over rows of largest modulus one [dB]."""
    found = np.asarray(matrix.grid.to_image(matrix.rows()))[:, 0, : clean.shape[1], : clean.shape[2]]
    return float(np.mean(-10 * np.log10(np.mean(np.abs(found - clean) ** 2, axis=(1, 2)))))


def records(found: GapSet, config: Config, network: Method) -> list[dict[str, Any]]:
    """One record for each matrix of the development half and each noise level."""
    rows, result = found.fine, []
    assert rows is not None
    chosen = found.of_half(rows, "development")
    for number in np.unique(rows.matrix[chosen])[: config.matrices]:
        clean = np.stack([rows.image(int(row))[0] for row in chosen if rows.matrix[row] == number])
        clean /= np.abs(clean).max((1, 2), keepdims=True)
        rng = np.random.default_rng([config.seed, int(number)])
        noise = (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape)) / np.sqrt(2)
        for sigma in config.sigmas:
            coarse = (clean + sigma * noise)[:, ::2, ::2]
            height, width = coarse.shape[1:]
            matrix = mj.SystemMatrix.create(
                coarse.reshape(1, len(coarse), -1).astype(np.complex64),
                np.arange(1, len(coarse) + 1) * 1e4,
                mj.Grid.create((width, height, 1), (width * 1e-3, height * 1e-3, 1e-3)),
                frequency_indices=np.arange(1, len(coarse) + 1),
                n_samples=64,
                bandwidth=32e4,
            )
            tried = mj.restore(matrix, Upsample(2, "stride"), method=network, noise_std=sigma)
            before = mj.restore(matrix, Untried(2, "stride"), method=network, noise_std=sigma)
            others = {
                name: psnr(mj.restore(matrix, Upsample(2, "stride"), method=name, noise_std=sigma).value, clean)
                for name in ("spline", "bicubic")
            }
            trial = tried.stats.trial
            assert trial is not None
            result.append(
                {
                    "family": found.family.name,
                    "matrix": int(number),
                    "sigma": sigma,
                    "errors": trial.errors,
                    "kept": not trial.replaced,
                    "before": psnr(before.value, clean),
                    "after": psnr(tried.value, clean),
                    **others,
                }
            )
    return result


def summary(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the matrices of every family and noise level, then over all."""
    keys = list(dict.fromkeys((r["family"], r["sigma"]) for r in found))
    table = []
    for family, sigma in [*keys, ("all", "all")]:
        part = [r for r in found if family == "all" or (r["family"], r["sigma"]) == (family, sigma)]
        before, after = (np.array([r[name] for r in part]) for name in ("before", "after"))
        spline = np.array([r["spline"] for r in part])
        best = np.maximum(spline, [r["bicubic"] for r in part])
        kept = np.array([r["kept"] for r in part])
        table.append(
            {
                "family": family,
                "sigma": sigma,
                "network kept": f"{kept.sum()} of {len(kept)}",
                "network better": f"{np.count_nonzero(before > best)} of {len(best)}",
                "spline [dB]": float(spline.mean()),
                "before [dB]": float(before.mean()),
                "after [dB]": float(after.mean()),
                "worst matrix against spline, before [dB]": float((before - spline).min()),
                "after it [dB]": float((after - spline).min()),
                "most lost by the trial [dB]": float((before - after).max()),
            }
        )
    return table


def main(config: Config) -> dict[str, Any]:
    """Try, compare; returns what results.json holds."""
    network = find_method(Upsample(2, "stride"), 2)[0]
    found: list[dict[str, Any]] = []
    for name in config.families:
        begun = time.perf_counter()
        found += records(read_set(name, config.set_dir), config, network)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    results = {"matrices": found, "summary": summary(found)}
    write_record(config.run_dir, "upsampling_trial", config)
    write_text(config.run_dir / "results.json", json.dumps(results, indent=1) + "\n")
    text = "\n".join(["# The trial of the shipped upsampler", "", markdown_table(results["summary"]), ""])
    write_text(config.run_dir / "report.md", text)
    print(text)
    return results


if __name__ == "__main__":
    settings = parse(PRESETS, None, __doc__ or "")
    run_main(main, settings, settings.run_dir)
