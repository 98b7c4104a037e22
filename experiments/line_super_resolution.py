"""Super-resolution of rotating field-free-line matrices by a fitted simulator, where the truth is not the one that is fitted.

Command:  python -m experiments.line_super_resolution [--preset standard | smoke] [--run-dir DIR] [--part test | development] ...

In model are test matrices of the TranSMS paper's Table I (``validation`` ones on the development half); the other families draw
gradient and diameter inside the ranges that the networks are trained on and change what :mod:`experiments.support.line_truths`
says: log-normal sizes, field-dependent relaxation, a sloped receive coil, a wrong file, all of these together; an unruly scanner
besides, whose angles have no profile in common; Brownian rotation by the Fokker-Planck equation, with coil and file. Noise as in
`transms_simulated`: 30 dB of the coarse matrix, a sample of S x S voxels.

What each method is told: "fitted rows" the file's geometry, the noise and all rows together; the networks one row and its noise
(and 66 matrices of the model to train on, seen at the same noise); both bicubic ones one row. Networks are the ``quick`` ones of
`transms_simulated`.

Every figure is kept in ``records`` of the run directory: the same command continues, and methods or families can be added.
Expected on two cores: 4 s per matrix and scale for the fit; the networks train for about 15 minutes each.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy import stats

from experiments.support import line_truths, transms
from experiments.support.competitors import check_request, train_networks
from experiments.support.fitted import FITTED_ROWS as FITTED
from experiments.support.fitted import fitted_rows
from experiments.support.run import environment, markdown_table, parse, run_main, write_record
from experiments.support.upsampling import Case, Method, evaluate, from_upsampler
from mpijax.core.checks import check_choice, check_count
from mpijax.core.files import write_text
from mpijax.datasets import CoarseMeasurement, FieldFreeLineSet
from mpijax.datasets.sources import SPLIT, field_free_line_source
from mpijax.restoration import load_upsampler

MODEL = "in model"
LIMITS = {("everything", 2): 2.5, ("everything", 4): 3.0, (MODEL, 2): 0.6, (MODEL, 4): 1.2}
"""Upper 95 % limit of the mean nRMSE [%] that is aimed at."""


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        run_dir: where results go; figures that are there are kept, unfinished trainings of the same settings continued.
        part: test or development; nothing may be chosen on the first.
        families: in model, sizes, relax, coils, file, everything, unruly, brown.
        scales: upsampling factors.
        count: matrices of every family.
        networks: trained and compared, of srcnn, vdsr, mdsr, smrnet, transms, vrfnet, consistent_unet.
        network_scales: at which networks are compared.
        steps: of every training; None = those of the quick recipe.
        snr_db: of the coarse matrix [dB].
        seed: of noise and weights.
        progress: whether to show progress bars.
    """

    run_dir: Path = Path("runs/line_super_resolution")
    part: str = "test"
    families: tuple[str, ...] = (MODEL, *line_truths.FAMILIES)
    scales: tuple[int, ...] = (2, 4, 8)
    count: int = 24
    networks: tuple[str, ...] = ("consistent_unet", "transms")
    network_scales: tuple[int, ...] = (2, 4)
    steps: int | None = None
    snr_db: float = 30.0
    seed: int = 0
    progress: bool = True


PRESETS = {
    "standard": Config(),
    "smoke": Config(families=(MODEL, "everything"), scales=(4,), count=2, networks=(), part="development"),
}


def main(config: Config) -> dict[str, Any]:
    """Train, evaluate, report; returns what ``results.json`` holds."""
    check_request(config.networks, config.scales)
    check_choice("part", config.part, ("test", "development"))
    check_count("count", config.count)
    for family in config.families:
        check_choice("family", family, (MODEL, *line_truths.FAMILIES))
    config.run_dir.mkdir(parents=True, exist_ok=True)
    write_record(config.run_dir, "line_super_resolution", config)
    started = time.perf_counter()
    methods = {scale: methods_at(config, scale) for scale in config.scales}
    records: dict[str, dict[str, Any]] = {}
    for family in config.families:
        made = Once(partial(matrices_of, family, config.part, config.count))
        records[family] = {str(scale): at(config, family, scale, methods[scale], made) for scale in config.scales}
    results = {"records": records, "seconds": time.perf_counter() - started}
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_text(config.run_dir / "report.md", report(config, results))
    return results


class Once:
    """A value that is made when it is first asked for: matrices whose figures are all known are not simulated again."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._made = make, None

    def __call__(self) -> Any:
        """The value."""
        if self._made is None:
            self._made = self._make()
        return self._made


def matrices_of(family: str, part: str, count: int) -> transms.Matrices:
    """The first matrices of a family; those in model are spread over the paper's set."""
    if family != MODEL:
        return line_truths.matrices(family, part, count)
    parts = FieldFreeLineSet.create(jax.random.key(SPLIT))
    items = parts.test if part == "test" else parts.validation
    if count > len(items):
        raise ValueError(f"count = {count}; the {part} half has {len(items)} matrices in model.")
    order = np.argsort(np.modf(np.arange(len(items)) * (np.sqrt(5) - 1) / 2)[0], kind="stable")
    return transms.Matrices.of(items[i] for i in order[:count])


def methods_at(config: Config, scale: int) -> dict[str, Method]:
    """What is compared at one scale."""
    methods: dict[str, Method] = {
        name: from_upsampler(load_upsampler(name, scale)) for name in ("bicubic", "consistent-bicubic")
    }
    if config.networks and scale in config.network_scales:
        source = field_free_line_source(scale, snr_db=config.snr_db, snr_of="coarse", seed=config.seed)
        runs = config.run_dir / "networks" / f"{scale}x"
        methods |= train_networks(
            config.networks,
            source,
            scale,
            runs,
            "quick",
            steps=config.steps,
            seed=config.seed,
            progress=config.progress,
        )
    return methods | {FITTED: fitted_rows}


def at(
    config: Config, family: str, scale: int, methods: dict[str, Method], made: Callable[[], transms.Matrices]
) -> dict[str, list[float]]:
    """nRMSE [%] of every matrix by method, of which those that are known are read."""
    found: dict[str, list[float]] = {}
    for name, method in methods.items():
        path = (
            config.run_dir / "records" / f"{config.part}-{family}-{scale}x-{name}-{config.seed}.json".replace(" ", "_")
        )
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        if len(known) < config.count:
            cases: list[Case] = transms.simulated_cases(
                made(), CoarseMeasurement(scale, sample="large"), config.snr_db, "coarse", config.seed
            )
            for case in cases[len(known) : config.count]:
                (record,), _ = evaluate([case], {name: method}, keep=0)
                known.append(100 * record["nrmse"])
                write_text(path, json.dumps(known) + "\n")
        found[name] = known[: config.count]
        if config.progress:
            print(f"{family}, {scale}x, {name}: {interval(found[name])}", flush=True)
    return found


def interval(values: list[float]) -> str:
    """Mean +- half the 95 % interval of the mean."""
    if len(values) < 2:
        return f"{np.mean(values):.3g}"
    return f"{np.mean(values):.3g} +- {upper(values) - np.mean(values):.2g}"


def upper(values: list[float]) -> float:
    """Upper 95 % limit (two-sided interval) of the mean."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) + half)


def report(config: Config, results: dict[str, Any]) -> str:
    """Tables of every scale, and what was aimed at."""
    records = results["records"]
    lines = [
        "# Super-resolution of field-free-line matrices by a fitted simulator",
        "",
        f"nRMSE [%] of a matrix, mean over the first {config.count} matrices of each family ({config.part} half) +- half the 95 % "
        f"interval of the mean; {config.snr_db:g} dB of the coarse matrix. Told: fitted rows = the file's geometry, noise and all "
        "rows; networks = one row and its noise, 66 matrices of the model in training; bicubic = one row.",
        "",
    ]
    for scale in map(str, config.scales):
        names = list(next(iter(records.values()))[scale])
        rows = [
            {"truth": family} | {name: interval(found[scale][name]) for name in names}
            for family, found in records.items()
        ]
        lines += [f"## {scale}x", "", markdown_table(rows), ""]
    aims = [
        {
            "truth": family,
            "scale": f"{scale}x",
            "upper 95 % limit": upper(records[family][str(scale)][FITTED]),
            "aim": aim,
            "met": "yes" if upper(records[family][str(scale)][FITTED]) <= aim else "no",
        }
        for (family, scale), aim in LIMITS.items()
        if family in records and scale in config.scales and config.count > 1
    ]
    if aims:
        lines += ["## Aims", "", markdown_table(aims), ""]
    lines += [f"{results['seconds']:.0f} s in this run, less what was known. {environment()['device']}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)
